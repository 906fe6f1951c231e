// SPDX-License-Identifier: BSD-3-Clause
// The word at the head of every node: a lock for who writes, a version for who
// reads.
//
//   bit 0   locked
//   above   the version, one more with each unlock
//
// A reader remembers the word, reads what it wants, and looks whether the word
// is still the same. Until then it believes nothing that it has read. A writer
// makes the word that it has read before into a locked one, in one step: what
// it read is then true and stays so. A node that has left the tree has no mark:
// its version is another one since, and who reads that one learns with it that
// the parent has changed.
//
// Contexts: a lane's section.
// Invariants:
//   W1. what the word guards changes only while it is locked, by who locked it;
//   W2. a word is never the same again: versions only grow.
// Ordering: V, L; docs/btree-concurrent.md has the pairs.
// Failure: none.
// Origin: Leis, Haubenschild and Neumann, "Optimistic Lock Coupling: A Scalable
//   and Efficient General-Purpose Synchronization Method" (IEEE Data Eng. Bull.
//   42(1), 2019); the fences as in Boehm, "Can Seqlocks Get Along With
//   Programming Language Memory Models?" (MSPC 2012).
#pragma once

#include <atomic>
#include <cstdint>

#include "lib/base/annotations.h"
#include "lib/btree/concurrent/platform.h"

namespace odo::btree::detail {

using Version = std::uint64_t;

template <ConcurrentPlatform P>
class VersionLock {
 public:
  VersionLock() { witness.born(); }
  VersionLock(const VersionLock&) = delete;
  VersionLock& operator=(const VersionLock&) = delete;

  // --- readers

  // The word, once it isn't locked.
  [[nodiscard]] ODO_ALWAYS_INLINE Version begin(P& ground) const {
    Version version = now();
    while (is_locked(version)) [[unlikely]] {
      ground.relax();
      version = now();
    }
    return version;
  }
  // Whether all that was read since `version` was, belongs to it.
  [[nodiscard]] ODO_ALWAYS_INLINE bool is_still(P& ground,
                                                Version version) const {
    witness.seen();
    // L: if anything read so far was written under a lock, then the load below
    // sees that lock, or what came after it.
    ground.fence(std::memory_order_acquire);
    return word_.load(std::memory_order_relaxed) == version;
  }
  // The same, and in the order of time (V): of two nodes that were read one
  // after the other, the first is as it was read even now. To be asked after
  // the other's is_still(), whose fence serves for both.
  [[nodiscard]] bool is_still_now(Version version) const {
    return now() == version;
  }

  // --- writers

  // Locks it if the word is `version`, which is not a locked one.
  [[nodiscard]] bool try_lock(P& ground, Version version) {
    // Relaxed: the word is the one that was read with acquire (W2), so there is
    // nothing to learn from it.
    if (!word_.compare_exchange_strong(version, version | kLocked,
                                       std::memory_order_relaxed,
                                       std::memory_order_relaxed)) {
      return false;
    }
    // L: whoever sees what is written from here on, sees that it is locked.
    ground.fence(std::memory_order_release);
    return true;
  }
  // Locks it if nobody has.
  [[nodiscard]] bool try_lock(P& ground) {
    const Version version = now();
    return !is_locked(version) && try_lock(ground, version);
  }
  // Waits.
  void lock(P& ground) {
    while (!try_lock(ground)) ground.relax();
  }
  void unlock() {
    // V: who begins with this version has all that was written under the lock.
    // Sequentially consistent, as the load that it pairs with: operations on
    // different nodes then have one order, and it is that of time.
    word_.store(held() - kLocked + kStep, std::memory_order_seq_cst);
  }

  // The word, for who holds it: its own store.
  [[nodiscard]] Version held() const {
    return word_.load(std::memory_order_relaxed);
  }

  [[nodiscard]] static bool is_locked(Version version) {
    return (version & kLocked) != 0;
  }

  // Of the node that this is the head of.
  [[no_unique_address]] Witness<P> witness;

 private:
  static constexpr Version kLocked = 1;
  static constexpr Version kStep = 2;

  [[nodiscard]] ODO_ALWAYS_INLINE Version now() const {
    witness.seen();
    return word_.load(std::memory_order_seq_cst);  // V
  }

  P::template Atomic<Version> word_{0};
};

}  // namespace odo::btree::detail
