// SPDX-License-Identifier: BSD-3-Clause
// A world with one concurrent tree in it, whose operations are recorded.
//
// Contexts: inside an execution, or in its set-up.
// Ownership: a World belongs to one execution. Its tree is destroyed only if
//   the execution finished: a failed one leaves threads in the middle of
//   things.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <new>
#include <set>
#include <utility>

#include "lib/btree/concurrent.h"
#include "lib/btree/concurrent_inspect.h"
#include "lib/btree/sim/ground.h"
#include "lib/btree/sim/history.h"

namespace odo::btree {

// Nodes so small that a few elements reach every change of shape. `Tries`: by
// versions before by locks.
template <unsigned Tries>
struct SimOptions : ConcurrentOptions<History::Key> {
  using Allocator = SimNodes;
  static constexpr std::size_t kLeafSlots = 3;
  static constexpr std::size_t kInnerSlots = 4;
  static constexpr unsigned kTries = Tries;
  static constexpr std::uint64_t kRetireBatch = 1;
};

template <unsigned Tries = 3>
class World {
 public:
  using Key = History::Key;
  using What = History::What;
  using Tree = ConcurrentBTree<Key, Key, SimGround, SimOptions<Tries>>;

  // With these keys at first, inserted in this order; each one's value is ten
  // times the key. Then `erased` go again.
  World(std::initializer_list<Key> keys, std::initializer_list<Key> erased = {},
        SimMemory::Failure failure = SimMemory::Failure::kNever)
      : memory_(failure) {
    SimShared::current = &shared_;
    tree_ = ::new (place_) Tree(SimGround(), SimNodes{&memory_});
    History::Model model;
    for (const Key key : keys) {
      const Result<bool> done = tree_->insert(key, 10 * key);
      if (done.has_value()) model[key] = 10 * key;
    }
    for (const Key key : erased) {
      (void)tree_->erase(key);
      model.erase(key);
    }
    history_.start_with(std::move(model));
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World() = default;

  [[nodiscard]] Tree& tree() { return *tree_; }
  [[nodiscard]] std::size_t live_nodes() const { return memory_.live(); }

  // --- recorded operations

  void find(Key key) {
    record(What::kFind, key, 0, [&](History::Found& result) {
      if (const auto found = tree_->find(key)) result = {key, *found};
      return true;
    });
  }
  void first(Key key) {
    record(What::kFirst, key, 0, [&](History::Found& result) {
      if (const auto found = tree_->first_at_or_after(key)) {
        result = {found->key, found->value};
      }
      return true;
    });
  }
  // False if there was no memory: not recorded, for nothing may have changed.
  bool insert(Key key, Key value) {
    return record(What::kInsert, key, value, [&](History::Found& result) {
      return put(key, tree_->insert(key, value), result);
    });
  }
  bool put(Key key, Key value) {
    return record(What::kPut, key, value, [&](History::Found& result) {
      return put(key, tree_->insert_or_assign(key, value), result);
    });
  }
  void erase(Key key) {
    record(What::kErase, key, 0, [&](History::Found& result) {
      if (const auto erased = tree_->erase(key)) result = {key, *erased};
      return true;
    });
  }

  // Scans all. Those in `always` nobody erases meanwhile, those in neither set
  // nobody inserts.
  void scan(Key from, const std::set<Key>& always,
            const std::set<Key>& sometimes) {
    std::set<Key> seen;
    (void)tree_->scan(from, ~std::size_t{0}, [&](Key key, Key value) {
      if (!seen.empty() && key <= *seen.rbegin()) fail("a scan went back");
      if (key < from) fail("a scan began too early");
      if (!always.contains(key) && !sometimes.contains(key)) {
        fail("a scan found what was never there");
      }
      if (value / 10 != key) fail("a scan took another element's value");
      seen.insert(key);
    });
    for (const Key key : always) {
      if (key >= from && !seen.contains(key)) {
        fail("a scan missed what was always there");
      }
    }
  }

  // --- the end

  // Runs to the end. Then some order explains all results and what is left; the
  // tree is in order; and all memory comes back.
  void finish(Engine& m) {
    if (m.run() != Engine::Outcome::kFinished) return;
    const TreeReport report = ConcurrentInspector<Tree>(*tree_).report();
    if (report.wrong != nullptr) return m.fail(report.wrong);
    History::Model end;
    (void)tree_->scan(0, ~std::size_t{0},
                      [&](Key key, Key value) { end[key] = value; });
    if (!history_.is_explained(end)) {
      return m.fail("no order of the operations explains their results");
    }
    // At rest nothing may be waited for.
    (void)tree_->reclaim();
    if (memory_.live() != report.leaves + report.inner_nodes) {
      return m.fail("a node was lost");
    }
    tree_->~Tree();
    if (memory_.live() != 0) m.fail("a node was lost at the end");
  }

 private:
  static void fail(const char* what) { Engine::current().fail(what); }

  static bool put(Key key, const Result<bool>& inserted,
                  History::Found& result) {
    if (!inserted.has_value()) return false;
    if (!*inserted) result = {key, 0};
    return true;
  }
  template <class Body>
  bool record(What what, Key key, Key value, Body&& body) {
    const std::uint64_t called = tell_time();
    History::Found result;
    const bool done = body(result);
    const std::uint64_t returned = tell_time();
    if (done) history_.add({what, key, value, result, called, returned});
    return done;
  }
  // Calls and returns are steps of the machine, as all else that another
  // thread's results depend on; but nobody learns anything by them. A store
  // that is never read brings nothing to anyone, and a seq_cst one has one
  // place.
  std::uint64_t tell_time() {
    clock_.store(time_ + 1, std::memory_order_seq_cst);
    return ++time_;
  }

  SimShared shared_;
  SimMemory memory_;
  History history_;
  sim::SimAtomic<std::uint64_t> clock_{0};
  std::uint64_t time_ = 0;
  alignas(Tree) std::byte place_[sizeof(Tree)];
  Tree* tree_ = nullptr;
};

}  // namespace odo::btree
