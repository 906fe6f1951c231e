// SPDX-License-Identifier: BSD-3-Clause
// Errors that a processor finds in itself, in caches, buses and memory: its
// banks switched on, and read out when it says so.
//
// Contexts: enable_machine_checks() on each CPU, once, when traps are taken;
//   print_machine_check() in the report of one.
// Failure: a CPU without banks reports by the exception alone, or not at all.
// Limits: corrected errors make no exception, and nobody asks for them; they
//   are in the banks when another error is told.
// Origin: Intel SDM vol. 3 §16.3, §16.8 (initialisation).
#pragma once

namespace odo::x86 {

// Errors from before the machine was last reset are told, and forgotten.
void enable_machine_checks();

// What the banks of this CPU say, a line each.
void print_machine_check();

}  // namespace odo::x86
