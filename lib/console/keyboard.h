// SPDX-License-Identifier: BSD-3-Clause
// A PC keyboard's scan codes, set 1, as what a terminal would send: characters
// of a US layout, and escape sequences for the keys that have none.
//
// Contexts: interrupt or thread; one caller at a time.
// Failure: total on any bytes; codes of keys that mean nothing here are left
//   out.
// Cost: constant.
// Origin: IBM Personal System/2 Hardware Interface Technical Reference,
//   keyboard (scan code set 1); escape sequences as xterm sends them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace odo::console {

// What a key asks of the screen itself.
enum class Look : std::uint8_t { kNowhere, kBack, kForward };

struct KeyPress {
  std::array<char, 4> bytes{};
  std::uint8_t size = 0;
  Look look = Look::kNowhere;

  [[nodiscard]] constexpr std::string_view text() const {
    return {bytes.data(), size};
  }
};

class Keyboard {
 public:
  // A byte of the keyboard's; what came of it may be nothing.
  [[nodiscard]] constexpr KeyPress take(std::uint8_t code) {
    if (skip_ != 0) {
      --skip_;
      return {};
    }
    if (code == kPause) {
      // Five more bytes, and no key that is of use.
      skip_ = 5;
      is_extended_ = false;
      return {};
    }
    if (code == kExtended) {
      is_extended_ = true;
      return {};
    }
    const bool extended = is_extended_;
    is_extended_ = false;
    const bool is_down = (code & kReleased) == 0;
    const auto key = static_cast<std::uint8_t>(code & ~kReleased);
    if (is_modifier(key, extended, is_down) || !is_down) return {};
    return extended ? press_extended(key) : press(key);
  }

 private:
  static constexpr std::uint8_t kExtended = 0xe0;
  static constexpr std::uint8_t kPause = 0xe1;
  static constexpr std::uint8_t kReleased = 0x80;

  // From key 0x00 on; 0 where there is none.
  static constexpr std::string_view kPlain{
      "\0\x1b"
      "1234567890-=\x7f\t"
      "qwertyuiop[]\r\0"
      "asdfghjkl;'`\0\\"
      "zxcvbnm,./\0*\0 ",
      0x3a};
  static constexpr std::string_view kShifted{
      "\0\x1b"
      "!@#$%^&*()_+\x7f\t"
      "QWERTYUIOP{}\r\0"
      "ASDFGHJKL:\"~\0|"
      "ZXCVBNM<>?\0*\0 ",
      0x3a};

  // Shift, Control, Alt, Caps Lock. Extended shifts come along with some keys
  // and mean nothing.
  [[nodiscard]] constexpr bool is_modifier(std::uint8_t key, bool extended,
                                           bool is_down) {
    switch (key) {
      case 0x2a:
        if (!extended) left_shift_ = is_down;
        return true;
      case 0x36:
        if (!extended) right_shift_ = is_down;
        return true;
      case 0x1d:
        (extended ? right_control_ : left_control_) = is_down;
        return true;
      case 0x38:
        (extended ? right_alt_ : left_alt_) = is_down;
        return true;
      case 0x3a:
        if (!extended && is_down) caps_ = !caps_;
        return true;
      default:
        return false;
    }
  }
  [[nodiscard]] constexpr bool is_shifted() const {
    return left_shift_ || right_shift_;
  }

  [[nodiscard]] static constexpr KeyPress text(std::string_view bytes) {
    KeyPress made;
    for (const char c : bytes) made.bytes[made.size++] = c;
    return made;
  }

  [[nodiscard]] constexpr KeyPress press(std::uint8_t key) const {
    if (key >= 0x47 && key <= 0x53) return press_keypad(key);
    if (key >= kPlain.size()) return {};
    char c = (is_shifted() ? kShifted : kPlain)[key];
    if (c == '\0') return {};
    const bool is_letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    if (is_letter && caps_) c ^= 0x20;
    if (left_control_ || right_control_) {
      // As on every terminal: @ to _ and the letters, and the blank as @.
      if (c == ' ') return text(std::string_view("\0", 1));
      if (is_letter || (c >= '@' && c <= '_')) c &= 0x1f;
    }
    if (left_alt_) {
      const std::array<char, 2> with_escape{'\x1b', c};
      return text({with_escape.data(), with_escape.size()});
    }
    return text({&c, 1});
  }

  // The keypad without Num Lock is a second set of the keys below.
  [[nodiscard]] constexpr KeyPress press_keypad(std::uint8_t key) const {
    if (key == 0x4a) return text("-");
    if (key == 0x4e) return text("+");
    return press_extended(key);
  }

  [[nodiscard]] constexpr KeyPress press_extended(std::uint8_t key) const {
    switch (key) {
      case 0x1c:
        return text("\r");
      case 0x35:
        return text("/");
      case 0x47:
        return text("\x1b[H");
      case 0x48:
        return text("\x1b[A");
      case 0x49:
        return page(Look::kBack, "\x1b[5~");
      case 0x4b:
        return text("\x1b[D");
      case 0x4d:
        return text("\x1b[C");
      case 0x4f:
        return text("\x1b[F");
      case 0x50:
        return text("\x1b[B");
      case 0x51:
        return page(Look::kForward, "\x1b[6~");
      case 0x52:
        return text("\x1b[2~");
      case 0x53:
        return text("\x1b[3~");
      default:
        return {};
    }
  }
  // With Shift it is the screen's.
  [[nodiscard]] constexpr KeyPress page(Look look,
                                        std::string_view sequence) const {
    if (!is_shifted()) return text(sequence);
    KeyPress made;
    made.look = look;
    return made;
  }

  bool left_shift_ = false;
  bool right_shift_ = false;
  bool left_control_ = false;
  bool right_control_ = false;
  bool left_alt_ = false;
  bool right_alt_ = false;
  bool caps_ = false;
  bool is_extended_ = false;
  std::uint8_t skip_ = 0;
};

}  // namespace odo::console
