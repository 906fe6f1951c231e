// SPDX-License-Identifier: BSD-3-Clause
// The HPET table: where the high precision event timer's registers are.
//
// Contexts: any. Pure.
// Failure: absent where the table is too short, or the registers are not in
//   memory at an address that a page of them can be at.
// Origin: IA-PC HPET Specification 1.0a §3.2.4.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "lib/acpi/fadt.h"
#include "lib/base/bits.h"
#include "lib/base/bytes.h"

namespace odo::acpi {

inline constexpr std::uint64_t kHpetBytes = 1024;

// `table` is a verified table with the signature "HPET".
[[nodiscard]] inline std::optional<std::uint64_t> hpet_address(Bytes table) {
  constexpr std::size_t kAddressAt = 40;
  const Register base = detail::generic_address(table, kAddressAt);
  if (base.space != Space::kMemory || !is_aligned(base.address, kHpetBytes) ||
      !checked_add(base.address, kHpetBytes)) {
    return std::nullopt;
  }
  return base.address;
}

}  // namespace odo::acpi
