// SPDX-License-Identifier: BSD-3-Clause
// Decompression of a zlib stream (RFC 1950): a header of two bytes, DEFLATE,
// and the Adler-32 of the data.
//
//   codec::InflateWorkspace workspace;
//   ODO_TRY(codec::Inflated r, codec::zlib_decompress(block, out, workspace));
//
// Contexts, sizes, ownership, cost: as inflate.h.
// Failure: as inflate.h, and kCorrupt for a bad header, kNeedsDictionary for a
//   stream made with a preset dictionary, kBadCheck for data that don't match
//   the check value. Bytes after the stream are not looked at: HAMMER2 pads a
//   stream with zeros to its block, and Inflated::consumed says where it ended.
// Origin: RFC 1950 section 2.2. Like zlib's inflate(), a distance may exceed
// the
//   window size that the header declares.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/base/bytes.h"
#include "lib/base/result.h"
#include "lib/codec/adler32.h"
#include "lib/codec/error.h"
#include "lib/codec/inflate.h"

namespace odo::codec {

// Decompresses the stream at the front of `stream` into the front of `out`.
[[nodiscard]] inline Result<Inflated> zlib_decompress(
    Bytes stream, MutableBytes out, InflateWorkspace& workspace) {
  constexpr std::size_t kHeader = 2;
  constexpr std::size_t kCheck = 4;
  if (stream.size() < kHeader) return fail(Error::kTruncated);
  const unsigned header = load_be<std::uint16_t>(stream.data());
  const unsigned method = (header >> 8) & 15;
  const unsigned window = header >> 12;  // log2 of its size, less 8
  if (header % 31 != 0 || method != 8 || window > 7) {
    return fail(Error::kCorrupt);
  }
  if ((header & 0x20) != 0) return fail(Error::kNeedsDictionary);

  ODO_TRY(const Inflated body,
          inflate(stream.subspan(kHeader), out, workspace));
  const Bytes rest = stream.subspan(kHeader + body.consumed);
  if (rest.size() < kCheck) return fail(Error::kTruncated);
  if (load_be<std::uint32_t>(rest.data()) != adler32(out.first(body.written))) {
    return fail(Error::kBadCheck);
  }
  return Inflated{kHeader + body.consumed + kCheck, body.written};
}

}  // namespace odo::codec
