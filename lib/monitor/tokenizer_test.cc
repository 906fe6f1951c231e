// SPDX-License-Identifier: BSD-3-Clause
#include "lib/monitor/tokenizer.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "lib/monitor/utf8.h"

namespace odo::monitor {
namespace {

using Commands = std::vector<std::vector<std::string>>;

// Every command of `text`; a broken one is told by its message alone.
Commands commands(std::string_view text, std::size_t buffer_bytes = 4096) {
  std::vector<char> buffer(buffer_bytes);
  auto words = std::make_unique<Tokenizer::Words>();
  Tokenizer tokenizer(text, buffer, *words);
  Commands all;
  while (true) {
    auto next = tokenizer.next();
    if (!next) {
      all.push_back({std::string(to_string(next.error()))});
    } else if (next->empty()) {
      return all;
    } else {
      all.emplace_back(next->begin(), next->end());
    }
    EXPECT_LE(all.size(), text.size() + 1);
  }
}

TEST(TokenizerTest, WordsAndSeparators) {
  EXPECT_EQ(commands(""), Commands{});
  EXPECT_EQ(commands(" ;;\n\r\n ; \t"), Commands{});
  EXPECT_EQ(commands("ls -l  /a\tb"), (Commands{{"ls", "-l", "/a", "b"}}));
  EXPECT_EQ(commands("a;b\nc\r\nd"), (Commands{{"a"}, {"b"}, {"c"}, {"d"}}));
}

TEST(TokenizerTest, Quotes) {
  EXPECT_EQ(commands("'a b;#\n\\x41' \"c d;#\\x41\\\"\""),
            (Commands{{"a b;#\n\\x41", "c d;#A\""}}));
  EXPECT_EQ(commands("x'y z'\"w\"v ''"), (Commands{{"xy zwv", ""}}));
}

TEST(TokenizerTest, Escapes) {
  EXPECT_EQ(commands("a\\ b \\x00\\xfF\\\\ \\; \\'"),
            (Commands{{"a b", std::string("\0\xff\\", 3), ";", "'"}}));
  EXPECT_EQ(commands("\\x4 \\xg0 \\x"), (Commands{{"x4", "xg0", "x"}}));
  EXPECT_EQ(commands("a\\\nb c \\\n d"), (Commands{{"ab", "c", "d"}}));
  EXPECT_EQ(commands("a\\"), (Commands{{"a\\"}}));
}

TEST(TokenizerTest, Comments) {
  EXPECT_EQ(commands("# all 'of it\nls # rest ; x\ncat a#b"),
            (Commands{{"ls"}, {"cat", "a#b"}}));
}

TEST(TokenizerTest, TroublesPassOverOneCommand) {
  EXPECT_EQ(commands("ls; echo 'x\ny"),
            (Commands{{"ls"}, {"a quote is not closed"}}));
  EXPECT_EQ(commands("echo \"x"), (Commands{{"a quote is not closed"}}));
  EXPECT_EQ(commands("echo 123456789; ls", 8),
            (Commands{{"command too long"}, {"ls"}}));
  EXPECT_EQ(commands("12345678; 123 45678", 8),
            (Commands{{"12345678"}, {"123", "45678"}}));
  std::string many;
  for (std::size_t i = 0; i < Tokenizer::kMaxWords; ++i) many += "w ";
  ASSERT_EQ(commands(many).size(), 1u);
  EXPECT_EQ(commands(many)[0].size(), Tokenizer::kMaxWords);
  EXPECT_EQ(commands(many + "w; ls"),
            (Commands{{"too many words in one command"}, {"ls"}}));
}

TEST(TokenizerTest, AnyBytesComeBackFromTheirEscapes) {
  std::mt19937 random(5);
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::string> words(1 + random() % 4);
    std::string text;
    for (std::string& word : words) {
      std::size_t length = 1 + random() % 20;
      for (std::size_t i = 0; i < length; ++i) {
        word += static_cast<char>(random() % 256);
        char escape[4];
        write_escape(escape, word.back());
        text += std::string_view(escape, 4);
      }
      text += ' ';
    }
    ASSERT_EQ(commands(text), Commands{words});
  }
}

TEST(TokenizerTest, AnyTextEnds) {
  std::mt19937 random(6);
  constexpr std::string_view kAlphabet = "ab ;'\"\\x4#\n\r\t\xff";
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    std::size_t length = random() % 30;
    for (std::size_t i = 0; i < length; ++i) {
      text += kAlphabet[random() % kAlphabet.size()];
    }
    Commands all = commands(text, random() % 12);
    for (const auto& words : all) ASSERT_FALSE(words.empty());
  }
}

}  // namespace
}  // namespace odo::monitor
