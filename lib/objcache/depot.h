// SPDX-License-Identifier: BSD-3-Clause
// The depot of a cluster of lanes: magazines with objects in them, empty ones,
// and the capacity that new ones get.
//
// Contexts: in a lane's section, so that no interrupt handler of the same CPU
//   waits for a lock that its CPU holds.
// Ownership: the magazines in it, and the objects in those.
// Invariants:
//   D1. each magazine in full_ has a round or more, each in empty_ none;
//   D2. capacity_ never shrinks and stays within the tuning's bounds.
// Ordering: the lock's.
// Failure: none; what can't be had is null or false.
// Complexity: O(1), but for taking an empty magazine after a growth, which
//   weeds out those that are too small.
// Origin: Bonwick and Adams (magazine.h), section 3.1, and 3.3 for the growth:
//   contention for the depot is what a larger magazine buys off.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "lib/base/annotations.h"
#include "lib/objcache/lane.h"
#include "lib/objcache/magazine.h"
#include "lib/objcache/platform.h"

namespace odo::objcache {

// Holds a depot or a stock for as long as it lives.
template <class L>
class ODO_SCOPED_CAPABILITY Hold {
 public:
  explicit Hold(L& lock) ODO_ACQUIRE(lock) : lock_(lock) { lock_.lock(); }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;
  ~Hold() ODO_RELEASE() { lock_.unlock(); }

 private:
  L& lock_;
};

template <ObjCachePlatform P, Tuning Tuned, DepotLock<P> Lock>
class alignas(kLineBytes) ODO_CAPABILITY("depot") Depot {
  static_assert(Tuned.min_capacity > 0 &&
                Tuned.min_capacity <= Tuned.max_capacity);

 public:
  explicit Depot(const P& platform) : lock_(platform) {}
  Depot(const Depot&) = delete;
  Depot& operator=(const Depot&) = delete;

  void lock() ODO_ACQUIRE() ODO_NO_THREAD_SAFETY_ANALYSIS {
    if (lock_.try_lock()) return;
    lock_.lock();
    note_contention();
  }
  void unlock() ODO_RELEASE() ODO_NO_THREAD_SAFETY_ANALYSIS { lock_.unlock(); }

  // An object through the lane's magazines, or null. The lane's section holds,
  // and the lane is not busy (L1b).
  void* get_through(Lane<P>& lane) ODO_REQUIRES(this) {
    lane.witness.touch();
    if (!lane.prepare_pop()) {
      Magazine* full = full_.pop();
      if (full == nullptr) return nullptr;
      // Both of the lane's are empty, if they are there.
      Magazine* before = std::exchange(lane.previous, lane.load(full));
      if (before != nullptr) empty_.push(*before);
      note_exchange(lane);
    }
    return lane.pop();
  }

  // False when there is no empty magazine to be had. `outgrown` are the
  // caller's to free.
  bool put_through(Lane<P>& lane, void* object, MagazineList& outgrown)
      ODO_REQUIRES(this) {
    lane.witness.touch();
    if (!lane.prepare_push()) {
      Magazine* empty = take_empty(outgrown);
      if (empty == nullptr) return false;
      // Both of the lane's are full, if they are there.
      Magazine* before = std::exchange(lane.previous, lane.load(empty));
      if (before != nullptr) full_.push(*before);
      note_exchange(lane);
    }
    lane.push(object);
    return true;
  }

  // Takes both of the lane's magazines away from it (L1c).
  void take_from(Lane<P>& lane) ODO_REQUIRES(this) {
    lane.witness.touch();
    add(lane.load(nullptr));
    add(std::exchange(lane.previous, nullptr));
  }

  // A magazine more, with whatever is in it; null is none.
  void add(Magazine* magazine) ODO_REQUIRES(this) {
    if (magazine == nullptr) return;
    (magazine->rounds == 0 ? empty_ : full_).push(*magazine);
  }

  // How many of `objects` were filled.
  std::size_t take(std::span<void*> objects) ODO_REQUIRES(this) {
    std::size_t taken = 0;
    while (taken < objects.size() && !full_.empty()) {
      Magazine& magazine = *full_.front();
      objects[taken++] = magazine.slots()[--magazine.rounds];
      if (magazine.rounds == 0) empty_.push(*full_.pop());
    }
    return taken;
  }

  // All empty magazines that the backing may have back.
  [[nodiscard]] MagazineList take_empties() ODO_REQUIRES(this) {
    MagazineList freed;
    MagazineList kept;
    while (Magazine* magazine = empty_.pop()) {
      (magazine->home == MagazineHome::kBacking ? freed : kept).push(*magazine);
    }
    empty_ = kept;
    return freed;
  }

  // What a new magazine should hold.
  [[nodiscard]] std::uint32_t capacity() const ODO_REQUIRES(this) {
    return capacity_;
  }
  // How often the lock was found taken.
  [[nodiscard]] std::uint64_t contended() const ODO_REQUIRES(this) {
    return contended_;
  }

 private:
  void note_exchange(Lane<P>& lane) ODO_REQUIRES(this) {
    lane.exchanges.add_one();
    if (++window_ >= Tuned.window_exchanges) {
      window_ = 0;
      contended_in_window_ = 0;
    }
  }
  void note_contention() ODO_REQUIRES(this) {
    ++contended_;
    if (++contended_in_window_ < Tuned.contended_to_grow) return;
    window_ = 0;
    contended_in_window_ = 0;
    capacity_ = std::min(capacity_ * 2, Tuned.max_capacity);  // D2
  }
  Magazine* take_empty(MagazineList& outgrown) ODO_REQUIRES(this) {
    while (Magazine* magazine = empty_.pop()) {
      if (magazine->capacity >= capacity_ ||
          magazine->home == MagazineHome::kLinear) {
        return magazine;
      }
      outgrown.push(*magazine);
    }
    return nullptr;
  }

  Lock lock_;
  MagazineList full_ ODO_GUARDED_BY(this);
  MagazineList empty_ ODO_GUARDED_BY(this);
  std::uint32_t capacity_ ODO_GUARDED_BY(this) = Tuned.min_capacity;
  std::uint32_t window_ ODO_GUARDED_BY(this) = 0;
  std::uint32_t contended_in_window_ ODO_GUARDED_BY(this) = 0;
  std::uint64_t contended_ ODO_GUARDED_BY(this) = 0;
};

}  // namespace odo::objcache
