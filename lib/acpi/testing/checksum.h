// SPDX-License-Identifier: BSD-3-Clause
// Check sums of tables that were made or changed by hand.
//
// Contexts: tests and fuzzers.
#pragma once

#include <cstddef>

#include "lib/base/bytes.h"

namespace odo::acpi {

// Has `structure` add up to zero by its byte at `at`.
inline void fix_checksum(MutableBytes structure, std::size_t at) {
  structure[at] = std::byte{0};
  unsigned sum = 0;
  for (const std::byte b : structure) sum += std::to_integer<unsigned>(b);
  structure[at] = static_cast<std::byte>(0U - sum);
}

}  // namespace odo::acpi
