// SPDX-License-Identifier: BSD-3-Clause
// The MCFG table: where PCI Express configuration space is mapped in memory.
//
// Contexts: any. Pure.
// Failure: entries with no bus or with an address that would wrap are left out.
// Origin: PCI Firmware Specification 3.2 §4.1.2.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/acpi/tables.h"
#include "lib/base/bits.h"
#include "lib/base/bytes.h"

namespace odo::acpi {

// Bus `first_bus` begins at base + first_bus MiB, as the specification counts.
struct EcamRegion {
  std::uint64_t base;
  std::uint16_t segment;
  std::uint8_t first_bus;
  std::uint8_t last_bus;
};

class EcamRegions {
 public:
  static constexpr std::size_t kMaxRegions = 16;

  // `table` is a verified table with the signature "MCFG".
  explicit EcamRegions(Bytes table) {
    constexpr std::size_t kFirst = kTableHeaderBytes + 8;
    constexpr std::size_t kEntryBytes = 16;
    for (std::size_t at = kFirst;
         count_ < kMaxRegions && range_inside(at, kEntryBytes, table.size());
         at += kEntryBytes) {
      const std::byte* entry = table.data() + at;
      const EcamRegion region{
          load_le<std::uint64_t>(entry), load_le<std::uint16_t>(entry + 8),
          load_le<std::uint8_t>(entry + 10), load_le<std::uint8_t>(entry + 11)};
      if (region.base == 0 || region.base % (std::uint64_t{1} << 20) != 0 ||
          region.first_bus > region.last_bus ||
          !checked_add(region.base, std::uint64_t{256} << 20)) {
        continue;
      }
      regions_[count_++] = region;
    }
  }

  [[nodiscard]] std::span<const EcamRegion> all() const {
    return {regions_.data(), count_};
  }

 private:
  std::array<EcamRegion, kMaxRegions> regions_{};
  std::size_t count_ = 0;
};

}  // namespace odo::acpi
