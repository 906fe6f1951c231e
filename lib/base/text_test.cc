// SPDX-License-Identifier: BSD-3-Clause
#include "lib/base/text.h"

#include <gtest/gtest.h>

#include <string_view>

namespace odo {
namespace {

TEST(TextTest, SliceAgreesWithSubstrWhereThatDoesNotThrow) {
  constexpr std::string_view kText = "abcdef";
  for (std::size_t from = 0; from <= kText.size(); ++from) {
    EXPECT_EQ(slice(kText, from), kText.substr(from));
    for (std::size_t count = 0; count < 9; ++count) {
      EXPECT_EQ(slice(kText, from, count), kText.substr(from, count));
      EXPECT_EQ(slice(kText, from, count).data(), kText.data() + from);
    }
  }
}

TEST(TextTest, SlicePastTheEndIsEmpty) {
  EXPECT_EQ(slice("abc", 4), "");
  EXPECT_EQ(slice("abc", std::string_view::npos, 5), "");
  EXPECT_EQ(slice({}, 0), "");
  static_assert(slice("abc", 1, 1) == "b");
}

}  // namespace
}  // namespace odo
