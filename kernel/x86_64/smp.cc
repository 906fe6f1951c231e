// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/smp.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <optional>
#include <span>

#include "kernel/x86_64/clock.h"
#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/features.h"
#include "kernel/x86_64/gdt.h"
#include "kernel/x86_64/heap.h"
#include "kernel/x86_64/image.h"
#include "kernel/x86_64/interrupts.h"
#include "kernel/x86_64/kernel_stacks.h"
#include "kernel/x86_64/local_apic.h"
#include "kernel/x86_64/log.h"
#include "kernel/x86_64/machine_check.h"
#include "kernel/x86_64/paging.h"
#include "kernel/x86_64/ram.h"
#include "kernel/x86_64/threads.h"
#include "kernel/x86_64/timer.h"
#include "kernel/x86_64/traps.h"
#include "kernel/x86_64/vectors.h"
#include "lib/base/check.h"

// What ap_boot.S and this file tell each other.
namespace {

struct ApStart {
  std::uint64_t apic_id;
  void* stack_top;
  odo::x86::PerCpu* cpu;
};
static_assert(sizeof(ApStart) == 24);

struct [[gnu::packed]] ApWords {
  std::uint32_t jump_32;
  std::uint16_t jump_32_segment;
  std::uint16_t unused0;
  std::uint32_t jump_64;
  std::uint16_t jump_64_segment;
  std::uint16_t unused1;
  std::uint16_t table_limit;
  std::uint32_t table;
  std::uint16_t unused2;
  std::uint64_t start_tables;
  std::uint64_t entry;
};
static_assert(sizeof(ApWords) == 40);

}  // namespace

extern "C" {
extern const char ap_boot_begin[], ap_boot_end[], ap_boot_words[];
extern constinit std::uint64_t ap_kernel_tables = 0;
extern constinit const ApStart* ap_start_list = nullptr;
extern constinit std::uint64_t ap_start_count = 0;
[[noreturn]] void ap_main(odo::x86::PerCpu* cpu);
}

namespace odo::x86 {
namespace {

constexpr std::size_t kIdleStackBytes = 16 * 1024;
constexpr std::size_t kFaultStackBytes = 16 * 1024;
constexpr std::size_t kNmiStackBytes = 8 * 1024;
// What a CPU takes, roughly: its lane of the heap, its stacks, page tables.
constexpr std::uint64_t kBytesPerCpu = 300 * 1024;

// The specification's waits, for CPUs that need them.
constexpr std::uint64_t kInitWaitNs = 10'000'000;
constexpr std::uint64_t kSecondStartNs = 200'000;
// Nobody has answered for so long: those who have not will not.
constexpr std::uint64_t kPatienceNs = 2'000'000'000;
// For where there is no clock.
constexpr std::uint64_t kMostLooks = 50'000'000;

constinit std::array<CpuRecord, kMaxCpus> records{};
constinit std::size_t record_count = 0;

constinit std::array<ApStart, kMaxCpus> starts{};
constinit std::size_t start_count = 0;
constinit CpuDrill drill = CpuDrill::kNone;
constinit std::optional<std::uint64_t> start_page{};

constinit std::array<PerCpu*, kMaxCpus> running{&boot_cpu};
constinit std::atomic<unsigned> running_count{1};

constinit std::atomic<CpuWork> work{nullptr};

// --- before they start -------------------------------------------------------

// How many, the boot CPU included, there is memory for: a quarter of what is
// free, as there is more to do with a machine than to count its CPUs.
[[nodiscard]] unsigned affordable_cpus() {
  const std::uint64_t most = ram_stats().free_frames * kPageBytes / 4;
  unsigned count = 1;
  while (count < kMaxCpus &&
         thread_system_bytes(count + 1) + count * kBytesPerCpu <= most) {
    ++count;
  }
  return count;
}

[[nodiscard]] void* top_of(std::span<std::byte> stack) {
  return stack.data() + stack.size();
}

// All that a CPU needs. What a half-made one has stays with it.
[[nodiscard]] bool prepare(std::uint32_t apic_id) {
  auto* cpu = kernel_heap().make<PerCpu>();
  if (cpu == nullptr) return false;
  const auto idle = map_kernel_stack(kIdleStackBytes, "idle");
  const auto fault = map_kernel_stack(kFaultStackBytes, "fault");
  const auto nmi = map_kernel_stack(kNmiStackBytes, "NMI");
  const auto machine_check =
      map_kernel_stack(kFaultStackBytes, "machine check's");
  cpu->heap = make_cpu_heap();
  if (idle.empty() || fault.empty() || nmi.empty() || machine_check.empty() ||
      cpu->heap == nullptr) {
    return false;
  }
  cpu->apic_id = apic_id;
  set_fault_stacks(*cpu, top_of(fault), top_of(nmi), top_of(machine_check));
  starts[start_count++] = {apic_id, top_of(idle), cpu};
  return true;
}

[[nodiscard]] bool prepare_start_page() {
  const auto page = allocate_low_frame();
  if (!page) return false;
  const auto tables = make_start_tables(*page);
  if (!tables) return false;
  std::byte* const copy = direct(*page);
  const auto bytes = static_cast<std::size_t>(ap_boot_end - ap_boot_begin);
  __builtin_memcpy(copy, ap_boot_begin, bytes);
  ApWords words;
  const auto offset = static_cast<std::size_t>(ap_boot_words - ap_boot_begin);
  __builtin_memcpy(&words, copy + offset, sizeof(words));
  const auto base = static_cast<std::uint32_t>(*page);
  words.jump_32 += base;
  words.jump_64 += base;
  words.table += base;
  words.start_tables = *tables;
  __builtin_memcpy(copy + offset, &words, sizeof(words));
  ap_kernel_tables = kernel_tables();
  start_page = page;
  return true;
}

// --- starting ----------------------------------------------------------------

// Those that are told to start.
[[nodiscard]] std::span<const ApStart> told() {
  const std::span all = std::span<const ApStart>(starts).first(start_count);
  const bool is_last_left_out =
      drill == CpuDrill::kSilent || drill == CpuDrill::kLate;
  return is_last_left_out && !all.empty() ? all.first(all.size() - 1) : all;
}

[[nodiscard]] std::uint32_t id_of(const ApStart& start) {
  return static_cast<std::uint32_t>(start.apic_id);
}

void wait_ns(std::uint64_t ns) {
  const std::uint64_t cycles = tsc_hz() / 1'000'000 * (ns / 1000);
  const std::uint64_t begin = read_tsc();
  while (read_tsc() - begin < cycles) pause();
}

void send_starts(std::span<const ApStart> to) {
  for (const ApStart& one : to) {
    if (one.cpu->state.load(std::memory_order_relaxed) == CpuState::kStarting) {
      // One that does not leave is as good as one that is not answered.
      static_cast<void>(send_startup(id_of(one), *start_page));
    }
  }
}

void start(std::span<const ApStart> them) {
  for (const ApStart& one : them) static_cast<void>(send_init(id_of(one)));
  if (features().is_slow_to_init) wait_ns(kInitWaitNs);
  send_starts(them);
}

[[nodiscard]] std::size_t answered() {
  return static_cast<std::size_t>(std::ranges::count_if(
      std::span(starts).first(start_count), [](const ApStart& one) {
        return one.cpu->state.load(std::memory_order_acquire) ==
               CpuState::kRunning;
      }));
}

// Halts until another has answered, or until then.
void rest_until(std::uint64_t deadline_ns) {
  if (tsc_hz() == 0) {
    pause();
    return;
  }
  set_timer(deadline_ns);
  wait_for_interrupt();
}

// Until all have answered, or nobody has for a while. Interrupts are off but
// while this halts, and each that answers interrupts: none is missed.
void wait_for_answers() {
  std::uint64_t since_ns = uptime_ns();
  std::size_t count = answered();
  bool is_told_again = false;
  for (std::uint64_t looks = 0; count < start_count; ++looks) {
    const std::uint64_t now_ns = uptime_ns();
    if (!is_told_again && now_ns - since_ns >= kSecondStartNs) {
      send_starts(told());
      is_told_again = true;
    }
    if (now_ns - since_ns >= kPatienceNs || looks == kMostLooks) return;
    rest_until(since_ns + (is_told_again ? kPatienceNs : kSecondStartNs));
    const std::size_t now = answered();
    if (now == count) continue;
    count = now;
    since_ns = uptime_ns();
  }
}

[[nodiscard]] CpuRecord& record_of(std::uint32_t apic_id) {
  const auto found = std::ranges::find(std::span(records).first(record_count),
                                       apic_id, &CpuRecord::apic_id);
  return *found;
}

// Either it runs, and has its number from here on, or it never will.
void settle(const ApStart& one) {
  CpuState state = CpuState::kStarting;
  CpuRecord& record = record_of(id_of(one));
  // Acquire: what the CPU did before it answered. Who loses this race halts.
  if (one.cpu->state.compare_exchange_strong(state, CpuState::kAbandoned,
                                             std::memory_order_acquire,
                                             std::memory_order_acquire)) {
    record.fate = CpuFate::kSilent;
    log("odo: the CPU with APIC id ", id_of(one),
        " does not answer; going on without it\n");
    return;
  }
  const unsigned index = running_count.load(std::memory_order_relaxed);
  one.cpu->index = index;
  record.fate = CpuFate::kRunning;
  record.index = index;
  running[index] = one.cpu;
  running_count.store(index + 1, std::memory_order_release);
}

[[noreturn]] void wait_for_work() {
  if (drill == CpuDrill::kDeaf && starts[start_count - 1].cpu == &this_cpu()) {
    halt_forever();
  }
  for (;;) {
    // Acquire, with the release in release_cpus(): the number, and what the
    // work stands on.
    if (const CpuWork mine = work.load(std::memory_order_acquire)) {
      mine();
      halt_forever();
    }
    wait_for_interrupt();
  }
}

}  // namespace

void begin_cpus(const Firmware& firmware, std::uint32_t most, CpuDrill wanted) {
  records[0] = {boot_cpu.apic_id, CpuFate::kRunning, 0};
  record_count = 1;
  if (firmware.madt == nullptr) return;
  for (const acpi::Processor& one : firmware.madt->processors()) {
    if (!one.enabled || one.apic_id == boot_cpu.apic_id) continue;
    if (record_count == kMaxCpus) break;
    records[record_count++] = {one.apic_id, CpuFate::kLeftOut, 0};
  }
  if (record_count == 1 || most == 1) return;
  if (!has_apic()) {
    log("odo: no I/O APIC: one of ", record_count, " CPUs runs\n");
    return;
  }
  set_interrupt_handler(kKickVector, [](void*) {}, nullptr);
  const unsigned affordable = affordable_cpus();
  const std::size_t wanted_count = std::min<std::size_t>(record_count, most);
  if (affordable < wanted_count) {
    log("odo: memory for ", affordable, " of ", wanted_count,
        " CPUs: give the machine more\n");
  }
  const std::size_t limit = std::min<std::size_t>(wanted_count, affordable);
  for (std::size_t i = 1; i < record_count && start_count + 1 < limit; ++i) {
    const std::uint32_t apic_id = records[i].apic_id;
    if (!can_interrupt(apic_id)) {
      log("odo: the CPU with APIC id ", apic_id,
          " can't be reached without an x2APIC; going on without it\n");
    } else if (!prepare(apic_id)) {
      log("odo: no memory for the CPU with APIC id ", apic_id,
          "; going on without it\n");
    }
  }
  if (start_count == 0) return;
  if (!prepare_start_page()) {
    log("odo: no memory below 1 MiB to start CPUs in; going on with one\n");
    start_count = 0;
    return;
  }
  drill = wanted;
  ap_start_list = starts.data();
  ap_start_count = start_count;
  start(told());
}

void finish_cpus() {
  if (start_count == 0) return;
  wait_for_answers();
  for (const ApStart& one : std::span(starts).first(start_count)) settle(one);
  if (drill == CpuDrill::kLate) {
    start(std::span<const ApStart>(starts).first(start_count).last(1));
  }
  // One that comes late still finds the page, and halts where that leads.
  if (running_cpus() == start_count + 1) {
    free_ram({direct(*start_page), kPageBytes});
  }
}

unsigned running_cpus() {
  return running_count.load(std::memory_order_acquire);
}

PerCpu& cpu_of(unsigned index) {
  ODO_ASSERT(index < running_cpus());
  return *running[index];
}

std::size_t known_cpus() { return std::max<std::size_t>(record_count, 1); }

CpuRecord known_cpu(std::size_t number) {
  ODO_CHECK(number < known_cpus());
  return records[number];
}

void release_cpus(CpuWork all) {
  work.store(all, std::memory_order_release);
  const InterruptsOff off;
  for (unsigned i = 0; i < running_cpus(); ++i) {
    if (&cpu_of(i) == &this_cpu()) continue;
    ODO_CHECK(send_interrupt(cpu_of(i).apic_id, kKickVector));
  }
}

void stop_other_cpus() {
  // A pause takes some dozen cycles, a stop thousands of them.
  constexpr unsigned kPausesToStop = 1'000'000;
  const unsigned count = running_cpus();
  if (count == 1) return;
  for (unsigned i = 0; i < count; ++i) {
    if (&cpu_of(i) == &this_cpu()) continue;
    static_cast<void>(send_nmi(cpu_of(i).apic_id));
  }
  unsigned stopped = 0;
  for (unsigned i = 0; i < kPausesToStop && stopped + 1 < count; ++i) {
    pause();
    stopped = 0;
    for (unsigned cpu = 0; cpu < count; ++cpu) {
      // Acquire, with the release in stop_this_cpu().
      if (cpu_of(cpu).is_stopped.load(std::memory_order_acquire)) ++stopped;
    }
  }
}

void stop_this_cpu(std::uint64_t rip) {
  this_cpu().stopped_rip = rip;
  this_cpu().is_stopped.store(true, std::memory_order_release);
  halt_forever();
}

}  // namespace odo::x86

void ap_main(odo::x86::PerCpu* cpu) {
  using namespace odo::x86;
  load_segments(*cpu);
  load_traps();
  set_up_this_cpu();
  enable_machine_checks();
  start_local_apic();
  start_timer();
  CpuState state = CpuState::kStarting;
  // Release: what was done so far, to who counts us.
  if (!cpu->state.compare_exchange_strong(state, CpuState::kRunning,
                                          std::memory_order_release,
                                          std::memory_order_relaxed)) {
    halt_forever();
  }
  // Who waits for us halts meanwhile.
  static_cast<void>(send_interrupt(boot_cpu.apic_id, kKickVector));
  wait_for_work();
}
