// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/devices.h"

#include <array>

#include "kernel/x86_64/ahci_disks.h"
#include "kernel/x86_64/nvme_disks.h"
#include "kernel/x86_64/paging.h"
#include "kernel/x86_64/pci_config.h"
#include "kernel/x86_64/run_output.h"
#include "kernel/x86_64/virtio_disk.h"
#include "lib/base/check.h"
#include "lib/virtio/pci_layout.h"

namespace odo::x86 {
namespace {

constinit PciConfig pci_config{};
constinit std::array<FoundFunction, kMaxFunctions> found{};
constinit std::size_t found_count = 0;

void use_ecam(const acpi::EcamRegion& region) {
  constexpr std::uint64_t kBusBytes = std::uint64_t{1} << 20;
  const std::uint64_t buses = region.last_bus - region.first_bus + 1u;
  volatile std::byte* const base =
      map_device(region.base + region.first_bus * kBusBytes, buses * kBusBytes);
  // Without it the ports still reach what matters.
  if (base == nullptr) return;
  pci_config.use_ecam(base, region.segment, region.first_bus, region.last_bus);
}

// Base class, sub-class, interface.
constexpr std::uint32_t kAhciClass = 0x010601;
constexpr std::uint32_t kNvmeClass = 0x010802;

[[nodiscard]] bool is_class(const pci::Function& function,
                            std::uint32_t wanted) {
  return wanted ==
         (std::uint32_t{function.base_class} << 16 |
          std::uint32_t{function.sub_class} << 8 | function.interface);
}

[[nodiscard]] std::string_view start_driver(const pci::Function& function) {
  if (virtio::is_virtio(function, virtio::DeviceKind::kConsole)) {
    return add_output_console(pci_config, function) ? "virtio-console" : "";
  }
  if (virtio::is_virtio(function, virtio::DeviceKind::kBlock)) {
    return start_virtio_disk(pci_config, function) ? "virtio-blk" : "";
  }
  if (is_class(function, kNvmeClass)) {
    return start_nvme_disks(pci_config, function) ? "nvme" : "";
  }
  if (is_class(function, kAhciClass)) {
    return start_ahci_disks(pci_config, function) ? "ahci" : "";
  }
  return {};
}

}  // namespace

void find_devices(const Firmware& firmware) {
  std::uint8_t first_bus = 0;
  std::uint8_t last_bus = 255;
  if (firmware.ecam) {
    use_ecam(*firmware.ecam);
    if (pci_config.uses_ecam()) {
      first_bus = firmware.ecam->first_bus;
      last_bus = firmware.ecam->last_bus;
    }
  }
  pci::enumerate(pci_config, 0, first_bus, last_bus,
                 [](const pci::Function& function) {
                   const std::string_view driver = start_driver(function);
                   if (found_count == kMaxFunctions) return;
                   found[found_count++] = {function, driver};
                 });
}

std::size_t function_count() { return found_count; }

const FoundFunction& found_function(std::size_t index) {
  ODO_CHECK(index < found_count);
  return found[index];
}

}  // namespace odo::x86
