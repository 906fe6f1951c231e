// SPDX-License-Identifier: BSD-3-Clause
// Ending the machine: with a status under QEMU, by ACPI elsewhere, and by
// every older way to restart that there is.
//
// Contexts: stop_machine() any, including panic; the others thread. The calls
//   that return say that nothing worked.
// Units: a status is 0–255, of which QEMU can carry 0–127: larger ones become
//   127. A status other than 0 goes to QEMU's isa-debug-exit (iobase 0xf4),
//   which ends QEMU with (status << 1) | 1; 0 is an ordinary ACPI power-off,
//   after which QEMU ends with 0.
// Origin: ACPI 6.5 §4.8.3.2.1 (PM1 control), §4.8.3.6 (reset register);
//   QEMU hw/misc/debugexit.c.
#pragma once

#include <cstdint>

#include "lib/acpi/fadt.h"

namespace odo::x86 {

// What ACPI said about power; without it, less works.
void set_power_control(const acpi::Fadt& fadt);

// After a failure: ends QEMU with the status; elsewhere halts for ever, so that
// what was printed can be read.
[[noreturn]] void stop_machine(std::uint8_t status);

// Returns only when there is no way.
void power_off(std::uint8_t status);
void reset_machine();

}  // namespace odo::x86
