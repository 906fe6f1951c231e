// SPDX-License-Identifier: BSD-3-Clause
// Sleeping on an address until somebody wakes those who sleep there.
//
//   while (!ready) {
//     Sleepers<P>::interlock(self, &ready);
//     if (ready) break;
//     Sleepers<P>::sleep(self, &ready);
//   }
//   Sleepers<P>::cancel(self);
//
// An interlock puts the thread on the address's list before it looks at what it
// waits for: a wake-up that comes between the look and the sleep makes the
// sleep return at once. Where the look is under a token that the waker takes as
// well, sleep() alone will do: it makes its own interlock before the token
// lapses.
//
// Contexts: threads; wakeup() also in critical sections and interrupts. No
//   sleep in a critical section.
// Invariants:
//   Z1. a thread is on the list of its address from interlock() until a
//   wake-up,
//       its timeout, or the next interlock; only its own CPU touches the list;
//   Z2. a CPU with a thread on a list is in the mask of that bucket. It stays
//   in
//       after the last one left, until a wake-up comes for nothing.
// Ordering: LS: who sleeps: mask, fence, look at what it waits for; who wakes:
//   what is waited for, fence, look at the mask. Both fences seq_cst: one of
//   the two sees the other.
// Failure: none; a wake-up that came for an interlock counts for the sleep that
//   follows, whatever its address. Two addresses may share a bucket, but not a
//   wake-up: those name their address.
// Complexity: wakeup: a look at the mask, a call to each CPU in it; there, the
//   bucket's list.
// Origin: tsleep_interlock(), tsleep(), wakeup() in DragonFly's
//   sys/kern/kern_synch.c: per-CPU lists by hash, a mask of CPUs for each,
//   IPIs. Deviation: the mask is cleared lazily.
#pragma once

#include <cstdint>

#include "lib/lwkt/cpu.h"
#include "lib/lwkt/system.h"

namespace odo::lwkt {

template <LwktPlatform P>
class Sleepers {
 public:
  using ThreadT = Thread<P>;
  static constexpr std::uint64_t kNoTimeout = TimerWheel::kNeverNs;

  // On the list from here on; the thread goes on running.
  static void interlock(ThreadT& self, const void* address) {
    self.enter_critical();
    put(self, address);
    self.cpu().ground_.fence(std::memory_order_seq_cst);  // LS
    self.exit_critical();
  }
  // Without sleeping after an interlock: what was waited for is there. A
  // wakeup_one() since then may have been spent on this thread: if there is
  // more of what it was for, it is to be passed on by another.
  static void cancel(ThreadT& self) {
    self.enter_critical();
    take_off(self);
    self.exit_critical();
  }

  // Sleeps until a wake-up of the address (one since the interlock counts), or
  // until the clock passes the deadline.
  ODO_ALWAYS_INLINE static SleepResult sleep(
      ThreadT& self, const void* address,
      std::uint64_t deadline_ns = kNoTimeout,
      Where where = Where::current()) ODO_MAY_BLOCK {
    if (self.critical_ != 0) {
      self.cpu().fault(Misuse::kBlockedInCritical, self, nullptr, where);
    }
    self.enter_critical();
    const bool elsewhere =
        self.asleep_on_ != nullptr && self.asleep_on_ != address;
    if (!self.interlocked_ || elsewhere) put(self, address);
    self.interlocked_ = false;
    SleepResult result = SleepResult::kWoken;
    if (self.asleep_on_ != nullptr) {
      self.sleep_result_ = SleepResult::kWoken;
      if (deadline_ns != kNoTimeout) self.cpu().arm(self.timeout_, deadline_ns);
      self.sleep_in_critical(where);
      if (deadline_ns != kNoTimeout) self.cpu().cancel(self.timeout_);
      result = self.sleep_result_;
    }
    self.exit_critical();
    return result;
  }

  // Wakes every thread that sleeps on the address, on whatever CPU.
  static void wakeup(ThreadT& self, const void* address) {
    self.enter_critical();
    Cpu<P>& here = self.cpu();
    here.ground_.fence(std::memory_order_seq_cst);  // LS
    const CpuMask mask = cpus_with_sleepers(here, address);
    mask.for_each([&](unsigned cpu) {
      here.system_->fabric().send(here.index_, cpu,
                                  {&wake_all, unqualified(address)});
    });
    self.exit_critical();
  }

  // Wakes one of them: this CPU's first, else another's.
  static void wakeup_one(ThreadT& self, const void* address) {
    self.enter_critical();
    Cpu<P>& here = self.cpu();
    here.ground_.fence(std::memory_order_seq_cst);  // LS
    const CpuMask mask = cpus_with_sleepers(here, address);
    if (!(mask.test(here.index_) && wake_first(here, address))) {
      pass_on(here, Search::make(address, here.index_), mask);
    }
    self.exit_critical();
  }

 private:
  // A search for a sleeper goes from CPU to CPU in the order of their numbers,
  // once around, as one word: the address and the CPU that it began at.
  // An address has no more than 56 bits here, its uppermost repeated: 5-level
  // paging has 57, user and kernel halves being told apart by the 57th, which
  // the bit below it repeats where the halves are not full.
  struct Search {
    std::uintptr_t word;

    static constexpr unsigned kAddressBits = 56;
    [[nodiscard]] static Search make(const void* address, unsigned origin) {
      const auto bits = reinterpret_cast<std::uintptr_t>(address);
      constexpr std::uintptr_t kLow = (std::uintptr_t{1} << kAddressBits) - 1;
      return {(bits & kLow) | (std::uintptr_t{origin} << kAddressBits)};
    }
    [[nodiscard]] const void* address() const {
      // Sign extension, as the processor wants it.
      const auto shifted =
          static_cast<std::intptr_t>(word << (64 - kAddressBits));
      return reinterpret_cast<const void*>(shifted >> (64 - kAddressBits));
    }
    [[nodiscard]] unsigned origin() const {
      return static_cast<unsigned>(word >> kAddressBits);
    }
  };

  static void put(ThreadT& self, const void* address) {
    ODO_CHECK(address != nullptr);
    take_off(self);
    Cpu<P>& here = self.cpu();
    const std::uint32_t bucket = Cpu<P>::bucket_of(address);
    here.sleeping_[bucket].push_back(self);
    self.asleep_on_ = address;
    self.interlocked_ = true;
    AtomicCpuMask<P>& mask = here.system_->sleepers(bucket);
    // Ours alone to change, so relaxed sees it; the fence that follows, or the
    // release of the token that the waker takes, carries it to wakers (LS).
    if (!mask.test(here.index_, std::memory_order_relaxed)) {
      mask.set(here.index_, std::memory_order_relaxed);
    }
  }
  static void take_off(ThreadT& self) {
    self.interlocked_ = false;
    if (self.asleep_on_ == nullptr) return;
    self.cpu().sleeping_[Cpu<P>::bucket_of(self.asleep_on_)].erase(self);
    self.asleep_on_ = nullptr;
  }

  [[nodiscard]] static CpuMask cpus_with_sleepers(Cpu<P>& here,
                                                  const void* address) {
    return here.system_->sleepers(Cpu<P>::bucket_of(address))
        .load(std::memory_order_relaxed);  // LS: after the fence
  }
  [[nodiscard]] static void* unqualified(const void* address) {
    return const_cast<void*>(address);
  }

  // Off the list; and out of sleep, unless it is only on its way there.
  static void wake_it(Cpu<P>& here, ThreadT& thread) {
    here.sleeping_[Cpu<P>::bucket_of(thread.asleep_on_)].erase(thread);
    thread.asleep_on_ = nullptr;
    if (thread.place_ == Place::kAsleep) here.wake(thread);
  }
  static bool wake_first(Cpu<P>& here, const void* address) {
    for (ThreadT& thread : here.sleeping_[Cpu<P>::bucket_of(address)]) {
      if (thread.asleep_on_ != address) continue;
      wake_it(here, thread);
      return true;
    }
    leave_if_empty(here, address);
    return false;
  }
  static void leave_if_empty(Cpu<P>& here, const void* address) {
    const std::uint32_t bucket = Cpu<P>::bucket_of(address);
    if (!here.sleeping_[bucket].empty()) return;
    here.system_->sleepers(bucket).clear(here.index_,
                                         std::memory_order_relaxed);
  }

  // On each CPU that has sleepers.
  static void wake_all(void* address, void* cpu) {
    auto& here = *static_cast<Cpu<P>*>(cpu);
    auto& list = here.sleeping_[Cpu<P>::bucket_of(address)];
    for (auto it = list.begin(); it != list.end();) {
      ThreadT& thread = *it++;
      if (thread.asleep_on_ == address) wake_it(here, thread);
    }
    leave_if_empty(here, address);
  }
  static void look_for_one(void* word, void* cpu) {
    auto& here = *static_cast<Cpu<P>*>(cpu);
    const Search search{reinterpret_cast<std::uintptr_t>(word)};
    if (wake_first(here, search.address())) return;
    pass_on(here, search, cpus_with_sleepers(here, search.address()));
  }
  // To the next CPU of the mask, if the way around isn't done.
  static void pass_on(Cpu<P>& here, Search search, const CpuMask& mask) {
    const unsigned count = here.system_->cpus();
    for (unsigned cpu = (here.index_ + 1) % count; cpu != search.origin();
         cpu = (cpu + 1) % count) {
      if (!mask.test(cpu)) continue;
      here.system_->fabric().send(
          here.index_, cpu,
          {&look_for_one, reinterpret_cast<void*>(search.word)});
      return;
    }
  }
};

}  // namespace odo::lwkt
