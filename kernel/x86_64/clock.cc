// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/clock.h"

#include <algorithm>
#include <atomic>

#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/features.h"
#include "kernel/x86_64/lock.h"
#include "kernel/x86_64/per_cpu.h"
#include "kernel/x86_64/pit.h"

namespace odo::x86 {
namespace {

constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;
// Comparisons shorter than this are not kept: the timer's step is 0.03% of it.
constexpr std::uint32_t kSureTicks = acpi::kPowerTimerHz / 1000;
// The shortest for an answer that is wanted now: 0.4%.
constexpr std::uint32_t kRoughTicks = 256;
// A counter this far on may have let the 24-bit timer (4.7 s) wrap: no cycle
// counter runs slower than 1 GHz where it matters.
constexpr std::uint64_t kMaxCyclesBetweenLooks = 4'000'000'000;
constexpr unsigned kMaxTimerReads = 10'000'000;

struct Look {
  std::uint64_t cycles = 0;
  std::uint32_t ticks = 0;
};

// Around all that finds the speed out.
constinit IrqLock lock{};
constinit std::uint16_t timer_port = 0;
constinit Look first_look{};
// Relaxed: the number is all there is to know.
constinit std::atomic<std::uint64_t> known_hz{0};
constinit bool is_unknowable = false;

[[nodiscard]] Look look() {
  const std::uint32_t ticks = in32(timer_port) & 0xffffff;
  return {read_tsc(), ticks};
}

// Compares with the first look, which costs nothing once enough time has gone
// by; a first look that is too old is taken anew and waited for.
[[nodiscard]] std::uint64_t hz_by_acpi_timer() ODO_REQUIRES(lock) {
  if (timer_port == 0) return 0;
  std::uint32_t enough = kRoughTicks;
  if (read_tsc() - first_look.cycles > kMaxCyclesBetweenLooks) {
    first_look = look();
    enough = kSureTicks;
  }
  for (unsigned i = 0; i < kMaxTimerReads; ++i) {
    const Look now = look();
    const std::uint32_t ticks = (now.ticks - first_look.ticks) & 0xffffff;
    if (ticks < enough) continue;
    // At most 4e9 cycles by 3.6e6: inside 64 bits.
    const std::uint64_t hz =
        (now.cycles - first_look.cycles) * acpi::kPowerTimerHz / ticks;
    if (ticks >= kSureTicks) known_hz.store(hz, std::memory_order_relaxed);
    return hz;
  }
  return 0;
}

// Channel 0 and not 2, whose gate is a port of its own that small machines do
// not have. Nobody listens to it yet.
[[nodiscard]] std::uint64_t hz_by_pit() {
  constexpr std::uint32_t kTicks = kPitHz / 100;
  constexpr std::uint16_t kStart = 0xffff;
  constexpr unsigned kMaxReads = 200'000;
  start_pit(kStart);
  const std::uint64_t begin = read_tsc();
  for (unsigned i = 0; i < kMaxReads; ++i) {
    const std::uint32_t left = pit_ticks_left();
    const std::uint64_t cycles = read_tsc() - begin;
    // An empty bus reads as the start, and so for ever.
    if (kStart - left >= kTicks) return cycles * kPitHz / (kStart - left);
  }
  return 0;
}

}  // namespace

void start_clock(const acpi::Fadt& fadt) {
  known_hz.store(features().tsc_hz, std::memory_order_relaxed);
  if (fadt.timer.space == acpi::Space::kPort && fadt.timer.address <= 0xffff) {
    timer_port = static_cast<std::uint16_t>(fadt.timer.address);
    first_look = look();
  }
}

std::uint64_t tsc_hz() {
  const std::uint64_t known = known_hz.load(std::memory_order_relaxed);
  if (known != 0) return known;
  const IrqGuard guard(lock);
  if (const std::uint64_t hz = hz_by_acpi_timer(); hz != 0) return hz;
  if (is_unknowable) return 0;
  const std::uint64_t hz = hz_by_pit();
  known_hz.store(hz, std::memory_order_relaxed);
  is_unknowable = hz == 0;
  return hz;
}

std::uint64_t tsc_to_ns(std::uint64_t cycles) {
  const std::uint64_t hz = tsc_hz();
  if (hz == 0) return 0;
  // In two parts, so that no product passes 64 bits for any real speed.
  const std::uint64_t seconds = cycles / hz;
  const std::uint64_t rest = cycles % hz;
  return seconds * kNanosecondsPerSecond + rest * kNanosecondsPerSecond / hz;
}

std::uint64_t uptime_ns() {
  std::uint64_t& latest_ns = this_cpu().latest_ns;
  latest_ns = std::max(latest_ns, tsc_to_ns(read_tsc()));
  return latest_ns;
}

}  // namespace odo::x86
