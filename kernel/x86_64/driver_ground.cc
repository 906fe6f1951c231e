// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/driver_ground.h"

#include <algorithm>

#include "kernel/x86_64/clock.h"
#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/paging.h"

namespace odo::x86 {
namespace {

// So many looks come between two looks at the clock; and a clock that jumps,
// as after a guest was stopped, must not end a wait that has hardly begun.
constexpr std::uint64_t kLooksBetweenClocks = 1024;
constexpr std::uint64_t kMinLooksPerMs = 100;
// Where there is no clock.
constexpr std::uint64_t kLooksPerMsWithoutClock = 200'000;

constinit std::uint32_t longest_wait_ms = 0xffffffff;

}  // namespace

void set_longest_wait(std::uint32_t limit_ms) { longest_wait_ms = limit_ms; }

driver::DmaRun DriverGround::dma_run(const std::byte* p,
                                     std::size_t length) const {
  // The image and the direct map are both contiguous.
  return {physical_of(p), length};
}

void DriverGround::begin_wait(std::uint32_t limit_ms) {
  limit_ms_ = std::min(limit_ms, longest_wait_ms);
  begin_cycles_ = read_tsc();
  looks_ = 0;
}

bool DriverGround::wait() {
  pause();
  ++looks_;
  if (looks_ < limit_ms_ * kMinLooksPerMs || looks_ % kLooksBetweenClocks != 0)
    return true;
  const std::uint64_t hz = tsc_hz();
  if (hz == 0) return looks_ < limit_ms_ * kLooksPerMsWithoutClock;
  return read_tsc() - begin_cycles_ < limit_ms_ * (hz / 1000);
}

}  // namespace odo::x86
