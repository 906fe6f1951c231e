// SPDX-License-Identifier: BSD-3-Clause
#include "lib/monitor/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace odo::monitor {
namespace {

// RFC 3629's table, the other way round.
std::string encode(char32_t c) {
  auto byte = [](char32_t v) { return static_cast<char>(v); };
  if (c < 0x80) return {byte(c)};
  if (c < 0x800) return {byte(0xc0 | c >> 6), byte(0x80 | (c & 63))};
  if (c < 0x10000) {
    return {byte(0xe0 | c >> 12), byte(0x80 | (c >> 6 & 63)),
            byte(0x80 | (c & 63))};
  }
  return {byte(0xf0 | c >> 18), byte(0x80 | (c >> 12 & 63)),
          byte(0x80 | (c >> 6 & 63)), byte(0x80 | (c & 63))};
}

TEST(Utf8Test, EveryCodePointDecodesToItself) {
  for (char32_t c = 0; c <= 0x10ffff; ++c) {
    std::string text = encode(c) + "x";
    Utf8 got = decode_utf8(text);
    if (c >= 0xd800 && c <= 0xdfff) {
      ASSERT_EQ(got.length, 0) << static_cast<unsigned>(c);
    } else {
      ASSERT_EQ(got.code, c);
      ASSERT_EQ(got.length, text.size() - 1);
    }
  }
}

TEST(Utf8Test, IllFormedHasNoLength) {
  for (std::string_view bad :
       {"", "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc3", "\xc3(", "\xe2\x82",
        "\xe0\x80\x80", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff",
        "\xe2\x28\xa1", "\xf0\x9f\x98"}) {
    EXPECT_EQ(decode_utf8(bad).length, 0) << bad;
    EXPECT_EQ(printable_prefix(bad), 0u);
  }
}

TEST(Utf8Test, WhatMovesOrHidesIsNotPrintable) {
  for (char32_t c = 0; c < 0x20; ++c) EXPECT_FALSE(is_printable(c));
  for (char32_t c = 0x7f; c < 0xa0; ++c) EXPECT_FALSE(is_printable(c));
  for (char32_t c : {0xadu, 0x200bu, 0x200eu, 0x200fu, 0x2028u, 0x202au,
                     0x202eu, 0x2066u, 0x2069u, 0xfeffu, 0xfffeu, 0xffffu,
                     0x1fffeu, 0xe0001u, 0xe000u, 0x10ffffu, 0x61cu}) {
    EXPECT_FALSE(is_printable(c)) << std::hex << static_cast<unsigned>(c);
  }
  for (char32_t c : {0x20u, 0x7eu, 0xa0u, 0xe9u, 0x2192u, 0x4e2du, 0x1f600u}) {
    EXPECT_TRUE(is_printable(c)) << std::hex << static_cast<unsigned>(c);
  }
}

TEST(Utf8Test, OneColumnIsPrintable) {
  for (char32_t c = 0; c <= 0x10ffff; ++c) {
    if (is_one_column(c))
      ASSERT_TRUE(is_printable(c)) << static_cast<unsigned>(c);
  }
  EXPECT_FALSE(is_one_column(0x301));   // combining
  EXPECT_FALSE(is_one_column(0x4e2d));  // wide
}

TEST(Utf8Test, Escape) {
  char text[4];
  write_escape(text, '\xaf');
  EXPECT_EQ(std::string_view(text, 4), "\\xaf");
}

}  // namespace
}  // namespace odo::monitor
