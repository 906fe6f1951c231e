// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/ahci_disks.h"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "kernel/x86_64/disks.h"
#include "kernel/x86_64/driver_ground.h"
#include "kernel/x86_64/heap.h"
#include "kernel/x86_64/pci_registers.h"
#include "lib/ahci/cd_drive.h"
#include "lib/ahci/disk.h"
#include "lib/ahci/hba.h"
#include "lib/ahci/port.h"

namespace odo::x86 {
namespace {

using Hba = ahci::Hba<DeviceRegisters, DriverGround>;
using Port = ahci::Port<DeviceRegisters, DriverGround>;
using SataDisk = ahci::Disk<DeviceRegisters, DriverGround>;
using CdDrive = ahci::CdDrive<DeviceRegisters, DriverGround>;
static_assert(block::DiscardingDevice<SataDisk>);

// The registers' place among the base addresses.
constexpr std::size_t kBar = 5;

constinit std::uint32_t next_disk = 0;
constinit std::uint32_t next_cd = 0;

// What messages are about.
struct Place {
  const pci::Function& function;
  DiskName unit;  // " port 2"

  void tell(std::string_view why) const {
    tell_left_out(function, unit.view(), why);
  }
};

// Makes a driver with its arguments, starts it and gives it to `add`.
template <class Driver, class Add, class... Args>
void start_device(const Place& place, Add add, Args&&... args) {
  Driver* const made = kernel_heap().make<Driver>(std::forward<Args>(args)...);
  if (made == nullptr) {
    place.tell("no memory for it");
    return;
  }
  if (const auto started = made->start(); !started) {
    place.tell(ahci::describe(started.error()));
    kernel_heap().destroy(made);
    return;
  }
  add(*made);
}

void start_port(const Place& place, Port& port, std::uint32_t signature) {
  const auto facts = [](const ahci::Names& names, std::string_view driver) {
    return DiskFacts{driver, names.model.view(), names.serial.view()};
  };
  if (signature == ahci::kSignatureDisk) {
    start_device<SataDisk>(
        place,
        [&](SataDisk& disk) {
          add_disk(place.function, DiskName("ad", next_disk++),
                   facts(disk.identity().names, "ahci"), Disk(disk));
        },
        port);
  } else if (signature == ahci::kSignaturePacket) {
    start_device<CdDrive>(
        place,
        [&](CdDrive& drive) {
          add_disk(place.function, DiskName("cd", next_cd++),
                   facts(drive.names(), "ahci-cd"), Disk(drive));
        },
        port, DriverGround{});
  } else {
    place.tell(ahci::describe(ahci::Error::kOtherDevice));
  }
}

}  // namespace

bool start_ahci_disks(PciConfig& config, const pci::Function& function) {
  const auto registers = open_registers(config, function, kBar);
  if (!registers) {
    tell_left_out(function, "", "it has no registers in memory");
    return false;
  }
  Hba hba(*registers, DriverGround{});
  if (const auto started = hba.start(); !started) {
    tell_left_out(function, "", ahci::describe(started.error()));
    return false;
  }
  KernelHeap& heap = kernel_heap();
  std::uint32_t links = hba.links();
  for (std::uint32_t number = 0; links != 0; ++number, links >>= 1) {
    if ((links & 1) == 0) continue;
    const Place place{function, DiskName(" port ", number)};
    Port* const port =
        heap.make<Port>(*registers, DriverGround{}, number, hba.shape());
    const MutableBytes memory =
        heap.allocate_bytes(Port::kMemoryBytes, Port::kPageBytes);
    if (port == nullptr || memory.empty()) {
      place.tell("no memory for it");
      heap.destroy(port);
      heap.free(memory.data());
      continue;
    }
    const auto signature = port->start(memory);
    if (!signature) {
      place.tell(ahci::describe(signature.error()));
      // Its memory stays out: a port that did not even stop may write to it.
      heap.destroy(port);
      continue;
    }
    start_port(place, *port, *signature);
  }
  return true;
}

}  // namespace odo::x86
