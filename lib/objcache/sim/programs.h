// SPDX-License-Identifier: BSD-3-Clause
// The programs that prove object caches in the simulator, as a list, so that
// the ordinary test and the mutation test run the same ones.
//
// What each must keep: an object has one owner at a time, who sees what the one
// before did; none is lost; a waiter is woken (the simulator reports a deadlock
// otherwise); and at rest the statistics are exact and all memory comes back.
// Item and World::finish() check that; a program adds what is special to it.
//
// Contexts: one host thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "lib/objcache/sim/ground.h"
#include "lib/platform/sim/programs.h"

namespace odo::objcache {

// --- lanes and depot

// Each of two CPUs has an object `times` times; the cache is empty at first.
template <std::uint32_t Capacity>
void one_at_a_time(Engine& m, int times) {
  World<Capacity> w({});
  for (sim::CpuId c = 0; c < 2; ++c) {
    m.spawn(c, "user", [&w, times] {
      for (int i = 0; i < times; ++i) (void)w.use();
    });
  }
  w.finish(m, 2 * static_cast<std::uint64_t>(times));
}

// One CPU puts so much that magazines go to the depot, the other takes them.
template <std::uint32_t Capacity, unsigned Clusters>
void over_the_depot(Engine& m, unsigned many, unsigned few) {
  World<Capacity, Clusters> w({});
  m.spawn(0, "many", [&w, many] { w.use_many(many); });
  m.spawn(1, "few", [&w, few] { w.use_many(few); });
  w.finish(m, many + few);
}

// An interrupt handler uses the cache on a CPU that is about to, and may come
// while that has the depot's lock, or while a visitor looks at its lane.
inline void an_interrupt_comes(Engine& m) {
  World<1> w({});
  w.use_many(2);
  m.spawn(0, "user", [&] {
    (void)w.use();
    w.use_many(3);
  });
  m.spawn(1, "sender", [&] {
    Engine::current().send_ipi(0, [&w] { w.use_many(3); });
    (void)w.cache().reclaim(1);
  });
  w.finish(m, 9);
}

// --- reclaim

// Between a CPU's own steps another takes its magazines away.
template <std::uint32_t Capacity>
void reclaim_meanwhile(Engine& m, unsigned cached, std::uint64_t target,
                       int times) {
  World<Capacity> w({});
  w.use_many(cached);
  m.spawn(0, "user", [&w, times] {
    for (int i = 0; i < times; ++i) (void)w.use();
  });
  m.spawn(1, "reclaimer", [&w, target] {
    if (w.cache().reclaim(target) > target) {
      Engine::current().fail("reclaimed more than asked for");
    }
  });
  w.finish(m, cached + static_cast<std::uint64_t>(times));
}

inline void two_reclaimers(Engine& m) {
  World<1> w({.lanes = 3});
  w.use_many(3);
  m.spawn(0, "user", [&] { (void)w.use(); });
  for (sim::CpuId c = 1; c < 3; ++c) {
    m.spawn(c, "reclaimer", [&] { (void)w.cache().reclaim(2); });
  }
  w.finish(m, 4);
}

// --- the limit

// What lies idle in another lane's magazine is found, not waited for.
template <unsigned Clusters>
void an_idle_object_is_found(Engine& m) {
  World<1, Clusters> w({.limit = 1});
  (void)w.use();
  m.spawn(1, "finder", [&] {
    if (!w.use()) Engine::current().fail("an idle object was not found");
  });
  w.finish(m, 2);
}

// At the limit, one of two always gets the object; who fails met the other's
// use of it.
inline void at_the_limit(Engine& m) {
  World<1> w({.limit = 1});
  (void)w.use();
  unsigned got = 0;
  for (sim::CpuId c = 0; c < 2; ++c) {
    m.spawn(c, "user", [&] {
      if (w.use()) ++got;
    });
  }
  w.finish(m);
  if (m.outcome() == Engine::Outcome::kFinished && got == 0) {
    m.fail("nobody got the only object");
  }
}

// The only object is idle; of one get on each CPU, exactly one has it.
inline void two_gets_of_one(Engine& m) {
  World<1> w({.limit = 1});
  (void)w.use();
  Item* got[2] = {};
  for (sim::CpuId c = 0; c < 2; ++c) {
    m.spawn(c, "getter", [&w, &got, c] {
      got[c] = w.cache().get_raw();
      if (got[c] != nullptr) got[c]->begin_use();
    });
  }
  if (m.run() != Engine::Outcome::kFinished) return;
  if ((got[0] == nullptr) == (got[1] == nullptr)) {
    return m.fail("not exactly one got the only object");
  }
  Item* item = got[0] == nullptr ? got[1] : got[0];
  item->end_use();
  w.cache().put(*item);
  w.finish(m, 2);
}

// One put against one get that waits for it, and against a reclaim.
inline void one_put_and_a_waiter(Engine& m) {
  World<1> w({.limit = 1});
  (void)w.use();  // so that there is a magazine
  Item* item = w.cache().get_raw();
  item->begin_use();
  m.spawn(0, "putter", [&w, item] {
    item->end_use();
    w.cache().put(*item);
  });
  Item* got = nullptr;
  m.spawn(1, "waiter", [&w, &got] {
    got = w.cache().get_raw_or_wait();
    got->begin_use();
  });
  if (m.run() != Engine::Outcome::kFinished) return;
  got->end_use();
  w.cache().put(*got);
  w.finish(m, 3);
}
inline void one_put_and_a_reclaim(Engine& m) {
  World<1> w({});
  (void)w.use();
  Item* item = w.cache().get_raw();
  item->begin_use();
  m.spawn(0, "putter", [&w, item] {
    item->end_use();
    w.cache().put(*item);
  });
  m.spawn(1, "reclaimer", [&w] { (void)w.cache().reclaim(1); });
  w.finish(m, 2);
}

// More users than objects: all get one in the end.
template <unsigned Clusters>
void waiting(Engine& m, unsigned threads, std::uint64_t limit, int times) {
  World<1, Clusters> w({.lanes = threads, .limit = limit});
  for (sim::CpuId c = 0; c < threads; ++c) {
    m.spawn(c, "waiter", [&w, times] {
      for (int i = 0; i < times; ++i) w.use_after_wait();
    });
  }
  w.finish(m, std::uint64_t{threads} * static_cast<std::uint64_t>(times));
}

// The only object is out; its owner puts it back while another comes to wait.
inline void a_put_meets_a_waiter(Engine& m) {
  World<1> w({.limit = 1});
  (void)w.use();
  m.spawn(0, "owner", [&] { (void)w.use(); });
  m.spawn(1, "waiter", [&] { w.use_after_wait(); });
  w.finish(m);
}

// The object that a waiter hopes for is destroyed: it may make another.
inline void waiting_while_reclaimed(Engine& m) {
  World<1> w({.limit = 1});
  (void)w.use();
  m.spawn(0, "reclaimer", [&] { (void)w.cache().reclaim(1); });
  m.spawn(1, "waiter", [&] { w.use_after_wait(); });
  w.finish(m, 2);
}
inline void waiting_used_and_reclaimed(Engine& m) {
  World<1> w({.lanes = 3, .limit = 1});
  (void)w.use();
  m.spawn(0, "user", [&] { (void)w.use(); });
  m.spawn(1, "waiter", [&] { w.use_after_wait(); });
  m.spawn(2, "reclaimer", [&] { (void)w.cache().reclaim(1); });
  w.finish(m);
}

// --- without memory

// Whatever fails to be allocated, an object or a magazine: nobody hangs.
inline void memory_fails(Engine& m) {
  World<1> w({.failure = SimMemory::Failure::kInjected});
  for (sim::CpuId c = 0; c < 2; ++c) {
    m.spawn(c, "user", [&] { w.use_many(2); });
  }
  w.finish(m);
}
inline void memory_fails_at_the_limit(Engine& m) {
  World<1> w({.limit = 1, .failure = SimMemory::Failure::kInjected});
  for (sim::CpuId c = 0; c < 2; ++c) {
    m.spawn(c, "waiter", [&] {
      Item* item = w.cache().get_raw_or_wait();
      if (item != nullptr) w.use(*item);
    });
  }
  w.finish(m);
}

// --- everything at once

template <std::uint32_t Capacity, unsigned Clusters, bool Checks>
void mixture(Engine& m) {
  World<Capacity, Clusters, Checks> w({.lanes = 3, .limit = 4});
  alignas(64) static std::byte memory[512];
  m.spawn(0, "user", [&] {
    w.use_many(3);
    w.use_after_wait();
    (void)w.use();
  });
  m.spawn(1, "waiter", [&] {
    w.use_after_wait();
    w.use_many(2);
    w.use_after_wait();
  });
  m.spawn(2, "reclaimer", [&] {
    (void)w.cache().reclaim(2);
    (void)w.cache().populate(memory);
    w.use_after_wait();
    (void)w.cache().reclaim(1);
  });
  w.finish(m);
}

// --- the list

inline std::vector<sim::NamedProgram> sim_programs() {
  constexpr unsigned kAll = ~0U;
  return {
      {"two gets of one", sim::exhaustive(kAll), two_gets_of_one},
      {"one put and a waiter", sim::exhaustive(kAll), one_put_and_a_waiter},
      {"one put and a reclaim", sim::exhaustive(3), one_put_and_a_reclaim},
      {"one at a time, 2 CPUs", sim::exhaustive(3),
       [](Engine& m) { one_at_a_time<1>(m, 1); }},
      {"one at a time, 2 CPUs, twice", sim::exhaustive(2),
       [](Engine& m) { one_at_a_time<1>(m, 2); }},
      {"over the depot, capacity 1", sim::exhaustive(2),
       [](Engine& m) { over_the_depot<1, 1>(m, 3, 2); }},
      {"over the depot, capacity 2", sim::exhaustive(2),
       [](Engine& m) { over_the_depot<2, 1>(m, 5, 3); }},
      {"two depots", sim::exhaustive(2),
       [](Engine& m) { over_the_depot<1, 2>(m, 3, 2); }},
      {"an interrupt comes", sim::exhaustive(2), an_interrupt_comes},
      {"reclaim meanwhile", sim::exhaustive(3),
       [](Engine& m) { reclaim_meanwhile<1>(m, 1, 1, 1); }},
      {"reclaim meanwhile, twice", sim::exhaustive(2),
       [](Engine& m) { reclaim_meanwhile<1>(m, 2, 2, 2); }},
      {"reclaim a part, capacity 2", sim::exhaustive(2),
       [](Engine& m) { reclaim_meanwhile<2>(m, 3, 2, 2); }},
      {"two reclaimers", sim::exhaustive(1), two_reclaimers},
      {"an idle object is found", sim::exhaustive(2),
       an_idle_object_is_found<1>},
      {"an idle object is found in another cluster", sim::exhaustive(2),
       an_idle_object_is_found<2>},
      {"at the limit", sim::exhaustive(3), at_the_limit},
      {"waiting, 2 CPUs", sim::exhaustive(3),
       [](Engine& m) { waiting<1>(m, 2, 1, 1); }},
      {"waiting, 2 CPUs, twice", sim::exhaustive(2),
       [](Engine& m) { waiting<1>(m, 2, 1, 2); }},
      {"waiting, 2 CPUs in 2 clusters", sim::exhaustive(2),
       [](Engine& m) { waiting<2>(m, 2, 1, 2); }},
      {"waiting, 3 CPUs", sim::exhaustive(1),
       [](Engine& m) { waiting<1>(m, 3, 1, 1); }},
      {"waiting, 3 CPUs, 2 objects", sim::exhaustive(1),
       [](Engine& m) { waiting<1>(m, 3, 2, 1); }},
      {"a put meets a waiter", sim::exhaustive(3), a_put_meets_a_waiter},
      {"waiting while reclaimed", sim::exhaustive(3), waiting_while_reclaimed},
      {"waiting, used and reclaimed", sim::exhaustive(1),
       waiting_used_and_reclaimed},
      {"memory fails", sim::exhaustive(1), memory_fails},
      {"memory fails at the limit", sim::exhaustive(2),
       memory_fails_at_the_limit},
      {"waiting, 3 CPUs, PCT", sim::seeds(sim::Mode::kPct, 2000),
       [](Engine& m) { waiting<1>(m, 3, 2, 2); }},
      {"mixture, random", sim::seeds(sim::Mode::kRandom, 2000),
       mixture<1, 1, false>},
      {"mixture, PCT", sim::seeds(sim::Mode::kPct, 2000), mixture<1, 1, false>},
      {"mixture, capacity 2, PCT", sim::seeds(sim::Mode::kPct, 2000),
       mixture<2, 1, true>},
      {"mixture, 2 clusters, random", sim::seeds(sim::Mode::kRandom, 2000),
       mixture<1, 2, false>},
  };
}

// Every program; the report of the first that fails, or the last.
inline sim::Report run_sim_programs(sim::Mutator* mutator) {
  return sim::explore_all(sim_programs(), mutator);
}

}  // namespace odo::objcache
