// SPDX-License-Identifier: BSD-3-Clause
// The registers of a PCI controller that lie in one base address register.
//
// Contexts: boot.
#pragma once

#include <cstddef>
#include <optional>

#include "kernel/x86_64/device_registers.h"
#include "kernel/x86_64/pci_config.h"
#include "lib/pci/config.h"

namespace odo::x86 {

// Maps and enables the registers behind base address register `bar`; nullopt
// where that is no memory, or firmware gave it no place.
[[nodiscard]] std::optional<DeviceRegisters> open_registers(
    PciConfig& config, const pci::Function& function, std::size_t bar);

}  // namespace odo::x86
