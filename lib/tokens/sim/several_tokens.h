// SPDX-License-Identifier: BSD-3-Clause
// Simulated programs about several tokens: orders, rings, lapsing and coming
// back, swaps, a scheduler that polls, and a mixture of everything.
//
// Contexts: one host thread.
#pragma once

#include <atomic>
#include <cstdint>

#include "lib/tokens/sim/one_token.h"

namespace odo::tokens {

// Takes two tokens in an order of its own; the first may lapse while it waits
// for the second, so both are checked from there on only.
template <class W>
void take_both(W& w, unsigned t, Token<typename W::Ground>& first,
               Token<typename W::Ground>& second, SimInt& one, SimInt& other) {
  auto& self = w.self(t);
  self.acquire(first);
  self.acquire(second);
  add_one(one);
  add_one(other);
  self.release(second);
  self.release(first);
}

inline void opposite_orders(Engine& m) {
  World<0> w(2, 2);
  SimInt x(0);
  SimInt y(0);
  m.spawn(0, "ab", [&] { take_both(w, 0, w.a, w.b, x, y); });
  m.spawn(1, "ba", [&] { take_both(w, 1, w.b, w.a, y, x); });
  finish(m, [&] { return x.get() == 2 && y.get() == 2; });
}

inline void a_ring_of_three(Engine& m) {
  World<0> w(3, 3);
  SimInt x(0);
  SimInt y(0);
  SimInt z(0);
  m.spawn(0, "ab", [&] { take_both(w, 0, w.a, w.b, x, y); });
  m.spawn(1, "bc", [&] { take_both(w, 1, w.b, w.c, y, z); });
  m.spawn(2, "ca", [&] { take_both(w, 2, w.c, w.a, z, x); });
  finish(m, [&] { return x.get() == 2 && y.get() == 2 && z.get() == 2; });
}

// All of a thread's tokens lapse while it sleeps, whatever kind they are, and
// all are back afterwards.
template <std::uint32_t Bias>
void released_while_blocked(Engine& m) {
  World<Bias> w(2, 2);
  SimInt x(0);
  SimInt y(0);
  sim::SimAtomic<bool> asleep(false);
  const sim::ThreadId sleeper = m.spawn(0, "sleeper", [&] {
    auto& self = w.self(0);
    self.acquire(w.a);
    self.acquire(w.a);
    self.acquire_shared(w.b);
    add_one(x);
    self.block([&] {
      asleep.store(true, std::memory_order_relaxed);
      Engine::current().block();
    });
    if (!self.holds_exclusive(w.a) || !self.holds(w.b) || self.depth() != 3) {
      Engine::current().fail("woke without its tokens");
    }
    if (x.get() != 2 || y.get() != 1) Engine::current().fail("woke too early");
    add_one(x);
    self.release(w.b);
    self.release(w.a);
    add_one(x);
    self.release(w.a);
  });
  m.spawn(1, "waker", [&, sleeper] {
    auto& self = w.self(1);
    while (!asleep.load(std::memory_order_relaxed)) Engine::current().relax();
    self.acquire(w.b);
    self.acquire(w.a);
    add_one(x);
    add_one(y);
    // Still ours: the sleeper can't run on until both are given up.
    Engine::current().wake(sleeper);
    if (x.get() != 2) Engine::current().fail("some, but not all, came back");
    self.release(w.a);
    self.release(w.b);
  });
  finish(m, [&] { return x.get() == 4 && y.get() == 1; });
}

inline void swapped_and_released(Engine& m) {
  World<0> w(2, 2);
  SimInt x(0);
  SimInt y(0);
  m.spawn(0, "swapper", [&] {
    auto& self = w.self(0);
    self.acquire(w.a);
    self.acquire(w.b);
    self.swap_top();
    add_one(x);
    self.release(w.a);
    add_one(y);
    self.release(w.b);
  });
  m.spawn(1, "other", [&] { take_both(w, 1, w.a, w.b, x, y); });
  finish(m, [&] { return x.get() == 2 && y.get() == 2; });
}

// A reader that parks behind a writer's request goes on when the writer turns
// out to wait for another token.
inline void a_request_moves_on(Engine& m) {
  World<0> w(3, 3);
  SimInt x(0);
  SimInt y(0);
  m.spawn(0, "writer", [&] { take_both(w, 0, w.a, w.b, x, y); });
  m.spawn(1, "reader", [&] {
    auto& self = w.self(1);
    self.acquire_shared(w.a);
    (void)x.get();
    self.release(w.a);
  });
  m.spawn(2, "other", [&] {
    auto& self = w.self(2);
    self.acquire(w.b);
    add_one(y);
    self.acquire_shared(w.a);
    (void)x.get();
    self.release(w.a);
    self.release(w.b);
  });
  finish(m, [&] { return x.get() == 1 && y.get() == 2; });
}

// The same, where the one who keeps the writer waiting elsewhere waits for that
// reader. (Waiting so while holding a token is bad manners, but no deadlock.)
inline void a_request_left_behind_wakes_readers(Engine& m) {
  World<0> w(4, 4);
  SimInt x(0);
  SimInt y(0);
  sim::SimAtomic<bool> read(false);
  m.spawn(0, "writer", [&] { take_both(w, 0, w.a, w.b, x, y); });
  m.spawn(1, "in the way", [&] {
    auto& self = w.self(1);
    self.acquire_shared(w.b);
    (void)y.get();
    self.release(w.b);
  });
  m.spawn(2, "reader", [&] {
    auto& self = w.self(2);
    self.acquire_shared(w.b);
    (void)y.get();
    self.release(w.b);
    read.store(true, std::memory_order_relaxed);
  });
  m.spawn(3, "waits for reader", [&] {
    auto& self = w.self(3);
    self.acquire(w.a);
    while (!read.load(std::memory_order_relaxed)) Engine::current().relax();
    add_one(x);
    self.release(w.a);
  });
  finish(m, [&] { return x.get() == 2 && y.get() == 1; });
}

// --- a scheduler that polls

template <std::uint32_t Bias>
void polling_scheduler(Engine& m, unsigned cpus, unsigned threads) {
  World<Bias, 0, SimPollingBlocker<SimGround<Bias>>> w(cpus, threads);
  SimInt x(0);
  SimInt y(0);
  for (unsigned t = 0; t < threads; ++t) {
    m.spawn(t % cpus, "thread", [&w, &x, &y, t] {
      if (t % 2 == 0) {
        take_both(w, t, w.a, w.b, x, y);
      } else {
        take_both(w, t, w.b, w.a, y, x);
      }
      auto& self = w.self(t);
      self.acquire_shared(w.a);
      (void)x.get();
      self.release(w.a);
    });
  }
  finish(m, [&] {
    const int n = static_cast<int>(threads);
    return x.get() == n && y.get() == n;
  });
}

// --- everything at once, for seeds

inline void mixture(Engine& m) {
  constexpr unsigned kThreads = 4;
  World<2> w(kThreads, kThreads);
  SimInt data[3];
  Token<SimGround<2>>* tokens[] = {&w.a, &w.b, &w.c};
  for (unsigned t = 0; t < kThreads; ++t) {
    m.spawn(t, "mixer", [&w, &data, &tokens, t] {
      auto& self = w.self(t);
      Engine& engine = Engine::current();
      for (int i = 0; i < 3; ++i) {
        const unsigned first = engine.choose(3);
        const unsigned second = (first + 1 + engine.choose(2)) % 3;
        const unsigned how = engine.choose(4);
        if (how == 0) {
          self.acquire(*tokens[first]);
          self.acquire(*tokens[second]);
          add_one(data[first]);
          add_one(data[second]);
          self.release(*tokens[second]);
          add_one(data[first]);
          self.release(*tokens[first]);
        } else if (how == 1) {
          self.acquire_shared(*tokens[first]);
          self.acquire(*tokens[second]);
          (void)data[first].get();
          add_one(data[second]);
          self.swap_top();
          self.release(*tokens[first]);
          add_one(data[second]);
          self.release(*tokens[second]);
        } else if (how == 2) {
          self.acquire_shared(*tokens[first]);
          self.acquire_shared(*tokens[second]);
          (void)data[first].get();
          self.block([] {});
          (void)data[first].get();
          (void)data[second].get();
          self.release(*tokens[second]);
          self.release(*tokens[first]);
        } else if (self.try_acquire(*tokens[first])) {
          add_one(data[first]);
          self.release(*tokens[first]);
        }
      }
    });
  }
  m.run();
}

}  // namespace odo::tokens
