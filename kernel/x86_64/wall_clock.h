// SPDX-License-Identifier: BSD-3-Clause
// What time it is: the battery's clock, read once when somebody first asks, and
// the cycle counter from there on.
//
// Contexts: any but NMI. Units: microseconds since 1970.
// Failure: a clock that cannot be read is told once; time then begins at 1970
//   with power-on.
#pragma once

#include <cstdint>

namespace odo::x86 {

// Never goes back.
[[nodiscard]] std::uint64_t wall_clock_us();

}  // namespace odo::x86
