// SPDX-License-Identifier: BSD-3-Clause
// PCI configuration space through ports 0xCF8/0xCFC, or in memory (ECAM) where
// ACPI says where.
//
// Contexts: one thread. Satisfies pci::ConfigSpace.
// Failure: an address that no region covers reads as all ones.
// Origin: PCI Local Bus Specification 3.0 §3.2.2.3.2 (ports); PCI Express Base
//   Specification §7.2.2 (ECAM).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel/x86_64/cpu.h"
#include "lib/pci/config.h"

namespace odo::x86 {

class PciConfig {
 public:
  // From now on one bus range lies in memory, mapped at `base` for first_bus.
  void use_ecam(volatile std::byte* base, std::uint16_t segment,
                std::uint8_t first_bus, std::uint8_t last_bus) {
    ecam_ = base;
    segment_ = segment;
    first_bus_ = first_bus;
    last_bus_ = last_bus;
  }
  [[nodiscard]] bool uses_ecam() const { return ecam_ != nullptr; }

  [[nodiscard]] std::uint32_t read32(const pci::Address& at,
                                     std::uint16_t offset) {
    if (ecam_ != nullptr) {
      volatile std::byte* p = locate(at, offset);
      return p == nullptr ? 0xffffffff
                          : *reinterpret_cast<volatile std::uint32_t*>(p);
    }
    if (at.segment != 0) return 0xffffffff;
    out32(kSelectPort, select(at, offset));
    return in32(kDataPort);
  }

  void write32(const pci::Address& at, std::uint16_t offset,
               std::uint32_t value) {
    if (ecam_ != nullptr) {
      volatile std::byte* p = locate(at, offset);
      if (p != nullptr) *reinterpret_cast<volatile std::uint32_t*>(p) = value;
      return;
    }
    if (at.segment != 0) return;
    out32(kSelectPort, select(at, offset));
    out32(kDataPort, value);
  }

  void write16(const pci::Address& at, std::uint16_t offset,
               std::uint16_t value) {
    if (ecam_ != nullptr) {
      volatile std::byte* p = locate(at, offset);
      if (p != nullptr) *reinterpret_cast<volatile std::uint16_t*>(p) = value;
      return;
    }
    if (at.segment != 0) return;
    out32(kSelectPort, select(at, offset));
    out16(static_cast<std::uint16_t>(kDataPort + (offset & 2)), value);
  }

 private:
  static constexpr std::uint16_t kSelectPort = 0xcf8;
  static constexpr std::uint16_t kDataPort = 0xcfc;

  [[nodiscard]] static std::uint32_t select(const pci::Address& at,
                                            std::uint16_t offset) {
    return 0x80000000u | std::uint32_t{at.bus} << 16 |
           std::uint32_t{at.device} << 11 | std::uint32_t{at.function} << 8 |
           (offset & 0xfcu);
  }

  [[nodiscard]] volatile std::byte* locate(const pci::Address& at,
                                           std::uint16_t offset) {
    if (at.segment != segment_ || at.bus < first_bus_ || at.bus > last_bus_) {
      return nullptr;
    }
    return ecam_ + (std::size_t{at.bus} - first_bus_) * 0x100000 +
           std::size_t{at.device} * 0x8000 + std::size_t{at.function} * 0x1000 +
           offset;
  }

  volatile std::byte* ecam_ = nullptr;
  std::uint16_t segment_ = 0;
  std::uint8_t first_bus_ = 0;
  std::uint8_t last_bus_ = 0;
};

static_assert(pci::ConfigSpace<PciConfig>);

}  // namespace odo::x86
