// SPDX-License-Identifier: BSD-3-Clause
// A local APIC's timer, which counts at a speed that nobody tells, by a counter
// of cycles whose speed is known: how far to count so that it ends after so
// many cycles.
//
//   const auto rate = timer_rate(ticks, cycles);   // seen in the same time
//   const TimerSetting wait = timer_setting(*rate, cycles_to_wait);
//
// Contexts: any. Pure.
// Units: cycles of the known counter; ticks of the timer, undivided.
// Failure: no rate where nothing was counted, or where the timer would be more
//   than 255 times as fast. A wait that is too long for the timer ends early,
//   one that is shorter than a tick takes one: who waits looks at the clock.
// Origin: Intel SDM vol. 3 §11.5.4 (timer, divide configuration register).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

namespace odo::apic {

// Ticks a cycle, in units of 2^-24.
struct TimerRate {
  std::uint32_t scaled;
};

struct TimerSetting {
  std::uint32_t divide;  // for Register::kTimerDivide
  std::uint32_t count;   // for Register::kTimerInitial
};

inline constexpr std::uint32_t kDivideBy1 = 0b1011;

namespace detail {
inline constexpr unsigned kRateBits = 24;
// By 1, 2, 4 … 128.
inline constexpr std::array<std::uint32_t, 8> kDivide{
    kDivideBy1, 0b0000, 0b0001, 0b0010, 0b0011, 0b1000, 0b1001, 0b1010};
}  // namespace detail

[[nodiscard]] constexpr std::optional<TimerRate> timer_rate(
    std::uint32_t ticks, std::uint64_t cycles) {
  if (ticks == 0 || cycles == 0) return std::nullopt;
  const std::uint64_t scaled =
      (std::uint64_t{ticks} << detail::kRateBits) / cycles;
  if (scaled == 0 || scaled > ~std::uint32_t{0}) return std::nullopt;
  return TimerRate{static_cast<std::uint32_t>(scaled)};
}

[[nodiscard]] constexpr TimerSetting timer_setting(TimerRate rate,
                                                   std::uint64_t cycles) {
  // Longer waits come out no longer: the product below stays inside 64 bits.
  constexpr std::uint64_t kMostCycles = std::uint64_t{1} << 40;
  constexpr std::uint32_t kMostTicks = ~std::uint32_t{0};
  cycles = std::min(cycles, kMostCycles);
  const std::uint64_t high = (cycles >> 32) * rate.scaled;
  const std::uint64_t low = (cycles & 0xffffffff) * rate.scaled;
  const std::uint64_t ticks =
      (high << (32 - detail::kRateBits)) + (low >> detail::kRateBits) + 1;
  unsigned shift = 0;
  while (ticks >> shift > kMostTicks && shift + 1 < detail::kDivide.size()) {
    ++shift;
  }
  return {detail::kDivide[shift],
          static_cast<std::uint32_t>(
              std::min(ticks >> shift, std::uint64_t{kMostTicks}))};
}

}  // namespace odo::apic
