// SPDX-License-Identifier: BSD-3-Clause
// Name patterns: * any bytes, ? one byte, [abc] [a-z] [!a-z] one byte of (not
// of) a set, \c the byte c.
//
// Contexts: any; pure.
// Failure: none. A '[' that is never closed stands for itself.
// Complexity: O(pattern x name) time, constant memory: on a mismatch only the
// last '*' is widened, which suffices.
// Origin: POSIX.1-2017, Shell 2.13.1; bytes rather than characters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/base/text.h"

namespace odo::monitor {

namespace detail {

// What stands at the head of a pattern that matches one byte.
struct GlobStep {
  bool matches;
  std::size_t length;  // of the pattern consumed
};

[[nodiscard]] constexpr GlobStep glob_set(std::string_view pattern, char c) {
  std::size_t at = 1;
  bool negated = at < pattern.size() && pattern[at] == '!';
  if (negated) ++at;
  bool found = false;
  std::size_t first = at;
  auto value = static_cast<std::uint8_t>(c);
  for (; at < pattern.size(); ++at) {
    if (pattern[at] == ']' && at > first) {
      return {found != negated, at + 1};
    }
    auto low = static_cast<std::uint8_t>(pattern[at]);
    auto high = low;
    if (at + 2 < pattern.size() && pattern[at + 1] == '-' &&
        pattern[at + 2] != ']') {
      high = static_cast<std::uint8_t>(pattern[at + 2]);
      at += 2;
    }
    found |= low <= value && value <= high;
  }
  return {c == '[', 1};
}

[[nodiscard]] constexpr GlobStep glob_step(std::string_view pattern, char c) {
  switch (pattern[0]) {
    case '?':
      return {true, 1};
    case '[':
      return glob_set(pattern, c);
    case '\\':
      if (pattern.size() > 1) return {pattern[1] == c, 2};
      break;
    default:
      break;
  }
  return {pattern[0] == c, 1};
}

}  // namespace detail

[[nodiscard]] constexpr bool glob_match(std::string_view pattern,
                                        std::string_view name) {
  constexpr std::size_t kNone = std::string_view::npos;
  std::size_t p = 0;
  std::size_t n = 0;
  std::size_t after_star = kNone;  // pattern after the last '*'
  std::size_t taken_to = 0;        // name up to where that '*' reaches
  while (true) {
    if (p < pattern.size() && pattern[p] == '*') {
      after_star = ++p;
      taken_to = n;
      continue;
    }
    if (n == name.size() && p == pattern.size()) return true;
    if (n < name.size() && p < pattern.size()) {
      detail::GlobStep step = detail::glob_step(slice(pattern, p), name[n]);
      if (step.matches) {
        p += step.length;
        ++n;
        continue;
      }
    }
    if (after_star == kNone || taken_to == name.size()) return false;
    p = after_star;
    n = ++taken_to;
  }
}

}  // namespace odo::monitor
