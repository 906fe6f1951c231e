// SPDX-License-Identifier: BSD-3-Clause
// Random bytes for names that must not come twice: the CPU's own where it has
// some, mixed with the time and the cycle counter.
//
// Not for secrets: a CPU without RDRAND has only its clocks to tell.
//
// Contexts: any but NMI.
// Failure: none.
// Origin: Intel SDM vol. 1 §7.3.17 (RDRAND).
#pragma once

#include "lib/base/bytes.h"

namespace odo::x86 {

void fill_random(MutableBytes to);

}  // namespace odo::x86
