// SPDX-License-Identifier: BSD-3-Clause
// Simulated programs about lanes that have their owners: frees from afar
// against the owner, and slabs that pass from lane to lane. programs.h says
// what a program is.
//
// Contexts: one host thread.
#pragma once

#include <cstddef>
#include <vector>

#include "lib/kmalloc/sim/world.h"

namespace odo::kmalloc {

// The owner's stack is empty when another lane frees.
inline void freed_from_afar(Engine& m, unsigned others, unsigned allocations) {
  KmallocWorld w(others + 1);
  const std::vector<void*> objects = w.allocate_some(0, kLarger, 4);
  for (unsigned t = 1; t <= others; ++t) {
    m.spawn(t, "afar", [&w, &objects, t] { w.send(t, objects[t]); });
  }
  m.spawn(0, "owner", [&w, allocations] {
    for (unsigned i = 0; i < allocations; ++i) (void)w.allocate(0, kLarger);
  });
  w.finish(m);
}

// The owner has none left but what comes from afar, twice, and a new slab.
inline void freed_twice_from_afar(Engine& m) {
  KmallocWorld w(2);
  const std::vector<void*> objects = w.allocate_some(0, kLarger, 16);
  m.spawn(1, "afar", [&] {
    w.send(1, objects[3]);
    w.send(1, objects[7]);
  });
  m.spawn(0, "owner", [&] {
    w.free(0, w.allocate(0, kLarger));
    w.flush(0);
    (void)w.allocate(0, kLarger);
  });
  w.finish(m);
}

// Two send home to one slab, to one word of bits or to two.
inline void sent_by_two(Engine& m, unsigned first, unsigned second) {
  KmallocWorld w(3);
  const std::vector<void*> objects = w.allocate_some(0, kSmaller, 73);
  m.spawn(1, "afar", [&w, &objects, first] { w.send(1, objects[first]); });
  m.spawn(2, "afar", [&w, &objects, second] { w.send(2, objects[second]); });
  m.spawn(0, "owner", [&w] { (void)w.allocate(0, kSmaller); });
  w.finish(m);
}

// One lane sends to both words while its owner harvests what it was told of
// before: bits may be seen before they are counted.
inline void a_batch_against_a_harvest(Engine& m) {
  KmallocWorld w(2);
  const std::vector<void*> objects = w.allocate_some(0, kSmaller, 73);
  w.send(1, objects[1]);
  m.spawn(1, "afar", [&w, &objects] {
    w.free(1, objects[2]);
    w.send(1, objects[70]);
  });
  m.spawn(0, "owner", [&w] {
    for (int i = 0; i < 3; ++i) (void)w.allocate(0, kSmaller);
  });
  w.finish(m);
}

// An object that comes from afar may be given out before who freed it has
// counted it, and come back from afar once more.
inline void freed_again_while_being_freed(Engine& m) {
  KmallocWorld w(3);
  const std::vector<void*> objects = w.allocate_some(0, kLarger, 16);
  w.send(2, objects[5]);
  m.spawn(1, "afar", [&] { w.send(1, objects[6]); });
  m.spawn(0, "owner and another", [&] {
    void* object = w.allocate(0, kLarger);
    w.send(2, object);
    w.flush(0);
  });
  w.finish(m);
}

// The slab's last objects come home while who freed one has yet to tell its
// owner: the slab becomes another lane's.
inline void a_slab_changes_hands_under_a_teller(Engine& m) {
  KmallocWorld w(3);
  const std::vector<void*> objects = w.allocate_some(0, kLarger, 2);
  w.flush(0);
  w.send(1, objects[0]);
  m.spawn(1, "teller", [&] { w.send(1, objects[1]); });
  m.spawn(0, "owner and the next", [&] {
    w.flush(0);
    void* object = w.allocate(2, kLarger);
    w.send(2, object);
  });
  w.finish(m);
}

// The same, where who comes second does not tell, and its bit is in a word that
// nobody else has touched: who counts it has to see it.
inline void a_slab_changes_hands_behind_a_second(Engine& m) {
  KmallocWorld w(3);
  constexpr std::size_t kAll = 73;
  std::vector<void*> objects = w.allocate_some(0, kSmaller, kAll);
  void* second = objects[70];
  objects.erase(objects.begin() + 70);
  void* first = objects[3];
  objects.erase(objects.begin() + 3);
  w.free_all(0, objects);
  w.flush(0);
  w.send(2, first);
  m.spawn(1, "second", [&] { w.send(1, second); });
  m.spawn(0, "owner and the next", [&] {
    w.flush(0);
    (void)w.allocate_some(2, kSmaller, kAll);
  });
  w.finish(m);
}

// The same, and its whole chunk goes back to the page source.
inline void a_chunk_goes_under_a_teller(Engine& m) {
  KmallocWorld w(2);
  constexpr std::size_t kHuge = kMaxSmallBytes;
  // The first chunk is full but for a few units, which are too few for the last
  // of these.
  std::vector<void*> all = w.allocate_some(0, kHuge, 8);
  while (w.memory().maps() < 4) all.push_back(w.allocate(0, kHuge));
  void* in_second = all.back();
  all.pop_back();
  const std::vector<void*> objects = w.allocate_some(0, kLarger, 2);
  w.free(0, in_second);
  w.flush(0);
  w.send(1, objects[0]);
  m.spawn(1, "teller", [&] { w.send(1, objects[1]); });
  m.spawn(0, "owner", [&] {
    w.flush(0);
    (void)w.heap().reclaim(w.lane(0), ~std::size_t{0});
  });
  w.finish(m);
}

// Each has an empty slab to give and wants one.
inline void units_through_the_depot(Engine& m, unsigned lanes,
                                    std::size_t slabs) {
  KmallocWorld w(lanes);
  for (unsigned t = 0; t < lanes; ++t) {
    const std::vector<void*> objects = w.allocate_some(t, kLarger, 16 * slabs);
    w.free_all(t, objects);
  }
  for (unsigned t = 0; t < lanes; ++t) {
    m.spawn(t, "both", [&w, t] {
      w.flush(t);
      (void)w.allocate(t, kLarger);
    });
  }
  w.finish(m);
}

// What the giver knew of its objects, the taker knows.
inline void from_hand_to_hand(Engine& m, unsigned takers) {
  KmallocWorld w(takers + 1);
  w.free_all(0, w.allocate_some(0, kLarger, 16));
  m.spawn(0, "giver", [&] {
    void* object = w.allocate(0, kLarger);
    w.free(0, object);
    w.flush(0);
  });
  for (unsigned t = 1; t <= takers; ++t) {
    m.spawn(t, "taker", [&w, t] {
      (void)w.allocate(t, kLarger);
      (void)w.allocate(t, kLarger);
    });
  }
  w.finish(m);
}

// An emptied slab goes from its owner by what others freed, through the depot,
// to a third.
inline void emptied_from_afar(Engine& m) {
  KmallocWorld w(3);
  const std::vector<void*> objects = w.allocate_some(0, kLarger, 2);
  w.flush(0);
  m.spawn(1, "afar", [&] {
    w.send(1, objects[0]);
    w.send(1, objects[1]);
  });
  m.spawn(0, "owner", [&] { w.flush(0); });
  m.spawn(2, "taker", [&] { (void)w.allocate(2, kLarger); });
  w.finish(m);
}

// Large ones go past the lanes, under the arena's lock.
inline void large_ones(Engine& m) {
  KmallocWorld w(2);
  constexpr std::size_t kBytes = std::size_t{700} * 1024;
  void* first = w.allocate(0, kBytes);
  m.spawn(0, "one", [&] {
    w.free(0, first);
    (void)w.try_allocate(w.lane(0), kBytes);
  });
  m.spawn(1, "other", [&] {
    if (void* object = w.try_allocate(w.lane(1), kBytes)) w.free(1, object);
  });
  w.finish(m);
}

}  // namespace odo::kmalloc
