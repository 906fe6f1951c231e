// SPDX-License-Identifier: BSD-3-Clause
// One interrupt at a later time on each CPU: ends a halt, or tells a busy CPU
// that something is due. By the local APIC, to the cycle where the CPU has a
// deadline register, else by its counter; by the PIT where there is no APIC.
//
// Contexts: init_timer() at boot; start_timer() once on each other CPU, before
//   its first set_timer(); set_timer() on the CPU, interrupts off.
// Units: nanoseconds since power-on (clock.h).
// Failure: where the speed of the cycle counter is not known, no interrupt
//   comes. It may come early, as of a long wait the hardware may do a part: who
//   waits looks at the clock and sets it again.
// Origin: Intel SDM vol. 3 §11.5.4; 8254 data sheet (channel 0, mode 0).
#pragma once

#include <cstdint>
#include <string_view>

#include "kernel/x86_64/traps.h"

namespace odo::x86 {

// After init_interrupts(). `handler` is called on the CPU whose time has come.
void init_timer(InterruptHandler handler);
void start_timer();
// In place of the one that is set.
void set_timer(std::uint64_t deadline_ns);

// For people: "tsc-deadline", "apic", "pit".
[[nodiscard]] std::string_view timer_name();

}  // namespace odo::x86
