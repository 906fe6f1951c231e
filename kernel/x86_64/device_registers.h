// SPDX-License-Identifier: BSD-3-Clause
// A device's registers in one run of memory. Satisfies driver::Registers.
//
// Contexts: any but where the device wants one thread. A value: copies reach
//   the same device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "kernel/x86_64/paging.h"
#include "lib/base/bits.h"
#include "lib/driver/registers.h"

namespace odo::x86 {

class DeviceRegisters {
 public:
  // nullopt where they can't be mapped.
  [[nodiscard]] static std::optional<DeviceRegisters> map(
      std::uint64_t physical, std::uint64_t size_bytes) {
    volatile std::byte* const base = map_device(physical, size_bytes);
    if (base == nullptr) return std::nullopt;
    return DeviceRegisters(base, size_bytes);
  }

  [[nodiscard]] std::uint32_t read32(std::uint32_t offset) const {
    if (!range_inside(offset, sizeof(std::uint32_t), size_bytes_)) {
      return driver::kGone;
    }
    return *reinterpret_cast<volatile std::uint32_t*>(base_ + offset);
  }
  void write32(std::uint32_t offset, std::uint32_t value) const {
    if (!range_inside(offset, sizeof(value), size_bytes_)) return;
    *reinterpret_cast<volatile std::uint32_t*>(base_ + offset) = value;
  }
  [[nodiscard]] std::uint64_t size_bytes() const { return size_bytes_; }

 private:
  DeviceRegisters(volatile std::byte* base, std::uint64_t size_bytes)
      : base_(base), size_bytes_(size_bytes) {}

  volatile std::byte* base_;
  std::uint64_t size_bytes_;
};

static_assert(driver::Registers<DeviceRegisters>);

}  // namespace odo::x86
