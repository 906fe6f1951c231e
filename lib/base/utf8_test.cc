// SPDX-License-Identifier: BSD-3-Clause
#include "lib/base/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace odo {
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
  }
}

}  // namespace
}  // namespace odo
