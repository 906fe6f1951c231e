// SPDX-License-Identifier: BSD-3-Clause
// Faults on demand: the boot option `test=NAME` makes the kernel fail in a
// known way once it is up, so that its report can be tested.
//
// Names: pagefault (reads where nothing is), ud (an undefined instruction),
// doublefault (a fault with no stack to stand on), nx (executes data), wp
// (writes its own text), stackguard (recurses off its stack), panic (a broken
// invariant), gp (an address that is no address), nullcall (calls nothing).
//
// Contexts: boot, thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace odo::kernel {

// Does not come back. An unknown name stops the machine with the list. A test
// that goes on for a while does so for so many seconds.
[[noreturn]] void run_fault_test(std::string_view name, std::uint64_t seconds);

}  // namespace odo::kernel
