// SPDX-License-Identifier: BSD-3-Clause
// Formatted text on one channel of a console, gathered into larger writes.
//
// Contexts: thread, one at a time. Blocks where the console's write does.
// Ownership: refers to the console.
// Sizes: a buffer of kBufferBytes inside the object; nothing else.
// Failure: none; a console accepts everything.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/base/text.h"
#include "lib/monitor/machine.h"
#include "lib/monitor/utf8.h"

namespace odo::monitor {

// What ends a line: a terminal wants a carriage return before the line feed.
enum class Newline : std::uint8_t { kPlain, kTerminal };

template <Console C>
class Printer {
 public:
  static constexpr std::size_t kBufferBytes = 512;

  Printer(C& console, Channel channel) : console_(console), channel_(channel) {}
  Printer(const Printer&) = delete;
  Printer& operator=(const Printer&) = delete;

  void set_newline(Newline newline) { newline_ = newline; }

  Printer& text(std::string_view text) {
    for (char c : text) put(c);
    return *this;
  }
  Printer& number(std::uint64_t value, std::size_t width = 0) {
    return digits(value, 10, width, ' ');
  }
  // Two lower-case digits a byte, `width` digits at least.
  Printer& hex(std::uint64_t value, std::size_t width = 1) {
    return digits(value, 16, width, '0');
  }
  Printer& padded_number(std::uint64_t value, std::size_t width) {
    return digits(value, 10, width, '0');
  }
  Printer& octal(std::uint64_t value, std::size_t width) {
    return digits(value, 8, width, '0');
  }
  Printer& spaces(std::size_t count) {
    for (; count > 0; --count) put(' ');
    return *this;
  }
  // `text`, then spaces up to `width` columns; for plain ASCII.
  Printer& left(std::string_view text, std::size_t width) {
    this->text(text);
    return spaces(width > text.size() ? width - text.size() : 0);
  }

  // A stranger's bytes, so that no control character comes through: see utf8.h.
  Printer& escaped(std::string_view bytes) {
    while (!bytes.empty()) {
      std::size_t length = printable_prefix(bytes);
      if (length == 0) {
        std::array<char, 4> escape;
        write_escape(escape.data(), bytes[0]);
        text(std::string_view(escape.data(), escape.size()));
        length = 1;
      } else if (bytes[0] == '\\') {
        text("\\\\");
      } else {
        text(slice(bytes, 0, length));
      }
      bytes.remove_prefix(length);
    }
    return *this;
  }

  // "1.5 GiB", "640 KiB", "17 bytes": one decimal, rounded down.
  Printer& size(std::uint64_t bytes) {
    constexpr std::array<std::string_view, 6> kUnits = {" KiB", " MiB", " GiB",
                                                        " TiB", " PiB", " EiB"};
    if (bytes < 1024)
      return number(bytes).text(bytes == 1 ? " byte" : " bytes");
    std::size_t unit = 0;
    unsigned shift = 10;
    while (unit + 1 < kUnits.size() && (bytes >> shift) >= 1024) {
      ++unit;
      shift += 10;
    }
    std::uint64_t below = bytes & ((std::uint64_t{1} << shift) - 1);
    number(bytes >> shift);
    std::uint64_t tenth = ((below >> (shift - 10)) * 10) >> 10;
    if (tenth != 0) text(".").number(tenth);
    return text(kUnits[unit]);
  }

  // Whether the next character begins a row.
  [[nodiscard]] bool at_line_start() const { return last_ == '\n'; }

  // Contents of a file: as they are.
  Printer& raw(Bytes bytes) {
    if (newline_ == Newline::kPlain) {
      flush();
      if (bytes.empty()) return *this;
      console_.write(channel_, bytes);
      last_ = static_cast<char>(bytes.back());
    } else {
      for (std::byte b : bytes) put(static_cast<char>(b));
    }
    return *this;
  }

  void flush() {
    if (used_ == 0) return;
    std::size_t used = used_;
    used_ = 0;
    console_.write(channel_,
                   std::as_bytes(std::span<const char>(buffer_).first(used)));
  }

 private:
  void put(char c) {
    if (c == '\n' && newline_ == Newline::kTerminal) store('\r');
    store(c);
  }
  void store(char c) {
    if (used_ == buffer_.size()) flush();
    buffer_[used_++] = c;
    last_ = c;
  }
  Printer& digits(std::uint64_t value, unsigned base, std::size_t width,
                  char fill) {
    std::array<char, 22> reversed;  // 2^64 - 1 in octal
    std::size_t count = 0;
    do {
      reversed[count++] = "0123456789abcdef"[value % base];
      value /= base;
    } while (value != 0);
    for (std::size_t i = count; i < width; ++i) put(fill);
    while (count > 0) put(reversed[--count]);
    return *this;
  }

  C& console_;
  Channel channel_;
  Newline newline_ = Newline::kPlain;
  char last_ = '\n';
  std::size_t used_ = 0;
  std::array<char, kBufferBytes> buffer_;
};

}  // namespace odo::monitor
