// SPDX-License-Identifier: BSD-3-Clause
// One word a CPU looks at where it can afford to be interrupted: is there
// anything for it to do besides what it does?
//
// Contexts: raise: any CPU, any context. The rest: the CPU itself.
// Ordering: LA: who raises a bit, with release, and who takes it, with acquire:
//   what the bit announces is there for who takes it.
// Failure: none.
#pragma once

#include <atomic>
#include <cstdint>

#include "lib/base/annotations.h"
#include "lib/lwkt/platform.h"

namespace odo::lwkt {

template <LwktPlatform P>
class Attention {
 public:
  static constexpr std::uint32_t kIpi = 1;    // calls from other CPUs
  static constexpr std::uint32_t kTimer = 2;  // a timer may be due
  static constexpr std::uint32_t kTick = 4;  // the clock's beat: quanta, timers
  static constexpr std::uint32_t kStop = 8;  // Cpu::run() is to return
  // The ground's do_interrupts() has something to do.
  static constexpr std::uint32_t kInterrupt = 16;
  static constexpr std::uint32_t kGround = std::uint32_t{1} << 31;

  // From elsewhere, or for oneself: idle() returns, and the CPU looks.
  void raise(P& ground, unsigned cpu, std::uint32_t bits) {
    // LA: release, with the acquire in take().
    const std::uint32_t before =
        word_.fetch_or(bits, std::memory_order_release);
    if ((before & bits) != bits) ground.kick(cpu, word_, before);
  }

  // A look that costs nothing. Relaxed: take() reads again what it acts on.
  [[nodiscard]] ODO_ALWAYS_INLINE bool any() const {
    return (word_.load(std::memory_order_relaxed) & ~kGround) != 0;
  }
  // Clears all bits but the ground's and returns them.
  [[nodiscard]] std::uint32_t take() {
    // LA: acquire, with the release in raise().
    return word_.fetch_and(kGround, std::memory_order_acquire) & ~kGround;
  }

  void idle(P& ground, unsigned cpu, std::uint64_t deadline_ns) {
    ground.idle(cpu, word_, deadline_ns);
  }

 private:
  typename P::template Atomic<std::uint32_t> word_{std::uint32_t{0}};
};

}  // namespace odo::lwkt
