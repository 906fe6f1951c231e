// SPDX-License-Identifier: BSD-3-Clause
// NVMe controllers on PCI. The first namespace that a controller has is nvme0,
// nvme1, … in the order of the controllers' addresses; any other one has its
// identifier behind that, as in nvme0n2.
//
// Contexts: boot.
// Failure: a controller that does not start, and a namespace that cannot be
//   used, are told on the console and left out.
#pragma once

#include "kernel/x86_64/pci_config.h"
#include "lib/pci/config.h"

namespace odo::x86 {

// True when a namespace of the controller at `function` works.
bool start_nvme_disks(PciConfig& config, const pci::Function& function);

}  // namespace odo::x86
