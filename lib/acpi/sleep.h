// SPDX-License-Identifier: BSD-3-Clause
// The sleep type that turns the machine off, found in the DSDT's byte code
// without interpreting it: the package that is named _S5_.
//
// Contexts: any. Pure.
// Failure: nullopt where the name is missing or is not a package of constants,
//   which is how every firmware writes it.
// Complexity: linear in the DSDT.
// Origin: ACPI specification 6.5 §7.4.2 (_Sx), §20.2 (AML: DefName, DefPackage,
//   PkgLength, ComputationalData).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "lib/acpi/tables.h"
#include "lib/base/bytes.h"

namespace odo::acpi {

// Written to bits 12–10 of the PM1 control registers, with bit 13 to enter.
struct SleepType {
  std::uint8_t pm1a;
  std::uint8_t pm1b;
};

inline constexpr std::uint16_t kSleepEnable = 1u << 13;

[[nodiscard]] constexpr std::uint16_t sleep_control(std::uint8_t type) {
  return static_cast<std::uint16_t>((type & 7u) << 10 | kSleepEnable);
}

namespace detail {

// Takes one integer constant of AML off the front of `code`.
[[nodiscard]] inline std::optional<std::uint64_t> take_constant(Bytes& code) {
  if (code.empty()) return std::nullopt;
  const auto prefix = load_le<std::uint8_t>(code.data());
  code = code.subspan(1);
  std::size_t width = 0;
  switch (prefix) {
    case 0x00:  // ZeroOp
      return 0;
    case 0x01:  // OneOp
      return 1;
    case 0x0a:  // BytePrefix
      width = 1;
      break;
    case 0x0b:  // WordPrefix
      width = 2;
      break;
    case 0x0c:  // DWordPrefix
      width = 4;
      break;
    default:
      return std::nullopt;
  }
  if (code.size() < width) return std::nullopt;
  std::uint64_t value = 0;
  for (std::size_t i = width; i-- > 0;) {
    value = value << 8 | std::to_integer<std::uint64_t>(code[i]);
  }
  code = code.subspan(width);
  return value;
}

// `code` begins behind the name.
[[nodiscard]] inline std::optional<SleepType> parse_sleep_package(Bytes code) {
  constexpr std::byte kPackageOp{0x12};
  if (code.size() < 2 || code[0] != kPackageOp) return std::nullopt;
  // Bits 7–6 of the first length byte say how many more there are.
  const std::size_t length_bytes =
      1 + (std::to_integer<unsigned>(code[1]) >> 6);
  if (code.size() < 1 + length_bytes + 1) return std::nullopt;
  const unsigned elements = std::to_integer<unsigned>(code[1 + length_bytes]);
  code = code.subspan(1 + length_bytes + 1);
  if (elements == 0) return std::nullopt;
  const auto first = take_constant(code);
  if (!first || *first > 7) return std::nullopt;
  SleepType type{static_cast<std::uint8_t>(*first), 0};
  if (elements > 1) {
    const auto second = take_constant(code);
    if (!second || *second > 7) return std::nullopt;
    type.pm1b = static_cast<std::uint8_t>(*second);
  }
  return type;
}

}  // namespace detail

// `dsdt` is the whole verified table.
[[nodiscard]] inline std::optional<SleepType> find_power_off_type(Bytes dsdt) {
  constexpr std::string_view kName = "_S5_";
  constexpr std::byte kNameOp{0x08};
  for (std::size_t at = kTableHeaderBytes; at + kName.size() < dsdt.size();
       ++at) {
    if (!detail::starts_with(dsdt.subspan(at), kName)) continue;
    // A definition: NameOp, perhaps a root prefix, the name.
    const bool is_defined =
        dsdt[at - 1] == kNameOp ||
        (dsdt[at - 1] == std::byte{'\\'} && dsdt[at - 2] == kNameOp);
    if (!is_defined) continue;
    const auto type =
        detail::parse_sleep_package(dsdt.subspan(at + kName.size()));
    if (type) return type;
  }
  return std::nullopt;
}

}  // namespace odo::acpi
