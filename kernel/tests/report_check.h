// SPDX-License-Identifier: BSD-3-Clause
// `test=report`: a broken invariant in a thread of CPU 0, while another thread
// has the last CPU and does nothing but spin.
//
// Contexts: boot, once, instead of all that comes after.
#pragma once

namespace odo::kernel {

[[noreturn]] void report_from_thread();

}  // namespace odo::kernel
