// SPDX-License-Identifier: BSD-3-Clause
// A text screen on a frame buffer: what a terminal does, as far as the monitor
// and the kernel's log need it, with rows to look back at.
//
// Understood: UTF-8; CR, LF, BS, TAB, BEL (nothing happens); ESC [ with A B C D
// (cursor), G H f (place), J K (erase), m (colours 30–37, 40–47, 90–97,
// 100–107, 39, 49, bold as bright, 7 and 27, 0). Every other control is left
// out; what is not in the font shows as its last glyph.
//
// Contexts: one caller at a time; draws before it returns. Usable after a
// crash:
//   no allocation, no locks.
// Ownership: the caller keeps cells and pixels alive.
// Shapes: cells_needed() cells: the rows to look back at, one screen of them at
//   least, and a screen of what is on display, so that only what changed is
//   drawn.
// Failure: total on any bytes.
// Cost: a line that scrolls redraws the cells that differ from those above.
// Origin: ECMA-48 fifth edition, §8.3 (the controls by their names there).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/base/utf8.h"
#include "lib/console/font.h"
#include "lib/console/pixels.h"

namespace odo::console {

struct Cell {
  std::uint16_t glyph = kSpaceGlyph;
  std::uint8_t ink = 7;  // of the sixteen colours
  std::uint8_t paper = 0;

  friend constexpr bool operator==(const Cell&, const Cell&) = default;
};

inline constexpr std::array<Rgb, 16> kColours = {
    0x000000, 0xb03030, 0x30a030, 0xb08020, 0x4060d0, 0xa040a0,
    0x30a0a0, 0xc8c8c8, 0x707070, 0xff6060, 0x60ff60, 0xffff60,
    0x80a0ff, 0xff80ff, 0x60ffff, 0xffffff};

class Screen {
 public:
  // With `history` rows beside those on display.
  [[nodiscard]] static constexpr std::size_t cells_needed(
      const PixelFormat& format, std::size_t history) {
    return format.columns() * (history + 2 * std::size_t{format.rows()});
  }

  Screen(Pixels pixels, std::span<Cell> cells)
      : pixels_(pixels),
        columns_(pixels.format().columns()),
        rows_(pixels.format().rows()) {
    ODO_CHECK(cells.size() >= cells_needed(pixels.format(), 0));
    shown_ = cells.first(columns_ * rows_);
    const std::span<Cell> kept = cells.subspan(columns_ * rows_);
    kept_rows_ = kept.size() / columns_;
    kept_ = kept.first(kept_rows_ * columns_);
    for (std::size_t i = 0; i < kColours.size(); ++i) {
      colours_[i] = pixel_of(pixels.format(), kColours[i]);
    }
    std::ranges::fill(shown_, Cell{});
    std::ranges::fill(kept_, Cell{});
    pixels_.fill(colours_[Cell{}.paper]);
    touch_all();
    draw();
  }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  [[nodiscard]] std::size_t columns() const { return columns_; }
  [[nodiscard]] std::size_t rows() const { return rows_; }

  // Shows the bytes; whoever looked back sees the end again.
  void write(Bytes bytes) {
    look_at_end();
    for (const std::byte byte : bytes) {
      take(std::to_integer<std::uint8_t>(byte));
    }
    draw();
  }
  // For people: each "\n" also returns to the row's beginning.
  void write_text(std::string_view text) {
    look_at_end();
    for (const char c : text) {
      if (c == '\n') take('\r');
      take(static_cast<std::uint8_t>(c));
    }
    draw();
  }

  // Half a screen towards older rows, or back.
  void look_back() {
    looking_back_ = std::min(looking_back_ + rows_ / 2, history());
    touch_all();
    draw();
  }
  void look_forward() {
    looking_back_ -= std::min(looking_back_, rows_ / 2);
    touch_all();
    draw();
  }

  // What is on display.
  [[nodiscard]] const Cell& cell(std::size_t column, std::size_t row) const {
    return shown_[row * columns_ + column];
  }

 private:
  enum class State : std::uint8_t { kText, kEscape, kSequence, kString };

  // --- Rows ---
  // Of those on display at the end, `row` 0 is the highest.
  [[nodiscard]] std::span<Cell> row_cells(std::size_t row) {
    const std::size_t at = (first_ + row) % kept_rows_;
    return kept_.subspan(at * columns_, columns_);
  }
  // Rows that can be looked back at.
  [[nodiscard]] std::size_t history() const {
    return std::min(scrolled_, kept_rows_ - rows_);
  }
  [[nodiscard]] Cell blank() const {
    return {.glyph = kSpaceGlyph, .ink = ink_, .paper = paper_};
  }

  void scroll() {
    first_ = (first_ + 1) % kept_rows_;
    ++scrolled_;
    touch_all();
    std::ranges::fill(row_cells(rows_ - 1), blank());
  }
  void feed_line() {
    if (row_ + 1 < rows_) {
      ++row_;
      touch(row_);
    } else {
      scroll();
    }
  }
  void put(std::uint16_t glyph) {
    if (column_ == columns_) {
      column_ = 0;
      feed_line();
    }
    row_cells(row_)[column_++] = {
        .glyph = glyph,
        .ink = is_reversed_ ? paper_ : bright(ink_),
        .paper = is_reversed_ ? bright(ink_) : paper_};
  }
  [[nodiscard]] std::uint8_t bright(std::uint8_t colour) const {
    return is_bold_ && colour < 8 ? static_cast<std::uint8_t>(colour + 8)
                                  : colour;
  }

  // --- Bytes ---
  void take(std::uint8_t byte) {
    switch (state_) {
      case State::kText:
        return take_text(byte);
      case State::kEscape:
        return take_escape(byte);
      case State::kSequence:
        return take_sequence(byte);
      case State::kString:
        // Titles and the like: up to BEL, or ESC and a backslash.
        if (byte == 0x07) state_ = State::kText;
        if (byte == 0x1b) state_ = State::kEscape;
        return;
    }
  }

  void take_text(std::uint8_t byte) {
    const bool is_inside = byte >= 0x80 && byte < 0xc0;
    if (pending_size_ != 0 && !is_inside) {
      pending_size_ = 0;
      put(kReplacementGlyph);
    }
    if (byte < 0x20 || byte == 0x7f) return control(byte);
    if (byte < 0x80) return put(glyph_of(byte));
    pending_[pending_size_++] = static_cast<char>(byte);
    const std::string_view text(pending_.data(), pending_size_);
    if (const Utf8 one = decode_utf8(text); one.length != 0) {
      pending_size_ = 0;
      put(glyph_of(one.code));
    } else if (pending_size_ == expected_length()) {
      pending_size_ = 0;
      put(kReplacementGlyph);
    }
  }
  // By the first byte; 1 where nothing begins with it.
  [[nodiscard]] std::size_t expected_length() const {
    const auto lead = static_cast<std::uint8_t>(pending_[0]);
    if (lead >= 0xf0 && lead < 0xf5) return 4;
    if (lead >= 0xe0 && lead < 0xf0) return 3;
    return lead >= 0xc2 && lead < 0xe0 ? 2 : 1;
  }

  void control(std::uint8_t byte) {
    switch (byte) {
      case '\r':
        column_ = 0;
        break;
      case '\n':
        feed_line();
        break;
      case '\b':
        column_ = std::min(column_, columns_ - 1);
        if (column_ > 0) --column_;
        break;
      case '\t':
        column_ = std::min((column_ / 8 + 1) * 8, columns_ - 1);
        break;
      case 0x1b:
        state_ = State::kEscape;
        break;
      default:
        break;
    }
  }

  void take_escape(std::uint8_t byte) {
    state_ = State::kText;
    if (byte == '[') {
      state_ = State::kSequence;
      numbers_ = {};
      number_count_ = 1;
      is_private_ = false;
    } else if (byte == ']' || byte == 'P' || byte == 'X' || byte == '^' ||
               byte == '_') {
      state_ = State::kString;
    }
  }

  void take_sequence(std::uint8_t byte) {
    constexpr std::uint16_t kMost = 9999;
    if (byte >= '0' && byte <= '9') {
      std::uint16_t& number = numbers_[number_count_ - 1];
      number = std::min<std::uint16_t>(
          kMost, static_cast<std::uint16_t>(number * 10 + (byte - '0')));
    } else if (byte == ';') {
      // Of too many, the last place takes all.
      if (number_count_ < numbers_.size()) ++number_count_;
      numbers_[number_count_ - 1] = 0;
    } else if (byte >= 0x40 && byte < 0x7f) {
      state_ = State::kText;
      if (!is_private_) obey(static_cast<char>(byte));
    } else if (byte < 0x20) {
      // A sequence that was cut.
      state_ = State::kText;
      control(byte);
    } else {
      is_private_ = true;
    }
  }

  // Number `i`, of which 0 means 1.
  [[nodiscard]] std::size_t count(std::size_t i) const {
    return std::max<std::size_t>(numbers_[i], 1);
  }

  void obey(char final) {
    const std::size_t column = std::min(column_, columns_ - 1);
    switch (final) {
      case 'A':
        row_ -= std::min(row_, count(0));
        touch(row_);
        break;
      case 'B':
        row_ = std::min(row_ + count(0), rows_ - 1);
        touch(row_);
        break;
      case 'C':
        column_ = std::min(column + count(0), columns_ - 1);
        break;
      case 'D':
        column_ = column - std::min(column, count(0));
        break;
      case 'G':
        column_ = std::min(count(0), columns_) - 1;
        break;
      case 'H':
      case 'f':
        row_ = std::min(count(0), rows_) - 1;
        touch(row_);
        column_ = std::min(count(1), columns_) - 1;
        break;
      case 'J':
        erase_screen();
        break;
      case 'K':
        erase_row(row_, numbers_[0]);
        break;
      case 'm':
        for (std::size_t i = 0; i < number_count_; ++i) choose(numbers_[i]);
        break;
      default:
        break;
    }
  }

  void erase_screen() {
    touch_all();
    const std::uint16_t which = numbers_[0];
    for (std::size_t row = 0; row < rows_; ++row) {
      if (row == row_ && which < 2) {
        erase_row(row, which);
      } else if (which >= 2 || (which == 0 ? row > row_ : row < row_)) {
        std::ranges::fill(row_cells(row), blank());
      }
    }
  }
  // 0: from the cursor on, 1: up to it, else all.
  void erase_row(std::size_t row, std::uint16_t which) {
    const std::size_t column = std::min(column_, columns_ - 1);
    const std::span<Cell> cells = row_cells(row);
    if (which == 0) {
      std::ranges::fill(cells.subspan(column), blank());
    } else if (which == 1) {
      std::ranges::fill(cells.first(column + 1), blank());
    } else {
      std::ranges::fill(cells, blank());
    }
  }

  void choose(std::uint16_t n) {
    if (n == 0) {
      ink_ = Cell{}.ink;
      paper_ = Cell{}.paper;
      is_bold_ = false;
      is_reversed_ = false;
    } else if (n == 1 || n == 22) {
      is_bold_ = n == 1;
    } else if (n == 7 || n == 27) {
      is_reversed_ = n == 7;
    } else if (n >= 30 && n <= 37) {
      ink_ = static_cast<std::uint8_t>(n - 30);
    } else if (n == 39) {
      ink_ = Cell{}.ink;
    } else if (n >= 40 && n <= 47) {
      paper_ = static_cast<std::uint8_t>(n - 40);
    } else if (n == 49) {
      paper_ = Cell{}.paper;
    } else if (n >= 90 && n <= 97) {
      ink_ = static_cast<std::uint8_t>(n - 90 + 8);
    } else if (n >= 100 && n <= 107) {
      paper_ = static_cast<std::uint8_t>(n - 100 + 8);
    }
  }

  // --- Pixels ---
  void touch(std::size_t row) {
    touched_begin_ = std::min(touched_begin_, row);
    touched_end_ = std::max(touched_end_, row + 1);
  }
  void touch_all() {
    touched_begin_ = 0;
    touched_end_ = rows_;
  }
  // The cursor's row is drawn anew whatever comes.
  void look_at_end() {
    if (looking_back_ != 0) touch_all();
    looking_back_ = 0;
    touch(row_);
  }

  // Of the rows that were touched.
  void draw() {
    const std::size_t first =
        (first_ + kept_rows_ - looking_back_) % kept_rows_;
    for (std::size_t row = touched_begin_; row < touched_end_; ++row) {
      const std::size_t at = (first + row) % kept_rows_ * columns_;
      for (std::size_t column = 0; column < columns_; ++column) {
        Cell wanted = kept_[at + column];
        if (looking_back_ == 0 && row == row_ &&
            column == std::min(column_, columns_ - 1)) {
          std::swap(wanted.ink, wanted.paper);
        }
        Cell& shown = shown_[row * columns_ + column];
        if (shown == wanted) continue;
        shown = wanted;
        pixels_.put_glyph(static_cast<std::uint32_t>(column),
                          static_cast<std::uint32_t>(row),
                          kGlyphs[wanted.glyph], colours_[wanted.ink],
                          colours_[wanted.paper]);
      }
    }
    touched_begin_ = rows_;
    touched_end_ = 0;
  }

  Pixels pixels_;
  std::size_t columns_;
  std::size_t rows_;
  std::span<Cell> shown_;
  std::span<Cell> kept_;  // a ring of rows
  std::size_t kept_rows_ = 0;
  std::size_t first_ = 0;  // of the ring, on display at the end
  std::size_t scrolled_ = 0;
  std::size_t looking_back_ = 0;
  std::size_t touched_begin_ = 0;  // rows that may differ from what is shown
  std::size_t touched_end_ = 0;
  std::size_t column_ = 0;  // columns_: the next character begins a row
  std::size_t row_ = 0;
  std::array<std::uint32_t, 16> colours_{};
  std::array<char, 4> pending_{};  // of a character that is not all there
  std::size_t pending_size_ = 0;
  std::array<std::uint16_t, 8> numbers_{};
  std::size_t number_count_ = 1;
  State state_ = State::kText;
  bool is_private_ = false;
  std::uint8_t ink_ = Cell{}.ink;
  std::uint8_t paper_ = Cell{}.paper;
  bool is_bold_ = false;
  bool is_reversed_ = false;
};

}  // namespace odo::console
