// SPDX-License-Identifier: BSD-3-Clause
// Named files that QEMU hands to its guest through the fw_cfg device.
//
// Contexts: early boot, one thread: the device has one read position.
// Failure: total on any answers of the device; nullopt and false mean that the
//   file is not there. Complexity: linear in the directory, at most
//   kMaxFwCfgFiles entries.
// Origin: QEMU docs/specs/fw_cfg.rst.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "lib/base/bytes.h"

namespace odo::boot {

// The device's two registers: choosing an item also rewinds to its start.
template <class D>
concept FwCfgDevice =
    requires(D& device, std::uint16_t item, MutableBytes bytes) {
      { device.select(item) } -> std::same_as<void>;
      { device.read(bytes) } -> std::same_as<void>;
    };

inline constexpr std::size_t kMaxFwCfgFiles = 1024;

struct FwCfgFile {
  std::uint16_t item;
  std::uint32_t size_bytes;
};

// True when the device is there and is what it should be.
template <FwCfgDevice D>
[[nodiscard]] bool has_fw_cfg(D& device) {
  std::array<std::byte, 4> signature{};
  device.select(0x0000);
  device.read(signature);
  return load_be<std::uint32_t>(signature.data()) == 0x51454d55;  // "QEMU"
}

// Looks `name` up in the directory. The caller then selects `item` and reads
// at most `size_bytes`.
template <FwCfgDevice D>
[[nodiscard]] std::optional<FwCfgFile> find_fw_cfg_file(D& device,
                                                        std::string_view name) {
  constexpr std::size_t kNameBytes = 56;
  std::array<std::byte, 4> head{};
  device.select(0x0019);
  device.read(head);
  const std::uint32_t count = load_be<std::uint32_t>(head.data());
  for (std::size_t i = 0; i < count && i < kMaxFwCfgFiles; ++i) {
    std::array<std::byte, 8 + kNameBytes> entry{};
    device.read(entry);
    std::array<char, kNameBytes> text{};
    __builtin_memcpy(text.data(), entry.data() + 8, kNameBytes);
    std::size_t length = 0;
    while (length < kNameBytes && text[length] != '\0') ++length;
    if (std::string_view(text.data(), length) == name) {
      return FwCfgFile{load_be<std::uint16_t>(entry.data() + 4),
                       load_be<std::uint32_t>(entry.data())};
    }
  }
  return std::nullopt;
}

}  // namespace odo::boot
