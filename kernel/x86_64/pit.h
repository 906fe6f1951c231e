// SPDX-License-Identifier: BSD-3-Clause
// Channel 0 of the interval timer that every PC has: it counts down once, and
// then raises its interrupt line.
//
// Contexts: any, one at a time.
// Failure: none that shows; an empty bus reads as a count that never moves.
// Origin: 8254 data sheet (mode 0, counter latch).
#pragma once

#include <cstdint>

#include "kernel/x86_64/cpu.h"

namespace odo::x86 {

inline constexpr unsigned kPitLine = 0;
inline constexpr std::uint32_t kPitHz = 1'193'182;

namespace detail {
inline constexpr std::uint16_t kPitChannel0 = 0x40;
inline constexpr std::uint16_t kPitCommand = 0x43;
}  // namespace detail

inline void start_pit(std::uint16_t ticks) {
  constexpr std::uint8_t kCountOnce = 0x30;  // channel 0, both bytes, mode 0
  out8(detail::kPitCommand, kCountOnce);
  out8(detail::kPitChannel0, static_cast<std::uint8_t>(ticks));
  out8(detail::kPitChannel0, static_cast<std::uint8_t>(ticks >> 8));
}

[[nodiscard]] inline std::uint32_t pit_ticks_left() {
  constexpr std::uint8_t kLatch = 0x00;  // channel 0
  out8(detail::kPitCommand, kLatch);
  const std::uint32_t low = in8(detail::kPitChannel0);
  return low | std::uint32_t{in8(detail::kPitChannel0)} << 8;
}

}  // namespace odo::x86
