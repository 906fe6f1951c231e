// SPDX-License-Identifier: BSD-3-Clause
// The slow path of ObjCache: whatever is not done by a pop from, or a push to,
// the lane's loaded magazine.
//
// Contexts, invariants, ordering, failure: objcache.h.
// Locks: each is taken in a lane's section while the lane is not busy (L2);
//   stock before depot. Backing and Life are called with neither.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <span>

#include "lib/base/check.h"
#include "lib/objcache/objcache.h"

// clang-format off: one head for all definitions.
#define ODO_OBJCACHE_TEMPLATE                                        \
  template <class T, ObjCachePlatform P, Backing B, LifeOf<T> Life,  \
            Tuning Tuned, DepotLock<P> Lock>
#define ODO_OBJCACHE ObjCache<T, P, B, Life, Tuned, Lock>
// clang-format on

namespace odo::objcache {

// --- get

ODO_OBJCACHE_TEMPLATE
T* ODO_OBJCACHE::get_slow(Lane<P>& lane, AtLimit at_limit) {
  void* object = get_near(lane);
  if (object == nullptr) object = get_far(at_limit);
  return give_out(object);
}

// From the lane's magazines or its depot. Comes in the section with the lane
// busy and leaves both.
ODO_OBJCACHE_TEMPLATE
void* ODO_OBJCACHE::get_near(Lane<P>& lane) {
  void* object = nullptr;
  if (nobody_asks()) {
    lane.witness.touch();
    if (lane.prepare_pop()) object = lane.pop();
  }
  calm(lane);
  if (object == nullptr) {
    ClusterDepot& depot = depots_[my_cluster()];
    const Hold hold(depot);
    object = depot.get_through(lane);
  }
  if (object != nullptr) lane.gets.add_one();
  platform_.exit_lane();
  return object;
}

// A new one, or else one from anywhere, or else the next that comes.
ODO_OBJCACHE_TEMPLATE
void* ODO_OBJCACHE::get_far(AtLimit at_limit) {
  void* object = take_unit() ? make() : nullptr;
  if (object == nullptr) {
    Waiter waiter;
    {
      const Attention attention(*this);
      if (!look_everywhere(waiter, at_limit)) sleep_until_served(waiter);
    }
    object = waiter.has_unit ? make() : waiter.object;
  }
  if (object != nullptr) count_get();
  return object;
}

// Serves `waiter` with an object from anywhere, with a unit, or with nothing;
// false: with nothing yet, it is in the line. The caller asked for attention.
ODO_OBJCACHE_TEMPLATE
bool ODO_OBJCACHE::look_everywhere(Waiter& waiter, AtLimit at_limit) {
  const Section section(platform_);
  const Hold hold(stock_);
  waiter.object = find_anywhere();
  if (waiter.object != nullptr) return true;
  waiter.has_unit = stock_.try_take_unit();
  if (waiter.has_unit || at_limit == AtLimit::kFail) return true;
  stock_.enqueue(waiter);  // C3
  return false;
}

// The caller asked for attention.
ODO_OBJCACHE_TEMPLATE
void* ODO_OBJCACHE::find_anywhere() {
  for (unsigned cluster = 0; cluster < kDepots; ++cluster) {
    ClusterDepot& depot = depots_[cluster];
    const Hold hold(depot);
    visit(cluster, depot);
    void* object = nullptr;
    if (depot.take({&object, 1}) == 1) return object;
  }
  return nullptr;
}

// Moves the magazines of the cluster's lanes to its depot. The caller asked for
// attention, or there are no other users.
ODO_OBJCACHE_TEMPLATE
void ODO_OBJCACHE::visit(unsigned cluster, ClusterDepot& depot) {
  for (unsigned i = 0; i < platform_.lanes(); ++i) {
    if (cluster_of(i) != cluster) continue;
    Lane<P>& lane = lanes_[i];
    // B: acquire, with calm(). F: what was busy before it could see that we
    // ask, we see to be busy; it never waits for us (L2).
    while (lane.busy.load(std::memory_order_acquire)) platform_.relax();
    depot.take_from(lane);
  }
}

ODO_OBJCACHE_TEMPLATE
void ODO_OBJCACHE::sleep_until_served(Waiter& waiter) {
  if constexpr (CanPark<P>) {
    while (true) {
      std::uint32_t seen = 0;
      {
        const Section section(platform_);
        const Hold hold(stock_);
        if (waiter.is_served()) return;
        seen = stock_.wakeups();
      }
      platform_.park(stock_.wake_word(), seen);
    }
  } else {
    ODO_PANIC("nobody waits on a ground that cannot park");
  }
}

// --- put

// Comes in the section with the lane busy and leaves both.
ODO_OBJCACHE_TEMPLATE
void ODO_OBJCACHE::put_slow(Lane<P>& lane, void* object) {
  Lane<P>* mine = &lane;
  while (!put_near(*mine, object)) {
    if (!add_magazine()) {
      discard(object);
      return;
    }
    mine = &enter();
  }
}

// False when there is no empty magazine. Leaves section and lane.
ODO_OBJCACHE_TEMPLATE
bool ODO_OBJCACHE::put_near(Lane<P>& lane, void* object) {
  bool stored = false;
  if (nobody_asks()) {
    lane.witness.touch();
    stored = lane.prepare_push();
    if (stored) lane.push(object);
  }
  calm(lane);
  MagazineList outgrown;
  if (!stored) stored = put_locked(lane, object, outgrown);
  platform_.exit_lane();
  free_magazines(outgrown);
  return stored;
}

ODO_OBJCACHE_TEMPLATE
bool ODO_OBJCACHE::put_locked(Lane<P>& lane, void* object,
                              MagazineList& outgrown) {
  ClusterDepot& depot = depots_[my_cluster()];
  {
    const Hold hold(depot);
    // Relaxed, under the lock: who asks takes this lock to look for objects.
    // After them we see that they ask; before them, they find the object.
    if (attention_.load(std::memory_order_relaxed) == 0) {
      return depot.put_through(lane, object, outgrown);
    }
  }
  bool stored = true;
  Wake whom = Wake::kNobody;
  {
    const Hold hold(stock_);
    whom = stock_.hand_over(object);
    if (whom == Wake::kNobody) {
      const Hold also(depot);
      stored = depot.put_through(lane, object, outgrown);
    }
  }
  wake(whom);
  return stored;
}

// --- the edges

ODO_OBJCACHE_TEMPLATE
bool ODO_OBJCACHE::take_unit() {
  const Section section(platform_);
  const Hold hold(stock_);
  return stock_.try_take_unit();
}

// Makes an object for a unit of the caller's, or gives the unit back.
ODO_OBJCACHE_TEMPLATE
void* ODO_OBJCACHE::make() {
  void* memory = nullptr;
  {
    const Section section(platform_);
    const Hold hold(stock_);
    memory = stock_.pop_raw();
  }
  bool from_backing = false;
  if (memory == nullptr) {
    memory = backing_.allocate(sizeof(ObjectBlock), alignof(ObjectBlock));
    from_backing = true;
  }
  T* object = nullptr;
  if (memory != nullptr) {
    auto* block = ::new (memory) ObjectBlock(this);
    object = life_.construct(block->object);
    if (object != nullptr) return object;
    block->~ObjectBlock();
    if (from_backing) backing_.free(memory, sizeof(ObjectBlock));
  }
  Wake whom = Wake::kNobody;
  {
    const Section section(platform_);
    const Hold hold(stock_);
    if (memory != nullptr && !from_backing) stock_.push_raw(memory);
    whom = stock_.return_unit();
  }
  wake(whom);
  return nullptr;
}

ODO_OBJCACHE_TEMPLATE
void ODO_OBJCACHE::discard(void* object) {
  life_.destroy(*static_cast<T*>(object));
  ObjectBlock& block = ObjectBlock::of(object);
  block.~ObjectBlock();
  bool is_linear = false;
  {
    const Section section(platform_);
    const Hold hold(stock_);
    is_linear = stock_.owns_linear(&block);
    if (is_linear) stock_.push_raw(&block);
  }
  if (!is_linear) backing_.free(&block, sizeof(ObjectBlock));
  Wake whom = Wake::kNobody;
  {
    // Only now: who has the unit next may need the memory.
    const Section section(platform_);
    const Hold hold(stock_);
    whom = stock_.end_unit();
  }
  wake(whom);
}

ODO_OBJCACHE_TEMPLATE
bool ODO_OBJCACHE::add_magazine() {
  std::uint32_t capacity = 0;
  {
    const Section section(platform_);
    ClusterDepot& depot = depots_[my_cluster()];
    const Hold hold(depot);
    capacity = depot.capacity();
  }
  void* memory =
      backing_.allocate(Magazine::bytes(capacity), alignof(Magazine));
  if (memory == nullptr) return false;
  auto* magazine = ::new (memory) Magazine(capacity, MagazineHome::kBacking);
  const Section section(platform_);
  ClusterDepot& depot = depots_[my_cluster()];
  const Hold hold(depot);
  depot.add(magazine);
  return true;
}

ODO_OBJCACHE_TEMPLATE
void ODO_OBJCACHE::free_magazines(MagazineList magazines) {
  while (Magazine* magazine = magazines.pop()) {
    const std::size_t bytes = Magazine::bytes(magazine->capacity);
    magazine->~Magazine();
    backing_.free(magazine, bytes);
  }
}

ODO_OBJCACHE_TEMPLATE
void ODO_OBJCACHE::wake(Wake whom) {
  if constexpr (CanPark<P>) {
    if (whom == Wake::kWaiters) platform_.unpark_all(stock_.wake_word());
  } else {
    ODO_ASSERT(whom == Wake::kNobody);
  }
}

ODO_OBJCACHE_TEMPLATE
void ODO_OBJCACHE::count_get() {
  const Section section(platform_);
  lanes_[platform_.lane()].gets.add_one();
}

// --- pressure, linear memory, the end

ODO_OBJCACHE_TEMPLATE
std::uint64_t ODO_OBJCACHE::reclaim(std::uint64_t target) {
  std::uint64_t count = discard_some(target);
  if (count < target) {
    {
      const Attention attention(*this);
      for (unsigned cluster = 0; cluster < kDepots; ++cluster) {
        const Section section(platform_);
        ClusterDepot& depot = depots_[cluster];
        const Hold hold(depot);
        visit(cluster, depot);
      }
    }
    count += discard_some(target - count);
  }
  for (ClusterDepot& depot : depots_) {
    MagazineList empties;
    {
      const Section section(platform_);
      const Hold hold(depot);
      empties = depot.take_empties();
    }
    free_magazines(empties);
  }
  return count;
}

// From the depots.
ODO_OBJCACHE_TEMPLATE
std::uint64_t ODO_OBJCACHE::discard_some(std::uint64_t target) {
  std::uint64_t count = 0;
  for (ClusterDepot& depot : depots_) {
    while (count < target) {
      std::array<void*, 32> batch;
      std::size_t taken = 0;
      {
        const Section section(platform_);
        const Hold hold(depot);
        taken = depot.take(std::span(batch).first(static_cast<std::size_t>(
            std::min<std::uint64_t>(batch.size(), target - count))));
      }
      if (taken == 0) break;
      for (void* object : std::span(batch).first(taken)) discard(object);
      count += taken;
    }
  }
  return count;
}

ODO_OBJCACHE_TEMPLATE
std::size_t ODO_OBJCACHE::populate(std::span<std::byte> memory) {
  std::byte* at = memory.data();
  std::byte* const end = at + memory.size();
  const auto carve = [&](std::size_t bytes, std::size_t align) -> void* {
    const auto address = reinterpret_cast<std::uintptr_t>(at);
    const std::size_t skip = (align - address % align) % align;
    const auto room = static_cast<std::size_t>(end - at);
    if (room < skip || room - skip < bytes) return nullptr;
    void* piece = at + skip;
    at += skip + bytes;
    return piece;
  };
  void* head = carve(sizeof(LinearArea), alignof(LinearArea));
  if (head == nullptr) return 0;
  auto* area = ::new (head) LinearArea{nullptr, memory.data(), end};
  {
    const Section section(platform_);
    const Hold hold(stock_);
    stock_.add_area(*area);
  }
  std::size_t count = 0;
  while (true) {
    // A magazine ahead of every magazine's worth of objects.
    if (count % Tuned.min_capacity == 0) {
      void* place =
          carve(Magazine::bytes(Tuned.min_capacity), alignof(Magazine));
      if (place == nullptr) break;
      auto* magazine =
          ::new (place) Magazine(Tuned.min_capacity, MagazineHome::kLinear);
      const Section section(platform_);
      ClusterDepot& depot = depots_[my_cluster()];
      const Hold hold(depot);
      depot.add(magazine);
    }
    void* place = carve(sizeof(ObjectBlock), alignof(ObjectBlock));
    if (place == nullptr) break;
    {
      const Section section(platform_);
      const Hold hold(stock_);
      stock_.push_raw(place);
    }
    ++count;
  }
  for (std::size_t i = 0; i < count; ++i) {
    void* object = take_unit() ? make() : nullptr;
    if (object == nullptr) break;
    put_slow(enter(), object);
  }
  return count;
}

ODO_OBJCACHE_TEMPLATE
Statistics ODO_OBJCACHE::statistics() {
  Statistics sum;
  for (unsigned i = 0; i < platform_.lanes(); ++i) {
    const LaneStatistics one = lane_statistics(i);
    sum.gets += one.gets;
    sum.puts += one.puts;
    sum.exchanges += one.exchanges;
  }
  for (ClusterDepot& depot : depots_) {
    const Section section(platform_);
    const Hold hold(depot);
    sum.contended += depot.contended();
    sum.capacity = std::max(sum.capacity, depot.capacity());
  }
  {
    const Section section(platform_);
    const Hold hold(stock_);
    sum.constructed = stock_.made();
    sum.destroyed = stock_.ended();
  }
  sum.in_use = sum.gets - sum.puts;
  sum.existing = sum.constructed - sum.destroyed;
  return sum;
}

ODO_OBJCACHE_TEMPLATE
ODO_OBJCACHE::~ObjCache() {
  const std::uint64_t out = statistics().in_use;
  if (out != 0) {
    misused(
        {Misuse::kObjectsOut, name_, nullptr, out, Where::current(), Where()});
  }
  (void)reclaim(std::numeric_limits<std::uint64_t>::max());
}

// --- misuse

ODO_OBJCACHE_TEMPLATE
void ODO_OBJCACHE::note_out(void* object) {
  if constexpr (Tuned.checks) {
    Note& note = ObjectBlock::of(object).note;
    if (note.is_out.exchange(true, std::memory_order_relaxed)) {
      misused({Misuse::kHandedTwice, name_, object, 0, Where::current(),
               note.last_put});
    }
  }
}

ODO_OBJCACHE_TEMPLATE
void ODO_OBJCACHE::note_in(T& object, const Where& here) {
  if constexpr (Tuned.checks) {
    Note& note = ObjectBlock::of(&object).note;
    if (note.cache != this) {
      misused({Misuse::kForeignPut, name_, &object, 0, here, Where()});
    }
    if (!note.is_out.exchange(false, std::memory_order_relaxed)) {
      misused({Misuse::kDoublePut, name_, &object, 0, here, note.last_put});
    }
    note.last_put = here;
  }
}

ODO_OBJCACHE_TEMPLATE
void ODO_OBJCACHE::misused(const ObjCacheFault& fault) {
  platform_.objcache_fault(fault);
  ODO_PANIC("an object cache was misused");
}

}  // namespace odo::objcache

#undef ODO_OBJCACHE
#undef ODO_OBJCACHE_TEMPLATE
