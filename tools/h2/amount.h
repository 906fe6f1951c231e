// SPDX-License-Identifier: BSD-3-Clause
// An amount of bytes for people: "12.3 MiB".
//
// Contexts: any.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "absl/strings/str_format.h"

namespace odo::h2 {

[[nodiscard]] inline std::string amount(double bytes) {
  constexpr std::array kUnits = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
  std::size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < kUnits.size()) {
    bytes /= 1024;
    ++unit;
  }
  return absl::StrFormat("%.*f %s", unit == 0 ? 0 : 1, bytes, kUnits[unit]);
}

}  // namespace odo::h2
