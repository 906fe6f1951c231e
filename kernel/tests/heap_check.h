// SPDX-License-Identifier: BSD-3-Clause
// The kernel's heap under load, on the booted machine: objects of all sizes
// keep what is written to them, all of the RAM can be had, and all of it comes
// back.
//
// Contexts: thread, one CPU.
// Failure: a broken promise panics.
#pragma once

namespace odo::kernel {

// Prints one line with what it did, and turns the machine off.
void check_heap();

}  // namespace odo::kernel
