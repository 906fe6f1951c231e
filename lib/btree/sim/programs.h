// SPDX-License-Identifier: BSD-3-Clause
// The programs that prove the concurrent tree in the simulator, as a list, so
// that the ordinary test and the mutation test run the same ones.
//
// What each must keep, World::finish() checks: some order of the operations
// explains what they returned, no node is looked at after its end or before its
// beginning, the tree is in order, no node is lost.
//
// Leaves have 1 to 3 elements, inner nodes 2 to 4 children. What a fourth
// element, or one less, does to the trees that they start from:
//
//   {10, 20, 30}            one leaf              splits, grows a root
//   {10, 20, 30, 40}        10 20 | 30 40         no change
//   ... erased 20 and 40    10 | 30               joins, loses its root
//   {10 .. 80}              root of four leaves   splits the root
//
// Contexts: one host thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "lib/btree/sim/world.h"
#include "lib/platform/sim/programs.h"

namespace odo::btree {

using Body = std::function<void()>;

// Each body on a CPU of its own.
template <class W>
void run_on_cpus(Engine& m, W& w, std::vector<Body> bodies) {
  sim::CpuId cpu = 0;
  for (Body& body : bodies) m.spawn(cpu++, "user", std::move(body));
  w.finish(m);
}

// --- one leaf

inline void an_insert_and_a_find(Engine& m) {
  World<> w({10, 30});
  run_on_cpus(m, w, {[&] { w.insert(20, 201); }, [&] { w.find(30); }});
}
inline void an_erase_and_a_find(Engine& m) {
  World<> w({10, 20});
  run_on_cpus(m, w, {[&] { w.erase(10); }, [&] { w.find(20); }});
}
inline void an_assign_and_a_find(Engine& m) {
  World<> w({10});
  run_on_cpus(m, w,
              {[&] {
                 w.put(10, 101);
                 w.put(10, 102);
               },
               [&] {
                 w.find(10);
                 w.find(10);
               }});
}
inline void two_inserts_of_one_key(Engine& m) {
  World<> w({});
  run_on_cpus(m, w, {[&] { w.insert(10, 101); }, [&] { w.insert(10, 102); }});
}
inline void two_erases_of_one_key(Engine& m) {
  World<> w({10, 20});
  run_on_cpus(m, w, {[&] { w.erase(10); }, [&] { w.erase(10); }});
}

// --- splits

// The only leaf is split, under a root that wasn't there.
inline void a_new_root(Engine& m, History::Key inserted, const Body& other,
                       World<>& w) {
  run_on_cpus(m, w,
              {[&w, inserted] { w.insert(inserted, 10 * inserted); }, other});
}
inline void a_new_root_and_a_find(Engine& m, History::Key found) {
  World<> w({10, 20, 30});
  a_new_root(m, 25, [&] { w.find(found); }, w);
}
inline void a_new_root_and_an_insert(Engine& m) {
  World<> w({10, 20, 30});
  a_new_root(m, 25, [&] { w.insert(35, 351); }, w);
}
inline void a_new_root_and_an_erase(Engine& m) {
  World<> w({10, 20, 30});
  a_new_root(m, 25, [&] { w.erase(30); }, w);
}
inline void a_new_root_and_a_first(Engine& m) {
  World<> w({10, 20, 30});
  a_new_root(m, 25, [&] { w.first(21); }, w);
}
// A leaf below the root is split.
inline void a_split_and_a_find(Engine& m) {
  World<> w({10, 20, 30, 40, 50});
  run_on_cpus(m, w, {[&] { w.insert(35, 351); }, [&] { w.find(50); }});
}
inline void two_splits(Engine& m) {
  World<> w({10, 20, 30, 40, 50, 15});
  run_on_cpus(m, w, {[&] { w.insert(35, 351); }, [&] { w.insert(12, 121); }});
}
// The root has four children and is split.
inline void a_higher_root_and_a_find(Engine& m) {
  World<> w({10, 20, 30, 40, 50, 60, 70, 80});
  run_on_cpus(m, w, {[&] { w.insert(75, 751); }, [&] { w.find(80); }});
}
inline void a_higher_root_and_an_insert(Engine& m) {
  World<> w({10, 20, 30, 40, 50, 60, 70, 80});
  run_on_cpus(m, w, {[&] { w.insert(75, 751); }, [&] { w.insert(76, 761); }});
}

// --- joins

// Two leaves of one element: to erase one joins them and ends the root.
inline void a_join_and_a_find(Engine& m, History::Key erased,
                              History::Key found) {
  World<> w({10, 20, 30, 40}, {20, 40});
  run_on_cpus(
      m, w,
      {[&w, erased] { w.erase(erased); }, [&w, found] { w.find(found); }});
}
inline void a_join_and_an_insert(Engine& m) {
  World<> w({10, 20, 30, 40}, {20, 40});
  run_on_cpus(m, w, {[&] { w.erase(10); }, [&] { w.insert(40, 401); }});
}
inline void a_join_and_a_first(Engine& m) {
  World<> w({10, 20, 30, 40}, {20, 40});
  run_on_cpus(m, w, {[&] { w.erase(30); }, [&] { w.first(11); }});
}
inline void two_joins(Engine& m) {
  World<> w({10, 20, 30, 40}, {20, 40});
  run_on_cpus(m, w, {[&] { w.erase(10); }, [&] { w.erase(30); }});
}
// The neighbour has enough to share.
inline void a_share_and_a_find(Engine& m, History::Key found) {
  World<> w({10, 20, 30, 40, 50}, {20});
  run_on_cpus(m, w, {[&] { w.erase(10); }, [&w, found] { w.find(found); }});
}
// Inner nodes join, and the tree loses a level: three levels, at the least.
inline void a_lower_root(Engine& m,
                         const std::function<void(World<>&)>& other) {
  World<> w({10, 20, 30, 40, 50, 60, 70, 80, 90}, {20, 40, 60, 80, 90});
  run_on_cpus(m, w, {[&] { w.erase(10); }, [&] { other(w); }});
}

// --- readers that stay

// Nodes leave the tree, and others are freed meanwhile.
inline void two_joins_and_a_reader(Engine& m) {
  World<> w({10, 20, 30, 40, 50, 60}, {20, 40, 60});
  run_on_cpus(m, w,
              {[&] {
                 w.erase(10);
                 w.erase(30);
               },
               [&] { w.find(50); }});
}
inline void two_collectors(Engine& m) {
  World<> w({10, 20, 30, 40}, {20, 40});
  run_on_cpus(m, w,
              {[&] { w.erase(10); },
               [&] {
                 (void)w.tree().reclaim();
                 w.find(30);
                 (void)w.tree().reclaim();
               }});
}

// --- two leaves at once

// Nobody sees the second of two things that happened one after the other in
// two leaves, without the first.
inline void two_leaves_in_time(Engine& m) {
  World<> w({10, 20, 30, 40}, {20});
  run_on_cpus(m, w,
              {[&] {
                 w.insert(11, 111);
                 w.find(31);
               },
               [&] {
                 w.insert(31, 311);
                 w.find(11);
               }});
}
// The first leaf has nothing to say, the second has; both change.
inline void a_first_over_two_leaves(Engine& m) {
  World<> w({10, 20, 30, 40}, {20});
  run_on_cpus(
      m, w,
      {[&] { w.first(20); }, [&] { w.insert(21, 211); }, [&] { w.erase(30); }});
}

// --- scans

inline void a_scan_and_a_split(Engine& m) {
  World<> w({10, 20, 30, 40, 50});
  run_on_cpus(m, w,
              {[&] { w.scan(0, {10, 20, 30, 40, 50}, {35}); },
               [&] { w.insert(35, 351); }});
}
inline void a_scan_and_a_join(Engine& m) {
  World<> w({10, 20, 30, 40}, {20, 40});
  run_on_cpus(m, w, {[&] { w.scan(5, {30}, {10}); }, [&] { w.erase(10); }});
}
inline void a_scan_and_a_share(Engine& m) {
  World<> w({10, 20, 30, 40, 50}, {20});
  run_on_cpus(m, w,
              {[&] { w.scan(5, {30, 40, 50}, {10}); }, [&] { w.erase(10); }});
}

// --- by locks

// The first never walks by versions; the second does, or neither does.
template <unsigned Tries>
void by_locks(Engine& m, const std::function<void(World<Tries>&)>& one,
              const std::function<void(World<Tries>&)>& other,
              std::initializer_list<History::Key> keys,
              std::initializer_list<History::Key> erased) {
  World<Tries> w(keys, erased);
  run_on_cpus(m, w, {[&] { one(w); }, [&] { other(w); }});
}
// One try, and then by locks: both ways meet.
template <unsigned Tries>
void a_split_by_locks(Engine& m) {
  by_locks<Tries>(
      m, [](auto& w) { w.insert(35, 351); }, [](auto& w) { w.insert(45, 451); },
      {10, 20, 30, 40, 50}, {});
}
template <unsigned Tries>
void a_join_by_locks(Engine& m) {
  by_locks<Tries>(
      m, [](auto& w) { w.erase(10); }, [](auto& w) { w.first(5); },
      {10, 20, 30, 40}, {20, 40});
}
template <unsigned Tries>
void two_joins_by_locks(Engine& m) {
  by_locks<Tries>(
      m, [](auto& w) { w.erase(10); }, [](auto& w) { w.erase(30); },
      {10, 20, 30, 40}, {20, 40});
}

// --- memory

inline void memory_fails(Engine& m) {
  World<> w({10, 20}, {}, SimMemory::Failure::kInjected);
  run_on_cpus(m, w,
              {[&] {
                 w.insert(30, 301);
                 w.insert(40, 401);
               },
               [&] { w.erase(10); }});
}

// --- mixtures

// Three CPUs, each with a few operations of any kind on a few keys.
template <unsigned Tries>
void mixture(Engine& m) {
  World<Tries> w({10, 20, 30, 40, 50, 60, 70}, {20, 40});
  const auto some = [&] {
    for (int i = 0; i < 3; ++i) {
      const History::Key key = 10 * m.choose(9);
      switch (m.choose(6)) {
        case 0:
        case 1:
          w.insert(key + 1, 10 * (key + 1));
          break;
        case 2:
        case 3:
          w.erase(key);
          break;
        case 4:
          w.first(key);
          break;
        default:
          w.find(key);
      }
    }
  };
  run_on_cpus(m, w, {some, some, some});
}

// --- the list

// Within two preemptions; `most` where that takes too long for every day, and
// ODO_LONG tries them all.
inline std::vector<sim::NamedProgram> sim_programs() {
  using sim::exhaustive;
  using sim::Mode;
  using sim::seeds;
  const unsigned longer = std::getenv("ODO_LONG") != nullptr ? 1 : 0;
  const auto most = [longer](unsigned bound) {
    return exhaustive(bound + longer);
  };
  return {
      {"an insert and a find", exhaustive(2), an_insert_and_a_find},
      {"an erase and a find", exhaustive(2), an_erase_and_a_find},
      {"an assign and a find", exhaustive(2), an_assign_and_a_find},
      {"two inserts of one key", exhaustive(2), two_inserts_of_one_key},
      {"two erases of one key", exhaustive(2), two_erases_of_one_key},
      {"a new root and a find left", exhaustive(2),
       [](Engine& m) { a_new_root_and_a_find(m, 10); }},
      {"a new root and a find right", exhaustive(2),
       [](Engine& m) { a_new_root_and_a_find(m, 30); }},
      {"a new root and an insert", exhaustive(2), a_new_root_and_an_insert},
      {"a new root and an erase", exhaustive(2), a_new_root_and_an_erase},
      {"a new root and a first", exhaustive(2), a_new_root_and_a_first},
      {"a split and a find", exhaustive(2), a_split_and_a_find},
      {"two splits", most(1), two_splits},
      {"a higher root and a find", exhaustive(2), a_higher_root_and_a_find},
      {"a higher root and an insert", exhaustive(2),
       a_higher_root_and_an_insert},
      {"a join and a find of the left", exhaustive(2),
       [](Engine& m) { a_join_and_a_find(m, 30, 10); }},
      {"a join and a find of the right", exhaustive(2),
       [](Engine& m) { a_join_and_a_find(m, 10, 30); }},
      {"a join and an insert", exhaustive(2), a_join_and_an_insert},
      {"a join and a first", exhaustive(2), a_join_and_a_first},
      {"two joins", most(1), two_joins},
      {"a share and a find of what moves", exhaustive(2),
       [](Engine& m) { a_share_and_a_find(m, 30); }},
      {"a share and a find of what stays", exhaustive(2),
       [](Engine& m) { a_share_and_a_find(m, 50); }},
      {"a lower root and a find", most(1),
       [](Engine& m) { a_lower_root(m, [](World<>& w) { w.find(70); }); }},
      {"two lower roots", most(1),
       [](Engine& m) { a_lower_root(m, [](World<>& w) { w.erase(70); }); }},
      {"two joins and a reader", most(1), two_joins_and_a_reader},
      {"two collectors", most(1), two_collectors},
      {"two leaves in time", exhaustive(2), two_leaves_in_time},
      {"a first over two leaves, 3 CPUs", exhaustive(1),
       a_first_over_two_leaves},
      {"a scan and a split", exhaustive(2), a_scan_and_a_split},
      {"a scan and a join", most(1), a_scan_and_a_join},
      {"a scan and a share", most(1), a_scan_and_a_share},
      {"splits by locks", most(1), a_split_by_locks<0>},
      {"splits by versions and locks", most(1), a_split_by_locks<1>},
      {"a join by locks", exhaustive(2), a_join_by_locks<0>},
      {"joins by versions and locks", most(1), two_joins_by_locks<1>},
      {"memory fails", exhaustive(1), memory_fails},
      {"mixture, random", seeds(Mode::kRandom, 3000), mixture<3>},
      {"mixture, PCT", seeds(Mode::kPct, 3000), mixture<3>},
      {"mixture by locks, PCT", seeds(Mode::kPct, 2000), mixture<1>},
  };
}

// Every program; the report of the first that fails, or the last.
inline sim::Report run_sim_programs(sim::Mutator* mutator) {
  return sim::explore_all(sim_programs(), mutator);
}

}  // namespace odo::btree
