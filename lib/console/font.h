// SPDX-License-Identifier: BSD-3-Clause
// A font of 8 by 16 pixels for text screens: ASCII, the box characters that
// programs draw with, a few more, and a glyph for everything else.
//
// Each character is drawn here as a pen would: strokes of points, of which each
// is a column, 0 to 7, and a row, 0 to f. Capitals stand on row b and reach up
// to row 2, small letters to row 5; descenders go down to row e; column 7 is
// the gap between letters. Boxes reach the edges, so that they join.
//
// Contexts: any; constant evaluation draws it. 16 bytes a glyph.
// Failure: none: a character without a glyph gets the last one.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/base/check.h"

namespace odo::console {

inline constexpr unsigned kGlyphWidth = 8;
inline constexpr unsigned kGlyphHeight = 16;

// A byte a row, top to bottom; the leftmost pixel is the highest bit.
using Glyph = std::array<std::uint8_t, kGlyphHeight>;

namespace detail {

struct Drawing {
  char32_t code;
  std::string_view strokes;
};

// In rising order of codes.
inline constexpr std::array kDrawings = std::to_array<Drawing>({
    {U' ', ""},
    {U'!', "3238 3a3b"},
    {U'"', "2224 4244"},
    {U'#', "232a 434a 0565 0868"},
    {U'$', "6453130405165768695a1a09 313c"},
    {U'%', "0212130302 5a6a6b5b5a 630a"},
    {U'&', "6b151322324344080a1b4b68"},
    {U'\'', "3234"},
    {U'(', "4224294b"},
    {U')', "2244492b"},
    {U'*', "343a 0569 6509"},
    {U'+', "343a 0767"},
    {U',', "3a3b2d"},
    {U'-', "1757"},
    {U'.', "3a3b"},
    {U'/', "620b"},
    {U'0', "1252636a5b1b0a0312 1954"},
    {U'1', "14323b 1b5b"},
    {U'2', "03125263650b6b"},
    {U'3', "03125263655626 56676a5b1b0a"},
    {U'4', "5b520868"},
    {U'5', "6202065667 676a5b1b0a"},
    {U'6', "5222040a1b5b6a675606"},
    {U'7', "026263373b"},
    {U'8', "125263655616050312 16070a1b5b6a6756"},
    {U'9', "1b4b6963521203061767"},
    {U':', "3536 3a3b"},
    {U';', "3536 3a3b2d"},
    {U'<', "53175b"},
    {U'=', "0666 0969"},
    {U'>', "13571b"},
    {U'?', "03125263653738 3a3b"},
    {U'@', "5b1b0a03125263683835 3565"},
    {U'A', "0b0532656b 0868"},
    {U'B', "020b5b6a685707 0252636657"},
    {U'C', "635212030a1b5b6a"},
    {U'D', "024264694b0b02"},
    {U'E', "62020b6b 0646"},
    {U'F', "62020b 0646"},
    {U'G', "635212030a1b5b6a6737"},
    {U'H', "020b 626b 0666"},
    {U'I', "1252 323b 1b5b"},
    {U'J', "626a5b1b0a09"},
    {U'K', "020b 6207 166b"},
    {U'L', "020b6b"},
    {U'M', "0b0236626b"},
    {U'N', "0b026b62"},
    {U'O', "1252636a5b1b0a0312"},
    {U'P', "0b025263665707"},
    {U'Q', "1252636a5b1b0a0312 396c"},
    {U'R', "0b025263665707 276b"},
    {U'S', "63521203051657686a5b1b0a"},
    {U'T', "0262 323b"},
    {U'U', "020a1b5b6a62"},
    {U'V', "02063b6662"},
    {U'W', "020b376b62"},
    {U'X', "026b 620b"},
    {U'Y', "0203366362 363b"},
    {U'Z', "02620b6b"},
    {U'[', "42222b4b"},
    {U'\\', "026b"},
    {U']', "22424b2b"},
    {U'^', "153255"},
    {U'_', "0d6d"},
    {U'`', "2234"},
    {U'a', "1555666b 6818090a1b5b6a"},
    {U'b', "020b 061555666a5b1b0a"},
    {U'c', "665515060a1b5b6a"},
    {U'd', "626b 665515060a1b5b6a"},
    {U'e', "0868665515060a1b5b6a"},
    {U'f', "5232232b 0646"},
    {U'g', "656d5e1e0d 66551506091a5a69"},
    {U'h', "020b 061555666b"},
    {U'i', "3233 15353b 1b5b"},
    {U'j', "4243 25454d3e1e0d"},
    {U'k', "020b 5508 185b"},
    {U'l', "12323b 1b5b"},
    {U'm', "050b 061525363b 364555666b"},
    {U'n', "050b 061555666b"},
    {U'o', "1555666a5b1b0a0615"},
    {U'p', "050e 061555666a5b1b0a"},
    {U'q', "656e 665515060a1b5b6a"},
    {U'r', "050b 07255566"},
    {U's', "66551506071858696a5b1b0a"},
    {U't', "222a3b5b 0555"},
    {U'u', "050a1b5b6a 656b"},
    {U'v', "05073b6765"},
    {U'w', "050b386b65"},
    {U'x', "056b 650b"},
    {U'y', "05091a5a69 656d5e1e0d"},
    {U'z', "05650b6b"},
    {U'{', "5242333627383a4b5b"},
    {U'|', "313d"},
    {U'}', "1222333647383a2b1b"},
    {U'~', "071626485867"},
    {U'°', "22424425 2225"},
    {U'±', "3339 0666 0b6b"},
    {U'·', "3748 3847"},
    {U'×', "165a 561a"},
    {U'–', "0767"},
    {U'—', "0777"},
    {U'…', "0b0b 3b3b 6b6b"},
    {U'←', "0767 240727 2a07"},
    {U'↑', "323b 053265"},
    {U'→', "0767 446747 4a67"},
    {U'↓', "323b 083b68"},
    {U'─', "0777"},
    {U'│', "303f"},
    {U'┌', "77373f"},
    {U'┐', "07373f"},
    {U'└', "303777"},
    {U'┘', "303707"},
    {U'├', "303f 3777"},
    {U'┤', "303f 0737"},
    {U'┬', "0777 373f"},
    {U'┴', "0777 3037"},
    {U'┼', "0777 303f"},
    {U'═', "0676 0979"},
    {U'║', "202f 505f"},
    {U'╔', "76262f 79595f"},
    {U'╗', "06565f 09292f"},
    {U'╚', "202979 505676"},
    {U'╝', "505909 202606"},
    {U'╠', "202f 505676 79595f"},
    {U'╣', "505f 202606 09292f"},
    {U'╦', "0676 09292f 79595f"},
    {U'╩', "0979 202606 505676"},
    {U'╬', "202606 505676 09292f 79595f"},
    {U'█',
     "0070 0171 0272 0373 0474 0575 0676 0777 0878 0979 0a7a 0b7b 0c7c 0d7d "
     "0e7e 0f7f"},
    {U'\ufffd', "026b 620b 02626b0b02"},
});

[[nodiscard]] consteval unsigned digit_of(char c) {
  return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
}

consteval void put_dot(Glyph& glyph, int x, int y) {
  ODO_CHECK(x >= 0 && x < 8 && y >= 0 && y < 16);
  auto& row = glyph[static_cast<std::size_t>(y)];
  row = static_cast<std::uint8_t>(row | (0x80u >> x));
}

// As many dots as the longer side has, evenly spread.
consteval void put_line(Glyph& glyph, int x0, int y0, int x1, int y1) {
  const int dx = x1 - x0;
  const int dy = y1 - y0;
  const int steps = std::max(dx < 0 ? -dx : dx, dy < 0 ? -dy : dy);
  if (steps == 0) return put_dot(glyph, x0, y0);
  const auto at = [&](int from, int by, int step) {
    const int twice = 2 * by * step;
    return from + (twice + (twice < 0 ? -steps : steps)) / (2 * steps);
  };
  for (int step = 0; step <= steps; ++step) {
    put_dot(glyph, at(x0, dx, step), at(y0, dy, step));
  }
}

[[nodiscard]] consteval Glyph draw(std::string_view strokes) {
  Glyph glyph{};
  bool is_down = false;
  int x = 0;
  int y = 0;
  for (std::size_t i = 0; i < strokes.size();) {
    if (strokes[i] == ' ') {
      is_down = false;
      ++i;
      continue;
    }
    const int to_x = static_cast<int>(digit_of(strokes[i]));
    const int to_y = static_cast<int>(digit_of(strokes[i + 1]));
    if (is_down) put_line(glyph, x, y, to_x, to_y);
    is_down = true;
    x = to_x;
    y = to_y;
    i += 2;
  }
  return glyph;
}

[[nodiscard]] consteval auto draw_all() {
  std::array<Glyph, kDrawings.size()> glyphs{};
  for (std::size_t i = 0; i < glyphs.size(); ++i) {
    ODO_CHECK(i == 0 || kDrawings[i - 1].code < kDrawings[i].code);
    glyphs[i] = draw(kDrawings[i].strokes);
  }
  return glyphs;
}

[[nodiscard]] consteval auto list_codes() {
  std::array<char32_t, kDrawings.size()> codes{};
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = kDrawings[i].code;
  return codes;
}

inline constexpr auto kCodes = list_codes();

}  // namespace detail

inline constexpr auto kGlyphs = detail::draw_all();

// In place of what the font does not have.
inline constexpr std::uint16_t kReplacementGlyph = kGlyphs.size() - 1;
inline constexpr std::uint16_t kSpaceGlyph = 0;

// The place of a character's glyph in kGlyphs.
[[nodiscard]] constexpr std::uint16_t glyph_of(char32_t code) {
  // The first ones have no gaps.
  if (code >= U' ' && code <= U'~') {
    return static_cast<std::uint16_t>(code - U' ');
  }
  const auto* const found = std::ranges::lower_bound(detail::kCodes, code);
  if (found == detail::kCodes.end() || *found != code) return kReplacementGlyph;
  return static_cast<std::uint16_t>(found - detail::kCodes.begin());
}

}  // namespace odo::console
