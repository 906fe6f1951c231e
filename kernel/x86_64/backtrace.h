// SPDX-License-Identifier: BSD-3-Clause
// Who called whom, by frame pointers, with names from the symbol table.
//
// Contexts: any, including a fault on a damaged stack: every pointer is checked
//   to lie inside a known stack and to move up before it is followed
//   (lib/lwkt/stack_walk.h).
// Complexity: at most lwkt::kMaxFrames lines.
#pragma once

#include <cstdint>
#include <optional>

#include "kernel/symbols/symbol_table.h"

namespace odo::x86 {

// The function that an address lies in.
[[nodiscard]] std::optional<Symbol> function_at(std::uint64_t address);

// Prints from a trap: where it happened, then the callers from its `rbp`.
void print_backtrace(std::uint64_t rip, std::uint64_t rbp);
// Prints from the caller on.
void print_backtrace_here();

}  // namespace odo::x86
