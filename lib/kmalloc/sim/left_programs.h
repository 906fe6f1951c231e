// SPDX-License-Identifier: BSD-3-Clause
// Simulated programs about lanes that are left, minded and adopted, and about
// memory that runs out. programs.h says what a program is.
//
// Contexts: one host thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <source_location>
#include <vector>

#include "lib/kmalloc/sim/world.h"

namespace odo::kmalloc {

// The owner leaves while others free to it: whoever comes last sees the other.
inline void left_while_told(Engine& m, unsigned others) {
  KmallocWorld w(others + 1);
  const std::vector<void*> objects = w.allocate_some(0, kLarger, others);
  w.flush(0);
  m.spawn(0, "leaver", [&w] { w.leave(0); });
  for (unsigned t = 1; t <= others; ++t) {
    m.spawn(t, "afar", [&w, &objects, t] { w.send(t, objects[t - 1]); });
  }
  w.finish(m, [&w] { w.expect_left(0); });
}

// Nobody has the lane, and two look after it.
inline void two_minders(Engine& m, bool one_slab) {
  KmallocWorld w(3);
  const std::vector<void*> objects =
      w.allocate_some(0, kLarger, one_slab ? 2 : 17);
  w.flush(0);
  for (std::size_t i = 1; i + 1 < objects.size(); ++i) w.free(0, objects[i]);
  w.flush(0);
  w.leave(0);
  m.spawn(1, "minder", [&] { w.send(1, objects.front()); });
  m.spawn(2, "minder", [&] { w.send(2, objects.back()); });
  w.finish(m, [&w] { w.expect_left(0); });
}

// Somebody wants a lane while one is minded, and gets it or a new one.
inline void adopted_while_minded(Engine& m) {
  KmallocWorld w(2);
  const std::vector<void*> objects = w.allocate_some(0, kLarger, 2);
  w.leave(0);
  m.spawn(1, "minder", [&] { w.send(1, objects[0]); });
  m.spawn(2, "adopter", [&] {
    KmallocWorld::LaneT* lane = w.heap().take_lane();
    if (lane == nullptr) Engine::current().fail("no lane");
    w.add(*lane);
    for (int i = 0; i < 3; ++i) (void)w.allocate(*lane, kLarger);
    w.free(*lane, objects[1]);
    w.leave(*lane);
  });
  w.finish(m);
}

// The next owner has what the one before had at hand, and knows what it did.
// One of what is at hand is from another lane, and may go home or not.
inline void left_and_adopted(Engine& m, bool flushed) {
  KmallocWorld w(2);
  const std::vector<void*> objects = w.allocate_some(0, kLarger, 4);
  void* others = w.allocate(1, kLarger);
  w.flush(1);
  m.spawn(0, "leaver", [&] {
    w.free(0, objects[0]);
    w.free(0, others);
    w.leave(0);
  });
  m.spawn(1, "adopter", [&, flushed] {
    KmallocWorld::LaneT* lane = w.heap().take_lane();
    if (lane == nullptr) Engine::current().fail("no lane");
    w.add(*lane);
    (void)w.allocate(*lane, kLarger);
    if (flushed) lane->flush();
    w.leave(*lane);
  });
  w.finish(m);
}

// After who minded the lane, too: what it harvested is the next one's.
inline void minded_and_adopted(Engine& m) {
  KmallocWorld w(2);
  const std::vector<void*> objects = w.allocate_some(0, kLarger, 4);
  w.leave(0);
  m.spawn(1, "minder", [&] {
    w.send(1, objects[0]);
    w.send(1, objects[1]);
  });
  m.spawn(2, "adopter", [&] {
    KmallocWorld::LaneT* lane = w.heap().take_lane();
    if (lane == nullptr) Engine::current().fail("no lane");
    w.add(*lane);
    (void)w.allocate(*lane, kLarger);
    w.leave(*lane);
  });
  w.finish(m);
}

// Two want a lane at once, `left` were left.
inline void two_take_lanes(Engine& m, unsigned left) {
  KmallocWorld w(left + 1);
  for (unsigned i = 1; i <= left; ++i) {
    (void)w.allocate(i, kLarger);
    w.leave(i);
  }
  const void* taken[2] = {};
  for (unsigned t = 0; t < 2; ++t) {
    m.spawn(t, "taker", [&w, &taken, t] {
      KmallocWorld::LaneT* lane = w.heap().take_lane();
      if (lane == nullptr) Engine::current().fail("no lane");
      if (taken[1 - t] == lane) Engine::current().fail("a lane of two owners");
      taken[t] = lane;
      w.add(*lane);
      (void)w.allocate(*lane, kLarger);
    });
  }
  w.finish(m);
}

// What one puts on the list of lanes, another finds there and looks into.
inline void a_lane_is_made_and_found(Engine& m) {
  KmallocWorld w(1);
  m.spawn(0, "maker", [&] {
    KmallocWorld::LaneT* lane = w.heap().take_lane();
    if (lane == nullptr) Engine::current().fail("no lane");
    w.add(*lane);
    (void)w.allocate(*lane, kLarger);
    w.leave(*lane);
  });
  m.spawn(1, "reclaimer",
          [&] { (void)w.heap().reclaim(w.lane(0), kChunkBytes); });
  w.finish(m);
}

// Under pressure, the lanes that nobody has are emptied while others free to
// them and want units.
inline void reclaimed_while_told(Engine& m, bool has_owner) {
  KmallocWorld w(3);
  const std::vector<void*> objects = w.allocate_some(0, kLarger, 2);
  w.free(0, w.allocate(0, kLarger));
  if (!has_owner) w.leave(0);
  m.spawn(1, "afar", [&] {
    w.send(1, objects[0]);
    (void)w.allocate(1, kLarger);
  });
  m.spawn(2, "reclaimer", [&, has_owner] {
    (void)w.heap().reclaim(w.lane(has_owner ? 0 : 2), kChunkBytes);
  });
  w.finish(m);
}

// Any map() may fail: then there is no object, or no lane, and nothing else.
inline void no_memory(Engine& m) {
  KmallocWorld w(1);
  for (unsigned t = 0; t < 2; ++t) {
    m.spawn(t, "wants", [&w] {
      KmallocWorld::LaneT* lane = w.heap().take_lane();
      if (lane == nullptr) return;
      w.add(*lane);
      void* object = w.try_allocate(*lane, kLarger);
      if (object != nullptr) w.free(*lane, object);
      constexpr std::size_t kBytes = kMaxSmallBytes + 1;
      if (void* large = w.try_allocate(*lane, kBytes)) w.free(*lane, large);
      w.leave(*lane);
    });
  }
  w.finish(m);
}

// --- everything at once, for seeds

// Three owners, who hand objects to each other.
inline void kmalloc_mixture(Engine& m) {
  constexpr unsigned kThreads = 3;
  constexpr unsigned kPlaces = 4;
  // Not among the component's atomics, whose orders are weakened.
  constexpr std::source_location kOurs{};
  KmallocWorld w(kThreads);
  sim::SimAtomic<void*> places[kPlaces];
  for (unsigned t = 0; t < kThreads; ++t) {
    m.spawn(t, "mixer", [&, t] {
      KmallocWorld::LaneT* lane = &w.lane(t);
      for (int i = 0; i < 8; ++i) {
        const unsigned how = m.choose(8);
        const unsigned place = m.choose(kPlaces);
        if (how < 5) {
          // One of ours goes there, and what was there is free.
          void* ours =
              how == 4 ? nullptr
                       : w.try_allocate(*lane, how < 3 ? kLarger : kSmaller);
          void* theirs =
              places[place].exchange(ours, std::memory_order_acq_rel, kOurs);
          if (theirs != nullptr) w.free(*lane, theirs);
        } else if (how == 5) {
          lane->flush();
        } else if (how == 6) {
          (void)w.heap().reclaim(*lane, kChunkBytes);
        } else {
          w.leave(*lane);
          lane = w.heap().take_lane();
          if (lane == nullptr) return;
          w.add(*lane);
        }
      }
    });
  }
  w.finish(m);
}

}  // namespace odo::kmalloc
