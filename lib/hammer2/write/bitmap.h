// SPDX-License-Identifier: BSD-3-Clause
// Finding free space in the two-bit-a-unit words of a freemap entry.
//
// Contexts: any; no state.
// Shapes: a word says of 32 units of 16 KiB, lowest bits first, whether each is
//   free (00) or not; a block of 16, 32 or 64 KiB is one, two or four units at
//   a multiple of its size.
// Complexity: a few instructions a word.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>

#include "lib/base/check.h"
#include "lib/hammer2/format/constants.h"

namespace odo::hammer2::write {

inline constexpr unsigned kUnitsInWord = 32;

// One bit for each aligned group of 2^(radix - 14) units that is wholly free,
// at the group's first bit.
[[nodiscard]] constexpr std::uint64_t free_groups(std::uint64_t word,
                                                  unsigned radix) {
  std::uint64_t used = (word | word >> 1) & 0x5555555555555555;
  if (radix >= format::kFreemapUnitRadix + 1) {
    used = (used | used >> 2) & 0x1111111111111111;
  }
  if (radix >= format::kFreemapUnitRadix + 2) {
    used = (used | used >> 4) & 0x0101010101010101;
    return ~used & 0x0101010101010101;
  }
  return ~used & (radix == format::kFreemapUnitRadix ? 0x5555555555555555
                                                     : 0x1111111111111111);
}

// The first unit of the lowest group that is free, if one is.
[[nodiscard]] constexpr std::optional<unsigned> find_group(std::uint64_t word,
                                                           unsigned radix) {
  const std::uint64_t groups = free_groups(word, radix);
  if (groups == 0) return std::nullopt;
  return static_cast<unsigned>(std::countr_zero(groups)) / 2;
}

// Free groups of 64 KiB.
[[nodiscard]] constexpr unsigned free_quads(std::uint64_t word) {
  return static_cast<unsigned>(
      std::popcount(free_groups(word, format::kMaxRadix)));
}

// Both bits of `count` units from `unit` on.
[[nodiscard]] constexpr std::uint64_t unit_mask(unsigned unit, unsigned count) {
  ODO_ASSERT(unit + count <= kUnitsInWord);
  const std::uint64_t ones = count >= kUnitsInWord
                                 ? ~std::uint64_t{0}
                                 : (std::uint64_t{1} << (2 * count)) - 1;
  return ones << (2 * unit);
}

}  // namespace odo::hammer2::write
