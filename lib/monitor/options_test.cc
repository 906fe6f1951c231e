// SPDX-License-Identifier: BSD-3-Clause
#include "lib/monitor/options.h"

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

namespace odo::monitor {
namespace {

TEST(OptionsTest, LettersCombine) {
  std::vector<std::string_view> words = {"ls", "-la", "-R", "x", "-l"};
  auto got = parse_options(words, "laRz");
  ASSERT_TRUE(got);
  EXPECT_EQ(got->letters, 7u);
  ASSERT_EQ(got->operands.size(), 2u);
  EXPECT_EQ(got->operands[0], "x");
}

TEST(OptionsTest, DashesEndThem) {
  std::vector<std::string_view> words = {"ls", "-l", "--", "-a"};
  auto got = parse_options(words, "la");
  ASSERT_TRUE(got);
  EXPECT_EQ(got->letters, 1u);
  EXPECT_EQ(got->operands[0], "-a");
  std::vector<std::string_view> dash = {"ls", "-"};
  EXPECT_EQ(parse_options(dash, "")->operands.size(), 1u);
}

TEST(OptionsTest, UnknownLettersAreTold) {
  std::vector<std::string_view> words = {"ls", "-lx"};
  auto got = parse_options(words, "la");
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error(), 'x');
}

TEST(OptionsTest, Numbers) {
  EXPECT_EQ(parse_number("0"), 0u);
  EXPECT_EQ(parse_number("0255"), 255u);
  EXPECT_EQ(parse_number("9999999999999999999"), 9999999999999999999u);
  for (std::string_view bad :
       {"", "-1", "1x", "+1", " 1", "0x1", "18446744073709551616"}) {
    EXPECT_EQ(parse_number(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace odo::monitor
