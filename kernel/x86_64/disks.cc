// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/disks.h"

#include <array>

#include "kernel/x86_64/heap.h"
#include "kernel/x86_64/log.h"
#include "lib/base/check.h"

namespace odo::x86 {
namespace {

constexpr std::array<std::string_view, kMaxDisks> kNames{
    "vd0", "vd1", "vd2",  "vd3",  "vd4",  "vd5",  "vd6",  "vd7",
    "vd8", "vd9", "vd10", "vd11", "vd12", "vd13", "vd14", "vd15"};

// Of what a device shares: no cache line is anyone else's.
constexpr std::size_t kMemoryAlignment = 64;

constinit std::array<Disk*, kMaxDisks> disks{};
constinit std::size_t count = 0;

}  // namespace

bool add_disk(PciConfig& config, const pci::Function& function) {
  const auto where = [&] {
    log("odo: disk at ", Hex{function.address.bus, 2}, ":",
        Hex{function.address.device, 2}, ".",
        std::uint32_t{function.address.function});
  };
  if (count == kMaxDisks) {
    where();
    log(" left out: more than ", kMaxDisks, " disks\n");
    return false;
  }
  const auto transport = VirtioPci::open(config, function);
  if (!transport) {
    where();
    log(" left out: no modern virtio registers (disable-modern=on?)\n");
    return false;
  }
  KernelHeap& heap = kernel_heap();
  Disk* made = heap.make<Disk>(*transport, DriverGround{});
  const MutableBytes memory =
      heap.allocate_bytes(Disk::kMemoryBytes, kMemoryAlignment);
  if (made == nullptr || memory.empty()) {
    where();
    log(" left out: no memory for it\n");
    heap.destroy(made);
    heap.free(memory.data());
    return false;
  }
  const auto started = made->start(memory);
  if (!started) {
    where();
    log(" left out: ", virtio::describe(started.error()), "\n");
    // Its memory stays out: a device that did not even reset may write to it.
    heap.destroy(made);
    return false;
  }
  disks[count++] = made;
  return true;
}

std::size_t disk_count() { return count; }

Disk& disk(std::size_t index) {
  ODO_CHECK(index < count);
  return *disks[index];
}

std::string_view disk_name(std::size_t index) {
  ODO_CHECK(index < count);
  return kNames[index];
}

}  // namespace odo::x86
