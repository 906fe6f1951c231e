// SPDX-License-Identifier: BSD-3-Clause
// This CPU's local APIC: interrupts to other CPUs, the end of interrupts, and
// the timer's registers.
//
// Contexts: init_local_apic() or pass_pics_through() once, on the boot CPU;
//   start_local_apic() once on each other; the rest after that, on any CPU,
//   interrupts off.
// Failure: init_local_apic() says false where there is none, or its registers
//   cannot be reached; then the rest is not called.
// Origin: Intel SDM vol. 3 chapter 11.
#pragma once

#include <cstdint>

#include "kernel/x86_64/firmware.h"

namespace odo::x86 {

// x2APIC where the CPU has it.
[[nodiscard]] bool init_local_apic(const Firmware& firmware);
// The others do as the boot CPU did.
void start_local_apic();
// Instead of both: leaves the APIC as firmware has it, and lets the 8259's
// interrupts through it. Some firmware leaves that pin masked.
void pass_pics_through();

[[nodiscard]] std::uint32_t local_apic_id();
[[nodiscard]] bool can_interrupt(std::uint32_t apic_id);

void end_of_apic_interrupt();
// An interrupt of that vector on another CPU, which sees what was written
// before. False if it could not be sent.
bool send_interrupt(std::uint32_t apic_id, std::uint8_t vector);
[[nodiscard]] bool send_init(std::uint32_t apic_id);
[[nodiscard]] bool send_startup(std::uint32_t apic_id, std::uint64_t page);
bool send_nmi(std::uint32_t apic_id);

// --- the timer, as the hardware has it ---
void use_apic_timer_once(std::uint8_t vector);
void use_apic_timer_deadline(std::uint8_t vector);
void set_apic_timer_divide(std::uint32_t divide);
void start_apic_timer(std::uint32_t count);
[[nodiscard]] std::uint32_t apic_timer_left();

}  // namespace odo::x86
