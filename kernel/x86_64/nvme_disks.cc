// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/nvme_disks.h"

#include <cstddef>
#include <cstdint>

#include "kernel/x86_64/disks.h"
#include "kernel/x86_64/driver_ground.h"
#include "kernel/x86_64/heap.h"
#include "kernel/x86_64/pci_registers.h"
#include "lib/nvme/controller.h"
#include "lib/nvme/namespace.h"

namespace odo::x86 {
namespace {

using Controller = nvme::Controller<DeviceRegisters, DriverGround>;
using Namespace = nvme::Namespace<DeviceRegisters, DriverGround>;
static_assert(block::DiscardingDevice<Namespace>);

constinit std::uint32_t next_number = 0;

}  // namespace

bool start_nvme_disks(PciConfig& config, const pci::Function& function) {
  const auto registers = open_registers(config, function, 0);
  if (!registers) {
    tell_left_out(function, "", "it has no registers in memory");
    return false;
  }
  KernelHeap& heap = kernel_heap();
  Controller* const controller =
      heap.make<Controller>(*registers, DriverGround{});
  const MutableBytes memory =
      heap.allocate_bytes(Controller::kMemoryBytes, nvme::kPageBytes);
  if (controller == nullptr || memory.empty()) {
    tell_left_out(function, "", "no memory for it");
    heap.destroy(controller);
    heap.free(memory.data());
    return false;
  }
  if (const auto started = controller->start(memory); !started) {
    tell_left_out(function, "", nvme::describe(started.error()));
    // Its memory stays out: a device that did not even stop may write to it.
    heap.destroy(controller);
    return false;
  }
  const std::uint32_t number = next_number++;
  const nvme::ControllerIdentity& identity = controller->identity();
  bool has_any = false;
  bool is_first = true;
  const auto add_namespace = [&](std::uint32_t id,
                                 nvme::Result<nvme::NamespaceShape> shape) {
    DiskName name("nvme", number);
    if (!is_first) name.append("n").append(id);
    is_first = false;
    const DiskName unit = DiskName(" namespace ", id);
    if (!shape) {
      tell_left_out(function, unit.view(), nvme::describe(shape.error()));
      return true;
    }
    Namespace* const made = heap.make<Namespace>(*controller, id, *shape);
    if (made == nullptr) {
      tell_left_out(function, unit.view(), "no memory for it");
      return false;
    }
    const bool is_added = add_disk(
        function, name, {"nvme", identity.model.view(), identity.serial.view()},
        Disk(*made));
    has_any = has_any || is_added;
    return is_added;
  };
  if (const auto seen = controller->for_each_namespace(add_namespace); !seen) {
    tell_left_out(function, "", nvme::describe(seen.error()));
  }
  return has_any;
}

}  // namespace odo::x86
