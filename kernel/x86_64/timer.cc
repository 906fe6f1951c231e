// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/timer.h"

#include <algorithm>

#include "kernel/x86_64/clock.h"
#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/features.h"
#include "kernel/x86_64/interrupts.h"
#include "kernel/x86_64/local_apic.h"
#include "kernel/x86_64/lock.h"
#include "kernel/x86_64/per_cpu.h"
#include "kernel/x86_64/pit.h"
#include "kernel/x86_64/vectors.h"
#include "lib/apic/timer.h"

namespace odo::x86 {
namespace {

enum class Kind : std::uint8_t { kPit, kApicCounter, kTscDeadline };

constexpr std::uint32_t kTscDeadlineMsr = 0x6e0;
constexpr std::uint32_t kMostTicks = ~std::uint32_t{0};
// The least to compare speeds by: 0.1%.
constexpr std::uint32_t kEnoughTicks = 1000;
constexpr unsigned kMaxLooks = 10'000'000;

constexpr std::uint64_t kLongestPitNs = 50'000'000;
static_assert(kLongestPitNs * kPitHz / 1'000'000'000 < 0xffff);

constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;

constinit Kind kind = Kind::kPit;
constinit InterruptHandler on_time = nullptr;

// --- the counter's speed, learnt without waiting ---
constinit IrqLock rate_lock{};
constinit std::uint64_t first_cycles = 0;
constinit apic::TimerRate rate{0};

// Looked at again when somebody first wants to know. Should the counter end
// before that, its interrupt finds nothing to do.
void take_first_look() {
  set_apic_timer_divide(apic::kDivideBy1);
  this_cpu().timer_divide = apic::kDivideBy1;
  start_apic_timer(kMostTicks);
  first_cycles = read_tsc();
}

void learn_rate() ODO_REQUIRES(rate_lock) {
  for (unsigned i = 0; i < kMaxLooks; ++i) {
    const std::uint32_t left = apic_timer_left();
    const std::uint64_t cycles = read_tsc() - first_cycles;
    // It stops at its end: too old a look is taken anew.
    if (left == 0) take_first_look();
    if (left == 0 || kMostTicks - left < kEnoughTicks) continue;
    if (const auto seen = apic::timer_rate(kMostTicks - left, cycles)) {
      rate = *seen;
      return;
    }
  }
}

[[nodiscard]] apic::TimerRate counter_rate() {
  // All CPUs' counters run at one speed.
  const IrqGuard guard(rate_lock);
  if (rate.scaled == 0) learn_rate();
  return rate;
}

[[nodiscard]] std::uint64_t ns_to_cycles(std::uint64_t ns) {
  // A week is more than any of the timers can wait for.
  constexpr std::uint64_t kLongestNs = 604'800 * kNanosecondsPerSecond;
  ns = std::min(ns, kLongestNs);
  const std::uint64_t hz = tsc_hz();
  return ns / kNanosecondsPerSecond * hz +
         ns % kNanosecondsPerSecond * hz / kNanosecondsPerSecond;
}

[[nodiscard]] std::uint16_t pit_ticks(std::uint64_t wait_ns) {
  return static_cast<std::uint16_t>(1 + std::min(wait_ns, kLongestPitNs) *
                                            kPitHz / kNanosecondsPerSecond);
}

void ring(void* context) {
  this_cpu().timer_ns = ~std::uint64_t{0};
  on_time(context);
}

}  // namespace

void init_timer(InterruptHandler handler) {
  on_time = handler;
  if (!has_apic()) {
    static_cast<void>(route_isa_line(kPitLine, ring));
    return;
  }
  kind = features().has_tsc_deadline ? Kind::kTscDeadline : Kind::kApicCounter;
  set_interrupt_handler(kTimerVector, ring, nullptr);
  start_timer();
  if (kind == Kind::kApicCounter) take_first_look();
}

void start_timer() {
  if (kind == Kind::kTscDeadline) {
    use_apic_timer_deadline(kTimerVector);
  } else if (kind == Kind::kApicCounter) {
    use_apic_timer_once(kTimerVector);
  }
}

void set_timer(std::uint64_t deadline_ns) {
  if (tsc_hz() == 0) return;
  this_cpu().timer_ns = deadline_ns;
  const std::uint64_t now_ns = uptime_ns();
  const std::uint64_t wait_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
  switch (kind) {
    case Kind::kPit:
      start_pit(pit_ticks(wait_ns));
      break;
    case Kind::kApicCounter: {
      const apic::TimerSetting setting =
          apic::timer_setting(counter_rate(), ns_to_cycles(wait_ns));
      // To an emulator each register costs more than all of the above.
      if (this_cpu().timer_divide != setting.divide) {
        this_cpu().timer_divide = setting.divide;
        set_apic_timer_divide(setting.divide);
      }
      start_apic_timer(setting.count);
      break;
    }
    case Kind::kTscDeadline:
      write_msr(kTscDeadlineMsr, read_tsc() + ns_to_cycles(wait_ns));
      break;
  }
}

std::string_view timer_name() {
  switch (kind) {
    case Kind::kPit:
      return "pit";
    case Kind::kApicCounter:
      return "apic";
    case Kind::kTscDeadline:
      return "tsc-deadline";
  }
  return "";
}

}  // namespace odo::x86
