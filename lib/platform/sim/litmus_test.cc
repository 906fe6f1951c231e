// SPDX-License-Identifier: BSD-3-Clause
// The classic litmus tests: for each, the outcomes that exhaustive exploration
// finds are exactly those that C++20 allows.
#include <atomic>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "gtest/gtest.h"
#include "lib/platform/sim/atomic.h"
#include "lib/platform/sim/explore.h"

namespace odo::sim {
namespace {

using Outcomes = std::set<std::vector<int>>;
using Order = std::memory_order;

constexpr Order kRlx = Order::relaxed;
constexpr Order kAcq = Order::acquire;
constexpr Order kRel = Order::release;
constexpr Order kAcqRel = Order::acq_rel;
constexpr Order kSc = Order::seq_cst;

using A = SimAtomic<std::uint32_t>;

struct World {
  A x{0}, y{0}, z{0};
  std::vector<int> r = std::vector<int>(6, 0);
};

int get(const A& a, Order order) { return static_cast<int>(a.load(order)); }

// All outcomes of the threads together; `final` may look at the world after
// they have ended and add to r.
Outcomes outcomes(std::vector<std::function<void(World&)>> threads,
                  std::size_t registers,
                  std::function<void(World&)> final = nullptr) {
  Outcomes found;
  ExploreOptions options;
  options.engine.memory.futures = true;
  const Report report = explore(options, [&](Engine& m) {
    World world;
    CpuId cpu = 0;
    for (auto& thread : threads) {
      m.spawn(cpu, "t" + std::to_string(cpu), [&] { thread(world); });
      ++cpu;
    }
    if (m.run() != Engine::Outcome::kFinished) return;
    if (final) final(world);
    std::vector<int> r = world.r;
    r.resize(registers);
    found.insert(r);
  });
  EXPECT_TRUE(report.ok()) << report.text();
  EXPECT_TRUE(report.complete) << report.text();
  return found;
}

Outcomes all_pairs() { return {{0, 0}, {0, 1}, {1, 0}, {1, 1}}; }

Outcomes store_buffering(Order store, Order load, Order fence = kRlx) {
  return outcomes({[=](World& w) {
                     w.x.store(1, store);
                     sim::fence(fence);
                     w.r[0] = get(w.y, load);
                   },
                   [=](World& w) {
                     w.y.store(1, store);
                     sim::fence(fence);
                     w.r[1] = get(w.x, load);
                   }},
                  2);
}

TEST(LitmusTest, StoreBuffering) {
  EXPECT_EQ(store_buffering(kRlx, kRlx), all_pairs());
  EXPECT_EQ(store_buffering(kRel, kAcq), all_pairs());
  EXPECT_EQ(store_buffering(kSc, kAcq), all_pairs());
  EXPECT_EQ(store_buffering(kRel, kSc), all_pairs());
  EXPECT_EQ(store_buffering(kRlx, kRlx, kAcqRel), all_pairs());
  const Outcomes strong = {{0, 1}, {1, 0}, {1, 1}};
  EXPECT_EQ(store_buffering(kSc, kSc), strong);
  EXPECT_EQ(store_buffering(kRlx, kRlx, kSc), strong);
}

Outcomes message_passing(Order store, Order load, Order store_fence = kRlx,
                         Order load_fence = kRlx) {
  return outcomes({[=](World& w) {
                     w.x.store(1, kRlx);
                     sim::fence(store_fence);
                     w.y.store(1, store);
                   },
                   [=](World& w) {
                     w.r[0] = get(w.y, load);
                     sim::fence(load_fence);
                     w.r[1] = get(w.x, kRlx);
                   }},
                  2);
}

TEST(LitmusTest, MessagePassing) {
  EXPECT_EQ(message_passing(kRlx, kRlx), all_pairs());
  EXPECT_EQ(message_passing(kRel, kRlx), all_pairs());
  EXPECT_EQ(message_passing(kRlx, kAcq), all_pairs());
  EXPECT_EQ(message_passing(kRlx, kRlx, kRel), all_pairs());
  EXPECT_EQ(message_passing(kRlx, kRlx, kRlx, kAcq), all_pairs());
  const Outcomes strong = {{0, 0}, {0, 1}, {1, 1}};
  EXPECT_EQ(message_passing(kRel, kAcq), strong);
  EXPECT_EQ(message_passing(kSc, kSc), strong);
  EXPECT_EQ(message_passing(kRlx, kAcq, kRel), strong);
  EXPECT_EQ(message_passing(kRel, kRlx, kRlx, kAcq), strong);
  EXPECT_EQ(message_passing(kRlx, kRlx, kRel, kAcq), strong);
}

Outcomes load_buffering(Order load, Order store) {
  return outcomes({[=](World& w) {
                     w.r[0] = get(w.y, load);
                     w.x.store(1, store);
                   },
                   [=](World& w) {
                     w.r[1] = get(w.x, load);
                     w.y.store(1, store);
                   }},
                  2);
}

TEST(LitmusTest, LoadBuffering) {
  EXPECT_EQ(load_buffering(kRlx, kRlx), all_pairs());
  EXPECT_EQ(load_buffering(kAcq, kRlx), all_pairs());
  EXPECT_EQ(load_buffering(kRlx, kRel), all_pairs());
  const Outcomes strong = {{0, 0}, {0, 1}, {1, 0}};
  EXPECT_EQ(load_buffering(kAcq, kRel), strong);
  EXPECT_EQ(load_buffering(kSc, kSc), strong);
}

TEST(LitmusTest, NoValueOutOfThinAir) {
  // Each thread stores only what it read: nothing but 0 can come of it.
  const Outcomes found =
      outcomes({[](World& w) {
                  w.r[0] = get(w.y, kRlx);
                  w.x.store(static_cast<std::uint32_t>(w.r[0]), kRlx);
                },
                [](World& w) {
                  w.r[1] = get(w.x, kRlx);
                  w.y.store(static_cast<std::uint32_t>(w.r[1]), kRlx);
                }},
               2);
  EXPECT_EQ(found, (Outcomes{{0, 0}}));
}

Outcomes iriw(Order store, Order load, Order fence = kRlx) {
  return outcomes({[=](World& w) { w.x.store(1, store); },
                   [=](World& w) { w.y.store(1, store); },
                   [=](World& w) {
                     w.r[0] = get(w.x, load);
                     sim::fence(fence);
                     w.r[1] = get(w.y, load);
                   },
                   [=](World& w) {
                     w.r[2] = get(w.y, load);
                     sim::fence(fence);
                     w.r[3] = get(w.x, load);
                   }},
                  4);
}

Outcomes all_of_four() {
  Outcomes all;
  for (int i = 0; i < 16; ++i) {
    all.insert({i & 1, (i >> 1) & 1, (i >> 2) & 1, (i >> 3) & 1});
  }
  return all;
}

TEST(LitmusTest, IndependentReadsOfIndependentWrites) {
  const std::vector<int> weak = {1, 0, 1, 0};
  EXPECT_EQ(iriw(kRlx, kRlx), all_of_four());
  EXPECT_EQ(iriw(kRel, kAcq), all_of_four());
  Outcomes strong = all_of_four();
  strong.erase(weak);
  EXPECT_EQ(iriw(kSc, kSc), strong);
  EXPECT_EQ(iriw(kRlx, kRlx, kSc), strong);
  // Only the loads are seq_cst: still forbidden, as each pair of them is
  // coherence-ordered through the store between (C++20 [atomics.order]/3).
  EXPECT_EQ(iriw(kRel, kSc), strong);
  EXPECT_EQ(iriw(kSc, kAcq), all_of_four());
}

Outcomes two_plus_two_writes(Order order, Order fence = kRlx) {
  return outcomes({[=](World& w) {
                     w.x.store(1, order);
                     sim::fence(fence);
                     w.y.store(2, order);
                   },
                   [=](World& w) {
                     w.y.store(1, order);
                     sim::fence(fence);
                     w.x.store(2, order);
                   }},
                  2, [](World& w) {
                    w.r[0] = get(w.x, kRlx);
                    w.r[1] = get(w.y, kRlx);
                  });
}

TEST(LitmusTest, TwoPlusTwoWrites) {
  const Outcomes weak = {{1, 1}, {1, 2}, {2, 1}, {2, 2}};
  const Outcomes strong = {{1, 2}, {2, 1}, {2, 2}};
  EXPECT_EQ(two_plus_two_writes(kRlx), weak);
  EXPECT_EQ(two_plus_two_writes(kRel), weak);
  EXPECT_EQ(two_plus_two_writes(kSc), strong);
  EXPECT_EQ(two_plus_two_writes(kRlx, kSc), strong);
}

TEST(LitmusTest, CoherenceOfReads) {
  // Two readers agree on the order of two stores to one location.
  const Outcomes found = outcomes({[](World& w) { w.x.store(1, kRlx); },
                                   [](World& w) { w.x.store(2, kRlx); },
                                   [](World& w) {
                                     w.r[0] = get(w.x, kRlx);
                                     w.r[1] = get(w.x, kRlx);
                                   },
                                   [](World& w) {
                                     w.r[2] = get(w.x, kRlx);
                                     w.r[3] = get(w.x, kRlx);
                                   }},
                                  4);
  EXPECT_FALSE(found.contains({1, 2, 2, 1}));
  EXPECT_FALSE(found.contains({2, 1, 1, 2}));
  EXPECT_FALSE(found.contains({1, 0, 0, 0}));
  EXPECT_TRUE(found.contains({1, 2, 1, 2}));
  EXPECT_TRUE(found.contains({2, 1, 2, 1}));
  EXPECT_TRUE(found.contains({0, 2, 1, 1}));
  // Pairs from {0,1,2} with 0 first; then those whose orders agree.
  std::size_t expected = 0;
  for (int a = 0; a < 3; ++a)
    for (int b = 0; b < 3; ++b)
      for (int c = 0; c < 3; ++c)
        for (int d = 0; d < 3; ++d) {
          if ((b == 0 && a != 0) || (d == 0 && c != 0)) continue;
          const bool up = (a == 1 && b == 2) || (c == 1 && d == 2);
          const bool down = (a == 2 && b == 1) || (c == 2 && d == 1);
          if (!(up && down)) ++expected;
        }
  EXPECT_EQ(found.size(), expected);
}

TEST(LitmusTest, CoherenceOfOneThread) {
  // A thread reads its own store or a newer one.
  EXPECT_EQ(outcomes({[](World& w) {
                        w.x.store(1, kRlx);
                        w.r[0] = get(w.x, kRlx);
                      },
                      [](World& w) { w.x.store(2, kRlx); }},
                     1),
            (Outcomes{{1}, {2}}));
}

TEST(LitmusTest, ReleaseSequenceContinuesThroughUpdates) {
  const auto run = [](Order update) {
    return outcomes({[](World& w) {
                       w.x.store(1, kRlx);
                       w.y.store(1, kRel);
                     },
                     [=](World& w) { w.y.fetch_add(1, update); },
                     [](World& w) {
                       w.r[0] = get(w.y, kAcq);
                       w.r[1] = get(w.x, kRlx);
                     }},
                    2);
  };
  for (const Order order : {kRlx, kAcqRel}) {
    const Outcomes found = run(order);
    // y == 2 means the update read the release store: x must be seen.
    EXPECT_FALSE(found.contains({2, 0}));
    EXPECT_TRUE(found.contains({2, 1}));
    // y == 1 by the update alone, or by the store alone.
    EXPECT_TRUE(found.contains({1, 0}));
    EXPECT_TRUE(found.contains({1, 1}));
  }
}

TEST(LitmusTest, ReleaseSequenceEndsAtAPlainStore) {
  // C++20 dropped the same thread's relaxed stores from release sequences.
  const Outcomes found = outcomes({[](World& w) {
                                     w.x.store(1, kRlx);
                                     w.y.store(1, kRel);
                                     w.y.store(2, kRlx);
                                   },
                                   [](World& w) {
                                     w.r[0] = get(w.y, kAcq);
                                     w.r[1] = get(w.x, kRlx);
                                   }},
                                  2);
  EXPECT_TRUE(found.contains({2, 0}));
  EXPECT_FALSE(found.contains({1, 0}));
}

TEST(LitmusTest, UpdatesAreAtomic) {
  EXPECT_EQ(
      outcomes(
          {[](World& w) { w.r[0] = static_cast<int>(w.x.fetch_add(1, kRlx)); },
           [](World& w) { w.r[1] = static_cast<int>(w.x.fetch_add(1, kRlx)); }},
          3, [](World& w) { w.r[2] = get(w.x, kRlx); }),
      (Outcomes{{0, 1, 2}, {1, 0, 2}}));
}

TEST(LitmusTest, CompareExchangeHasOneWinner) {
  const auto race = [](World& w, std::size_t who) {
    std::uint32_t expected = 0;
    w.r[who] = w.x.compare_exchange_strong(
                   expected, static_cast<std::uint32_t>(who + 1), kRlx, kRlx)
                   ? 1
                   : 0;
  };
  EXPECT_EQ(
      outcomes({[=](World& w) { race(w, 0); }, [=](World& w) { race(w, 1); }},
               2),
      (Outcomes{{0, 1}, {1, 0}}));
}

TEST(LitmusTest, WeakCompareExchangeMayFailForNoReason) {
  EXPECT_EQ(
      outcomes({[](World& w) {
                 std::uint32_t expected = 0;
                 w.r[0] =
                     w.x.compare_exchange_weak(expected, 1, kRlx, kRlx) ? 1 : 0;
               }},
               1),
      (Outcomes{{0}, {1}}));
}

TEST(LitmusTest, WriteToReadCausality) {
  const auto run = [](Order store, Order load) {
    return outcomes({[=](World& w) { w.x.store(1, store); },
                     [=](World& w) {
                       w.r[0] = get(w.x, load);
                       w.y.store(1, store);
                     },
                     [=](World& w) {
                       w.r[1] = get(w.y, load);
                       w.r[2] = get(w.x, kRlx);
                     }},
                    3);
  };
  EXPECT_FALSE(run(kRel, kAcq).contains({1, 1, 0}));
  EXPECT_TRUE(run(kRlx, kRlx).contains({1, 1, 0}));
}

TEST(LitmusTest, MixedSeqCstAndFence) {
  // A seq_cst store on one side and a seq_cst fence on the other still forbid
  // the weak outcome of store buffering.
  const Outcomes found = outcomes({[](World& w) {
                                     w.x.store(1, kSc);
                                     w.r[0] = get(w.y, kSc);
                                   },
                                   [](World& w) {
                                     w.y.store(1, kRlx);
                                     sim::fence(kSc);
                                     w.r[1] = get(w.x, kRlx);
                                   }},
                                  2);
  EXPECT_EQ(found, (Outcomes{{0, 1}, {1, 0}, {1, 1}}));
}

}  // namespace
}  // namespace odo::sim
