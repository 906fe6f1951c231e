// SPDX-License-Identifier: BSD-3-Clause
// One line being typed on a VT100-like terminal: editing keys, history, and a
// window over lines that are longer than the screen is wide.
//
//   left right home end  ^B ^F ^A ^E     move
//   backspace delete     ^H ^D           erase a character
//   ^K ^U ^W                             erase to the end, start, word start
//   up down              ^P ^N           older and newer lines
//   ^L                                   clear the screen
//   ^C, ^D on an empty line, tab, enter  are told to the caller
//
// Contexts: thread, one at a time.
// Shapes: a line is any bytes up to kMaxLineBytes; history keeps the last
// kHistoryLines lines. The terminal is taken to have kColumns columns; the line
// never wraps, it scrolls sideways.
// Invariants:
//   I1. the terminal receives printable characters of one column each, and the
//       few controls written here; everything else that was typed is shown as
//       \xNN: no byte sequence, typed or pasted, can drive the terminal;
//   I2. the cursor stands between characters, never inside one;
//   I3. keys that are not known are swallowed whole.
// Failure: none; what does not fit is refused with a bell.
// Complexity: O(kMaxLineBytes) a key.
// Origin: ECMA-48 section 5.4 (shape of control sequences); DEC VT100 user
// guide (keys).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/base/check.h"
#include "lib/base/text.h"
#include "lib/monitor/utf8.h"

namespace odo::monitor {

// What a key amounts to, beyond editing.
enum class EditEvent : std::uint8_t {
  kNone,
  kLine,       // enter: line() is complete
  kInterrupt,  // ^C: the line was dropped
  kEnd,        // ^D on an empty line
  kComplete,   // tab: the caller may insert() at the cursor
};

namespace detail {
// The byte that a terminal sends for a letter with the control key.
[[nodiscard]] constexpr char control(char letter) {
  return static_cast<char>(letter - '@');
}
}  // namespace detail

class LineEditor {
 public:
  static constexpr std::size_t kMaxLineBytes = 1024;
  static constexpr std::size_t kHistoryLines = 32;
  static constexpr std::size_t kColumns = 80;

  [[nodiscard]] std::string_view line() const { return {line_.data(), size_}; }
  [[nodiscard]] std::size_t cursor() const { return cursor_; }

  // Begins an empty line behind `prompt` (plain ASCII, outlives the line).
  template <class Out>
  void begin(std::string_view prompt, Out& out) {
    prompt_ = prompt;
    set_line({});
    browsing_ = 0;
    draw(out);
  }

  // Takes one byte from the keyboard.
  template <class Out>
  EditEvent feed(std::byte byte, Out& out) {
    auto c = static_cast<char>(byte);
    switch (state_) {
      case State::kGround:
        return key(c, out);
      case State::kEscape:
        parameter_ = 0;
        state_ = c == '['   ? State::kControl
                 : c == 'O' ? State::kShift
                            : State::kGround;
        return EditEvent::kNone;
      case State::kShift:
        state_ = State::kGround;
        return final_byte(c, out);
      case State::kControl:
        break;
    }
    if (c >= '0' && c <= '9') {
      // Only the first parameter matters; it can't get large and matter.
      parameter_ =
          std::min(parameter_ * 10 + static_cast<unsigned>(c - '0'), 1000u);
      return EditEvent::kNone;
    }
    if (c >= 0x20 && c <= 0x3f) return EditEvent::kNone;  // ; and the like
    state_ = State::kGround;
    if (c >= 0x40 && c <= 0x7e) return final_byte(c, out);
    return EditEvent::kNone;  // a broken sequence ends at what breaks it
  }

  // Puts text at the cursor; false, with a bell, when it does not fit.
  template <class Out>
  bool insert(std::string_view text, Out& out) {
    if (text.size() > kMaxLineBytes - size_) {
      out.text("\a");
      return false;
    }
    std::copy_backward(line_.data() + cursor_, line_.data() + size_,
                       line_.data() + size_ + text.size());
    std::copy_n(text.data(), text.size(), line_.data() + cursor_);
    size_ += text.size();
    cursor_ += text.size();
    snap();
    draw(out);
    return true;
  }

  // Shows prompt and line anew on a fresh row, after others wrote.
  template <class Out>
  void draw(Out& out) {
    if (cursor_ < view_) view_ = cursor_;
    if (view_ > 0 && columns(0, size_) <= room()) view_ = 0;
    std::size_t before_cursor_columns = columns(view_, cursor_);
    while (before_cursor_columns > room()) {
      Unit first = unit(view_);
      before_cursor_columns -= first.columns;
      view_ += first.bytes;
    }
    out.text("\r").text(prompt_);
    std::size_t used = 0;
    for (std::size_t at = view_; at < size_;) {
      Unit here = unit(at);
      if (used + here.columns > room()) break;
      show(at, here, out);
      used += here.columns;
      at += here.bytes;
    }
    out.text("\x1b[K");
    std::size_t back = used - before_cursor_columns;
    if (back > 0) out.text("\x1b[").number(back).text("D");
  }

  // Adds a line to the history, unless it is empty or was the last one.
  void remember(std::string_view line) {
    ODO_ASSERT(line.size() <= kMaxLineBytes);
    if (line.empty()) return;
    if (kept_ > 0 && history(1) == line) return;
    Saved& slot = history_[newest_];
    newest_ = (newest_ + 1) % kHistoryLines;
    if (kept_ < kHistoryLines) ++kept_;
    slot.size = static_cast<std::uint16_t>(line.size());
    std::copy_n(line.data(), line.size(), slot.bytes.data());
  }

 private:
  enum class State : std::uint8_t { kGround, kEscape, kControl, kShift };

  // A character or a stray byte, as the line holds it and as it is shown.
  struct Unit {
    std::size_t bytes;
    std::size_t columns;
  };
  struct Saved {
    std::uint16_t size;
    std::array<char, kMaxLineBytes> bytes;
  };

  // Columns for the line: without the prompt, the last one, in which terminals
  // wrap, and two for the "^C" that may come behind.
  [[nodiscard]] std::size_t room() const {
    return kColumns - 3 - prompt_.size();
  }

  [[nodiscard]] Unit unit(std::size_t at) const {
    Utf8 c = decode_utf8(slice(line(), at));
    if (c.length != 0 && is_one_column(c.code)) return {c.length, 1};
    return {1, 4};
  }
  [[nodiscard]] std::size_t columns(std::size_t from, std::size_t to) const {
    std::size_t sum = 0;
    while (from < to) {
      Unit here = unit(from);
      sum += here.columns;
      from += here.bytes;
    }
    return sum;
  }
  template <class Out>
  void show(std::size_t at, Unit here, Out& out) const {
    if (here.columns == 1) {
      out.text(slice(line(), at, here.bytes));
    } else {
      std::array<char, 4> escape;
      write_escape(escape.data(), line_[at]);
      out.text(std::string_view(escape.data(), escape.size()));
    }
  }

  // Moves the cursor to where a character begins: joining or cutting bytes may
  // have left it inside one. The window's edge likewise.
  void snap() {
    cursor_ = boundary_from(cursor_);
    view_ = boundary_from(std::min(view_, cursor_));
  }
  [[nodiscard]] std::size_t boundary_from(std::size_t at) const {
    std::size_t here = 0;
    while (here < at) here += unit(here).bytes;
    return here;
  }
  [[nodiscard]] std::size_t before_cursor() const {
    std::size_t here = 0;
    std::size_t last = 0;
    while (here < cursor_) {
      last = here;
      here += unit(here).bytes;
    }
    return last;
  }
  [[nodiscard]] std::size_t after_cursor() const {
    return cursor_ < size_ ? cursor_ + unit(cursor_).bytes : size_;
  }
  [[nodiscard]] std::size_t word_start() const {
    std::size_t at = cursor_;
    while (at > 0 && line_[at - 1] == ' ') --at;
    while (at > 0 && line_[at - 1] != ' ') --at;
    return at;
  }

  void set_line(std::string_view line) {
    size_ = line.size();
    std::copy_n(line.data(), line.size(), line_.data());
    cursor_ = size_;
    view_ = 0;
  }

  template <class Out>
  void move(std::size_t to, Out& out) {
    cursor_ = to;
    draw(out);
  }
  // Removes [from, to) and leaves the cursor there.
  template <class Out>
  void cut(std::size_t from, std::size_t to, Out& out) {
    std::copy(line_.data() + to, line_.data() + size_, line_.data() + from);
    size_ -= to - from;
    cursor_ = from;
    snap();
    draw(out);
  }

  // The line remembered `back` lines ago, from 1.
  [[nodiscard]] std::string_view history(std::size_t back) const {
    const Saved& saved =
        history_[(newest_ + kHistoryLines - back) % kHistoryLines];
    return {saved.bytes.data(), saved.size};
  }
  template <class Out>
  void browse(std::size_t back, Out& out) {
    if (back > kept_) return;
    if (browsing_ == 0) {  // leaving the line that was being typed
      draft_.size = static_cast<std::uint16_t>(size_);
      std::copy_n(line_.data(), size_, draft_.bytes.data());
    }
    browsing_ = back;
    set_line(back == 0 ? std::string_view(draft_.bytes.data(), draft_.size)
                       : history(back));
    draw(out);
  }

  template <class Out>
  EditEvent key(char c, Out& out) {
    bool after_return = after_return_;
    after_return_ = c == '\r';
    switch (c) {
      case '\n':
        if (after_return) return EditEvent::kNone;  // CR LF is one enter
        [[fallthrough]];
      case '\r':
        cursor_ = size_;
        draw(out);
        out.text("\n");
        return EditEvent::kLine;
      case '\t':
        return EditEvent::kComplete;
      case 0x1b:
        state_ = State::kEscape;
        return EditEvent::kNone;
      case detail::control('A'):
        move(0, out);
        break;
      case detail::control('B'):
        move(before_cursor(), out);
        break;
      case detail::control('C'):
        move(size_, out);
        out.text("^C\n");
        set_line({});
        return EditEvent::kInterrupt;
      case detail::control('D'):
        if (size_ == 0) return EditEvent::kEnd;
        cut(cursor_, after_cursor(), out);
        break;
      case detail::control('E'):
        move(size_, out);
        break;
      case detail::control('F'):
        move(after_cursor(), out);
        break;
      case detail::control('H'):
      case 0x7f:
        cut(before_cursor(), cursor_, out);
        break;
      case detail::control('K'):
        cut(cursor_, size_, out);
        break;
      case detail::control('L'):
        out.text("\x1b[H\x1b[2J");
        draw(out);
        break;
      case detail::control('N'):
        if (browsing_ > 0) browse(browsing_ - 1, out);
        break;
      case detail::control('P'):
        browse(browsing_ + 1, out);
        break;
      case detail::control('U'):
        cut(0, cursor_, out);
        break;
      case detail::control('W'):
        cut(word_start(), cursor_, out);
        break;
      default:
        if (static_cast<unsigned char>(c) >= 0x20) type(c, out);
        break;
    }
    return EditEvent::kNone;
  }

  template <class Out>
  void type(char c, Out& out) {
    bool plain = c >= 0x20 && c < 0x7f && cursor_ == size_ &&
                 size_ < kMaxLineBytes && columns(view_, size_) < room();
    if (!plain) {
      (void)insert(std::string_view(&c, 1), out);
      return;
    }
    line_[size_++] = c;  // the common case: echo it
    cursor_ = size_;
    out.text(std::string_view(&c, 1));
  }

  // The end of a sequence from a function key.
  template <class Out>
  EditEvent final_byte(char c, Out& out) {
    switch (c) {
      case 'A':
        browse(browsing_ + 1, out);
        break;
      case 'B':
        if (browsing_ > 0) browse(browsing_ - 1, out);
        break;
      case 'C':
        move(after_cursor(), out);
        break;
      case 'D':
        move(before_cursor(), out);
        break;
      case 'F':
        move(size_, out);
        break;
      case 'H':
        move(0, out);
        break;
      case '~':
        if (parameter_ == 1 || parameter_ == 7) move(0, out);
        if (parameter_ == 4 || parameter_ == 8) move(size_, out);
        if (parameter_ == 3) cut(cursor_, after_cursor(), out);
        break;
      default:
        break;
    }
    return EditEvent::kNone;
  }

  State state_ = State::kGround;
  bool after_return_ = false;
  unsigned parameter_ = 0;
  std::string_view prompt_;
  std::size_t size_ = 0;
  std::size_t cursor_ = 0;
  std::size_t view_ = 0;      // where the window begins
  std::size_t browsing_ = 0;  // how many lines back; 0 is the draft
  std::size_t newest_ = 0;    // the slot that the next line goes to
  std::size_t kept_ = 0;
  std::array<char, kMaxLineBytes> line_;
  Saved draft_;
  std::array<Saved, kHistoryLines> history_;
};

}  // namespace odo::monitor
