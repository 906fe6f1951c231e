// SPDX-License-Identifier: BSD-3-Clause
// The ground of threads in a Linux program: a CPU is a host thread, an idle one
// sleeps by futex(2). There are no interrupts: a CPU looks at its attention
// word where its threads yield, sleep or end a critical section.
//
// Contexts: any host thread. Stateless.
// Failure: faults print one line and abort.
// Origin: futex(2).
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>

#include "lib/lwkt/host/stack_note.h"
#include "lib/lwkt/host/stacks.h"
#include "lib/lwkt/system.h"
#include "lib/tokens/host/ground.h"

namespace odo::lwkt {

class HostGround : public tokens::HostGround {
 public:
  using StackNote = lwkt::StackNote;

  static constexpr LwktTuning kLwktTuning = {
      .sleep_buckets = 256,
      .quantum_ticks = 10,
      .idle_spin_ns = 50'000,
      .token_poll_ns = 50'000,
      .cached_stacks = 256,
      .ipi_entries = 256,
  };

  ODO_ALWAYS_INLINE void fence(std::memory_order order) const {
#if defined(__x86_64__)
    // A locked instruction orders as MFENCE does, for a third of its time.
    if (order == std::memory_order_seq_cst) {
      asm volatile("lock; addl $0, (%%rsp)" ::: "cc", "memory");
      return;
    }
#endif
    std::atomic_thread_fence(order);
  }

  void kick(unsigned /*cpu*/, Atomic<std::uint32_t>& word,
            std::uint32_t before) const {
    if ((before & kSleeps) != 0) wake_all(word);
  }
  void idle(unsigned /*cpu*/, Atomic<std::uint32_t>& word,
            std::uint64_t deadline_ns) const {
    // One word holds the bits and our sleep, and all change it by
    // read-modify-writes, which agree on an order: who raises a bit after this
    // sees that we sleep. Relaxed: what the bits announce, take() acquires.
    std::uint32_t seen = 0;
    if (!word.compare_exchange_strong(seen, kSleeps, std::memory_order_relaxed,
                                      std::memory_order_relaxed)) {
      return;
    }
    const timespec until = {
        .tv_sec = static_cast<time_t>(deadline_ns / 1'000'000'000),
        .tv_nsec = static_cast<long>(deadline_ns % 1'000'000'000)};
    // Of the ways to wait, this one takes an absolute time of our clock.
    syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, kSleeps,
            deadline_ns == ~std::uint64_t{0} ? nullptr : &until, nullptr,
            FUTEX_BITSET_MATCH_ANY);
    (void)word.fetch_and(~kSleeps, std::memory_order_relaxed);
  }
  // Idle CPUs wait for no longer than their next timer, and busy ones look at
  // the clock when HostSystem's ticker tells them to.
  void timer(unsigned /*cpu*/, std::uint64_t /*deadline_ns*/) const {}

  [[nodiscard]] std::span<std::byte> map_stack(std::size_t bytes) const {
    return HostStacks::map(bytes);
  }
  void unmap_stack(std::span<std::byte> stack) const {
    HostStacks::unmap(stack);
  }

  void make_note(StackNote& note, std::span<std::byte> stack) const {
    note.make(stack);
  }
  ODO_ALWAYS_INLINE void before_switch(StackNote& from, StackNote& to,
                                       bool ends) const {
    StackNote::before_switch(from, to, ends);
  }
  ODO_ALWAYS_INLINE void after_switch(StackNote& now) const {
    StackNote::after_switch(now);
  }

  [[noreturn]] void lwkt_fault(const LwktFault& fault) const {
    std::fprintf(stderr, "thread \"%s\" %s%s%s%s\n  at %s:%u (%s)\n",
                 fault.thread, misuse_text(fault.what),
                 fault.object[0] == '\0' ? "" : ": \"", fault.object,
                 fault.object[0] == '\0' ? "" : "\"", fault.here.file_name(),
                 fault.here.line(), fault.here.function_name());
    if (fault.there.line() != 0) {
      std::fprintf(stderr, "  since %s:%u (%s)\n", fault.there.file_name(),
                   fault.there.line(), fault.there.function_name());
    }
    std::abort();
  }

 private:
  static constexpr std::uint32_t kSleeps = std::uint32_t{1} << 31;
};

static_assert(LwktPlatform<HostGround>);

using HostThread = Thread<HostGround>;

}  // namespace odo::lwkt
