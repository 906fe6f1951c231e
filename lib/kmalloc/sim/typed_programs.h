// SPDX-License-Identifier: BSD-3-Clause
// Simulated programs about types of memory: who waits at a limit, or for
// memory, is woken by who frees. programs.h says what a program is; a wake-up
// that is lost is a deadlock, which the simulator reports.
//
// Contexts: one host thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
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
  unsigned done_ = 0;

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
  void free_all(unsigned i, std::span<void* const> objects) {
    for (void* object : objects) free(i, object);
  }
  // All objects of a slab.
  [[nodiscard]] std::vector<void*> allocate_slab(unsigned i) {
    std::vector<void*> objects;
    while (objects.size() < 16) objects.push_back(allocate(i));
    return objects;
  }
  // From now on there is no memory but what was allocated until now, and what
  // the other lanes have at hand.
  void use_up(unsigned i) {
    memory_.end();
    LaneT& all = lane(i);
    for (const std::size_t bytes : {kMaxSmallBytes, kLarger}) {
      while (heap().heap().allocate(all.lane(), bytes, [&all] {
        return &all.lane();
      }) != nullptr) {
      }
    }
  }

  // Who waited says so, and who owns what they need looks after them till then,
  // each time one of them has fallen asleep.
  void note_done() {
    ++done_;
    memory_.call_idle();
  }
  void relieve_until_done(unsigned i, unsigned count) {
    memory_.add_idle();
    while (done_ < count) {
      (void)heap().relieve(lane(i));
      Engine::current().block();
    }
  }

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
  const std::vector<void*> objects = w.allocate_slab(1);
  w.use_up(1);
  m.spawn(0, "waits", [&] { (void)w.allocate(0); });
  m.spawn(0, "frees", [&] { w.free_all(1, objects); });
  m.run();
}

// The same on two CPUs: that may be too late for the frees to see who waits,
// but not for what their owner does next.
inline void waits_while_others_free(Engine& m, unsigned waiters) {
  TypedWorld w(waiters + 1, TypedWorld::Type::kNoLimit);
  std::vector<std::vector<void*>> slabs;
  for (unsigned t = 1; t <= waiters; ++t) slabs.push_back(w.allocate_slab(0));
  w.use_up(0);
  // All but the last, so that the program is short.
  for (std::vector<void*>& slab : slabs) {
    while (slab.size() > 1) {
      w.free(0, slab.back());
      slab.pop_back();
    }
  }
  for (unsigned t = 1; t <= waiters; ++t) {
    m.spawn(1, "waits", [&w, t] {
      (void)w.allocate(t);
      w.note_done();
    });
  }
  m.spawn(0, "frees", [&] {
    for (const std::vector<void*>& slab : slabs) w.free_all(0, slab);
    w.relieve_until_done(0, waiters);
  });
  m.run();
}

// The owner of what is free only allocates: of that class it has none at hand.
inline void waits_while_another_allocates(Engine& m) {
  TypedWorld w(2, TypedWorld::Type::kNoLimit);
  std::vector<void*> objects = w.allocate_slab(1);
  const std::vector<void*> more = w.allocate_slab(1);
  objects.insert(objects.end(), more.begin(), more.end());
  w.use_up(1);
  w.free_all(1, objects);
  m.spawn(0, "waits", [&] { (void)w.allocate(0); });
  m.spawn(0, "allocates", [&] {
    if (w.heap().allocate(w.lane(1), w.type, kSmaller) == nullptr) {
      Engine::current().fail("an object was refused");
    }
  });
  m.run();
}

// Who has room below the limit finds no memory; another, who has an object at
// hand, may be refused the room meanwhile.
inline void room_without_memory(Engine& m, Flags flags) {
  TypedWorld w(2, 2 * kLarger);
  w.free(1, w.allocate(1));
  w.use_up(0);
  m.spawn(0, "no memory", [&w, flags] {
    void* object = w.allocate(0, flags);
    if (object != nullptr) w.free(0, object);
    w.note_done();
  });
  m.spawn(1, "no room", [&w] {
    w.free(1, w.allocate(1));
    w.relieve_until_done(1, 1);
  });
  w.finish(m, 0);
}

// One waits for memory, another at a limit, until the first is done: all of
// that one's slab comes home while it sleeps, and there is no other memory.
inline void comes_home_to_a_sleeper(Engine& m) {
  TypedWorld w(3, 2 * kLarger);
  TypedWorld::Type other("another");
  ODO_CHECK(w.heap().add(other));
  void* at_limit = w.allocate(0);
  std::vector<void*> objects;
  while (objects.size() < 16) {
    objects.push_back(w.heap().allocate(w.lane(2), other, kLarger));
  }
  w.use_up(0);
  void* last = objects.back();
  objects.pop_back();
  for (void* object : objects) w.heap().free(w.lane(0), other, object);
  w.lane(0).lane().flush();
  m.spawn(2, "at the limit", [&w] {
    w.free(2, w.allocate(2));
    w.note_done();
  });
  m.spawn(0, "no memory", [&w, &other] {
    void* object = w.heap().allocate(w.lane(1), other, kLarger);
    if (object == nullptr) Engine::current().fail("an object was refused");
    w.heap().free(w.lane(1), other, object);
    w.note_done();
    w.relieve_until_done(1, 2);
  });
  m.spawn(1, "frees", [&w, &other, at_limit, last] {
    w.heap().free(w.lane(0), other, last);
    w.relieve_until_done(0, 1);
    w.free(0, at_limit);
  });
  w.finish(m, 0);
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
