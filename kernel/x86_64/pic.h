// SPDX-License-Identifier: BSD-3-Clause
// The two 8259 interrupt controllers, behind the local APIC's first pin.
//
// Contexts: boot and interrupt, one CPU, interrupts off.
// Origin: Intel 8259A data sheet; Intel SDM vol. 3 §10.5.1 (LINT0 as ExtINT).
#pragma once

namespace odo::x86 {

inline constexpr unsigned kPicFirstVector = 32;
inline constexpr unsigned kConsoleLine = 4;  // COM1

// Moves the lines away from the exceptions and masks them all.
void init_pic();
// Lets `line` (0–7) through.
void unmask_pic_line(unsigned line);
// Ends the interrupt in service on `line` (0–7).
void acknowledge_pic();

}  // namespace odo::x86
