// SPDX-License-Identifier: BSD-3-Clause
// Who called whom, by frame pointers, with names from the symbol table.
//
// Contexts: any, including a fault on a damaged stack: every pointer is checked
//   to lie inside a known stack and to move up before it is followed.
// Complexity: at most kMaxFrames lines.
#pragma once

#include <cstdint>

namespace odo::x86 {

// Prints from a trap: where it happened, then the callers from its `rbp`.
void print_backtrace(std::uint64_t rip, std::uint64_t rbp);
// Prints from the caller on.
void print_backtrace_here();

}  // namespace odo::x86
