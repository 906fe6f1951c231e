// SPDX-License-Identifier: BSD-3-Clause
// SATA on PCI: disks are ad0, ad1, …, CD and DVD drives with a medium cd0,
// cd1, …, in the order of their controllers' addresses and of the ports.
//
// Contexts: boot.
// Failure: a controller that does not start, and a device that cannot be used,
//   are told on the console and left out.
#pragma once

#include "kernel/x86_64/pci_config.h"
#include "lib/pci/config.h"

namespace odo::x86 {

// True when the controller at `function` works, whatever hangs on it.
bool start_ahci_disks(PciConfig& config, const pci::Function& function);

}  // namespace odo::x86
