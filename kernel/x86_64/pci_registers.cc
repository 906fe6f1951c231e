// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/pci_registers.h"

#include <algorithm>

#include "lib/base/bits.h"
#include "lib/pci/bars.h"

namespace odo::x86 {
namespace {

// Controllers put buffers and tables for interrupts behind their registers.
constexpr std::uint64_t kMostBytes = 64 * 1024;

}  // namespace

std::optional<DeviceRegisters> open_registers(PciConfig& config,
                                              const pci::Function& function,
                                              std::size_t bar) {
  const pci::Bar where = pci::read_bars(config, function)[bar];
  const bool is_memory = where.kind == pci::BarKind::kMemory32 ||
                         where.kind == pci::BarKind::kMemory64;
  if (!is_memory || where.base == 0 ||
      !checked_add(where.base, where.size_bytes)) {
    return std::nullopt;
  }
  const auto registers =
      DeviceRegisters::map(where.base, std::min(where.size_bytes, kMostBytes));
  if (registers) {
    pci::change_command(
        config, function.address,
        pci::kCommandMemory | pci::kCommandBusMaster | pci::kCommandNoIntx, 0);
  }
  return registers;
}

}  // namespace odo::x86
