// SPDX-License-Identifier: BSD-3-Clause
// The list of a PCI function's capabilities.
//
// Contexts, Failure, Origin: see config.h. A list that leaves its area or comes
//   back to a place where it was ends there.
#pragma once

#include <cstdint>
#include <optional>

#include "lib/pci/config.h"

namespace odo::pci {

enum class CapabilityId : std::uint8_t {
  kMsi = 0x05,
  kVendor = 0x09,
  kMsix = 0x11,
};

// Calls `visit(CapabilityId, offset)` for each capability in the list's order,
// until it answers false.
template <ConfigSpace C, class Visitor>
void for_each_capability(C& space, const Address& at, Visitor&& visit) {
  constexpr std::uint16_t kStatusHasList = 1u << 4;
  if ((read16(space, at, 0x06) & kStatusHasList) == 0) return;
  std::uint64_t seen = 0;  // one bit for each of the 64 aligned places
  std::uint8_t offset = read8(space, at, 0x34) & 0xfc;
  while (offset >= 0x40 && (seen >> (offset / 4) & 1) == 0) {
    seen |= std::uint64_t{1} << (offset / 4);
    const std::uint16_t head = read16(space, at, offset);
    if (!visit(static_cast<CapabilityId>(head & 0xff), offset)) return;
    offset = static_cast<std::uint8_t>(head >> 8) & 0xfc;
  }
}

template <ConfigSpace C>
[[nodiscard]] std::optional<std::uint8_t> find_capability(C& space,
                                                          const Address& at,
                                                          CapabilityId id) {
  std::optional<std::uint8_t> found;
  for_each_capability(space, at, [&](CapabilityId each, std::uint8_t offset) {
    if (each != id) return true;
    found = offset;
    return false;
  });
  return found;
}

// MSI-X: interrupts as memory writes, one table entry each.
struct Msix {
  std::uint8_t offset;  // of the capability
  std::uint16_t entries;
  std::uint8_t table_bar;
  std::uint32_t table_offset;
};

template <ConfigSpace C>
[[nodiscard]] std::optional<Msix> find_msix(C& space, const Address& at) {
  const auto offset = find_capability(space, at, CapabilityId::kMsix);
  // The structure is 12 bytes and must end inside configuration space.
  if (!offset || *offset > 256 - 12) return std::nullopt;
  const std::uint32_t head = space.read32(at, *offset);
  const std::uint32_t table =
      space.read32(at, static_cast<std::uint16_t>(*offset + 4));
  const auto bar = static_cast<std::uint8_t>(table & 7);
  if (bar > 5) return std::nullopt;
  return Msix{*offset, static_cast<std::uint16_t>((head >> 16 & 0x7ff) + 1),
              bar, table & ~7u};
}

inline constexpr std::uint32_t kMsixEntryBytes = 16;

enum class MsixState : std::uint8_t { kOff, kOn };

template <ConfigSpace C>
void set_msix(C& space, const Address& at, const Msix& msix, MsixState state) {
  constexpr std::uint16_t kEnable = 1u << 15;
  constexpr std::uint16_t kMaskAll = 1u << 14;
  const auto control = static_cast<std::uint16_t>(msix.offset + 2);
  const unsigned old =
      read16(space, at, control) & ~unsigned{kEnable | kMaskAll};
  space.write16(at, control,
                static_cast<std::uint16_t>(
                    old | (state == MsixState::kOn ? kEnable : 0u)));
}

}  // namespace odo::pci
