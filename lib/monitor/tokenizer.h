// SPDX-License-Identifier: BSD-3-Clause
// Commands out of text: words with quotes and escapes, separated by ';' or
// line ends.
//
//   script  = { command ( ';' | LF | CR ) } [ command ]
//   word    = one or more of:
//     '...'      every byte as it is
//     "..."      escapes mean something, everything else is as it is
//     \xNN       the byte NN, hexadecimal
//     \LF        nothing: a command goes on in the next line
//     \c         the byte c, whatever it is
//     c          any other byte but space, tab, and the separators
//   comment = '#' where a word could begin, to the end of the line
//
// Contexts: any.
// Ownership: words point into the caller's buffer and hold until next().
// Failure: a command that breaks off in a quote or does not fit is passed over
// as a whole, and told.
// Complexity: O(bytes).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "lib/base/result.h"
#include "lib/base/text.h"

namespace odo::monitor {

enum class SyntaxError : std::uint8_t {
  kOpenQuote,     // the text ends inside '...' or "..."
  kTooManyWords,  // more than kMaxWords in one command
  kTooLong,       // more bytes than the buffer holds in one command
};

[[nodiscard]] constexpr std::string_view to_string(SyntaxError error) {
  switch (error) {
    case SyntaxError::kOpenQuote:
      return "a quote is not closed";
    case SyntaxError::kTooManyWords:
      return "too many words in one command";
    case SyntaxError::kTooLong:
      break;
  }
  return "command too long";
}

class Tokenizer {
 public:
  static constexpr std::size_t kMaxWords = 256;
  using Words = std::array<std::string_view, kMaxWords>;

  // `buffer` takes the unescaped bytes of one command at a time.
  constexpr Tokenizer(std::string_view text, std::span<char> buffer,
                      Words& words)
      : text_(text), buffer_(buffer), words_(words) {}

  // The next command that has a word; an empty span at the end of the text.
  [[nodiscard]] constexpr Result<std::span<const std::string_view>, SyntaxError>
  next() {
    count_ = 0;
    used_ = 0;
    trouble_ = std::nullopt;
    while (at_ < text_.size()) {
      char c = text_[at_];
      if (is_separator(c)) {
        ++at_;
        if (count_ != 0 || trouble_) break;
      } else if (c == ' ' || c == '\t') {
        ++at_;
      } else if (c == '#') {
        while (at_ < text_.size() && !is_line_end(text_[at_])) ++at_;
      } else if (starts_with("\\\n")) {
        at_ += 2;
      } else {
        read_word();
      }
    }
    if (trouble_) return fail(*trouble_);
    return std::span<const std::string_view>(words_).first(count_);
  }

  // The value of a hexadecimal digit.
  [[nodiscard]] static constexpr std::optional<unsigned> hex_digit(char c) {
    if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
    if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
    return std::nullopt;
  }

 private:
  static constexpr bool is_line_end(char c) { return c == '\n' || c == '\r'; }
  static constexpr bool is_separator(char c) {
    return c == ';' || is_line_end(c);
  }
  [[nodiscard]] constexpr bool starts_with(std::string_view prefix) const {
    return slice(text_, at_).starts_with(prefix);
  }

  constexpr void read_word() {
    std::size_t start = used_;
    while (at_ < text_.size()) {
      char c = text_[at_];
      if (c == ' ' || c == '\t' || is_separator(c)) break;
      if (c == '\'' || c == '"') {
        ++at_;
        read_quoted(c);
      } else if (c == '\\') {
        read_escape();
      } else {
        store(c);
        ++at_;
      }
    }
    if (count_ == kMaxWords) {
      note(SyntaxError::kTooManyWords);
    } else if (!trouble_) {
      words_[count_++] =
          std::string_view(buffer_.data() + start, used_ - start);
    }
  }

  constexpr void read_quoted(char quote) {
    while (at_ < text_.size()) {
      char c = text_[at_];
      if (c == quote) {
        ++at_;
        return;
      }
      if (c == '\\' && quote == '"') {
        read_escape();
      } else {
        store(c);
        ++at_;
      }
    }
    note(SyntaxError::kOpenQuote);
  }

  // At a backslash.
  constexpr void read_escape() {
    ++at_;
    if (at_ == text_.size()) {
      store('\\');  // nothing left to escape
      return;
    }
    char c = text_[at_++];
    if (c == '\n') return;
    if (c == 'x' && text_.size() - at_ >= 2) {
      auto high = hex_digit(text_[at_]);
      auto low = hex_digit(text_[at_ + 1]);
      if (high && low) {
        at_ += 2;
        store(static_cast<char>(*high * 16 + *low));
        return;
      }
    }
    store(c);
  }

  constexpr void store(char c) {
    if (used_ == buffer_.size()) {
      note(SyntaxError::kTooLong);
    } else {
      buffer_[used_++] = c;
    }
  }
  // The first trouble is the one to tell.
  constexpr void note(SyntaxError error) {
    if (!trouble_) trouble_ = error;
  }

  std::string_view text_;
  std::span<char> buffer_;
  Words& words_;
  std::size_t at_ = 0;
  std::size_t used_ = 0;
  std::size_t count_ = 0;
  std::optional<SyntaxError> trouble_;
};

}  // namespace odo::monitor
