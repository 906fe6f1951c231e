// SPDX-License-Identifier: BSD-3-Clause
// The registers of a PCI controller that lie in one base address register.
// Satisfies driver::Registers.
//
// Contexts: thread. A value: copies reach the same device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "kernel/x86_64/pci_config.h"
#include "lib/driver/registers.h"
#include "lib/pci/config.h"

namespace odo::x86 {

class PciRegisters {
 public:
  // Maps and enables the registers behind base address register `bar`; nullopt
  // where that is no memory, or firmware gave it no place.
  [[nodiscard]] static std::optional<PciRegisters> open(
      PciConfig& config, const pci::Function& function, std::size_t bar);

  [[nodiscard]] std::uint32_t read32(std::uint32_t offset) const;
  void write32(std::uint32_t offset, std::uint32_t value) const;
  [[nodiscard]] std::uint64_t size_bytes() const { return size_bytes_; }

 private:
  PciRegisters(volatile std::byte* base, std::uint64_t size_bytes)
      : base_(base), size_bytes_(size_bytes) {}

  volatile std::byte* base_;
  std::uint64_t size_bytes_;
};

static_assert(driver::Registers<PciRegisters>);

}  // namespace odo::x86
