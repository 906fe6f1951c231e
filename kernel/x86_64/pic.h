// SPDX-License-Identifier: BSD-3-Clause
// The two 8259 interrupt controllers, behind the local APIC's first pin: what
// serves machines without an I/O APIC, and is masked on the others. The way to
// the CPU is the local APIC's (local_apic.h).
//
// Contexts: boot and interrupt, one CPU, interrupts off.
// Origin: Intel 8259A data sheet.
#pragma once

namespace odo::x86 {

// Moves the lines away from the exceptions and masks them all.
void mask_pics();
// Lets `line` (0–7) through.
void unmask_pic_line(unsigned line);
// Ends the interrupt of `line` (0–15), if it was one: a line that drops before
// it is taken shows as the last one of its controller, and is none.
void acknowledge_pic(unsigned line);

}  // namespace odo::x86
