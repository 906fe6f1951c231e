// SPDX-License-Identifier: BSD-3-Clause
// Where an NVMe controller's registers are, and what their bits mean.
//
// Contexts: any.
// Origin: NVM Express Base Specification 1.4 §3.1.
#pragma once

#include <cstdint>

#include "lib/driver/registers.h"

namespace odo::nvme {

inline constexpr std::uint32_t kPageBytes = 4096;

namespace reg {

inline constexpr std::uint32_t kCapabilities = 0x00;  // 64 bits
inline constexpr std::uint32_t kVersion = 0x08;
inline constexpr std::uint32_t kMaskInterrupts = 0x0c;
inline constexpr std::uint32_t kConfiguration = 0x14;
inline constexpr std::uint32_t kStatus = 0x1c;
inline constexpr std::uint32_t kAdminSizes = 0x24;
inline constexpr std::uint32_t kAdminSubmissions = 0x28;  // 64 bits
inline constexpr std::uint32_t kAdminCompletions = 0x30;  // 64 bits
inline constexpr std::uint32_t kDoorbells = 0x1000;

}  // namespace reg

// Configuration: enabled, the NVM command set, pages of 4 KiB, round robin,
// entries of 64 and 16 bytes.
inline constexpr std::uint32_t kConfigurationOn = 1u | 6u << 16 | 4u << 20;

inline constexpr std::uint32_t kStatusReady = 1u << 0;
inline constexpr std::uint32_t kStatusFatal = 1u << 1;

inline constexpr std::uint32_t kVersion11 = 0x00010100;

struct Capabilities {
  std::uint64_t raw;

  [[nodiscard]] constexpr std::uint32_t max_queue_entries() const {
    return (raw & 0xffff) + 1;
  }
  // How long becoming ready, or coming to rest, may take.
  [[nodiscard]] constexpr std::uint32_t limit_ms() const {
    const auto halves = static_cast<std::uint32_t>(raw >> 24 & 0xff);
    return (halves == 0 ? 1 : halves) * 500;
  }
  [[nodiscard]] constexpr std::uint32_t doorbell_stride() const {
    return std::uint32_t{4} << (raw >> 32 & 0xf);
  }
  [[nodiscard]] constexpr bool has_nvm_commands() const {
    return (raw >> 37 & 1) != 0;
  }
  [[nodiscard]] constexpr bool takes_small_pages() const {
    return (raw >> 48 & 0xf) == 0;
  }
};

template <driver::Registers R>
[[nodiscard]] std::uint64_t read64(R& registers, std::uint32_t offset) {
  const std::uint64_t low = registers.read32(offset);
  return std::uint64_t{registers.read32(offset + 4)} << 32 | low;
}

template <driver::Registers R>
void write64(R& registers, std::uint32_t offset, std::uint64_t value) {
  registers.write32(offset, static_cast<std::uint32_t>(value));
  registers.write32(offset + 4, static_cast<std::uint32_t>(value >> 32));
}

}  // namespace odo::nvme
