// SPDX-License-Identifier: BSD-3-Clause
// How a concurrent tree is changed, and its end: the templates of concurrent.h.
//
// Contexts: as there; each header includes the other, so that either may come
//   first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include "lib/base/annotations.h"
#include "lib/btree/concurrent.h"

namespace odo::btree {

template <WordSized Key, WordSized Value, ConcurrentPlatform P, class Options>
template <ConcurrentBTree<Key, Value, P, Options>::Write What>
Result<void> ConcurrentBTree<Key, Value, P, Options>::write(Request& request) {
  Work work;
  unsigned tries = 0;
  Step step = Step::kAgain;
  while (true) {
    {
      const detail::Section<P> section(platform_);
      step = tries < Options::kTries ? try_write<What>(request, work)
                                     : write_locked<What>(request, work);
    }
    if (step == Step::kDone) break;
    if (step == Step::kAgain) {
      // At once: what changed has changed, and who still has a lock is waited
      // for at that lock.
      ++tries;
    } else if (step == Step::kNeedsNodes) {
      if (Result<void> stocked = stock(work.spares); !stocked) {
        finish(work);
        return stocked;
      }
    }
  }
  finish(work);
  return {};
}

// --- by versions

template <WordSized Key, WordSized Value, ConcurrentPlatform P, class Options>
template <ConcurrentBTree<Key, Value, P, Options>::Write What>
auto ConcurrentBTree<Key, Value, P, Options>::try_write(Request& request,
                                                        Work& work) -> Step {
  detail::Walk<Kit> walk(platform_);
  if (!walk.start(anchor_)) return Step::kAgain;
  if (walk.node == nullptr) {
    if (!makes(What)) return Step::kDone;  // start() saw that it holds
    if (!work.spares.suffice(true, false)) return Step::kNeedsNodes;
    detail::TriedLocks<Kit> held(platform_);
    if (!held.lock(anchor_.lock, walk.parent_version)) return Step::kAgain;
    return plant<What>(request, work);
  }
  // The node of `walk` wants another shape.
  const auto reshape_here = [&]() -> Step {
    if (makes(What) &&
        !work.spares.suffice(walk.node->level == 0, walk.parent == nullptr)) {
      // Only for what is true.
      return walk.holds() ? Step::kNeedsNodes : Step::kAgain;
    }
    detail::TriedLocks<Kit> held(platform_);
    if (!held.lock(walk.node->lock, walk.version) ||
        !held.lock(*walk.parent_lock, walk.parent_version)) {
      return Step::kAgain;
    }
    return reshape<What>(held, walk.parent, walk.index, *walk.node, work);
  };
  while (walk.node->level != 0) {
    if (wants_reshape<What>(Kit::inner(*walk.node), walk.parent == nullptr)) {
      return reshape_here();
    }
    if (!walk.down(request.key, less_)) return Step::kAgain;
  }
  Leaf& leaf = Kit::leaf(*walk.node);
  const std::size_t n = leaf.size();
  const std::size_t at = leaf.lower(n, request.key, less_);
  const bool is_there = leaf.is_at(at, n, request.key, less_);
  switch (plan<What>(n, is_there, walk.parent == nullptr)) {
    case Plan::kNothing:
      if (is_there) request.before = leaf.values[at].get();
      if (walk.holds()) return Step::kDone;
      request.before.reset();
      return Step::kAgain;
    case Plan::kReshape:
      return reshape_here();
    case Plan::kChange:
      break;
  }
  if (!leaf.lock.try_lock(platform_, walk.version)) return Step::kAgain;
  change<What>(leaf, at, n, is_there, request);
  leaf.lock.unlock();
  return Step::kDone;
}

// --- by locks

template <WordSized Key, WordSized Value, ConcurrentPlatform P, class Options>
template <ConcurrentBTree<Key, Value, P, Options>::Write What>
ODO_NOINLINE auto ConcurrentBTree<Key, Value, P, Options>::write_locked(
    Request& request, Work& work) -> Step {
  detail::LockedPath<Kit> path(platform_);
  path.lock(anchor_.lock);
  detail::Walk<Kit> walk(platform_);
  Inner* parent = nullptr;
  Node* node = anchor_.get();
  if (node == nullptr) {
    if (!makes(What)) return Step::kDone;
    if (!work.spares.suffice(true, false)) return Step::kNeedsNodes;
    return plant<What>(request, work);
  }
  while (true) {
    path.lock(node->lock);
    walk.hold(node);
    bool wants = false;
    std::size_t n = 0;
    std::size_t at = 0;
    bool is_there = false;
    if (node->level != 0) {
      wants = wants_reshape<What>(Kit::inner(*node), parent == nullptr);
    } else {
      const Leaf& leaf = Kit::leaf(*node);
      n = leaf.size();
      at = leaf.lower(n, request.key, less_);
      is_there = leaf.is_at(at, n, request.key, less_);
      const Plan what = plan<What>(n, is_there, parent == nullptr);
      if (what == Plan::kNothing) {
        if (is_there) request.before = leaf.values[at].get();
        return Step::kDone;
      }
      wants = what == Plan::kReshape;
    }
    if (wants) {
      if (makes(What) &&
          !work.spares.suffice(node->level == 0, parent == nullptr)) {
        return Step::kNeedsNodes;
      }
      (void)reshape<What>(path, parent, walk.index, *node, work);
      // From the top, which is still locked: each round leaves less to do.
      parent = nullptr;
      node = anchor_.get();
    } else if (node->level == 0) {
      change<What>(Kit::leaf(*node), at, n, is_there, request);
      return Step::kDone;
    } else {
      parent = &Kit::inner(*node);
      node = walk.child_for(request.key, less_);
    }
  }
}

// --- what both do, under locks

// The first leaf. The anchor is locked and there is a spare leaf.
template <WordSized Key, WordSized Value, ConcurrentPlatform P, class Options>
template <ConcurrentBTree<Key, Value, P, Options>::Write What>
auto ConcurrentBTree<Key, Value, P, Options>::plant(Request& request,
                                                    Work& work) -> Step {
  auto* leaf = ::new (work.spares.take_leaf()) Leaf();
  change<What>(*leaf, 0, 0, false, request);
  anchor_.set(leaf);
  return Step::kDone;
}

template <WordSized Key, WordSized Value, ConcurrentPlatform P, class Options>
template <ConcurrentBTree<Key, Value, P, Options>::Write What, class Held>
auto ConcurrentBTree<Key, Value, P, Options>::reshape(Held& held, Inner* parent,
                                                      std::size_t index,
                                                      Node& node, Work& work)
    -> Step {
  detail::Reshape<Kit> shape(anchor_, work.gone);
  if constexpr (makes(What)) {
    shape.make_room(parent, index, node, work.spares);
  } else if (parent == nullptr) {
    shape.collapse_root(Kit::inner(node));
  } else if (!shape.refill(held, *parent, index)) {
    return Step::kAgain;
  }
  return Step::kReshaped;
}

// What becomes of a leaf of `n` that has, or has not, an element with the key.
template <WordSized Key, WordSized Value, ConcurrentPlatform P, class Options>
template <ConcurrentBTree<Key, Value, P, Options>::Write What>
auto ConcurrentBTree<Key, Value, P, Options>::plan(std::size_t n, bool is_there,
                                                   bool is_root) -> Plan {
  if constexpr (makes(What)) {
    if (is_there) return What == Write::kPut ? Plan::kChange : Plan::kNothing;
    return n == Kit::kLeafSlots ? Plan::kReshape : Plan::kChange;
  } else {
    if (!is_there) return Plan::kNothing;
    const bool is_short =
        What == Write::kErase && !is_root && n <= Kit::kLeafLeast;
    return is_short ? Plan::kReshape : Plan::kChange;
  }
}

// On the way down: will a split below find no room here, a join leave too few?
template <WordSized Key, WordSized Value, ConcurrentPlatform P, class Options>
template <ConcurrentBTree<Key, Value, P, Options>::Write What>
bool ConcurrentBTree<Key, Value, P, Options>::wants_reshape(const Inner& inner,
                                                            bool is_root) {
  const std::size_t n = inner.size();
  if constexpr (makes(What)) return n == Kit::kInnerSlots;
  if constexpr (What == Write::kAssign) return false;
  return is_root ? n == 1 : n <= Kit::kInnerLeast;
}

template <WordSized Key, WordSized Value, ConcurrentPlatform P, class Options>
template <ConcurrentBTree<Key, Value, P, Options>::Write What>
void ConcurrentBTree<Key, Value, P, Options>::change(Leaf& leaf, std::size_t at,
                                                     std::size_t n,
                                                     bool is_there,
                                                     Request& request) {
  if (is_there) request.before = leaf.values[at].get();
  if constexpr (What == Write::kErase) {
    leaf.erase(at, n);
    count(~std::uint64_t{0});
  } else if (is_there) {
    leaf.values[at].set(request.value);
  } else {
    leaf.insert(at, n, request.key, request.value);
    count(1);
  }
}

// --- memory

template <WordSized Key, WordSized Value, ConcurrentPlatform P, class Options>
Result<void> ConcurrentBTree<Key, Value, P, Options>::stock(
    detail::SpareNodes& spares) {
  if (spares.wants_leaf && spares.leaf == nullptr) {
    spares.leaf = allocate(sizeof(Leaf));
    if (spares.leaf == nullptr) return fail(Error::kNoMemory);
  }
  for (unsigned i = 0; i < spares.wants_inner; ++i) {
    if (spares.inner[i] != nullptr) continue;
    spares.inner[i] = allocate(sizeof(Inner));
    if (spares.inner[i] == nullptr) return fail(Error::kNoMemory);
  }
  return {};
}

template <WordSized Key, WordSized Value, ConcurrentPlatform P, class Options>
void ConcurrentBTree<Key, Value, P, Options>::finish(Work& work) {
  deallocate(work.spares.leaf, sizeof(Leaf));
  for (void* inner : work.spares.inner) deallocate(inner, sizeof(Inner));
  if (work.gone != nullptr) [[unlikely]]
    bury(work.gone);
}

template <WordSized Key, WordSized Value, ConcurrentPlatform P, class Options>
void ConcurrentBTree<Key, Value, P, Options>::bury(Node* gone) {
  bool is_worth_it = false;
  while (gone != nullptr) {
    Node& node = *std::exchange(gone, gone->next_retired);
    if (limbo_.retire(node, Options::kRetireBatch)) is_worth_it = true;
  }
  if (is_worth_it) (void)reclaim();
}

template <WordSized Key, WordSized Value, ConcurrentPlatform P, class Options>
void ConcurrentBTree<Key, Value, P, Options>::free(Node& node) {
  deallocate(&node, node.level == 0 ? sizeof(Leaf) : sizeof(Inner));
}

template <WordSized Key, WordSized Value, ConcurrentPlatform P, class Options>
ConcurrentBTree<Key, Value, P, Options>::~ConcurrentBTree() {
  limbo_.drain([this](Node& node) { free(node); });
  // Down the last children; each level's node is freed when it has none left.
  Node* path[Kit::kMaxHeight];
  std::size_t depth = 0;
  if (Node* root = anchor_.get(); root != nullptr) path[depth++] = root;
  while (depth != 0) {
    Node& node = *path[depth - 1];
    const std::size_t n = node.count.load(std::memory_order_relaxed);
    if (node.level == 0 || n == 0) {
      free(node);
      --depth;
      continue;
    }
    node.set_count(n - 1);
    path[depth++] = Kit::inner(node).children[n - 1].get();
  }
}

}  // namespace odo::btree
