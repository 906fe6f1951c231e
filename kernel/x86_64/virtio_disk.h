// SPDX-License-Identifier: BSD-3-Clause
// virtio-blk on PCI: vd0, vd1, … in the order of their addresses.
//
// Contexts: boot.
// Failure: a disk that does not start is told on the console and left out.
#pragma once

#include "kernel/x86_64/pci_config.h"
#include "lib/pci/config.h"

namespace odo::x86 {

// True when the disk at `function` works.
bool start_virtio_disk(PciConfig& config, const pci::Function& function);

}  // namespace odo::x86
