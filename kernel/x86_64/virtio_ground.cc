// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/virtio_ground.h"

#include "kernel/x86_64/clock.h"
#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/paging.h"

namespace odo::x86 {
namespace {

constexpr std::uint64_t kTimeoutSeconds = 10;
// So many looks come between two looks at the clock; and a clock that jumps,
// as after a guest was stopped, must not end a wait that has hardly begun.
constexpr std::uint64_t kLooksBetweenClocks = 1024;
constexpr std::uint64_t kMinLooks = 1'000'000;
// Where there is no clock.
constexpr std::uint64_t kMaxLooksWithoutClock = 2'000'000'000;

}  // namespace

virtio::DmaRun VirtioGround::dma_run(const std::byte* p,
                                     std::size_t length) const {
  // The image and the direct map are both contiguous.
  return {physical_of(p), length};
}

void VirtioGround::begin_wait() {
  begin_cycles_ = read_tsc();
  looks_ = 0;
}

bool VirtioGround::wait() {
  pause();
  ++looks_;
  if (looks_ < kMinLooks || looks_ % kLooksBetweenClocks != 0) return true;
  const std::uint64_t hz = tsc_hz();
  if (hz == 0) return looks_ < kMaxLooksWithoutClock;
  return read_tsc() - begin_cycles_ < kTimeoutSeconds * hz;
}

}  // namespace odo::x86
