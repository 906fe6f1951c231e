// SPDX-License-Identifier: BSD-3-Clause
// A modern virtio device's registers behind PCI. Satisfies virtio::Transport.
//
// Contexts: thread. A value: copies reach the same device.
#pragma once

#include <cstdint>
#include <optional>

#include "kernel/x86_64/pci_config.h"
#include "lib/pci/config.h"
#include "lib/virtio/device.h"
#include "lib/virtio/pci_layout.h"

namespace odo::x86 {

class VirtioPci {
 public:
  // Finds, maps and enables the registers; nullopt where they are not modern
  // ones, or make no sense.
  [[nodiscard]] static std::optional<VirtioPci> open(
      PciConfig& config, const pci::Function& function);

  [[nodiscard]] std::uint8_t read8(virtio::Part part, std::uint32_t offset);
  [[nodiscard]] std::uint16_t read16(virtio::Part part, std::uint32_t offset);
  [[nodiscard]] std::uint32_t read32(virtio::Part part, std::uint32_t offset);
  void write8(virtio::Part part, std::uint32_t offset, std::uint8_t value);
  void write16(virtio::Part part, std::uint32_t offset, std::uint16_t value);
  void write32(virtio::Part part, std::uint32_t offset, std::uint32_t value);
  void notify(std::uint16_t queue, std::uint16_t notify_offset);

 private:
  VirtioPci() = default;

  template <class U>
  [[nodiscard]] volatile U* locate(virtio::Part part, std::uint32_t offset);

  virtio::PciLayout layout_{};
  volatile std::byte* common_ = nullptr;
  volatile std::byte* device_ = nullptr;
  volatile std::byte* notify_ = nullptr;
};

static_assert(virtio::Transport<VirtioPci>);

}  // namespace odo::x86
