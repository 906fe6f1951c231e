// SPDX-License-Identifier: BSD-3-Clause
// Numbers on the command line: decimal, or hexadecimal after 0x.
//
// Contexts: any.
// Failure: UsageError.
#pragma once

#include <cstdint>
#include <string>

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

}  // namespace odo::h2
