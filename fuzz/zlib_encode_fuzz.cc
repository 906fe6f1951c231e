// SPDX-License-Identifier: BSD-3-Clause
// zlib compression: both decoders make the data of every stream again; with
// less room, the same stream comes exactly if it fits.
//
// Input: one byte for the level, then see data_to_compress.h.
#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "fuzz/data_to_compress.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/codec/testing/guarded.h"
#include "lib/codec/zlib.h"
#include "lib/codec/zlib_encode.h"

namespace odo::codec {
namespace {

void round_trip(Bytes data, unsigned level, std::size_t room) {
  static DeflateWorkspace workspace;
  // Stored, as two blocks at most.
  testing::Guarded most(2 + 2 * 5 + data.size() + 4);
  const auto size = zlib_compress(data, most.span(), level, workspace);
  ODO_CHECK(most.intact());
  ODO_CHECK(size.has_value() == (data.size() <= kDeflateLongestInput));
  if (!size) return;
  const Bytes stream = most.span().first(*size);

  static InflateWorkspace inflate_workspace;
  std::vector<std::byte> back(data.size() + 1);
  const auto ours = zlib_decompress(stream, back, inflate_workspace);
  ODO_CHECK(ours && ours->consumed == *size && ours->written == data.size());
  ODO_CHECK(equal_bytes(Bytes(back).first(data.size()), data));
  uLongf written = back.size();
  ODO_CHECK(uncompress(reinterpret_cast<Bytef*>(back.data()), &written,
                       reinterpret_cast<const Bytef*>(stream.data()),
                       *size) == Z_OK);
  ODO_CHECK(written == data.size());
  ODO_CHECK(equal_bytes(Bytes(back).first(data.size()), data));

  // Another workspace, which holds what another call has left.
  static DeflateWorkspace other;
  testing::Guarded some(room);
  const auto again = zlib_compress(data, some.span(), level, other);
  ODO_CHECK(some.intact());
  ODO_CHECK(again.has_value() == (room >= *size));
  ODO_CHECK(!again || equal_bytes(some.span().first(*again), stream));
}

}  // namespace
}  // namespace odo::codec

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  if (size == 0) return 0;
  const odo::Bytes input(reinterpret_cast<const std::byte*>(data), size);
  if (const auto what = odo::fuzz::data_to_compress(input.subspan(1))) {
    odo::codec::round_trip(what->data, data[0] % 10u, what->room);
  }
  return 0;
}
