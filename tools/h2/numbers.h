// SPDX-License-Identifier: BSD-3-Clause
// Numbers on the command line: decimal, or hexadecimal after 0x.
//
// Contexts: any.
// Failure: UsageError.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "tools/h2/command.h"

namespace odo::h2 {

[[nodiscard]] inline std::uint64_t number_of_word(const std::string& word) {
  std::uint64_t value = 0;
  const bool good = word.starts_with("0x") ? absl::SimpleHexAtoi(word, &value)
                                           : absl::SimpleAtoi(word, &value);
  if (!good) throw UsageError("not a number: '" + word + "'");
  return value;
}

// A number of bytes, in KiB, MiB, GiB or TiB after K, M, G or T.
[[nodiscard]] inline std::uint64_t bytes_of_word(const std::string& word) {
  constexpr std::string_view kUnits = "KMGT";
  const std::size_t unit = word.empty()
                               ? std::string_view::npos
                               : kUnits.find(absl::ascii_toupper(
                                     static_cast<unsigned char>(word.back())));
  if (unit == std::string_view::npos) return number_of_word(word);
  const std::uint64_t count = number_of_word(word.substr(0, word.size() - 1));
  const unsigned shift = 10 * (static_cast<unsigned>(unit) + 1);
  if (count > ~std::uint64_t{0} >> shift) {
    throw UsageError("too large: '" + word + "'");
  }
  return count << shift;
}

}  // namespace odo::h2
