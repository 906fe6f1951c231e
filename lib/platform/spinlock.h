// SPDX-License-Identifier: BSD-3-Clause
// A fair lock that is waited for by spinning: for data that is held for a few
// dozen instructions.
//
// Contexts: any, if every holder keeps out the contexts that could interrupt it
// on the same CPU and want the lock too; the lock cannot know.
// Invariants:
//   I1. one word holds the next ticket to draw (upper half) and the one being
//       served (lower half); the lock is free when they are equal;
//   I2. only the holder changes the lower half, and tickets are served in the
//       order drawn: no waiter starves.
// Ordering: the operation that finds our ticket served (the draw itself, a
//   waiter's load, try_lock's exchange) acquires, pairing with the release in
//   unlock(). A failed try_lock is relaxed: nothing guarded is read after it.
// Failure: none; a holder that never unlocks hangs the rest.
// Complexity: O(1) and one atomic read-modify-write uncontended; at most 65,535
//   waiters.
// Origin: the ticket lock; Mellor-Crummey and Scott, "Algorithms for Scalable
//   Synchronization on Shared-Memory Multiprocessors", 1991, section 2.2.
#pragma once

#include <atomic>
#include <cstdint>

#include "lib/base/annotations.h"
#include "lib/platform/concepts.h"

namespace odo::platform {

template <class P>
concept SpinLockPlatform = HasAtomics<P> && CanRelax<P>;

template <SpinLockPlatform P>
class ODO_CAPABILITY("spinlock") SpinLock {
 public:
  constexpr explicit SpinLock(P platform = P()) : platform_(platform) {}
  SpinLock(const SpinLock&) = delete;
  SpinLock& operator=(const SpinLock&) = delete;

  void lock() ODO_ACQUIRE() {
    std::uint32_t drawn = word_.fetch_add(kDraw, std::memory_order_acquire);
    std::uint32_t mine = drawn >> 16;
    while ((drawn & kServing) != mine) {
      platform_.relax();
      drawn = word_.load(std::memory_order_acquire);
    }
  }

  // True when taken; false when somebody holds it or waits.
  [[nodiscard]] bool try_lock() ODO_TRY_ACQUIRE(true) {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    return (seen & kServing) == seen >> 16 &&
           word_.compare_exchange_strong(seen, seen + kDraw,
                                         std::memory_order_acquire,
                                         std::memory_order_relaxed);
  }

  void unlock() ODO_RELEASE() {
    // The lower half is ours alone (I2), so a relaxed load sees it as it is. It
    // wraps without a carry into the tickets.
    std::uint32_t serving = word_.load(std::memory_order_relaxed) & kServing;
    if (serving == kServing) {
      (void)word_.fetch_sub(kServing, std::memory_order_release);
    } else {
      (void)word_.fetch_add(1, std::memory_order_release);
    }
  }

 private:
  static constexpr std::uint32_t kServing = 0xffff;
  // The upper half wraps by itself.
  static constexpr std::uint32_t kDraw = std::uint32_t{1} << 16;

  [[no_unique_address]] P platform_;
  typename P::template Atomic<std::uint32_t> word_{0u};
};

// Holds a lock for as long as it lives.
template <SpinLockPlatform P>
class ODO_SCOPED_CAPABILITY SpinGuard {
 public:
  explicit SpinGuard(SpinLock<P>& lock) ODO_ACQUIRE(lock) : lock_(lock) {
    lock_.lock();
  }
  SpinGuard(const SpinGuard&) = delete;
  SpinGuard& operator=(const SpinGuard&) = delete;
  ~SpinGuard() ODO_RELEASE() { lock_.unlock(); }

 private:
  SpinLock<P>& lock_;
};

}  // namespace odo::platform
