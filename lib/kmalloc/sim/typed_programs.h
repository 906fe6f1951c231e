// SPDX-License-Identifier: BSD-3-Clause
// Simulated programs about types of memory: who waits at a limit, or for
// memory, is woken by who frees. programs.h says what a program is; a wake-up
// that is lost is a deadlock, which the simulator reports.
//
// Contexts: one host thread.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

#include "lib/kmalloc/sim/world.h"
#include "lib/kmalloc/typed_heap.h"

namespace odo::kmalloc {

class TypedWorld {
 public:
  using HeapT = TypedHeap<KmallocSimGround>;
  using LaneT = TypedLane<KmallocSimGround>;
  using Type = MallocType<KmallocSimGround>;

  TypedWorld(unsigned lanes, std::size_t limit_bytes)
      : type("simulated", limit_bytes) {
    new (&room_.heap) HeapT(KmallocSimGround());
    ODO_CHECK(heap().add(type));
    for (unsigned i = 0; i < lanes; ++i) lanes_.push_back(heap().take_lane());
  }
  TypedWorld(const TypedWorld&) = delete;
  TypedWorld& operator=(const TypedWorld&) = delete;
  // The heap is not destroyed: see SimMemory.
  ~TypedWorld() = default;

 private:
  union Room {
    Room() {}
    ~Room() {}
    HeapT heap;
  };
  SimMemory memory_;
  Room room_;
  std::vector<LaneT*> lanes_;

 public:
  Type type;

  [[nodiscard]] HeapT& heap() { return room_.heap; }
  [[nodiscard]] SimMemory& memory() { return memory_; }
  [[nodiscard]] LaneT& lane(unsigned i) { return *lanes_[i]; }
  [[nodiscard]] void* allocate(unsigned i, Flags flags = Flags::kNone) {
    void* object = heap().allocate(lane(i), type, kLarger, flags);
    if (object == nullptr && !has(flags, Flags::kNoWait)) {
      Engine::current().fail("an object was refused");
    }
    return object;
  }
  void free(unsigned i, void* object) { heap().free(lane(i), type, object); }

  // The program, then what was counted.
  void finish(Engine& m, std::uint64_t in_use_bytes) {
    if (m.run() != Engine::Outcome::kFinished) return;
    const TypeCounts counts = heap().counts(type);
    if (counts.in_use_bytes != in_use_bytes ||
        (counts.allocations - counts.frees) * kLarger != in_use_bytes) {
      m.fail("the counts of a type are wrong");
    }
  }
};

// One fits below the limit, and is handed on.
inline void one_at_a_time(Engine& m, unsigned waiters) {
  TypedWorld w(waiters + 1, 2 * kLarger);
  void* held = w.allocate(0);
  m.spawn(0, "holder", [&] { w.free(0, held); });
  for (unsigned t = 1; t <= waiters; ++t) {
    m.spawn(t, "waiter", [&w, t] { w.free(t, w.allocate(t)); });
  }
  w.finish(m, 0);
}

// All memory is in use, and somebody waits for some when another frees what a
// stack has room for. On one CPU: who waits does so first.
inline void waits_for_memory(Engine& m) {
  TypedWorld w(2, TypedWorld::Type::kNoLimit);
  std::vector<void*> objects{w.allocate(1)};
  while (objects.size() < 16) objects.push_back(w.allocate(1));
  w.memory().end();
  while (w.heap().heap().allocate(w.lane(1).lane(), kMaxSmallBytes, [&w] {
    return &w.lane(1).lane();
  }) != nullptr) {
  }
  while (w.allocate(1, Flags::kNoWait) != nullptr) {
  }
  m.spawn(0, "waits", [&] { (void)w.allocate(0); });
  m.spawn(0, "frees", [&] {
    for (void* object : objects) w.free(1, object);
  });
  m.run();
}

// A lane comes while the counts are read.
inline void counted_meanwhile(Engine& m) {
  TypedWorld w(1, TypedWorld::Type::kNoLimit);
  m.spawn(0, "comer", [&] {
    TypedWorld::LaneT* lane = w.heap().take_lane();
    if (lane == nullptr) Engine::current().fail("no lane");
    (void)w.heap().allocate(*lane, w.type, kLarger);
  });
  m.spawn(1, "reader", [&] {
    if (w.heap().counts(w.type).in_use_bytes > kLarger) {
      Engine::current().fail("counted what there never was");
    }
  });
  w.finish(m, kLarger);
}

}  // namespace odo::kmalloc
