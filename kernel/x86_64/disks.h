// SPDX-License-Identifier: BSD-3-Clause
// The machine's virtio disks: vd0, vd1, … in the order of their PCI addresses.
//
// Contexts: boot, then one thread.
// Ownership: disks live as long as the kernel.
// Failure: a disk that does not start is told on the console and left out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernel/x86_64/driver_ground.h"
#include "kernel/x86_64/pci_config.h"
#include "kernel/x86_64/virtio_pci.h"
#include "lib/block/device.h"
#include "lib/virtio/block_driver.h"

namespace odo::x86 {

using Disk = virtio::BlockDriver<VirtioPci, DriverGround>;
static_assert(block::WritableBlockDevice<Disk>);

inline constexpr std::size_t kMaxDisks = 16;

// Starts the disk at `function`. False, and told, when it does not start.
bool add_disk(PciConfig& config, const pci::Function& function);

[[nodiscard]] std::size_t disk_count();
[[nodiscard]] Disk& disk(std::size_t index);
[[nodiscard]] std::string_view disk_name(std::size_t index);

}  // namespace odo::x86
