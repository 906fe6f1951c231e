// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/pci_registers.h"

#include <algorithm>

#include "kernel/x86_64/paging.h"
#include "lib/base/bits.h"
#include "lib/pci/bars.h"

namespace odo::x86 {
namespace {

// Controllers put buffers and tables for interrupts behind their registers.
constexpr std::uint64_t kMostBytes = 64 * 1024;

}  // namespace

std::optional<PciRegisters> PciRegisters::open(PciConfig& config,
                                               const pci::Function& function,
                                               std::size_t bar) {
  const pci::Bar where = pci::read_bars(config, function)[bar];
  const bool is_memory = where.kind == pci::BarKind::kMemory32 ||
                         where.kind == pci::BarKind::kMemory64;
  if (!is_memory || where.base == 0 ||
      !checked_add(where.base, where.size_bytes)) {
    return std::nullopt;
  }
  const std::uint64_t size_bytes = std::min(where.size_bytes, kMostBytes);
  volatile std::byte* const base = map_device(where.base, size_bytes);
  if (base == nullptr) return std::nullopt;
  pci::change_command(
      config, function.address,
      pci::kCommandMemory | pci::kCommandBusMaster | pci::kCommandNoIntx, 0);
  return PciRegisters(base, size_bytes);
}

std::uint32_t PciRegisters::read32(std::uint32_t offset) const {
  if (!range_inside(offset, sizeof(std::uint32_t), size_bytes_)) {
    return driver::kGone;
  }
  return *reinterpret_cast<volatile std::uint32_t*>(base_ + offset);
}

void PciRegisters::write32(std::uint32_t offset, std::uint32_t value) const {
  if (!range_inside(offset, sizeof(value), size_bytes_)) return;
  *reinterpret_cast<volatile std::uint32_t*>(base_ + offset) = value;
}

}  // namespace odo::x86
