// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/virtio_disk.h"

#include <cstdint>

#include "kernel/x86_64/disks.h"
#include "kernel/x86_64/driver_ground.h"
#include "kernel/x86_64/heap.h"
#include "kernel/x86_64/virtio_pci.h"
#include "lib/block/device.h"
#include "lib/virtio/block_driver.h"

namespace odo::x86 {
namespace {

using Driver = virtio::BlockDriver<VirtioPci, DriverGround>;
static_assert(block::WritableBlockDevice<Driver>);

// Of what a device shares: no cache line is anyone else's.
constexpr std::size_t kMemoryAlignment = 64;

constinit std::uint32_t next_number = 0;

}  // namespace

bool start_virtio_disk(PciConfig& config, const pci::Function& function) {
  const auto transport = VirtioPci::open(config, function);
  if (!transport) {
    tell_left_out(function, "",
                  "no modern virtio registers (disable-modern=on?)");
    return false;
  }
  KernelHeap& heap = kernel_heap();
  Driver* const made = heap.make<Driver>(*transport, DriverGround{});
  const MutableBytes memory =
      heap.allocate_bytes(Driver::kMemoryBytes, kMemoryAlignment);
  if (made == nullptr || memory.empty()) {
    tell_left_out(function, "", "no memory for it");
    heap.destroy(made);
    heap.free(memory.data());
    return false;
  }
  const auto started = made->start(memory);
  if (!started) {
    tell_left_out(function, "", virtio::describe(started.error()));
    // Its memory stays out: a device that did not even reset may write to it.
    heap.destroy(made);
    return false;
  }
  return add_disk(function, DiskName("vd", next_number++),
                  {"virtio-blk", {}, made->serial()}, Disk(*made));
}

}  // namespace odo::x86
