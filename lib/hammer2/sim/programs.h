// SPDX-License-Identifier: BSD-3-Clause
// The programs that prove the shared cache in the simulator, as a list, so that
// the ordinary test and the mutation test run the same ones.
//
// What each must keep: a block that is found or fetched has the content of its
// id for as long as it is pinned; whoever fills or gives back a frame comes
// after all who read it (a data race otherwise); at rest no pin and no frame is
// lost. World checks that; a program adds what is special to it.
//
// Contexts: one host thread.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/hammer2/sim/ground.h"
#include "lib/platform/sim/programs.h"

namespace odo::hammer2 {

// One reader lets its block go while another needs the frame.
inline void a_pin_goes_as_its_frame_is_wanted(Engine& m) {
  World w(1);
  (void)w.fetch(1);
  m.spawn(0, "reader", [&] { (void)w.find(1); });
  m.spawn(1, "evictor", [&] {
    (void)w.fetch(2);
    (void)w.fetch(3);
  });
  w.finish(m);
}

// The frame is free when both are gone, whoever goes last.
inline void two_pins_go_as_their_frame_is_wanted(Engine& m) {
  World w(1);
  (void)w.fetch(1);
  for (sim::CpuId c = 0; c < 2; ++c) {
    m.spawn(c, "reader", [&] { (void)w.find(1); });
  }
  m.spawn(2, "evictor", [&] { w.reclaim(1); });
  w.finish(m);
}

// What was pinned before stays as it is while others evict.
inline void a_pinned_block_stays(Engine& m) {
  World w(1);
  m.spawn(0, "holder", [&] {
    const auto pin = w.fetch(1);
    if (pin.held()) w.expect(pin, 1);
  });
  m.spawn(1, "evictor", [&] {
    (void)w.fetch(2);
    (void)w.fetch(3);
  });
  w.finish(m);
}

// A block is found complete or not at all.
inline void found_while_published(Engine& m) {
  World w(1);
  m.spawn(0, "publisher", [&] { (void)w.fetch(1); });
  m.spawn(1, "finder", [&] {
    (void)w.find(1);
    (void)w.find(1);
  });
  w.finish(m);
}

// Both miss it, both read it: one copy is kept, and both have that.
inline void two_readers_of_one_block(Engine& m) {
  World w(1);
  World::Cache::Pin pins[2];
  for (sim::CpuId c = 0; c < 2; ++c) {
    m.spawn(c, "reader", [&w, &pins, c] { pins[c] = w.fetch(1); });
  }
  if (m.run() != Engine::Outcome::kFinished) return;
  if (!pins[0].held() || !pins[1].held() ||
      pins[0].bytes().data() != pins[1].bytes().data()) {
    m.fail("two readers have two copies");
  }
  for (auto& pin : pins) pin.release();
  w.finish(m);
}

// Two blocks are filled side by side in one frame.
inline void neighbours_in_a_frame(Engine& m) {
  World w(1);
  for (sim::CpuId c = 0; c < 2; ++c) {
    m.spawn(c, "reader", [&w, c] {
      if (!w.fetch(1 + c).held()) Engine::current().fail("there is room");
    });
  }
  w.finish(m);
}

// A slot comes back from a reader whose block was bad.
inline void a_slot_is_given_back(Engine& m) {
  World w(1);
  (void)w.fetch(1);
  m.spawn(0, "in vain", [&] { w.fetch_in_vain(2); });
  m.spawn(1, "reader", [&] { (void)w.fetch(3); });
  w.finish(m);
}

inline void reclaimed_while_found(Engine& m) {
  World w(1);
  (void)w.fetch(1);
  m.spawn(0, "finder", [&] { (void)w.find(1); });
  m.spawn(1, "reclaimer", [&] { w.reclaim(1); });
  w.finish(m);
}

inline void reclaimed_while_fetched(Engine& m) {
  World w(1);
  m.spawn(0, "reader", [&] {
    if (!w.fetch(1).held()) Engine::current().fail("there is a frame");
  });
  m.spawn(1, "reclaimer", [&] {
    w.reclaim(1);
    w.reclaim(1);
  });
  w.finish(m);
}

// Two frames in two shards, three readers, and one who takes frames away.
inline void mixture(Engine& m) {
  World w(2);
  for (sim::CpuId c = 0; c < 2; ++c) {
    m.spawn(c, "reader", [&w, c] {
      for (std::uint64_t i = 0; i < 3; ++i) {
        const auto one = w.fetch(1 + (i + c) % 4);
        const auto two = w.fetch(1 + (i + c + c) % 5);
        if (one.held()) w.expect(one, 1 + (i + c) % 4);
      }
    });
  }
  m.spawn(2, "damaged and reclaimed", [&] {
    w.fetch_in_vain(6);
    w.reclaim(1);
    (void)w.fetch(2);
    w.reclaim(2);
  });
  w.finish(m);
}

inline std::vector<sim::NamedProgram> sim_programs() {
  constexpr unsigned kAll = ~0U;
  return {
      {"a pin goes as its frame is wanted", sim::exhaustive(kAll),
       a_pin_goes_as_its_frame_is_wanted},
      {"two pins go as their frame is wanted", sim::exhaustive(2),
       two_pins_go_as_their_frame_is_wanted},
      {"a pinned block stays", sim::exhaustive(3), a_pinned_block_stays},
      {"found while published", sim::exhaustive(kAll), found_while_published},
      {"two readers of one block", sim::exhaustive(kAll),
       two_readers_of_one_block},
      {"neighbours in a frame", sim::exhaustive(kAll), neighbours_in_a_frame},
      {"a slot is given back", sim::exhaustive(kAll), a_slot_is_given_back},
      {"reclaimed while found", sim::exhaustive(kAll), reclaimed_while_found},
      {"reclaimed while fetched", sim::exhaustive(kAll),
       reclaimed_while_fetched},
      {"mixture, random", sim::seeds(sim::Mode::kRandom, 2000), mixture},
      {"mixture, PCT", sim::seeds(sim::Mode::kPct, 2000), mixture},
  };
}

// Every program; the report of the first that fails, or the last.
inline sim::Report run_sim_programs(sim::Mutator* mutator) {
  return sim::explore_all(sim_programs(), mutator);
}

}  // namespace odo::hammer2
