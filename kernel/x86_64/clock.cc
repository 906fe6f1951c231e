// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/clock.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <string_view>

#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/device_registers.h"
#include "kernel/x86_64/features.h"
#include "kernel/x86_64/lock.h"
#include "kernel/x86_64/log.h"
#include "kernel/x86_64/per_cpu.h"
#include "kernel/x86_64/pit.h"
#include "lib/hpet/hpet.h"

namespace odo::x86 {
namespace {

constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;
// A comparison as long as this part of a second is kept: the slowest counter's
// step is 0.03% of it.
constexpr std::uint64_t kSurePart = 1000;
// The shortest for an answer that is wanted now: 0.4%.
constexpr std::uint64_t kRoughPart = 14'000;
// A cycle counter this far on may have let ACPI's 24-bit timer (4.7 s) wrap:
// none runs slower than 1 GHz where it matters.
constexpr std::uint64_t kMaxCyclesBetweenLooks = 4'000'000'000;
constexpr unsigned kMaxReads = 10'000'000;

struct Look {
  std::uint64_t cycles = 0;
  std::uint32_t ticks = 0;
};

// Something that counts at a known speed of at most 1 GHz.
struct Counter {
  std::uint32_t (*read)() = nullptr;
  std::uint64_t hz = 0;
  std::uint32_t mask = 0;
};

// Around all that finds the speed out.
constinit IrqLock lock{};
constinit std::uint16_t timer_port = 0;
constinit std::optional<hpet::Hpet<DeviceRegisters>> the_hpet{};
constinit Counter counter{};
constinit Look first_look{};
// Relaxed: the number is all there is to know.
constinit std::atomic<std::uint64_t> known_hz{0};
constinit bool is_unknowable = false;
constinit bool asked_pit = false;

[[nodiscard]] std::uint32_t read_acpi_timer() { return in32(timer_port); }
[[nodiscard]] std::uint32_t read_hpet() { return the_hpet->ticks(); }

[[nodiscard]] Look look() {
  const std::uint32_t ticks = counter.read();
  return {read_tsc(), ticks};
}

// Compares with the first look, which costs nothing once enough time has gone
// by; a first look that is too old is taken anew and waited for.
[[nodiscard]] std::uint64_t hz_by_counter() ODO_REQUIRES(lock) {
  if (counter.read == nullptr) return 0;
  const std::uint64_t sure = counter.hz / kSurePart;
  std::uint64_t enough = counter.hz / kRoughPart;
  if (read_tsc() - first_look.cycles > kMaxCyclesBetweenLooks) {
    first_look = look();
    enough = sure;
  }
  for (unsigned i = 0; i < kMaxReads; ++i) {
    const Look now = look();
    const std::uint32_t ticks = (now.ticks - first_look.ticks) & counter.mask;
    if (ticks < enough) continue;
    // At most 4e9 cycles by 1e9: inside 64 bits.
    const std::uint64_t hz =
        (now.cycles - first_look.cycles) * counter.hz / ticks;
    if (ticks >= sure) known_hz.store(hz, std::memory_order_relaxed);
    return hz;
  }
  return 0;
}

// Channel 0 and not 2, whose gate is a port of its own that small machines do
// not have. Nobody listens to it yet.
[[nodiscard]] std::uint64_t hz_by_pit() {
  constexpr std::uint32_t kTicks = kPitHz / 100;
  constexpr std::uint16_t kStart = 0xffff;
  constexpr unsigned kMaxPitReads = 200'000;
  start_pit(kStart);
  const std::uint64_t begin = read_tsc();
  for (unsigned i = 0; i < kMaxPitReads; ++i) {
    const std::uint32_t left = pit_ticks_left();
    const std::uint64_t cycles = read_tsc() - begin;
    // An empty bus reads as the start, and so for ever.
    if (kStart - left >= kTicks) return cycles * kPitHz / (kStart - left);
  }
  return 0;
}

void open_hpet(std::uint64_t address) {
  const auto registers = DeviceRegisters::map(address, acpi::kHpetBytes);
  if (!registers) return;
  const auto opened = hpet::Hpet<DeviceRegisters>::open(*registers);
  if (!opened) {
    log("odo: HPET: ", hpet::describe(opened.error()), "; going on without\n");
    return;
  }
  the_hpet.emplace(*opened);
  counter = {read_hpet, the_hpet->hz(), 0xffffffff};
}

}  // namespace

void start_clock(const Firmware& firmware, ClockSource only) {
  const auto may_be = [only](ClockSource source) {
    return only == ClockSource::kAny || only == source;
  };
  if (may_be(ClockSource::kCpu) && features().tsc_hz != 0) {
    known_hz.store(features().tsc_hz, std::memory_order_relaxed);
    return;
  }
  const acpi::Register& timer = firmware.fadt.timer;
  if (may_be(ClockSource::kAcpi) && timer.space == acpi::Space::kPort &&
      timer.address <= 0xffff) {
    timer_port = static_cast<std::uint16_t>(timer.address);
    counter = {read_acpi_timer, acpi::kPowerTimerHz, 0xffffff};
  } else if (may_be(ClockSource::kHpet) && firmware.hpet) {
    open_hpet(*firmware.hpet);
  }
  if (counter.read != nullptr) first_look = look();
}

std::uint64_t tsc_hz() {
  const std::uint64_t known = known_hz.load(std::memory_order_relaxed);
  if (known != 0) return known;
  const IrqGuard guard(lock);
  if (const std::uint64_t hz = hz_by_counter(); hz != 0) return hz;
  if (is_unknowable) return 0;
  const std::uint64_t hz = hz_by_pit();
  asked_pit = true;
  known_hz.store(hz, std::memory_order_relaxed);
  is_unknowable = hz == 0;
  return hz;
}

std::string_view clock_source() {
  using std::operator""sv;
  if (tsc_hz() == 0) return "nothing"sv;
  if (counter.read == read_acpi_timer) return "acpi"sv;
  if (counter.read == read_hpet) return "hpet"sv;
  return asked_pit ? "pit"sv : "cpu"sv;
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
