// SPDX-License-Identifier: BSD-3-Clause
// LZ4 compression: every block is by the format's letter, and both decoders
// make the data of it again; with less room, the same block comes exactly if it
// fits.
//
// Input: see data_to_compress.h.
#include <lz4.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "fuzz/data_to_compress.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/codec/lz4.h"
#include "lib/codec/lz4_encode.h"
#include "lib/codec/testing/guarded.h"
#include "lib/codec/testing/plain_lz4.h"

namespace odo::codec {
namespace {

void round_trip(Bytes data, std::size_t room) {
  static Lz4Workspace workspace;
  testing::Guarded most(data.size() + data.size() / 255 + 16);
  const auto size = lz4_compress(data, most.span(), workspace);
  ODO_CHECK(most.intact());
  ODO_CHECK(size.has_value() == (data.size() <= kLz4LongestInput));
  if (!size) return;
  const Bytes block = most.span().first(*size);

  const auto plain = testing::plain_lz4(block, data.size() + 1);
  ODO_CHECK(plain.data && equal_bytes(*plain.data, data));
  ODO_CHECK(plain.keeps_end_conditions && !plain.zero_distance);
  std::vector<std::byte> back(data.size() + 1);
  const auto ours = lz4_decompress(block, back);
  ODO_CHECK(ours == data.size());
  ODO_CHECK(equal_bytes(Bytes(back).first(data.size()), data));
  const int theirs = LZ4_decompress_safe(
      reinterpret_cast<const char*>(block.data()),
      reinterpret_cast<char*>(back.data()), static_cast<int>(*size),
      static_cast<int>(back.size()));
  ODO_CHECK(theirs == static_cast<int>(data.size()));
  ODO_CHECK(equal_bytes(Bytes(back).first(data.size()), data));

  // Another workspace, which holds what another call has left.
  static Lz4Workspace other;
  testing::Guarded some(room);
  const auto again = lz4_compress(data, some.span(), other);
  ODO_CHECK(some.intact());
  ODO_CHECK(again.has_value() == (room >= *size));
  ODO_CHECK(!again || equal_bytes(some.span().first(*again), block));
}

}  // namespace
}  // namespace odo::codec

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  const odo::Bytes input(reinterpret_cast<const std::byte*>(data), size);
  if (const auto what = odo::fuzz::data_to_compress(input)) {
    odo::codec::round_trip(what->data, what->room);
  }
  return 0;
}
