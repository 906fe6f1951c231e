// SPDX-License-Identifier: BSD-3-Clause
// Interrupts and exceptions: the descriptor table, who handles which vector,
// and what is printed when nobody does.
//
// Contexts: handlers run with interrupts off on the interrupted stack (or on
//   the fault's own, see gdt.h). What they interrupted may be in the middle of
//   anything but an IrqLock.
// Failure: an exception without a handler, and a broken invariant anywhere,
//   prints a report on the console line and ends the machine with status 1; the
//   other CPUs stop before that.
#pragma once

#include <cstdint>
#include <string_view>

#include "kernel/x86_64/vectors.h"

namespace odo::x86 {

// What traps.S leaves on the stack, lowest address first.
struct TrapFrame {
  std::uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
  std::uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
  std::uint64_t vector, error_code;
  std::uint64_t rip, cs, rflags, rsp, ss;
};
static_assert(sizeof(TrapFrame) == 22 * 8);

using InterruptHandler = void (*)(void* context);

// At boot: makes the descriptor table, and takes over broken invariants.
void init_traps();
// On each CPU: from here on traps are taken.
void load_traps();

// Vectors from kFirstInterrupt on, before the first of them can come. The end
// of interrupt follows the handler by itself.
void set_interrupt_handler(unsigned vector, InterruptHandler handler,
                           void* context);

// For an error that leaves nothing to run: one line, then the end.
[[noreturn]] void stop_with(std::string_view reason);

}  // namespace odo::x86
