// SPDX-License-Identifier: BSD-3-Clause
// The features of the processor that this hosted program runs on.
//
// Contexts: user mode under an operating system that saves the vector registers
//   of its threads; asks CPUID, and XGETBV for what the system has enabled.
// Cost: a few hundred cycles, and thousands under a hypervisor: ask once.
// Failure: none; what cannot be established is absent.
// Origin: Intel SDM volume 2A, CPUID leaves 1 and 7; volume 1, 13.3 (XCR0) and
//   15.2 (AVX-512 detection).
#pragma once

#include <cpuid.h>

#include <cstdint>

#include "lib/check/cpu.h"

namespace odo::check {

[[nodiscard]] inline CpuFeatures host_features() {
  const auto bit = [](std::uint32_t word, unsigned n) {
    return ((word >> n) & 1) != 0;
  };
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0) return {};
  CpuFeatures features = integer_features(c);
  const bool sse41 = bit(c, 19);
  features.carryless_multiply = bit(c, 1) && sse41;

  std::uint32_t enabled_state = 0;  // XCR0: which registers the system saves
  if (bit(c, 27)) {
    std::uint32_t high = 0;
    asm volatile("xgetbv" : "=a"(enabled_state), "=d"(high) : "c"(0));
  }
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return features;
  features.sha_instructions = bit(b, 29) && sse41;
  constexpr std::uint32_t kAvx512State = 0xe6;  // SSE, AVX, masks, ZMM
  features.wide_carryless_multiply =
      features.carryless_multiply && bit(c, 10) && bit(b, 16) && bit(b, 17) &&
      bit(b, 30) && bit(b, 31) &&
      (enabled_state & kAvx512State) == kAvx512State;
  return features;
}

}  // namespace odo::check
