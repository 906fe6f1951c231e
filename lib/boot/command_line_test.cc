// SPDX-License-Identifier: BSD-3-Clause
#include "lib/boot/command_line.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace odo::boot {
namespace {

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> out;
  CommandLine(text).for_each([&](const Option& option) {
    out.push_back(std::string(option.key) + "|" + std::string(option.value));
  });
  return out;
}

TEST(CommandLineTest, PartsWordsAtBlanks) {
  EXPECT_EQ(words("a=1  b\t c=x=y \n"),
            (std::vector<std::string>{"a|1", "b|", "c|x=y"}));
  EXPECT_TRUE(words("").empty());
  EXPECT_TRUE(words(" \t ").empty());
}

TEST(CommandLineTest, QuotedValuesHoldBlanks) {
  EXPECT_EQ(words("run=\"ls /; cat x\" root=vd0"),
            (std::vector<std::string>{"run|ls /; cat x", "root|vd0"}));
  EXPECT_EQ(words("run=\"\" b"), (std::vector<std::string>{"run|", "b|"}));
}

TEST(CommandLineTest, AWholeWordMayBeQuoted) {
  EXPECT_EQ(words("\"run=ls /; cat x\" root=vd0"),
            (std::vector<std::string>{"run|ls /; cat x", "root|vd0"}));
  EXPECT_EQ(words("\"a b\" \"\" \"c"),
            (std::vector<std::string>{"a b|", "|", "c|"}));
}

TEST(CommandLineTest, AnUnclosedQuoteEndsWithTheText) {
  EXPECT_EQ(words("run=\"ls /"), (std::vector<std::string>{"run|ls /"}));
  EXPECT_EQ(words("run=\""), (std::vector<std::string>{"run|"}));
}

TEST(CommandLineTest, EmptyKeysAndValuesAreKept) {
  EXPECT_EQ(words("=x k= ="), (std::vector<std::string>{"|x", "k|", "|"}));
}

TEST(CommandLineTest, TheLastOfAKindCounts) {
  const CommandLine line("root=vd0 root=none rootx=1");
  EXPECT_EQ(line.find("root"), "none");
  EXPECT_EQ(line.find("roo"), std::nullopt);
  EXPECT_EQ(CommandLine("quiet").find("quiet"), "");
}

}  // namespace
}  // namespace odo::boot
