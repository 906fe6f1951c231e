// SPDX-License-Identifier: BSD-3-Clause
// Which word somebody meant who mistyped one.
//
// Contexts: any. Complexity: O(words × length²).
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace odo::h2 {

// Letters to insert, delete or replace to make `b` of `a` (Levenshtein, 1966).
[[nodiscard]] inline std::size_t edit_distance(std::string_view a,
                                               std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1,
                         diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

// The word nearest to `word`, or none where nothing is near.
[[nodiscard]] inline std::string_view nearest(
    std::string_view word, std::span<const std::string_view> words) {
  std::string_view best;
  std::size_t distance = std::max<std::size_t>(word.size() / 2, 1) + 1;
  for (const std::string_view candidate : words) {
    const std::size_t to = edit_distance(word, candidate);
    if (to < distance) {
      distance = to;
      best = candidate;
    }
  }
  return best;
}

}  // namespace odo::h2
