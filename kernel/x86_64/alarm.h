// SPDX-License-Identifier: BSD-3-Clause
// One interrupt at a later time, by the PIT, which every PC has: ends a halt.
//
// Contexts: thread, one CPU.
// Units: in the names. The longest wait is kLongestAlarmNs; who wants a longer
//   one sets it again.
// Failure: none that shows: without a PIT no interrupt comes.
// Origin: 8254 data sheet (channel 0, mode 0).
#pragma once

#include <cstdint>

namespace odo::x86 {

inline constexpr std::uint64_t kLongestAlarmNs = 50'000'000;

// After init_pic().
void init_alarm();
// In place of the one that is set.
void set_alarm(std::uint64_t after_ns);

}  // namespace odo::x86
