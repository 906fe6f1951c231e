// SPDX-License-Identifier: BSD-3-Clause
// The kernel command line: words `key=value` or `key`, parted by blanks. A
// value, or a whole word, may stand in double quotes and then holds blanks:
// run="ls /; df" or, as GRUB hands it on, "run=ls /; df".
//
// Contexts: any. A view: the text must outlive it. No allocation.
// Failure: none; every text is a list of words. An unclosed quote ends with
//   the text.
// Complexity: each look-up is linear in the text.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace odo::boot {

struct Option {
  std::string_view key;
  std::string_view value;  // empty for a bare key
};

class CommandLine {
 public:
  constexpr explicit CommandLine(std::string_view text) : text_(text) {}

  // The value of the last option named `key`; nullopt when there is none.
  [[nodiscard]] constexpr std::optional<std::string_view> find(
      std::string_view key) const {
    std::optional<std::string_view> found;
    for_each([&](const Option& option) {
      if (option.key == key) found = option.value;
    });
    return found;
  }

  // Calls `visit(Option)` for each option in order.
  template <class Visitor>
  constexpr void for_each(Visitor&& visit) const {
    std::string_view rest = text_;
    while (const auto option = take(rest)) visit(*option);
  }

 private:
  [[nodiscard]] static constexpr bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
  }

  // Cuts the next option off the front of `rest`.
  [[nodiscard]] static constexpr std::optional<Option> take(
      std::string_view& rest) {
    while (!rest.empty() && is_blank(rest.front())) rest.remove_prefix(1);
    if (rest.empty()) return std::nullopt;
    if (rest.front() == '"') {
      const std::string_view word = take_until_quote(rest);
      const std::size_t sign = word.find('=');
      if (sign == std::string_view::npos) return Option{word, {}};
      std::string_view value = word;
      value.remove_prefix(sign + 1);
      return Option{word.substr(0, sign), value};
    }
    std::size_t at = 0;
    while (at < rest.size() && !is_blank(rest[at]) && rest[at] != '=') ++at;
    const std::string_view key = rest.substr(0, at);
    rest.remove_prefix(at);
    if (rest.empty() || rest.front() != '=') return Option{key, {}};
    rest.remove_prefix(1);
    if (!rest.empty() && rest.front() == '"') {
      return Option{key, take_until_quote(rest)};
    }
    at = 0;
    while (at < rest.size() && !is_blank(rest[at])) ++at;
    const std::string_view value = rest.substr(0, at);
    rest.remove_prefix(at);
    return Option{key, value};
  }

  // Cuts a quoted text, of which `rest` begins with the quote, off the front.
  [[nodiscard]] static constexpr std::string_view take_until_quote(
      std::string_view& rest) {
    rest.remove_prefix(1);
    const std::string_view text = rest.substr(0, rest.find('"'));
    rest.remove_prefix(text.size());
    if (!rest.empty()) rest.remove_prefix(1);
    return text;
  }

  std::string_view text_;
};

}  // namespace odo::boot
