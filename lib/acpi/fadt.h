// SPDX-License-Identifier: BSD-3-Clause
// The fixed table (FADT): where power control, reset and the power-management
// timer are, and where the DSDT is.
//
// Contexts: any. Pure.
// Failure: fields that a short (old) table lacks are absent, not guessed.
// Origin: ACPI specification 6.5 §5.2.9 (FADT), §5.2.3.2 (generic address).
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/acpi/tables.h"
#include "lib/base/bits.h"
#include "lib/base/bytes.h"

namespace odo::acpi {

enum class Space : std::uint8_t { kNone, kMemory, kPort, kPciConfig };

struct Register {
  Space space = Space::kNone;
  std::uint64_t address = 0;
};

struct PowerControl {
  Register pm1a_control;
  Register pm1b_control;
  Register reset;
  std::uint8_t reset_value = 0;
};

struct Fadt {
  PowerControl power;
  Register timer;                // the 3.579545 MHz counter
  bool timer_is_32_bit = false;  // else 24 bits
  std::uint64_t dsdt_address = 0;
};

inline constexpr std::uint32_t kPowerTimerHz = 3'579'545;

namespace detail {

// A 12-byte generic address; absent where it does not fit or is all zero.
[[nodiscard]] inline Register generic_address(Bytes table, std::size_t at) {
  if (!range_inside(at, 12, table.size())) return {};
  const auto address = load_le<std::uint64_t>(table.data() + at + 4);
  if (address == 0) return {};
  switch (load_le<std::uint8_t>(table.data() + at)) {
    case 0:
      return {Space::kMemory, address};
    case 1:
      return {Space::kPort, address};
    case 2:
      return {Space::kPciConfig, address};
    default:
      return {};
  }
}

// The extended field if it is there, else the port of the old 32-bit field.
[[nodiscard]] inline Register either(Bytes table, std::size_t extended_at,
                                     std::size_t port_at) {
  const Register extended = generic_address(table, extended_at);
  if (extended.space != Space::kNone) return extended;
  const auto port = read_le<std::uint32_t>(table, port_at);
  if (!port || *port == 0) return {};
  return {Space::kPort, *port};
}

}  // namespace detail

// `table` is a verified table with the signature "FACP".
[[nodiscard]] inline Fadt parse_fadt(Bytes table) {
  constexpr std::uint32_t kFlagTimer32 = 1u << 8;
  constexpr std::uint32_t kFlagReset = 1u << 10;
  Fadt fadt;
  fadt.power.pm1a_control = detail::either(table, 172, 64);
  fadt.power.pm1b_control = detail::either(table, 184, 68);
  fadt.timer = detail::either(table, 208, 76);
  const std::uint32_t flags = read_le<std::uint32_t>(table, 112).value_or(0);
  fadt.timer_is_32_bit = (flags & kFlagTimer32) != 0;
  if ((flags & kFlagReset) != 0 && table.size() > 128) {
    fadt.power.reset = detail::generic_address(table, 116);
    fadt.power.reset_value = load_le<std::uint8_t>(table.data() + 128);
  }
  fadt.dsdt_address = read_le<std::uint64_t>(table, 140).value_or(0);
  if (fadt.dsdt_address == 0) {
    fadt.dsdt_address = read_le<std::uint32_t>(table, 40).value_or(0);
  }
  return fadt;
}

}  // namespace odo::acpi
