// SPDX-License-Identifier: BSD-3-Clause
// The best versions of the check codes for a hosted program, vector registers
// included. A kernel includes checks.h alone.
//
//   check::Checks checks(check::vector_engines(check::host_features()));
//
// Contexts: user mode. See checks.h.
#pragma once

#include "lib/check/checks.h"
#include "lib/check/cpu.h"
#include "lib/check/vector/crc_carryless.h"
#include "lib/check/vector/host_cpu.h"
#include "lib/check/vector/sha256_ni.h"

namespace odo::check {

[[nodiscard]] inline Engines vector_engines(const CpuFeatures& features) {
  Engines engines = integer_engines(features);
  if (features.carryless_multiply) {
    engines.crc32.function = &CarrylessCrc<Polynomial::kIeee>::extend;
  }
  if (features.wide_carryless_multiply) {
    engines.crc32.function = &WideCarrylessCrc<Polynomial::kIeee>::extend;
    // Its short ranges use the CRC32 instruction.
    if (features.crc32_instruction) {
      engines.crc32c.function =
          &WideCarrylessCrc<Polynomial::kCastagnoli>::extend;
    }
  }
  if (features.sha_instructions) {
    engines.sha256.function = &Sha256Instructions::compress;
  }
  return engines;
}

}  // namespace odo::check
