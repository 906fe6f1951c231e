// SPDX-License-Identifier: BSD-3-Clause
// What lib/lwkt and lib/tokens stand on in the kernel: one CPU, whose
// interrupts are on only while it has nothing to do.
//
// So nothing interrupts a thread: handlers run in idle(), see no one in the
// middle of anything, and may wake whoever sleeps.
//
// Contexts: thread, and handlers in idle().
// Failure: misuse is told, and panics.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/lwkt/platform.h"
#include "lib/platform/host/atomic.h"
#include "lib/tokens/platform.h"

namespace odo::x86 {

class LwktGround {
 public:
  template <class T>
  using Atomic = platform::HostAtomic<T>;
  struct StackNote {};

  // Nobody is waited for by turning round: there is no other CPU.
  static constexpr tokens::TokenTuning kTokenTuning = {.spin_rounds = 1,
                                                       .max_pause = 1,
                                                       .impatient_after = 1,
                                                       .let_pass = 1,
                                                       .bias_after_reads = 0};
  static constexpr lwkt::LwktTuning kLwktTuning = {.sleep_buckets = 64,
                                                   .quantum_ticks = 10,
                                                   .idle_spin_ns = 0,
                                                   .token_poll_ns = 1'000'000,
                                                   .cached_stacks = 0,
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

  // idle() looks at the word after every interrupt.
  void kick(unsigned /*cpu*/, Atomic<std::uint32_t>& /*word*/,
            std::uint32_t /*before*/) const {}
  void idle(unsigned cpu, Atomic<std::uint32_t>& word,
            std::uint64_t deadline_ns) const;
  // idle() sets the alarm, and a busy CPU looks at the clock where it idles.
  void timer(unsigned /*cpu*/, std::uint64_t /*deadline_ns*/) const {}

  // From the heap, without a guard: what overflows is found at the next switch.
  // The stacks in the image (stacks.h) have one.
  [[nodiscard]] std::span<std::byte> map_stack(std::size_t bytes) const;
  void unmap_stack(std::span<std::byte> stack) const;
  void make_note(StackNote& /*note*/, std::span<std::byte> /*stack*/) const {}
  void before_switch(StackNote& /*from*/, StackNote& /*to*/,
                     bool /*ends*/) const {}
  void after_switch(StackNote& /*now*/) const {}

  [[noreturn]] void token_fault(const tokens::TokenFault& fault) const;
  [[noreturn]] void lwkt_fault(const lwkt::LwktFault& fault) const;
};

static_assert(lwkt::LwktPlatform<LwktGround>);

}  // namespace odo::x86
