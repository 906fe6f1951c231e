// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "lib/console/keyboard.h"
#include "lib/console/log_ring.h"
#include "lib/console/screen.h"

namespace odo::console {
namespace {

using namespace std::string_literals;

// --- Font ---

[[nodiscard]] std::string picture(char32_t code) {
  std::string text;
  for (const std::uint8_t row : kGlyphs[glyph_of(code)]) {
    for (unsigned mask = 0x80; mask != 0; mask >>= 1) {
      text += (row & mask) != 0 ? '#' : '.';
    }
    text += '\n';
  }
  return text;
}

TEST(FontTest, StrokesBecomeLetters) {
  EXPECT_EQ(picture(U'd'),
            "........\n........\n......#.\n......#.\n......#.\n"
            ".######.\n#.....#.\n#.....#.\n#.....#.\n#.....#.\n"
            "#.....#.\n.######.\n........\n........\n........\n........\n");
  EXPECT_EQ(picture(U'>'),
            "........\n........\n........\n.#......\n..#.....\n"
            "...#....\n....#...\n.....#..\n....#...\n...#....\n"
            "..#.....\n.#......\n........\n........\n........\n........\n");
}

TEST(FontTest, EveryAsciiCharacterHasAGlyphOfItsOwn) {
  for (char32_t a = U' '; a <= U'~'; ++a) {
    EXPECT_NE(glyph_of(a), kReplacementGlyph);
    for (char32_t b = U' '; b < a; ++b) {
      EXPECT_NE(kGlyphs[glyph_of(a)], kGlyphs[glyph_of(b)])
          << static_cast<char>(a) << static_cast<char>(b);
    }
  }
  for (const char32_t none : {U'\x1b', U'\x7f', U'ж', U'😀'}) {
    EXPECT_EQ(glyph_of(none), kReplacementGlyph);
  }
}

TEST(FontTest, BoxesJoin) {
  // The last column of the left one and the first of the right one.
  const auto right = [](char32_t c, unsigned row) {
    return kGlyphs[glyph_of(c)][row] & 1u;
  };
  const auto left = [](char32_t c, unsigned row) {
    return kGlyphs[glyph_of(c)][row] >> 7;
  };
  for (const auto& [a, b] :
       {std::pair{U'┌', U'─'}, std::pair{U'─', U'┐'}, std::pair{U'├', U'┤'},
        std::pair{U'╔', U'═'}, std::pair{U'╬', U'╣'}}) {
    unsigned joined = 0;
    for (unsigned row = 0; row < kGlyphHeight; ++row) {
      EXPECT_EQ(right(a, row), left(b, row));
      joined += right(a, row);
    }
    EXPECT_GT(joined, 0u);
  }
  EXPECT_EQ(kGlyphs[glyph_of(U'│')][15], kGlyphs[glyph_of(U'┌')][15]);
  EXPECT_EQ(kGlyphs[glyph_of(U'│')][0], kGlyphs[glyph_of(U'┘')][0]);
}

// --- Pixels ---

constexpr PixelFormat kRgb32{.width = 8 * 40,
                             .height = 16 * 6,
                             .pitch_bytes = 8 * 40 * 4,
                             .pixel_bytes = 4,
                             .red = {16, 8},
                             .green = {8, 8},
                             .blue = {0, 8}};

TEST(PixelsTest, EveryFormatGetsItsOwnBytes) {
  struct Case {
    unsigned bytes;
    Channel red, green, blue;
    std::uint32_t expected;  // of 0xff8040
  };
  for (const Case& c :
       {Case{4, {16, 8}, {8, 8}, {0, 8}, 0xff8040},
        Case{4, {0, 8}, {8, 8}, {16, 8}, 0x4080ff},
        Case{3, {16, 8}, {8, 8}, {0, 8}, 0xff8040},
        Case{2, {11, 5}, {5, 6}, {0, 5}, 31u << 11 | 32u << 5 | 8},
        Case{2, {10, 5}, {5, 5}, {0, 5}, 31u << 10 | 16u << 5 | 8}}) {
    // A pitch that leaves a gap, and memory with a byte around it.
    PixelFormat format{.width = 10,
                       .height = 17,
                       .pitch_bytes = 10 * c.bytes + 3,
                       .pixel_bytes = static_cast<std::uint8_t>(c.bytes),
                       .red = c.red,
                       .green = c.green,
                       .blue = c.blue};
    ASSERT_TRUE(format.is_possible());
    EXPECT_EQ(pixel_of(format, 0xff8040), c.expected);
    std::vector<std::byte> memory(format.size_bytes() + 2, std::byte{0xaa});
    Pixels pixels(memory.data() + 1, format);
    pixels.fill(0);
    Glyph glyph{};
    glyph[3] = 0x41;
    pixels.put_glyph(0, 0, glyph, c.expected, 0);
    EXPECT_EQ(memory.front(), std::byte{0xaa});
    EXPECT_EQ(memory.back(), std::byte{0xaa});
    for (unsigned y = 0; y < 17; ++y) {
      for (unsigned x = 0; x < 10; ++x) {
        std::uint32_t pixel = 0;
        for (unsigned i = c.bytes; i-- > 0;) {
          pixel = pixel << 8 |
                  std::to_integer<std::uint32_t>(
                      memory[1 + y * format.pitch_bytes + x * c.bytes + i]);
        }
        EXPECT_EQ(pixel, y == 3 && (x == 1 || x == 7) ? c.expected : 0);
      }
      EXPECT_EQ(memory[1 + y * format.pitch_bytes + 10 * c.bytes],
                std::byte{0xaa});
    }
  }
}

TEST(PixelsTest, FormatsThatCannotBe) {
  EXPECT_TRUE(kRgb32.is_possible());
  for (const auto change : std::initializer_list<void (*)(PixelFormat&)>{
           [](PixelFormat& f) { f.pixel_bytes = 1; },
           [](PixelFormat& f) { f.pixel_bytes = 5; },
           [](PixelFormat& f) { f.red.bits = 0; },
           [](PixelFormat& f) { f.blue.bits = 9; },
           [](PixelFormat& f) { f.green.shift = 25; },
           [](PixelFormat& f) { f.width = 7; },
           [](PixelFormat& f) { f.height = 15; },
           [](PixelFormat& f) { f.width = 1u << 31; },
           [](PixelFormat& f) { f.height = ~0u; },
           [](PixelFormat& f) { f.pitch_bytes -= 1; },
           [](PixelFormat& f) { f.pitch_bytes = ~0u; }}) {
    PixelFormat format = kRgb32;
    change(format);
    EXPECT_FALSE(format.is_possible());
  }
}

// --- Screen ---

// 40 columns, 6 rows, and what is really in memory read back.
class ScreenTest : public ::testing::Test {
 protected:
  ScreenTest()
      : memory_(kRgb32.size_bytes()),
        cells_(Screen::cells_needed(kRgb32, 10)),
        screen_(
            std::make_unique<Screen>(Pixels(memory_.data(), kRgb32), cells_)) {}

  void write(std::string_view text) {
    screen_->write(std::as_bytes(std::span(text)));
  }
  [[nodiscard]] std::uint32_t pixel(std::size_t x, std::size_t y) const {
    return load_le<std::uint32_t>(memory_.data() + y * kRgb32.pitch_bytes +
                                  x * 4);
  }
  // The character whose glyph a cell's pixels show, whatever its colours: the
  // paper is the colour of its lower right corner.
  [[nodiscard]] char character(std::size_t column, std::size_t row) const {
    const std::size_t x0 = column * kGlyphWidth;
    const std::size_t y0 = row * kGlyphHeight;
    const std::uint32_t paper = pixel(x0 + 7, y0 + 15);
    Glyph seen{};
    for (std::size_t y = 0; y < kGlyphHeight; ++y) {
      for (std::size_t x = 0; x < kGlyphWidth; ++x) {
        const bool is_ink = pixel(x0 + x, y0 + y) != paper;
        seen[y] = static_cast<std::uint8_t>(seen[y] << 1 | (is_ink ? 1 : 0));
      }
    }
    for (char c = ' '; c <= '~'; ++c) {
      if (kGlyphs[glyph_of(static_cast<char32_t>(c))] == seen) return c;
    }
    return seen == kGlyphs[kReplacementGlyph] ? '\x01' : '\x02';
  }
  [[nodiscard]] std::string row(std::size_t n) const {
    std::string text;
    for (std::size_t i = 0; i < 40; ++i) text += character(i, n);
    text.erase(text.find_last_not_of(' ') + 1);
    return text;
  }

  std::vector<std::byte> memory_;
  std::vector<Cell> cells_;
  std::unique_ptr<Screen> screen_;
};

TEST_F(ScreenTest, TextControlsAndTheCursor) {
  write("abc\r\nd\te\rX\x07\r\nfo\bg");
  EXPECT_EQ(row(0), "abc");
  EXPECT_EQ(row(1), "X       e");
  EXPECT_EQ(row(2), "fg");
  // The cursor, in the colours the other way round.
  EXPECT_EQ(pixel(2 * 8 + 7, 2 * 16 + 15), kColours[7]);
  EXPECT_EQ(pixel(3 * 8 + 7, 2 * 16 + 15), kColours[0]);
}

TEST_F(ScreenTest, LongLinesGoOnInTheNextRow) {
  write(std::string(40, 'a'));
  EXPECT_EQ(row(1), "");
  write("bc");
  EXPECT_EQ(row(0), std::string(40, 'a'));
  EXPECT_EQ(row(1), "bc");
}

TEST_F(ScreenTest, ScrollsAndLooksBack) {
  for (int i = 0; i < 30; ++i) screen_->write_text(std::to_string(i) + "\n");
  EXPECT_EQ(row(0), "25");
  EXPECT_EQ(row(4), "29");
  EXPECT_EQ(row(5), "");
  screen_->look_back();
  EXPECT_EQ(row(0), "22");
  EXPECT_EQ(row(5), "27");
  for (int i = 0; i < 9; ++i) screen_->look_back();
  EXPECT_EQ(row(0), "15");  // ten rows are kept
  screen_->look_forward();
  EXPECT_EQ(row(0), "18");
  write("x");
  EXPECT_EQ(row(0), "25");
  EXPECT_EQ(row(5), "x");
  screen_->look_forward();
  EXPECT_EQ(row(5), "x");
}

TEST_F(ScreenTest, NothingOlderThanTheFirstRow) {
  screen_->write_text("1\n2\n3\n4\n5\n6\n7");
  screen_->look_back();
  EXPECT_EQ(row(0), "1");
  EXPECT_EQ(row(5), "6");
}

TEST_F(ScreenTest, SequencesMoveAndErase) {
  write("0123456789\x1b[4Dx\x1b[2C\x1b[Dy\x1b[Gz");
  EXPECT_EQ(row(0), "z12345x7y9");
  write("\x1b[3;5Hhere\x1b[2A\x1b[B^\x1b[1;4H\x1b[K");
  EXPECT_EQ(row(0), "z12");
  EXPECT_EQ(row(1), "        ^");
  EXPECT_EQ(row(2), "    here");
  write("\x1b[3;6H\x1b[1K");
  EXPECT_EQ(row(2), "      re");
  write("\x1b[2J");
  for (std::size_t n = 0; n < 6; ++n) EXPECT_EQ(row(n), "");
  write("\x1b[99;99Hq\x1b[Hw");
  EXPECT_EQ(row(5), std::string(39, ' ') + "q");
  EXPECT_EQ(row(0), "w");
}

TEST_F(ScreenTest, Colours) {
  write("\x1b[31;44ma\x1b[1mb\x1b[7mc\x1b[0md\x1b[95me\x1b[102mf\x1b[39;49mg ");
  const auto cell = [&](std::size_t column) {
    return screen_->cell(column, 0);
  };
  EXPECT_EQ(cell(0), (Cell{glyph_of(U'a'), 1, 4}));
  EXPECT_EQ(cell(1), (Cell{glyph_of(U'b'), 9, 4}));
  EXPECT_EQ(cell(2), (Cell{glyph_of(U'c'), 4, 9}));
  EXPECT_EQ(cell(3), (Cell{glyph_of(U'd'), 7, 0}));
  EXPECT_EQ(cell(4), (Cell{glyph_of(U'e'), 13, 0}));
  EXPECT_EQ(cell(5), (Cell{glyph_of(U'f'), 13, 10}));
  EXPECT_EQ(cell(6), (Cell{glyph_of(U'g'), 7, 0}));
  EXPECT_EQ(pixel(7, 15), kColours[4]);
}

TEST_F(ScreenTest, Utf8InPiecesAndBroken) {
  write("\xe2\x94");
  write("\x80");
  EXPECT_EQ(screen_->cell(0, 0).glyph, glyph_of(U'─'));
  // No beginning, a cut one, one that cannot be, one the font does not have.
  write(
      "\x80"
      "a\xe2\x94"
      "b\xc0\xf0\x9f\x98\x80"
      "c\xed\xa0\x80"
      "d");
  EXPECT_EQ(row(0).substr(1),
            "\x01"
            "a\x01"
            "b\x01\x01"
            "c\x01"
            "d");
}

TEST_F(ScreenTest, WhatIsNotUnderstoodIsLeftOut) {
  write(
      "\x1b[?25l\x1b(\x1b]0;title\x07"
      "a\x1bP...\x1b\\b\x1b[1;2;3;4;5;6;7;8;9;"
      "10mc\x1b[99999999999Cd\x1b[5\re");
  EXPECT_EQ(row(0), "ebc" + std::string(36, ' ') + "d");
}

TEST_F(ScreenTest, AnyBytesAtAll) {
  constexpr std::string_view kAlphabet =
      "\x1b[;0123459ABCDGHJKm\r\n\b\t\xe2\x94\xff xyz";
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    std::string bytes;
    for (unsigned n = random() % 40; n > 0; --n) {
      bytes += kAlphabet[random() % kAlphabet.size()];
    }
    write(bytes);
    if (round % 7 == 0) screen_->look_back();
  }
  // Whatever it was: what is shown is what is kept.
  write("\x1b[0m\x1b[2J\x1b[Hlast");
  EXPECT_EQ(row(0), "last");
}

// --- Keyboard ---

[[nodiscard]] std::string typed(std::initializer_list<unsigned> codes) {
  Keyboard keyboard;
  std::string text;
  for (const unsigned code : codes) {
    text += keyboard.take(static_cast<std::uint8_t>(code)).text();
  }
  return text;
}

TEST(KeyboardTest, LettersShiftAndCaps) {
  EXPECT_EQ(typed({0x1e, 0x9e, 0x30, 0xb0}), "ab");
  EXPECT_EQ(typed({0x2a, 0x1e, 0x02, 0xaa, 0x1e, 0x02}), "A!a1");
  EXPECT_EQ(typed({0x36, 0x35, 0xb6, 0x35}), "?/");
  EXPECT_EQ(typed({0x3a, 0xba, 0x1e, 0x02, 0x2a, 0x1e, 0xaa, 0x3a, 0x1e}),
            "A1aa");
  EXPECT_EQ(typed({0x39, 0x1c, 0x0e, 0x0f, 0x01}), " \r\x7f\t\x1b");
}

TEST(KeyboardTest, EveryPrintableCharacterCanBeTyped) {
  std::string all;
  for (unsigned key = 1; key < 0x3a; ++key) {
    all += typed({key});
    all += typed({0x2a, key});
  }
  for (char c = ' '; c <= '~'; ++c) {
    EXPECT_NE(all.find(c), std::string::npos) << c;
  }
}

TEST(KeyboardTest, ControlAndAlt) {
  EXPECT_EQ(typed({0x1d, 0x2e, 0x9d, 0x2e}),
            "\x03"
            "c");
  EXPECT_EQ(typed({0x1d, 0x2b, 0x39}), "\x1c\0"s);
  EXPECT_EQ(typed({0xe0, 0x1d, 0x20, 0xe0, 0x9d, 0x20}),
            "\x04"
            "d");
  EXPECT_EQ(typed({0x38, 0x30, 0xb8, 0x30}),
            "\x1b"
            "bb");
}

TEST(KeyboardTest, KeysWithoutCharacters) {
  EXPECT_EQ(typed({0xe0, 0x48, 0xe0, 0xc8}), "\x1b[A");
  EXPECT_EQ(typed({0xe0, 0x50, 0xe0, 0x4d, 0xe0, 0x4b}), "\x1b[B\x1b[C\x1b[D");
  EXPECT_EQ(typed({0xe0, 0x47, 0xe0, 0x4f, 0xe0, 0x53}), "\x1b[H\x1b[F\x1b[3~");
  EXPECT_EQ(typed({0x48, 0x4a, 0x4e, 0xe0, 0x35, 0xe0, 0x1c}), "\x1b[A-+/\r");
  // Print Screen and Pause, which are many bytes.
  EXPECT_EQ(typed({0xe0, 0x2a, 0xe0, 0x37, 0xe0, 0xb7, 0xe0, 0xaa, 0x1e}), "a");
  EXPECT_EQ(typed({0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5, 0x1e}), "a");
}

TEST(KeyboardTest, ShiftedPagesAreTheScreens) {
  Keyboard keyboard;
  EXPECT_EQ(keyboard.take(0xe0).look, Look::kNowhere);
  EXPECT_EQ(keyboard.take(0x49).text(), "\x1b[5~");
  (void)keyboard.take(0x2a);
  (void)keyboard.take(0xe0);
  const KeyPress back = keyboard.take(0x49);
  EXPECT_EQ(back.look, Look::kBack);
  EXPECT_EQ(back.text(), "");
  (void)keyboard.take(0xe0);
  EXPECT_EQ(keyboard.take(0x51).look, Look::kForward);
}

TEST(KeyboardTest, AnyBytesAtAll) {
  Keyboard keyboard;
  std::mt19937 random(3);
  for (int i = 0; i < 100'000; ++i) {
    EXPECT_LE(keyboard.take(static_cast<std::uint8_t>(random())).size, 4);
  }
}

// --- Log ring ---

using SmallRing = LogRing<4096>;

// "TIME:TEXT|", and "~" where lines are missing.
[[nodiscard]] std::string all_of(const SmallRing& ring) {
  std::array<char, SmallRing::kMaxLineBytes> room;
  std::string all;
  LogCursor cursor;
  while (const auto line = ring.read(cursor, room)) {
    if (line->lost_before) all += '~';
    all += std::to_string(line->time) + ":" + std::string(line->text) + "|";
  }
  return all;
}

TEST(LogRingTest, LinesHaveTheTimeOfTheirBeginning) {
  SmallRing ring;
  EXPECT_EQ(all_of(ring), "");
  ring.write("\none", 1);
  ring.write(" and", 2);
  EXPECT_EQ(all_of(ring), "1:one and|") << "being written";
  ring.write(" more\n", 3);
  ring.write("\n\ntwo\nthree\n", 4);
  EXPECT_EQ(all_of(ring), "1:one and more|4:two|4:three|");
}

TEST(LogRingTest, ALineThatIsBeingWrittenIsAReadersLast) {
  SmallRing ring;
  std::array<char, SmallRing::kMaxLineBytes> room;
  LogCursor cursor;
  ring.write("half", 1);
  EXPECT_EQ(ring.read(cursor, room)->text, "half");
  ring.write(" done\nnext\n", 2);
  EXPECT_FALSE(ring.read(cursor, room));
}

TEST(LogRingTest, ALongLineGoesOnAsAnother) {
  SmallRing ring;
  ring.write(std::string(SmallRing::kMaxLineBytes, 'a') + "\n", 1);
  ring.write(std::string(SmallRing::kMaxLineBytes + 1, 'b') + "\n", 2);
  EXPECT_EQ(all_of(ring),
            "1:" + std::string(SmallRing::kMaxLineBytes, 'a') +
                "|2:" + std::string(SmallRing::kMaxLineBytes, 'b') + "|2:b|");
}

TEST(LogRingTest, AReaderThatIsOvertakenGoesOnWithTheOldest) {
  SmallRing ring;
  std::array<char, SmallRing::kMaxLineBytes> room;
  LogCursor cursor;
  ring.write("first\nsecond\n", 0);
  EXPECT_EQ(ring.read(cursor, room)->text, "first");
  for (unsigned i = 0; i < 1000; ++i) {
    ring.write("line " + std::to_string(i) + "\n", i);
  }
  const auto next = ring.read(cursor, room);
  ASSERT_TRUE(next);
  EXPECT_TRUE(next->lost_before);
  EXPECT_EQ(next->text, "line " + std::to_string(next->time));
  EXPECT_FALSE(ring.read(cursor, room)->lost_before);
}

// Against a list of lines, whatever is written in whatever pieces.
TEST(LogRingTest, TheLastLinesAreThereAndWhole) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    SmallRing ring;
    std::vector<std::string> lines(1);
    for (unsigned i = 0; i < 400; ++i) {
      const auto text = std::string(random() % (1u << random() % 9), 'a') +
                        (random() % 2 == 0 ? "\n" : "x");
      ring.write(text, 7);
      for (const char c : text) {
        if (c == '\n') {
          if (!lines.back().empty()) lines.emplace_back();
          continue;
        }
        if (lines.back().size() == SmallRing::kMaxLineBytes) {
          lines.emplace_back();
        }
        lines.back() += c;
      }
    }
    std::string expected;
    std::size_t bytes = 0;
    for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
      if (line->empty()) continue;
      bytes += SmallRing::kHeaderBytes + line->size();
      if (bytes > 4096) break;
      expected.insert(0, "7:" + *line + "|");
    }
    const std::string all = all_of(ring);
    EXPECT_TRUE(expected.ends_with(all)) << seed;
    EXPECT_GT(all.size(), 4096u / 2) << seed;
  }
}

}  // namespace
}  // namespace odo::console
