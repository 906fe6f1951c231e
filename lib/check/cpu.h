// SPDX-License-Identifier: BSD-3-Clause
// What a processor offers to check codes: the policy from which checks.h and
// vector/vector_checks.h choose their versions.
//
// The ground that knows the processor fills it in: a kernel from the CPUID leaf
// that it has read anyway (integer_features), a hosted program with
// host_features() of vector/host_cpu.h. All false is always right, only slower.
//
// Contexts: any. Pure; runs no instruction of its own.
#pragma once

#include <cstdint>

namespace odo::check {

struct CpuFeatures {
  // General-purpose registers only.
  bool crc32_instruction = false;  // SSE4.2's CRC32
  // From here on the versions touch vector registers: set only where the caller
  // may use those, which a kernel at an arbitrary point may not.
  bool carryless_multiply = false;       // PCLMULQDQ and SSE4.1
  bool wide_carryless_multiply = false;  // VPCLMULQDQ and AVX-512 F, VL, BW, DQ
  bool sha_instructions = false;         // SHA extensions and SSE4.1

  bool operator==(const CpuFeatures&) const = default;
};

// The features that use integer registers alone, from ECX of CPUID leaf 1.
[[nodiscard]] constexpr CpuFeatures integer_features(std::uint32_t leaf1_ecx) {
  return {.crc32_instruction = ((leaf1_ecx >> 20) & 1) != 0};
}

}  // namespace odo::check
