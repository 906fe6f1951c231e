// SPDX-License-Identifier: BSD-3-Clause
// A device's registers in one run of memory, as drivers of PCI controllers see
// them.
//
// Contexts: thread.
#pragma once

#include <concepts>
#include <cstdint>

namespace odo::driver {

// What a device that is no longer there reads as (PCI Express Base
// Specification §2.3.2: a read that nobody completes).
inline constexpr std::uint32_t kGone = 0xffffffff;

// Offsets are multiples of 4. Those beyond size_bytes() read as kGone and are
// not written. A write reaches the device after all writes to memory that came
// before RingAccess::full_fence().
template <class R>
concept Registers =
    requires(R& registers, std::uint32_t offset, std::uint32_t value) {
      { registers.read32(offset) } -> std::same_as<std::uint32_t>;
      { registers.write32(offset, value) } -> std::same_as<void>;
      { registers.size_bytes() } -> std::same_as<std::uint64_t>;
    };

}  // namespace odo::driver
