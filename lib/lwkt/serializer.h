// SPDX-License-Identifier: BSD-3-Clause
// A serializer: one thread at a time, also while it sleeps. What a driver needs
// whose device is in the middle of something when its thread waits for it.
//
// Contexts: threads, of the interrupt band too. try_enter() from anywhere that
//   is left again before anything else runs there.
// Invariants: the word is free, held, or held with the possibility of waiters.
//   Who found it held once takes it with waiters, as there may be more than
//   itself; so nobody is left asleep by one who left without a look.
// Ordering: LZ: leaving, release; entering, acquire: who enters sees what the
//   one before did.
// Failure: entering twice, or leaving what one is not in, is a fault.
// Complexity: alone, an atomic instruction each way. Not fair: who comes while
//   it is free goes before those who sleep.
// Origin: DragonFly's sys/kern/lwkt_serialize.c for what it is; Drepper,
//   "Futexes Are Tricky", mutex2, for the three states.
#pragma once

#include <atomic>
#include <cstdint>

#include "lib/base/annotations.h"
#include "lib/lwkt/cpu.h"
#include "lib/lwkt/sleep.h"

namespace odo::lwkt {

template <LwktPlatform P>
class ODO_CAPABILITY("serializer") Serializer {
 public:
  explicit Serializer(const char* name) : name_(name) {}
  Serializer(const Serializer&) = delete;
  Serializer& operator=(const Serializer&) = delete;

  [[nodiscard]] const char* name() const { return name_; }

  void enter(Thread<P>& self, Where where = Where::current()) ODO_MAY_BLOCK
      ODO_ACQUIRE() ODO_NO_THREAD_SAFETY_ANALYSIS {
    if (!try_enter(self, where)) enter_slowly(self, where);
  }
  [[nodiscard]] bool try_enter(Thread<P>& self, Where where = Where::current())
      ODO_TRY_ACQUIRE(true) ODO_NO_THREAD_SAFETY_ANALYSIS {
    State seen = kFree;
    // LZ: acquire.
    if (!word_.compare_exchange_strong(seen, kHeld, std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
      return false;
    }
    entered(self, where);
    return true;
  }
  void leave(Thread<P>& self, Where where = Where::current())
      ODO_RELEASE() ODO_NO_THREAD_SAFETY_ANALYSIS {
    if (!is_held_by(self)) fault(self, Misuse::kNotSerialized, where);
    holder_.store(nullptr, std::memory_order_relaxed);
    // LZ: release.
    const State before = word_.exchange(kFree, std::memory_order_release);
    if (before == kHeldWithWaiters) Sleepers<P>::wakeup_one(self, this);
  }

  // Only the holder's own question has an answer that stays true. Relaxed: a
  // thread sees its own stores, and no other stores its name.
  [[nodiscard]] bool is_held_by(const Thread<P>& self) const {
    return holder_.load(std::memory_order_relaxed) == &self;
  }

 private:
  using State = std::uint32_t;
  static constexpr State kFree = 0;
  static constexpr State kHeld = 1;
  static constexpr State kHeldWithWaiters = 2;

  void entered(Thread<P>& self, Where where) {
    holder_.store(&self, std::memory_order_relaxed);
    entered_at_ = where;
  }
  ODO_NOINLINE void enter_slowly(Thread<P>& self,
                                 Where where) ODO_NO_THREAD_SAFETY_ANALYSIS {
    if (is_held_by(self)) {
      fault(self, Misuse::kSerializedTwice, where, entered_at_);
    }
    P& ground = self.cpu().ground();
    for (std::uint32_t i = 0; i < P::kTokenTuning.spin_rounds; ++i) {
      ground.relax();
      // Relaxed: try_enter() reads it again.
      if (word_.load(std::memory_order_relaxed) == kFree &&
          try_enter(self, where)) {
        return;
      }
    }
    while (true) {
      Sleepers<P>::interlock(self, this);
      // LZ: acquire.
      if (word_.exchange(kHeldWithWaiters, std::memory_order_acquire) ==
          kFree) {
        Sleepers<P>::cancel(self);
        entered(self, where);
        return;
      }
      // Who leaves after our exchange finds us on the list.
      Sleepers<P>::sleep(self, this, Sleepers<P>::kNoTimeout, where);
    }
  }
  [[noreturn]] ODO_NOINLINE void fault(Thread<P>& self, Misuse what,
                                       Where where, Where there = Where()) {
    self.cpu().ground().lwkt_fault(
        LwktFault{what, self.name(), name_, where, there});
    ODO_PANIC("a serializer was misused");
  }

  typename P::template Atomic<State> word_{kFree};
  typename P::template Atomic<Thread<P>*> holder_{nullptr};
  const char* name_;
  Where entered_at_;  // the holder's
};

}  // namespace odo::lwkt
