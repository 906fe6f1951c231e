// SPDX-License-Identifier: BSD-3-Clause
// What each CPU has of its own; GS points at it.
//
// Contexts: this_cpu() from load_segments() on. A thread that moves to another
//   CPU asks again; others stay where they are, interrupted or not.
// Ownership: the boot CPU's lies in the image, the others' in the heap; none
//   goes away.
// Invariants: only a CPU itself touches its own, but for `state` and what says
//   otherwise.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "kernel/x86_64/gdt.h"
#include "lib/lwkt/cpu_mask.h"

namespace odo::x86 {

struct CpuHeap;

inline constexpr unsigned kMaxCpus = lwkt::CpuMask::kMaxCpus;

enum class CpuState : std::uint32_t {
  kStarting,   // was told to
  kRunning,    // said that it is there
  kAbandoned,  // did not in time: if it ever does, it halts
};

// What lwkt keeps in each thread for us.
struct ThreadNote {
  // The end of an interrupt is under way on its stack: the next one leaves its
  // work to that.
  bool ends_interrupt = false;
};

struct alignas(64) PerCpu {
  PerCpu* self = this;  // at GS:0
  // Its number among those that run, the boot CPU's 0. Told by the boot CPU
  // before threads run.
  unsigned index = 0;
  std::uint32_t apic_id = 0;

  // --- time ---
  std::uint64_t latest_ns = 0;                     // what its clock said last
  std::uint64_t timer_ns = ~std::uint64_t{0};      // when its timer will ring
  std::uint32_t timer_divide = ~std::uint32_t{0};  // as its APIC has it

  // --- threads ---
  ThreadNote* note = nullptr;  // the running thread's; null before threads run
  // Vectors that came and whose threads were not woken yet.
  std::array<std::atomic<std::uint64_t>, 4> due_vectors{};

  CpuHeap* heap = nullptr;  // what it allocates from (heap.h)
  SegmentTables segments{};

  // Where a report's NMI stopped it for good, and whether it did.
  std::uint64_t stopped_rip = 0;
  std::atomic<bool> is_stopped{false};

  // Changed by the CPU and by who waits for it.
  std::atomic<CpuState> state{CpuState::kStarting};
};

[[nodiscard]] inline PerCpu& this_cpu() {
  PerCpu* cpu;
  asm volatile("movq %%gs:0, %0" : "=r"(cpu));
  return *cpu;
}

extern PerCpu boot_cpu;

}  // namespace odo::x86
