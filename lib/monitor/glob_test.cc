// SPDX-License-Identifier: BSD-3-Clause
#include "lib/monitor/glob.h"

#include <fnmatch.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

namespace odo::monitor {
namespace {

TEST(GlobTest, Basics) {
  EXPECT_TRUE(glob_match("", ""));
  EXPECT_FALSE(glob_match("", "a"));
  EXPECT_TRUE(glob_match("*", ""));
  EXPECT_TRUE(glob_match("*.c", "a.b.c"));
  EXPECT_FALSE(glob_match("*.c", "a.cc"));
  EXPECT_TRUE(glob_match("a?c", "abc"));
  EXPECT_TRUE(glob_match("[a-c]x[!0-9]", "bxy"));
  EXPECT_FALSE(glob_match("[a-c]x[!0-9]", "bx5"));
  EXPECT_TRUE(glob_match("[]x]", "]"));
  EXPECT_TRUE(glob_match("[x-]", "-"));
  EXPECT_TRUE(glob_match("\\*", "*"));
  EXPECT_FALSE(glob_match("\\*", "a"));
  EXPECT_TRUE(glob_match("[a", "[a"));
  EXPECT_TRUE(glob_match("?\xff", "\x80\xff"));
}

TEST(GlobTest, AgreesWithTheCLibrary) {
  std::mt19937 random(7);
  constexpr std::string_view kPattern = "abc*?";
  int matches = 0;
  for (int round = 0; round < 100000; ++round) {
    std::string pattern;
    std::string name;
    for (std::size_t i = random() % 8; i > 0; --i) {
      switch (random() % 6) {
        case 0:
          pattern += "[ab]";
          break;
        case 1:
          pattern += "[!b-c]";
          break;
        default:
          pattern += kPattern[random() % kPattern.size()];
      }
    }
    for (std::size_t i = random() % 10; i > 0; --i)
      name += "abcd"[random() % 4];
    bool want = fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
    matches += want;
    ASSERT_EQ(glob_match(pattern, name), want) << pattern << " on " << name;
  }
  EXPECT_GT(matches, 1000);
}

TEST(GlobTest, HostilePatternsTakePolynomialTime) {
  std::string pattern;
  for (int i = 0; i < 100; ++i) pattern += "*a";
  pattern += "*b";
  EXPECT_FALSE(glob_match(pattern, std::string(10000, 'a')));
}

}  // namespace
}  // namespace odo::monitor
