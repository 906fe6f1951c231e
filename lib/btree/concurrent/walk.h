// SPDX-License-Identifier: BSD-3-Clause
// The two ways down a tree: by versions, which may fail and disturbs nobody,
// and by locks, which can't fail and stops everybody.
//
// Contexts: a lane's section.
// Ordering: that of version_lock.h. Why one look at the parent after the
//   child's version is enough: who changes which keys a child has holds both
//   locks before it gives either up. If the child's version is the new one, it
//   brought along that the parent was locked, and the parent is not what it
//   was; if it is the old one, so is the child, or the look at the child tells.
// Failure: walking by versions, false: begin anew.
// Origin: as version_lock.h; there the fall-back is a lock on each node, too.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/base/annotations.h"
#include "lib/base/check.h"
#include "lib/btree/concurrent/kit.h"

namespace odo::btree::detail {

// A place on the way down: a node, what leads to it, and their versions.
template <class T>
class Walk {
  using P = T::P;
  using K = T::K;
  using Node = T::Node;
  using Inner = T::Inner;
  using Less = T::Less;
  using Anchor = T::Anchor;

 public:
  ODO_ALWAYS_INLINE explicit Walk(P& ground) : ground_(ground) {}

  Inner* parent = nullptr;  // null: the anchor
  typename T::Lock* parent_lock = nullptr;
  Version parent_version = 0;
  std::size_t index = 0;  // in the parent
  Node* node = nullptr;   // null only where the tree has no root
  Version version = 0;
  // All keys below the node are less than `bound`, if there is one.
  bool is_bounded = false;
  K bound{};

  // To the root.
  [[nodiscard]] ODO_ALWAYS_INLINE bool start(Anchor& anchor) {
    parent_lock = &anchor.lock;
    parent_version = anchor.lock.begin(ground_);
    return enter(anchor.get());
  }
  // To the child that may hold `key`. The node is an inner one.
  [[nodiscard]] ODO_ALWAYS_INLINE bool down(K key, const Less& less) {
    Node* child = child_for(key, less);
    parent = &T::inner(*node);
    parent_lock = &node->lock;
    parent_version = version;
    return enter(child);
  }
  // To the leaf that may hold `key`; none if there is no root.
  [[nodiscard]] ODO_ALWAYS_INLINE bool to_leaf(Anchor& anchor, K key,
                                               const Less& less) {
    if (!start(anchor)) return false;
    if (node == nullptr) return true;
    while (node->level != 0) {
      if (!down(key, less)) return false;
    }
    return true;
  }
  // The child of the node that may hold `key`; notes its index and its bound.
  [[nodiscard]] ODO_ALWAYS_INLINE Node* child_for(K key, const Less& less) {
    const Inner& inner = T::inner(*node);
    const std::size_t n = inner.size();
    index = inner.place_of(n, key, less);
    if (index + 1 < n) {
      is_bounded = true;
      bound = inner.separators[index].get();
    }
    return inner.children[index].get();
  }
  // At a node that the caller has locked; or at none, with the anchor locked.
  void hold(Node* locked) {
    node = locked;
    version = locked == nullptr ? 0 : locked->lock.held();
  }
  // Whether all that was read of the node was true. That there is no root,
  // start() has seen.
  [[nodiscard]] ODO_ALWAYS_INLINE bool holds() {
    return node == nullptr || node->lock.is_still(ground_, version);
  }
  // The same even now; to be asked after another walk's holds().
  [[nodiscard]] bool holds_now() { return node->lock.is_still_now(version); }

 private:
  // A search waits for each key that it looks at; this way it waits once. Most
  // of a leaf's keys, at any address: it may be none.
  ODO_ALWAYS_INLINE static void fetch(const Node* child) {
    const auto address = reinterpret_cast<std::uintptr_t>(child);
    for (std::size_t line = 0; line < kFetchedLines; ++line) {
      __builtin_prefetch(
          reinterpret_cast<const void*>(address + line * kLineBytes));
    }
  }
  [[nodiscard]] ODO_ALWAYS_INLINE bool enter(Node* child) {
    fetch(child);
    // Until then the pointer may be to anything.
    if (!parent_lock->is_still(ground_, parent_version)) return false;
    node = child;
    if (child == nullptr) return true;
    version = child->lock.begin(ground_);
    return parent_lock->is_still(ground_, parent_version);
  }

  static constexpr std::size_t kFetchedLines = 8;

  P& ground_;
};

// Locks that are held until the end of the scope.
template <class T, std::size_t Most>
class HeldLocks {
  using Lock = T::Lock;

 public:
  HeldLocks(const HeldLocks&) = delete;
  HeldLocks& operator=(const HeldLocks&) = delete;

 protected:
  HeldLocks() = default;
  ~HeldLocks() {
    while (count_ != 0) held_[--count_]->unlock();
  }
  [[nodiscard]] bool has(const Lock& lock) const {
    std::size_t at = 0;
    while (at < count_ && held_[at] != &lock) ++at;
    return at != count_;
  }
  void add(Lock& lock) {
    ODO_CHECK(count_ < Most);
    held_[count_++] = &lock;
  }

 private:
  std::size_t count_ = 0;
  Lock* held_[Most];
};

// The few locks that a change of shape needs. It never waits for one.
template <class T>
class TriedLocks : public HeldLocks<T, 3> {
  using Lock = T::Lock;

 public:
  explicit TriedLocks(T::P& ground) : ground_(ground) {}

  [[nodiscard]] bool lock(Lock& lock, Version version) {
    if (!lock.try_lock(ground_, version)) return false;
    this->add(lock);
    return true;
  }
  [[nodiscard]] bool lock(Lock& lock) {
    if (!lock.try_lock(ground_)) return false;
    this->add(lock);
    return true;
  }

 private:
  T::P& ground_;
};

// The locks of a way down from the anchor, all held until the end: nobody else
// comes into the tree meanwhile. Who is inside already and holds locks never
// waits for another, so each of ours is a matter of time. Two ways down, with a
// neighbour at each step, fit in.
template <class T>
class LockedPath : public HeldLocks<T, 4 * T::kMaxHeight> {
  using Lock = T::Lock;

 public:
  explicit LockedPath(T::P& ground) : ground_(ground) {}

  // Waits, unless it is held already. True.
  bool lock(Lock& lock) {
    if (this->has(lock)) return true;
    lock.lock(ground_);
    this->add(lock);
    return true;
  }
  // Leads `walk` to the leaf that may hold `key`; none if there is no root.
  void to_leaf(Walk<T>& walk, T::Anchor& anchor, T::K key,
               const T::Less& less) {
    lock(anchor.lock);
    typename T::Node* node = anchor.get();
    walk.hold(node);
    while (node != nullptr) {
      lock(node->lock);
      walk.hold(node);
      if (node->level == 0) break;
      node = walk.child_for(key, less);
    }
  }

 private:
  T::P& ground_;
};

}  // namespace odo::btree::detail
