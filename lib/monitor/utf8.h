// SPDX-License-Identifier: BSD-3-Clause
// Bytes that a stranger chose, on their way to a terminal: which of them may
// pass as they are, and how the others are written.
//
// Contexts: any; pure.
// Shapes: escaped text is \\ for a backslash and \xNN for a byte that may not
// pass; the tokenizer reads both back, so what `ls` shows can be typed.
// Failure: none; every byte sequence has an answer.
// Origin: RFC 3629 (well-formed UTF-8); Unicode 15, table of general
// categories, for what has no visible form of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/base/utf8.h"

namespace odo::monitor {

using odo::decode_utf8;
using odo::Utf8;

// Whether a terminal may be sent this character: it moves nothing, hides
// nothing and turns no text around.
[[nodiscard]] constexpr bool is_printable(char32_t c) {
  if (c < 0x20 || (c >= 0x7f && c < 0xa0)) return false;     // C0, DEL, C1
  if (c == 0xad || c == 0x61c || c == 0x180e) return false;  // soft hyphen, …
  if (c >= 0x200b && c <= 0x200f) return false;  // zero width, marks
  if (c >= 0x2028 && c <= 0x202e) return false;  // separators, embeddings
  if (c >= 0x2060 && c <= 0x206f) return false;  // invisible operators
  if (c >= 0xe000 && c <= 0xf8ff) return false;  // private use
  if (c == 0xfeff || (c >= 0xfff0 && c <= 0xfffb)) return false;
  if ((c & 0xfffe) == 0xfffe) return false;  // noncharacters
  return c < 0xe0000;                        // tags, supplementary private use
}

// Whether the character surely takes one column, for an editor that counts.
[[nodiscard]] constexpr bool is_one_column(char32_t c) {
  return (c >= 0x20 && c < 0x7f) || (c >= 0xa0 && c <= 0x2af && c != 0xad) ||
         (c >= 0x370 && c <= 0x482) || (c >= 0x48a && c <= 0x52f) ||
         (c >= 0x1e00 && c <= 0x1eff);
}

// How many bytes at the head of non-empty `text` may pass together as one
// character; 0 when its first byte must be written as \xNN.
[[nodiscard]] constexpr std::size_t printable_prefix(std::string_view text) {
  Utf8 first = decode_utf8(text);
  return first.length != 0 && is_printable(first.code) ? first.length : 0;
}

// "\x00" and its like: writes four characters.
constexpr void write_escape(char* to, char byte) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  auto value = static_cast<std::uint8_t>(byte);
  to[0] = '\\';
  to[1] = 'x';
  to[2] = kDigits[value >> 4];
  to[3] = kDigits[value & 15];
}

}  // namespace odo::monitor
