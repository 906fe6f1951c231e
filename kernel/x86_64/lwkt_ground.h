// SPDX-License-Identifier: BSD-3-Clause
// What lib/lwkt and lib/tokens stand on in the kernel: processors that
// interrupt each other. Interrupts are on while threads run and while CPUs
// idle; critical sections keep back what they lead to (docs/interrupts.md).
//
// Contexts: as lib/lwkt/platform.h says.
// Failure: misuse is told, and panics.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernel/x86_64/per_cpu.h"
#include "lib/base/annotations.h"
#include "lib/lwkt/platform.h"
#include "lib/platform/host/atomic.h"
#include "lib/tokens/platform.h"

namespace odo::x86 {

class LwktGround {
 public:
  template <class T>
  using Atomic = platform::HostAtomic<T>;
  using StackNote = ThreadNote;

  static constexpr tokens::TokenTuning kTokenTuning = {.spin_rounds = 24,
                                                       .max_pause = 64,
                                                       .impatient_after = 9,
                                                       .let_pass = 64,
                                                       .bias_after_reads = 256};
  static constexpr lwkt::LwktTuning kLwktTuning = {.sleep_buckets = 64,
                                                   .quantum_ticks = 10,
                                                   .idle_spin_ns = 0,
                                                   .token_poll_ns = 100'000,
                                                   .cached_stacks = 8,
                                                   .ipi_entries = 16};

  class Counter {
   public:
    void add_one() { ++count_; }
    [[nodiscard]] std::uint32_t read() const { return count_; }

   private:
    std::uint32_t count_ = 0;
  };

  // Since power-on.
  [[nodiscard]] std::uint64_t now_ns() const;
  void relax() const;
  void fence(std::memory_order order) const { std::atomic_thread_fence(order); }
  void light_fence() const {
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
  void heavy_fence() const {
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
  void wake_all(Atomic<std::uint32_t>& /*word*/) const {}

  // An interrupt, after which that CPU looks at the word.
  void kick(unsigned cpu, Atomic<std::uint32_t>& word,
            std::uint32_t before) const;
  void idle(unsigned cpu, Atomic<std::uint32_t>& word,
            std::uint64_t deadline_ns) const;
  void timer(unsigned cpu, std::uint64_t deadline_ns) const;
  // Wakes the threads of the interrupts that came.
  void do_interrupts(unsigned cpu) const;

  // With a guard page.
  [[nodiscard]] std::span<std::byte> map_stack(std::size_t bytes) const;
  void unmap_stack(std::span<std::byte> stack) const;
  void make_note(StackNote& note, std::span<std::byte> stack) const {
    // The idle thread, which runs already, is the one that has no stack of its
    // own.
    if (stack.empty()) this_cpu().note = &note;
  }
  void before_switch(StackNote& /*from*/, StackNote& to, bool /*ends*/) const {
    this_cpu().note = &to;
  }
  void after_switch(StackNote& /*now*/) const {}

  [[noreturn]] void token_fault(const tokens::TokenFault& fault) const;
  [[noreturn]] void lwkt_fault(const lwkt::LwktFault& fault) const;
};

static_assert(lwkt::LwktPlatform<LwktGround>);

}  // namespace odo::x86
