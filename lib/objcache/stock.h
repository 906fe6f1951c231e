// SPDX-License-Identifier: BSD-3-Clause
// The account of a cache: how many objects exist and how many may, who waits
// for one, and the caller's memory that objects are made in.
//
// A unit is the right to one object's existence. Who has one makes an object,
// or gives the unit back.
//
// Contexts: in a lane's section, as depots. Lock order: stock, then depot.
// Ownership: the caller's linear memory, until the cache is destroyed. A Waiter
//   is on its thread's stack, linked until it is served.
// Invariants:
//   S1. made_ - ended_ units are taken, never more than limit_;
//   S2. a Waiter is served once, with an object or with a unit, in the order in
//       which they came;
//   S3. a unit that is given back goes to a waiter, if there is one.
// Ordering: the lock's; wakeups_ changes under it.
// Failure: no unit: false. No memory: null.
// Complexity: O(1); owns_linear() O(calls of populate()).
// Origin: DragonFly's kern_objcache.c: unallocated_objects and waiting in the
//   depot. There a put wakes whoever sleeps, who then looks again; here it
//   hands the object over.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>

#include "lib/base/annotations.h"
#include "lib/objcache/platform.h"

namespace odo::objcache {

struct Waiter {
  Waiter* next = nullptr;
  void* object = nullptr;
  bool has_unit = false;
  [[nodiscard]] bool is_served() const { return object != nullptr || has_unit; }
};

// Memory for one object, in which there is none.
struct RawBlock {
  RawBlock* next;
};

// Stands at the beginning of the caller's memory.
struct LinearArea {
  LinearArea* next;
  const std::byte* begin;
  const std::byte* end;
};

enum class Wake : std::uint8_t { kNobody, kWaiters };

template <ObjCachePlatform P, DepotLock<P> Lock>
class alignas(kLineBytes) ODO_CAPABILITY("stock") Stock {
 public:
  using WakeWord = typename P::template Atomic<std::uint32_t>;

  Stock(const P& platform, std::uint64_t limit)
      : lock_(platform), limit_(limit) {}
  Stock(const Stock&) = delete;
  Stock& operator=(const Stock&) = delete;

  void lock() ODO_ACQUIRE() ODO_NO_THREAD_SAFETY_ANALYSIS { lock_.lock(); }
  void unlock() ODO_RELEASE() ODO_NO_THREAD_SAFETY_ANALYSIS { lock_.unlock(); }

  // --- units
  [[nodiscard]] bool try_take_unit() ODO_REQUIRES(this) {
    if (made_ - ended_ >= limit_) return false;
    ++made_;
    return true;
  }
  // After an object's end.
  [[nodiscard]] Wake end_unit() ODO_REQUIRES(this) {
    ++ended_;
    return pass_unit_on();
  }
  // No object came of it.
  [[nodiscard]] Wake return_unit() ODO_REQUIRES(this) {
    --made_;
    return pass_unit_on();
  }
  [[nodiscard]] std::uint64_t made() const ODO_REQUIRES(this) { return made_; }
  [[nodiscard]] std::uint64_t ended() const ODO_REQUIRES(this) {
    return ended_;
  }

  // --- waiting
  void enqueue(Waiter& waiter) ODO_REQUIRES(this) {
    waiter.next = nullptr;
    (last_ == nullptr ? first_ : last_->next) = &waiter;
    last_ = &waiter;
  }
  // Gives the object to whoever waits longest; kNobody if nobody does.
  [[nodiscard]] Wake hand_over(void* object) ODO_REQUIRES(this) {
    Waiter* waiter = dequeue();
    if (waiter == nullptr) return Wake::kNobody;
    waiter->object = object;
    return Wake::kWaiters;
  }
  // What the word is now: a waiter that is not served yet parks on that.
  [[nodiscard]] std::uint32_t wakeups() ODO_REQUIRES(this) {
    return wakeups_.load(std::memory_order_relaxed);  // under the lock
  }
  // To park on and to unpark, without the lock.
  [[nodiscard]] WakeWord& wake_word() { return wakeups_; }

  // --- linear memory
  void add_area(LinearArea& area) ODO_REQUIRES(this) {
    area.next = areas_;
    areas_ = &area;
  }
  [[nodiscard]] bool owns_linear(const void* memory) const ODO_REQUIRES(this) {
    const auto* place = static_cast<const std::byte*>(memory);
    for (const LinearArea* a = areas_; a != nullptr; a = a->next) {
      if (place >= a->begin && place < a->end) return true;
    }
    return false;
  }
  void push_raw(void* memory) ODO_REQUIRES(this) {
    raw_ = ::new (memory) RawBlock{raw_};
  }
  // Null when there is none.
  [[nodiscard]] void* pop_raw() ODO_REQUIRES(this) {
    RawBlock* block = raw_;
    if (block != nullptr) raw_ = block->next;
    return block;
  }

 private:
  Waiter* dequeue() ODO_REQUIRES(this) {
    Waiter* waiter = first_;
    if (waiter == nullptr) return nullptr;
    first_ = waiter->next;
    if (first_ == nullptr) last_ = nullptr;
    // Relaxed: it only changes under the lock. A read-modify-write, as park()'s
    // look is one: a look that comes later can't find the older value.
    (void)wakeups_.fetch_add(1, std::memory_order_relaxed);
    return waiter;
  }
  Wake pass_unit_on() ODO_REQUIRES(this) {
    Waiter* waiter = dequeue();
    if (waiter == nullptr) return Wake::kNobody;
    ++made_;  // theirs (S3)
    waiter->has_unit = true;
    return Wake::kWaiters;
  }

  Lock lock_;
  WakeWord wakeups_{std::uint32_t{0}};
  const std::uint64_t limit_;
  std::uint64_t made_ ODO_GUARDED_BY(this) = 0;
  std::uint64_t ended_ ODO_GUARDED_BY(this) = 0;
  Waiter* first_ ODO_GUARDED_BY(this) = nullptr;
  Waiter* last_ ODO_GUARDED_BY(this) = nullptr;
  LinearArea* areas_ ODO_GUARDED_BY(this) = nullptr;
  RawBlock* raw_ ODO_GUARDED_BY(this) = nullptr;
};

}  // namespace odo::objcache
