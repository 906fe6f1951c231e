// SPDX-License-Identifier: BSD-3-Clause
// DEFLATE and zlib streams: accepted or rejected as by zlib's inflate() over
// the same spans, with the same data and the same end of the stream.
//
// Input: one byte for the format (odd: with zlib's header and check value) and
// two for the size of the output; the rest is the stream. The check value of a
// zlib stream would stop a fuzzer at its door, so that where ours calls only it
// wrong, the input is tried again with the right one.
#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/codec/inflate.h"
#include "lib/codec/testing/guarded.h"
#include "lib/codec/zlib.h"

namespace odo::codec {
namespace {

enum class Format : std::uint8_t { kRaw, kZlib };

void compare(Bytes stream, std::size_t room, Format format) {
  static InflateWorkspace workspace;
  testing::Guarded out(room);
  const auto ours = format == Format::kRaw
                        ? inflate(stream, out.span(), workspace)
                        : zlib_decompress(stream, out.span(), workspace);
  ODO_CHECK(out.intact());
  ODO_CHECK(!ours ||
            (ours->written <= room && ours->consumed <= stream.size()));

  z_stream z{};
  ODO_CHECK(inflateInit2(&z, format == Format::kRaw ? -15 : 15) == Z_OK);
  std::vector<Bytef> in(stream.size() + 1);
  if (!stream.empty()) {
    __builtin_memcpy(in.data(), stream.data(), stream.size());
  }
  std::vector<Bytef> reference(room + 1);
  z.next_in = in.data();
  z.avail_in = static_cast<uInt>(stream.size());
  z.next_out = reference.data();
  z.avail_out = static_cast<uInt>(room);
  const int status = ::inflate(&z, Z_FINISH);
  const std::size_t consumed = z.total_in;
  const std::size_t written = z.total_out;
  const std::uint32_t adler = static_cast<std::uint32_t>(z.adler);
  inflateEnd(&z);

  ODO_CHECK(ours.has_value() == (status == Z_STREAM_END));
  if (ours) {
    ODO_CHECK(ours->consumed == consumed && ours->written == written);
    ODO_CHECK(written == 0 ||
              __builtin_memcmp(reference.data(), out.span().data(), written) ==
                  0);
  } else if (ours.error() == Error::kNeedsDictionary) {
    // zlib wants to have read the dictionary's number first.
    ODO_CHECK(status == Z_NEED_DICT || stream.size() < 6);
  } else if (ours.error() == Error::kBadCheck) {
    ODO_CHECK(status == Z_DATA_ERROR);
    // zlib has then decoded the data and computed their check value.
    const auto body = inflate(stream.subspan(2), out.span(), workspace);
    ODO_CHECK(body && adler32(out.span().first(body->written)) == adler);
    std::vector<std::byte> mended(stream.begin(), stream.end());
    store_be(mended.data() + 2 + body->consumed, adler);
    compare(mended, room, format);
    ODO_CHECK(zlib_decompress(mended, out.span(), workspace).has_value());
  }
}

}  // namespace
}  // namespace odo::codec

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  using odo::codec::Format;
  if (size < 3) return 0;
  const odo::Bytes input(reinterpret_cast<const std::byte*>(data), size);
  const std::size_t room = odo::load_le<std::uint16_t>(input.data() + 1);
  const bool zlib = (data[0] & 1) != 0;
  odo::codec::compare(input.subspan(3), room,
                      zlib ? Format::kZlib : Format::kRaw);
  return 0;
}
