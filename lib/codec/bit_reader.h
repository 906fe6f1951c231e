// SPDX-License-Identifier: BSD-3-Clause
// The bits of a DEFLATE stream, the lowest of each byte first.
//
// `bits` holds the next `left` bits, the first one lowest. What stands above
// them is either zero or the true bits that follow, so that ORing the same
// input in again changes nothing.
//
// Contexts: any. A plain value: loops copy it into registers and back.
// Failure: total; past the end come zeros, and the caller compares `left` with
//   what it takes.
// Origin: RFC 1951 section 3.1.1. A 64-bit buffer filled by word loads is
// common
//   practice (Giesen, "Reading bits in far too many ways").
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/base/annotations.h"
#include "lib/base/bytes.h"

namespace odo::codec::detail {

struct BitReader {
  const std::byte* in;
  const std::byte* end;
  std::uint64_t bits = 0;
  unsigned left = 0;

  [[nodiscard]] std::size_t bytes_left() const {
    return static_cast<std::size_t>(end - in);
  }

  // The next `n` (< 32) bits.
  [[nodiscard]] ODO_ALWAYS_INLINE std::uint64_t peek(unsigned n) const {
    return bits & ((std::uint64_t{1} << n) - 1);
  }

  ODO_ALWAYS_INLINE void drop(unsigned n) {
    bits >>= n;
    left -= n;
  }

  // Fills up to at least 56 bits; eight bytes must be there. A whole word is
  // ORed in, and only those of its bytes that fit wholly are counted.
  ODO_ALWAYS_INLINE void fill_from_word() {
    bits |= load_le<std::uint64_t>(in) << left;
    in += (63 - left) / 8;
    left |= 56;
  }

  // Fills up to at least 56 bits, or with all that there is.
  ODO_ALWAYS_INLINE void fill() {
    if (bytes_left() >= 8) {
      fill_from_word();
      return;
    }
    while (left < 56 && in != end) {
      bits |= std::to_integer<std::uint64_t>(*in++) << left;
      left += 8;
    }
  }

  // Gives whole bytes back and drops the rest of a byte begun.
  void return_bytes() {
    in -= left / 8;
    bits = 0;
    left = 0;
  }
};

}  // namespace odo::codec::detail
