// SPDX-License-Identifier: BSD-3-Clause
// Interrupt controllers: the machine's I/O APICs and each CPU's local one, or
// the two 8259 where it has no such things. docs/interrupts.md has the rules.
//
// Contexts: init_interrupts() at boot; route_isa_line() any thread; the rest
//   with interrupts off.
// Failure: a line that leads nowhere is told and not routed.
#pragma once

#include <cstdint>
#include <optional>

#include "kernel/x86_64/firmware.h"
#include "kernel/x86_64/threads.h"
#include "kernel/x86_64/traps.h"

namespace odo::x86 {

// Every line is masked afterwards.
void init_interrupts(const Firmware& firmware);

// Whether interrupts can reach CPUs of our choice: else there is one CPU.
[[nodiscard]] bool has_apic();

// A vector of its own for a device; nullopt when all are given away.
[[nodiscard]] std::optional<std::uint8_t> new_device_vector();

// Lets a line of the old PC (0–7) through to the boot CPU; the vector that it
// comes as, which on_device_interrupt() handles (threads.h), or `handler`.
[[nodiscard]] std::optional<std::uint8_t> route_isa_line(
    unsigned line, InterruptHandler handler = on_device_interrupt);

// What every handler of a vector from kFirstInterrupt on is followed by.
void end_of_interrupt(unsigned vector);

}  // namespace odo::x86
