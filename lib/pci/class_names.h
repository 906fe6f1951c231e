// SPDX-License-Identifier: BSD-3-Clause
// Words for what a PCI function is, by its class code.
//
// Contexts: any. Views of literals.
// Origin: PCI Code and ID Assignment Specification 1.11 §1.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace odo::pci {

namespace detail {

struct ClassName {
  std::uint8_t base_class;
  std::uint8_t sub_class;
  std::string_view name;
};

inline constexpr std::array<ClassName, 46> kSubClassNames{{
    {0x00, 0x01, "VGA-compatible device"},
    {0x01, 0x00, "SCSI controller"},
    {0x01, 0x01, "IDE controller"},
    {0x01, 0x02, "floppy controller"},
    {0x01, 0x04, "RAID controller"},
    {0x01, 0x05, "ATA controller"},
    {0x01, 0x06, "SATA controller"},
    {0x01, 0x07, "SAS controller"},
    {0x01, 0x08, "NVM controller"},
    {0x02, 0x00, "Ethernet controller"},
    {0x02, 0x80, "network controller"},
    {0x03, 0x00, "VGA controller"},
    {0x03, 0x02, "3D controller"},
    {0x03, 0x80, "display controller"},
    {0x04, 0x01, "audio device"},
    {0x04, 0x03, "HD audio device"},
    {0x05, 0x00, "RAM"},
    {0x06, 0x00, "host bridge"},
    {0x06, 0x01, "ISA bridge"},
    {0x06, 0x02, "EISA bridge"},
    {0x06, 0x04, "PCI bridge"},
    {0x06, 0x07, "CardBus bridge"},
    {0x06, 0x80, "bridge"},
    {0x07, 0x00, "serial controller"},
    {0x07, 0x01, "parallel controller"},
    {0x07, 0x80, "communication controller"},
    {0x08, 0x00, "interrupt controller"},
    {0x08, 0x01, "DMA controller"},
    {0x08, 0x02, "timer"},
    {0x08, 0x03, "clock"},
    {0x08, 0x05, "SD host controller"},
    {0x08, 0x06, "IOMMU"},
    {0x09, 0x00, "keyboard"},
    {0x09, 0x02, "mouse"},
    {0x0c, 0x00, "FireWire controller"},
    {0x0c, 0x03, "USB controller"},
    {0x0c, 0x04, "Fibre Channel controller"},
    {0x0c, 0x05, "SMBus controller"},
    {0x0d, 0x11, "Bluetooth controller"},
    {0x0d, 0x20, "Wi-Fi controller"},
    {0x10, 0x00, "encryption controller"},
    {0x11, 0x01, "performance counters"},
    {0x11, 0x80, "signal processor"},
    {0x12, 0x00, "accelerator"},
    {0x13, 0x00, "instrumentation"},
    {0xff, 0x00, "unassigned device"},
}};

inline constexpr std::array<std::string_view, 20> kBaseClassNames{
    "device",
    "storage controller",
    "network controller",
    "display controller",
    "multimedia device",
    "memory controller",
    "bridge",
    "communication controller",
    "system device",
    "input device",
    "docking station",
    "processor",
    "serial bus controller",
    "wireless controller",
    "I/O processor",
    "satellite controller",
    "encryption controller",
    "signal processor",
    "accelerator",
    "instrumentation"};

}  // namespace detail

// The most exact name known; never empty.
[[nodiscard]] constexpr std::string_view class_name(std::uint8_t base_class,
                                                    std::uint8_t sub_class) {
  for (const detail::ClassName& each : detail::kSubClassNames) {
    if (each.base_class == base_class && each.sub_class == sub_class) {
      return each.name;
    }
  }
  if (base_class < detail::kBaseClassNames.size()) {
    return detail::kBaseClassNames[base_class];
  }
  return "unknown device";
}

}  // namespace odo::pci
