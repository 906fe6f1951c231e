// SPDX-License-Identifier: BSD-3-Clause
// UTF-8 to characters, one at a time, by the letter: no overlong forms, no
// surrogates, nothing beyond the last character.
//
// Contexts: any; constexpr, no state.
// Failure: an answer of length 0.
// Origin: RFC 3629 §4.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace odo {

// A character and how many bytes it takes; length 0 when the text does not
// begin with a well-formed one.
struct Utf8 {
  char32_t code;
  std::uint8_t length;
};

[[nodiscard]] constexpr Utf8 decode_utf8(std::string_view text) {
  constexpr Utf8 kIllFormed{0, 0};
  if (text.empty()) return kIllFormed;
  auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  std::uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  std::uint8_t length = 0;
  char32_t least = 0;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
    least = 0x80;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    least = 0x800;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    least = 0x10000;
  } else {
    return kIllFormed;
  }
  if (text.size() < length) return kIllFormed;
  char32_t code = lead & (0x7fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return kIllFormed;
    code = (code << 6) | (byte(i) & 0x3fu);
  }
  bool surrogate = code >= 0xd800 && code <= 0xdfff;
  if (code < least || code > 0x10ffff || surrogate) return kIllFormed;
  return {code, length};
}

}  // namespace odo
