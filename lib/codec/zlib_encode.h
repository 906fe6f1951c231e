// SPDX-License-Identifier: BSD-3-Clause
// Compression into a zlib stream (RFC 1950): a header of two bytes, DEFLATE,
// and the Adler-32 of the data.
//
//   codec::DeflateWorkspace workspace;            // or a static one per lane
//   const auto size = codec::zlib_compress(data, out, 6, workspace);
//   // none: it isn't worth it; store the data as they are.
//
// Contexts, sizes, ownership, failure, cost: as deflate.h.
// Origin: RFC 1950 section 2.2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "lib/base/bytes.h"
#include "lib/codec/adler32.h"
#include "lib/codec/deflate.h"

namespace odo::codec {

// Compresses `data` into the front of `out`; answers how many bytes that made.
[[nodiscard]] inline std::optional<std::size_t> zlib_compress(
    Bytes data, MutableBytes out, unsigned level, DeflateWorkspace& workspace) {
  constexpr std::size_t kHeader = 2;
  constexpr std::size_t kCheck = 4;
  if (out.size() < kHeader + kCheck) return std::nullopt;
  const auto body =
      deflate(data, out.subspan(kHeader, out.size() - kHeader - kCheck), level,
              workspace);
  if (!body) return std::nullopt;

  // DEFLATE with a window of 32 KiB; of four kinds of effort the one that zlib
  // calls the level; what makes both bytes a multiple of 31.
  constexpr unsigned kMethod = 0x7800;
  const unsigned effort = level < 2 ? 0 : level < 6 ? 1 : level == 6 ? 2 : 3;
  const unsigned header = kMethod | effort << 6;
  store_be(out.data(),
           static_cast<std::uint16_t>(header + (31 - header % 31) % 31));
  store_be(out.data() + kHeader + *body, adler32(data));
  return kHeader + *body + kCheck;
}

}  // namespace odo::codec
