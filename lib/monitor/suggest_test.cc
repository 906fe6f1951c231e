// SPDX-License-Identifier: BSD-3-Clause
#include "lib/monitor/suggest.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace odo::monitor {
namespace {

// The definition, by recursion.
std::size_t distance(std::string_view a, std::string_view b) {
  if (a.empty() || b.empty()) return a.size() + b.size();
  std::size_t best = distance(a.substr(1), b.substr(1)) + (a[0] != b[0]);
  best = std::min(best, distance(a.substr(1), b) + 1);
  best = std::min(best, distance(a, b.substr(1)) + 1);
  if (a.size() > 1 && b.size() > 1 && a[0] == b[1] && a[1] == b[0]) {
    best = std::min(best, distance(a.substr(2), b.substr(2)) + 1);
  }
  return best;
}

TEST(SuggestTest, AgreesWithTheDefinition) {
  std::mt19937 random(8);
  for (int round = 0; round < 2000; ++round) {
    std::string a, b;
    for (std::size_t i = random() % 6; i > 0; --i) a += "abc"[random() % 3];
    for (std::size_t i = random() % 6; i > 0; --i) b += "abc"[random() % 3];
    ASSERT_EQ(edit_distance(a, b), distance(a, b)) << a << " " << b;
  }
}

TEST(SuggestTest, LongWordsAreFarFromEverything) {
  std::string longest(kMaxWord, 'x');
  EXPECT_EQ(edit_distance(longest, ""), kMaxWord);
  EXPECT_GT(edit_distance(longest + "x", longest), kMaxWord);
}

}  // namespace
}  // namespace odo::monitor
