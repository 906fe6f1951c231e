// SPDX-License-Identifier: BSD-3-Clause
// All CPUs at once under load, on the booted machine: tokens keep threads out
// of each other's way, objects that one CPU allocates and another frees keep
// what is written to them, messages and calls arrive, in order and once, timers
// ring, threads move.
//
// Contexts: boot; becomes the boot CPU's idle thread.
// Failure: a broken promise panics. What makes no progress is told, and ends
//   the machine with status 1.
#pragma once

#include <cstdint>

namespace odo::kernel {

// Prints one line with what was done, and turns the machine off.
[[noreturn]] void check_cpus(std::uint64_t seconds);

}  // namespace odo::kernel
