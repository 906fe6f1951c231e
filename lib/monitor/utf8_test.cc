// SPDX-License-Identifier: BSD-3-Clause
#include "lib/monitor/utf8.h"

#include <gtest/gtest.h>

#include <string_view>

namespace odo::monitor {
namespace {

TEST(Utf8Test, IllFormedIsNotPrintable) {
  for (std::string_view bad : {"", "\x80", "\xc3(", "\xed\xa0\x80"}) {
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
