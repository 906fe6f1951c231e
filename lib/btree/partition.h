// SPDX-License-Identifier: BSD-3-Clause
// Binary search without jumps: for keys in arrays and on pages alike.
//
// Contexts: any; constexpr, no state.
// Complexity: O(log n), the same steps for every answer.
#pragma once

#include <cstddef>

#include "lib/base/annotations.h"

namespace odo::btree {

// `yes ? a : b` without a jump: at a search's every turn a jump would be
// guessed wrong every other time.
[[nodiscard]] ODO_ALWAYS_INLINE constexpr std::size_t chosen(bool yes,
                                                             std::size_t a,
                                                             std::size_t b) {
  if consteval {
    return yes ? a : b;
  }
#if defined(__clang__)
  return __builtin_unpredictable(yes) ? a : b;
#else
  return __builtin_expect_with_probability(yes, true, 0.5) ? a : b;
#endif
}

// The number of leading entries, of `count`, for which before(index) holds.
template <class Before>
[[nodiscard]] constexpr std::size_t partition(std::size_t count,
                                              const Before& before) {
  std::size_t base = 0;
  while (count > 1) {
    const std::size_t half = count / 2;
    base = chosen(before(base + half - 1), base + half, base);
    count -= half;
  }
  return count == 0 ? 0 : base + (before(base) ? 1U : 0U);
}

static_assert(partition(7, [](std::size_t i) { return i < 5; }) == 5);

}  // namespace odo::btree
