// SPDX-License-Identifier: BSD-3-Clause
// Time by the cycle counter, whose speed is learnt without waiting: from the
// CPU where it tells, else by comparing two looks at ACPI's timer, or at the
// HPET where there is none, of which the second comes when somebody first asks.
//
// Contexts: start_clock() at boot; the rest any but NMI, on any CPU: the cycle
//   counters are taken to be one. Units: in the names.
// Failure: without CPU leaf, ACPI timer and HPET the PIT is asked, which costs
//   10 ms once; without that too the speed is 0 and all times are 0.
// Origin: Intel SDM vol. 3 §17.17; ACPI 6.5 §4.8.2.1 (timer); 8254 data sheet.
#pragma once

#include <cstdint>
#include <string_view>

#include "kernel/x86_64/firmware.h"

namespace odo::x86 {

// By what the speed is learnt.
enum class ClockSource : std::uint8_t { kAny, kCpu, kAcpi, kHpet, kPit };

// Takes the first look.
void start_clock(const Firmware& firmware, ClockSource only);

// Cycles in a second; 0 when it cannot be known.
[[nodiscard]] std::uint64_t tsc_hz();

// What has told it: cpu, acpi, hpet, pit or nothing. At boot.
[[nodiscard]] std::string_view clock_source();

// A span of the cycle counter.
[[nodiscard]] std::uint64_t tsc_to_ns(std::uint64_t cycles);

// Since power-on. Never goes back on a CPU, also where the counter's speed
// turns out to be another than it seemed.
[[nodiscard]] std::uint64_t uptime_ns();

}  // namespace odo::x86
