// SPDX-License-Identifier: BSD-3-Clause
// Simulated programs about one token: exclusion, readers with and without bias,
// recursion, and who lets whom pass. programs.h says what a program is.
//
// Contexts: one host thread.
#pragma once

#include <atomic>
#include <cstdint>

#include "lib/tokens/sim/ground.h"

namespace odo::tokens {

using sim::Engine;
using SimInt = sim::Plain<int>;

inline void add_one(SimInt& data) { data.set(data.get() + 1); }

// `check` at the end, if the execution came to it.
template <class Check>
void finish(Engine& m, Check&& check) {
  if (m.run() == Engine::Outcome::kFinished && !check()) {
    m.fail("an update was lost");
  }
}

template <std::uint32_t Spins>
void mutual_exclusion(Engine& m, unsigned threads, int rounds) {
  World<0, Spins> w(threads, threads);
  SimInt data(0);
  for (unsigned t = 0; t < threads; ++t) {
    m.spawn(t, "adder", [&w, &data, t, rounds] {
      auto& self = w.self(t);
      for (int i = 0; i < rounds; ++i) {
        self.acquire(w.a);
        add_one(data);
        self.release(w.a);
      }
    });
  }
  finish(m, [&] { return data.get() == static_cast<int>(threads) * rounds; });
}

// One writer, the rest readers; with Bias, readers use their lanes.
template <std::uint32_t Bias, std::uint32_t Spins = 0>
void readers_and_writer(Engine& m, unsigned readers, int reads,
                        bool biased_at_first) {
  World<Bias, Spins> w(readers + 1, readers + 1);
  SimInt data(0);
  if (biased_at_first) {
    w.self(0).acquire_shared(w.a);
    w.self(0).release(w.a);
    ODO_CHECK(w.a.is_read_biased());
  }
  m.spawn(0, "writer", [&] {
    auto& self = w.self(0);
    self.acquire(w.a);
    data.set(1);
    data.set(2);
    self.release(w.a);
  });
  for (unsigned t = 1; t <= readers; ++t) {
    m.spawn(t, "reader", [&w, &data, t, reads] {
      auto& self = w.self(t);
      for (int i = 0; i < reads; ++i) {
        self.acquire_shared(w.a);
        if (data.get() == 1) Engine::current().fail("half a write was read");
        self.release(w.a);
      }
    });
  }
  finish(m, [&] { return data.get() == 2; });
}

// The writers come one after the other while readers set the bias again.
inline void bias_comes_and_goes(Engine& m) {
  World<1> w(2, 2);
  SimInt data(0);
  for (unsigned t = 0; t < 2; ++t) {
    m.spawn(t, "both", [&w, &data, t] {
      auto& self = w.self(t);
      self.acquire_shared(w.a);
      const int before = data.get();
      self.release(w.a);
      self.acquire_shared(w.a);
      if (data.get() < before) Engine::current().fail("time went back");
      self.release(w.a);
      self.acquire(w.a);
      add_one(data);
      self.release(w.a);
    });
  }
  finish(m, [&] { return data.get() == 2; });
}

// A taker that only tries leaves kDraining behind; the next one relies on it.
inline void draining_is_handed_on(Engine& m) {
  World<1> w(3, 3);
  SimInt data(0);
  w.self(0).acquire_shared(w.a);
  w.self(0).release(w.a);
  m.spawn(0, "reader", [&] {
    auto& self = w.self(0);
    self.acquire_shared(w.a);
    (void)data.get();
    self.release(w.a);
  });
  for (unsigned t = 1; t < 3; ++t) {
    m.spawn(t, "trier", [&w, &data, t] {
      auto& self = w.self(t);
      if (self.try_acquire(w.a)) {
        add_one(data);
        self.release(w.a);
      }
    });
  }
  m.run();
}

// A counted reader leaves, a taker that only tries comes between, and a writer
// who takes the token from the trier still comes after the reader.
inline void a_trier_passes_on_what_it_learnt(Engine& m) {
  World<1> w(3, 4);
  SimInt data(0);
  for (auto* token : {&w.a, &w.b}) {
    w.self(3).acquire_shared(*token);
    w.self(3).release(*token);
  }
  // Takes the slot in the first lane, so that its reader has to be counted.
  w.self(3).acquire_shared(w.b);
  m.spawn(0, "counted", [&] {
    auto& self = w.self(0);
    if (self.try_acquire_shared(w.a)) {
      (void)data.get();
      self.release(w.a);
    }
  });
  m.spawn(1, "trier", [&] {
    auto& self = w.self(1);
    if (self.try_acquire(w.a)) self.release(w.a);
  });
  m.spawn(2, "in lane", [&] {
    auto& self = w.self(2);
    if (self.try_acquire_shared(w.a)) self.release(w.a);
    if (self.try_acquire(w.a)) {
      add_one(data);
      self.release(w.a);
    }
  });
  m.run();
}

// The same once the token is draining already: this trier makes no fence that
// would carry what it learnt.
inline void a_second_trier_passes_on_what_it_learnt(Engine& m) {
  World<1> w(3, 3);
  SimInt data(0);
  w.self(2).acquire_shared(w.a);
  w.self(2).release(w.a);
  w.self(2).acquire_shared(w.a);  // in the lane
  ODO_CHECK(!w.self(1).try_acquire(w.a));
  m.spawn(0, "counted", [&] {
    auto& self = w.self(0);
    if (self.try_acquire_shared(w.a)) {
      (void)data.get();
      self.release(w.a);
    }
  });
  m.spawn(1, "trier", [&] {
    auto& self = w.self(1);
    if (self.try_acquire(w.a)) self.release(w.a);
  });
  m.spawn(2, "in lane", [&] {
    auto& self = w.self(2);
    self.release(w.a);
    if (self.try_acquire(w.a)) {
      add_one(data);
      self.release(w.a);
    }
  });
  m.run();
}

// Who parked while a trier had the word for a moment is woken when it lets go,
// though the reader in the lane has gone before and woke nobody.
inline void a_trier_backs_off(Engine& m) {
  World<1> w(3, 3);
  SimInt data(0);
  w.self(0).acquire_shared(w.a);
  w.self(0).release(w.a);
  w.self(0).acquire_shared(w.a);
  m.spawn(0, "in lane", [&] { w.self(0).release(w.a); });
  m.spawn(1, "trier", [&] {
    auto& self = w.self(1);
    if (self.try_acquire(w.a)) self.release(w.a);
  });
  m.spawn(2, "reader", [&] {
    auto& self = w.self(2);
    self.acquire_shared(w.a);
    (void)data.get();
    self.release(w.a);
  });
  m.run();
}

// A lane's slot is used for one token and then for another, before the writer
// of the first looks.
inline void a_slot_is_used_again(Engine& m) {
  World<1> w(2, 2);
  SimInt data(0);
  for (auto* token : {&w.a, &w.b}) {
    w.self(0).acquire_shared(*token);
    w.self(0).release(*token);
  }
  m.spawn(0, "reader", [&] {
    auto& self = w.self(0);
    self.acquire_shared(w.a);
    (void)data.get();
    self.release(w.a);
    self.acquire_shared(w.b);
    self.release(w.b);
  });
  m.spawn(1, "writer", [&] {
    auto& self = w.self(1);
    self.acquire(w.a);
    add_one(data);
    self.release(w.a);
  });
  finish(m, [&] { return data.get() == 1; });
}

// A reader's mark that comes too late is taken back over its own earlier one.
inline void a_mark_is_taken_back(Engine& m) {
  World<1> w(2, 2);
  SimInt data(0);
  w.self(0).acquire_shared(w.a);
  w.self(0).release(w.a);
  m.spawn(0, "reader", [&] {
    auto& self = w.self(0);
    self.acquire_shared(w.a);
    (void)data.get();
    self.release(w.a);
    if (self.try_acquire_shared(w.a)) {
      (void)data.get();
      self.release(w.a);
    }
  });
  m.spawn(1, "writer", [&] {
    auto& self = w.self(1);
    self.acquire(w.a);
    add_one(data);
    self.release(w.a);
  });
  finish(m, [&] { return data.get() == 1; });
}

// A CPU comes up while a writer looks for readers on the others.
inline void a_lane_is_added_meanwhile(Engine& m) {
  World<1> w(2, 2);
  SimInt data(0);
  w.self(0).acquire_shared(w.a);
  w.self(0).release(w.a);
  Lane<SimGround<1>> late(w.domain());
  m.spawn(0, "reader", [&] {
    auto& self = w.self(0);
    self.acquire_shared(w.a);
    (void)data.get();
    self.release(w.a);
  });
  m.spawn(1, "writer", [&] {
    auto& self = w.self(1);
    if (self.try_acquire(w.a)) {
      add_one(data);
      self.release(w.a);
    }
  });
  m.spawn(2, "comer", [&] { w.domain().add(late); });
  m.run();
}

inline void recursion(Engine& m) {
  World<0> w(2, 2);
  SimInt data(0);
  for (unsigned t = 0; t < 2; ++t) {
    m.spawn(t, "nester", [&w, &data, t] {
      auto& self = w.self(t);
      self.acquire(w.a);
      self.acquire(w.a);
      self.acquire_shared(w.a);
      add_one(data);
      self.release(w.a);
      self.release(w.a);
      if (!self.holds_exclusive(w.a)) Engine::current().fail("lost too early");
      add_one(data);
      self.release(w.a);
      if (self.holds(w.a)) Engine::current().fail("not given up");
    });
  }
  finish(m, [&] { return data.get() == 4; });
}

// A reader may read again though a writer waits for it.
template <std::uint32_t Bias>
void nested_readers_pass_a_waiting_writer(Engine& m) {
  World<Bias> w(2, 2);
  SimInt data(0);
  m.spawn(0, "reader", [&] {
    auto& self = w.self(0);
    self.acquire_shared(w.a);
    const int before = data.get();
    self.acquire_shared(w.a);
    self.release(w.a);
    if (data.get() != before) Engine::current().fail("lapsed in a nested read");
    self.release(w.a);
  });
  m.spawn(1, "writer", [&] {
    auto& self = w.self(1);
    self.acquire(w.a);
    add_one(data);
    self.release(w.a);
  });
  finish(m, [&] { return data.get() == 1; });
}

// --- starvation

// Parks, and tells whoever asked that it is about to.
class TellingBlocker : public ParkingBlocker<SimGround<1>> {
 public:
  void tell(bool* waits) { waits_ = waits; }
  void switch_until_held(TokenStack<SimGround<1>>& stack) {
    if (waits_ != nullptr) *waits_ = true;
    ParkingBlocker::switch_until_held(stack);
  }

 private:
  bool* waits_ = nullptr;
};

// A reader that never has enough: once the writer's request is out, it gets in
// a few more times at most, however often it asks.
inline void readers_do_not_starve_a_writer(Engine& m) {
  // One read may be under way, one may be due to the reader from before, and
  // two looks at requests_ may be too old.
  constexpr int kBound = 4;
  World<1, 0, TellingBlocker> w(2, 2);
  bool waits = false;
  bool written = false;
  w.self(0).blocker().tell(&waits);
  SimInt data(0);
  m.spawn(0, "writer", [&] {
    auto& self = w.self(0);
    self.acquire(w.a);
    data.set(1);
    written = true;
    self.release(w.a);
  });
  m.spawn(1, "reader", [&] {
    auto& self = w.self(1);
    int after = 0;
    for (int i = 0; i < 8 && !written; ++i) {
      const bool counts = waits;
      self.acquire_shared(w.a);
      (void)data.get();
      if (counts && !written && ++after > kBound) {
        Engine::current().fail("a waiting writer was passed too often");
      }
      self.release(w.a);
    }
  });
  finish(m, [&] { return data.get() == 1; });
}

}  // namespace odo::tokens
