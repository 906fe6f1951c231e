// SPDX-License-Identifier: BSD-3-Clause
// How far apart two short words are, to guess what was meant.
//
// Contexts: any; pure. About 200 bytes of stack.
// Failure: none; a word longer than kMaxWord is farther from everything than
// any short word is.
// Complexity: O(|a| x |b|), both at most kMaxWord.
// Origin: optimal string alignment distance: insertions, deletions,
// substitutions and swaps of neighbours count one each (Damerau, 1964).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace odo::monitor {

inline constexpr std::size_t kMaxWord = 31;

[[nodiscard]] constexpr std::size_t edit_distance(std::string_view a,
                                                  std::string_view b) {
  if (a.size() > kMaxWord || b.size() > kMaxWord) return kMaxWord + 1;
  using Row = std::array<std::uint8_t, kMaxWord + 1>;
  std::array<Row, 3> rows{};  // of the last three prefixes of a
  for (std::size_t j = 0; j <= b.size(); ++j) {
    rows[0][j] = static_cast<std::uint8_t>(j);
  }
  for (std::size_t i = 1; i <= a.size(); ++i) {
    Row& now = rows[i % 3];
    const Row& last = rows[(i + 2) % 3];
    const Row& before = rows[(i + 1) % 3];
    now[0] = static_cast<std::uint8_t>(i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      int cost = a[i - 1] == b[j - 1] ? 0 : 1;
      int best = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + cost});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        best = std::min(best, before[j - 2] + 1);
      }
      now[j] = static_cast<std::uint8_t>(best);
    }
  }
  return rows[a.size() % 3][b.size()];
}

}  // namespace odo::monitor
