// SPDX-License-Identifier: BSD-3-Clause
// Where a modern virtio device on PCI keeps its registers.
//
// Contexts: thread. Pure reads of configuration space.
// Failure: nullopt where a needed part is missing, or does not lie inside its
//   base address register, or is too short to be used.
// Origin: VIRTIO 1.1 §4.1.2 (identification), §4.1.4 (capabilities).
#pragma once

#include <cstdint>
#include <optional>

#include "lib/base/bits.h"
#include "lib/pci/bars.h"
#include "lib/pci/capabilities.h"
#include "lib/pci/config.h"

namespace odo::virtio {

inline constexpr std::uint16_t kPciVendor = 0x1af4;

enum class DeviceKind : std::uint8_t {
  kNetwork = 1,
  kBlock = 2,
  kConsole = 3,
  kEntropy = 4,
};

// True for the device in its modern and in its transitional form: the latter
// has the modern registers too, and is found out when they are missing.
[[nodiscard]] inline bool is_virtio(const pci::Function& function,
                                    DeviceKind kind) {
  if (function.vendor_id != kPciVendor) return false;
  const auto number = static_cast<std::uint16_t>(kind);
  if (function.device_id == 0x1040 + number) return true;
  switch (kind) {
    case DeviceKind::kNetwork:
      return function.device_id == 0x1000;
    case DeviceKind::kBlock:
      return function.device_id == 0x1001;
    case DeviceKind::kConsole:
      return function.device_id == 0x1003;
    case DeviceKind::kEntropy:
      return function.device_id == 0x1005;
  }
  return false;
}

// A run of registers, by its place in physical memory.
struct RegisterRange {
  std::uint64_t physical = 0;
  std::uint32_t length = 0;
};

struct PciLayout {
  RegisterRange common;
  RegisterRange notify;
  RegisterRange device;
  std::uint32_t notify_multiplier = 0;  // bytes per notify offset
};

inline constexpr std::uint32_t kCommonBytes = 56;

namespace detail {

enum class PciPart : std::uint8_t { kCommon = 1, kNotify = 2, kDevice = 4 };

[[nodiscard]] inline std::optional<RegisterRange> place(const pci::Bars& bars,
                                                        std::uint8_t bar,
                                                        std::uint32_t offset,
                                                        std::uint32_t length) {
  if (bar >= bars.size() || length == 0) return std::nullopt;
  const pci::Bar& in = bars[bar];
  const bool is_memory =
      in.kind == pci::BarKind::kMemory32 || in.kind == pci::BarKind::kMemory64;
  if (!is_memory || in.base == 0 ||
      !range_inside(offset, length, in.size_bytes) ||
      !checked_add(in.base, in.size_bytes)) {
    return std::nullopt;
  }
  return RegisterRange{in.base + offset, length};
}

}  // namespace detail

// Of several capabilities for one part the first usable one counts, as the
// specification asks.
template <pci::ConfigSpace C>
[[nodiscard]] std::optional<PciLayout> find_layout(
    C& space, const pci::Function& function, const pci::Bars& bars) {
  constexpr std::uint8_t kShortest = 16;
  PciLayout layout;
  pci::for_each_capability(
      space, function.address, [&](pci::CapabilityId id, std::uint8_t at) {
        if (id != pci::CapabilityId::kVendor || at > 256 - kShortest) {
          return true;
        }
        const pci::Address& where = function.address;
        const std::uint32_t head = space.read32(where, at);
        const auto next = [&](unsigned n) {
          return space.read32(where, static_cast<std::uint16_t>(at + n));
        };
        const auto range = detail::place(
            bars, static_cast<std::uint8_t>(next(4)), next(8), next(12));
        if ((head >> 16 & 0xff) < kShortest || !range) return true;
        switch (static_cast<detail::PciPart>(head >> 24)) {
          case detail::PciPart::kCommon:
            if (layout.common.length == 0 && range->length >= kCommonBytes) {
              layout.common = *range;
            }
            break;
          case detail::PciPart::kNotify:
            if (layout.notify.length == 0 && at <= 256 - kShortest - 4) {
              layout.notify = *range;
              layout.notify_multiplier = next(16);
            }
            break;
          case detail::PciPart::kDevice:
            if (layout.device.length == 0) layout.device = *range;
            break;
        }
        return true;
      });
  if (layout.common.length == 0 || layout.notify.length == 0) {
    return std::nullopt;
  }
  return layout;
}

// Where to ring for a queue; nullopt when that is outside the notify part.
[[nodiscard]] inline std::optional<std::uint64_t> notify_place(
    const PciLayout& layout, std::uint16_t notify_offset) {
  const std::uint64_t at =
      std::uint64_t{notify_offset} * layout.notify_multiplier;
  if (!range_inside(at, 2, layout.notify.length)) return std::nullopt;
  return at;
}

}  // namespace odo::virtio
