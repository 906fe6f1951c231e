// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/virtio_pci.h"

#include "kernel/x86_64/paging.h"
#include "lib/base/bits.h"
#include "lib/pci/bars.h"

namespace odo::x86 {

std::optional<VirtioPci> VirtioPci::open(PciConfig& config,
                                         const pci::Function& function) {
  const pci::Bars bars = pci::read_bars(config, function);
  const auto layout = virtio::find_layout(config, function, bars);
  if (!layout) return std::nullopt;
  VirtioPci device;
  device.layout_ = *layout;
  device.common_ = map_device(layout->common.physical, layout->common.length);
  device.notify_ = map_device(layout->notify.physical, layout->notify.length);
  if (layout->device.length != 0) {
    device.device_ = map_device(layout->device.physical, layout->device.length);
  }
  if (device.common_ == nullptr || device.notify_ == nullptr) {
    return std::nullopt;
  }
  pci::change_command(
      config, function.address,
      pci::kCommandMemory | pci::kCommandBusMaster | pci::kCommandNoIntx, 0);
  return device;
}

template <class U>
volatile U* VirtioPci::locate(virtio::Part part, std::uint32_t offset) {
  const bool is_common = part == virtio::Part::kCommon;
  volatile std::byte* base = is_common ? common_ : device_;
  const std::uint32_t length =
      is_common ? layout_.common.length : layout_.device.length;
  if (base == nullptr || !range_inside(offset, sizeof(U), length)) {
    return nullptr;
  }
  return reinterpret_cast<volatile U*>(base + offset);
}

std::uint8_t VirtioPci::read8(virtio::Part part, std::uint32_t offset) {
  const volatile auto* p = locate<std::uint8_t>(part, offset);
  return p == nullptr ? 0 : *p;
}
std::uint16_t VirtioPci::read16(virtio::Part part, std::uint32_t offset) {
  const volatile auto* p = locate<std::uint16_t>(part, offset);
  return p == nullptr ? std::uint16_t{0} : *p;
}
std::uint32_t VirtioPci::read32(virtio::Part part, std::uint32_t offset) {
  const volatile auto* p = locate<std::uint32_t>(part, offset);
  return p == nullptr ? 0 : *p;
}
void VirtioPci::write8(virtio::Part part, std::uint32_t offset,
                       std::uint8_t value) {
  volatile auto* p = locate<std::uint8_t>(part, offset);
  if (p != nullptr) *p = value;
}
void VirtioPci::write16(virtio::Part part, std::uint32_t offset,
                        std::uint16_t value) {
  volatile auto* p = locate<std::uint16_t>(part, offset);
  if (p != nullptr) *p = value;
}
void VirtioPci::write32(virtio::Part part, std::uint32_t offset,
                        std::uint32_t value) {
  volatile auto* p = locate<std::uint32_t>(part, offset);
  if (p != nullptr) *p = value;
}

void VirtioPci::notify(std::uint16_t queue, std::uint16_t notify_offset) {
  const auto at = virtio::notify_place(layout_, notify_offset);
  // A device that names a place outside its own registers is never rung, and
  // then runs into the time limit.
  if (!at) return;
  *reinterpret_cast<volatile std::uint16_t*>(notify_ + *at) = queue;
}

}  // namespace odo::x86
