// SPDX-License-Identifier: BSD-3-Clause
// The words of a command, and single-letter options at their head.
//
// Contexts: any; pure.
// Failure: parse_options tells the first letter that is not allowed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "lib/base/result.h"
#include "lib/base/text.h"

namespace odo::monitor {

// The command's name first.
using Words = std::span<const std::string_view>;

struct Options {
  std::uint32_t letters = 0;  // bit i: the i-th of the allowed ones was given
  Words operands;
};

// Takes "-la", "-l -a" and so on off the words behind the name; "--" ends them,
// and "-" alone is an operand. The error is the letter that is not `allowed`.
[[nodiscard]] constexpr Result<Options, char> parse_options(
    Words words, std::string_view allowed) {
  Options options;
  std::size_t at = 1;
  for (; at < words.size(); ++at) {
    std::string_view word = words[at];
    if (word.size() < 2 || word[0] != '-') break;
    if (word == "--") {
      ++at;
      break;
    }
    for (char letter : slice(word, 1)) {
      std::size_t index = allowed.find(letter);
      if (index == std::string_view::npos) return fail(letter);
      options.letters |= std::uint32_t{1} << index;
    }
  }
  options.operands = words.subspan(at);
  return options;
}

// A whole decimal number, or nothing.
[[nodiscard]] constexpr std::optional<std::uint64_t> parse_number(
    std::string_view text) {
  if (text.empty() || text.size() > 19) return std::nullopt;  // below 10^19
  std::uint64_t value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return value;
}

}  // namespace odo::monitor
