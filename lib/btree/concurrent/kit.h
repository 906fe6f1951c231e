// SPDX-License-Identifier: BSD-3-Clause
// The types of one concurrent tree, the word that leads to its root, and how
// full its nodes have to be.
//
// Contexts: any.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "lib/btree/concurrent/node.h"
#include "lib/btree/concurrent/platform.h"
#include "lib/btree/concurrent/version_lock.h"

namespace odo::btree::detail {

template <WordSized Key, WordSized Value, ConcurrentPlatform Platform,
          class Options>
struct Kit {
  using K = Key;
  using V = Value;
  using P = Platform;
  using Less = Options::Less;
  using Lock = VersionLock<P>;
  using Node = ConcurrentNode<P>;
  using Leaf = ConcurrentLeaf<P, K, V, Options::kLeafSlots>;
  using Inner = ConcurrentInner<P, K, Options::kInnerSlots>;

  static constexpr std::size_t kLeafSlots = Options::kLeafSlots;
  static constexpr std::size_t kInnerSlots = Options::kInnerSlots;
  static_assert(kLeafSlots >= 3 && kInnerSlots >= 4);

  // A node that isn't the root has so many at least. Two of them fit in one
  // node, and half a full one has as many.
  static constexpr std::size_t kLeafLeast =
      std::max<std::size_t>(1, kLeafSlots / 3);
  static constexpr std::size_t kInnerLeast =
      std::max<std::size_t>(2, kInnerSlots / 3);
  // With two children a node, more than memory holds.
  static constexpr std::size_t kMaxHeight = 60;

  // Stands above the root: guarded by a lock like any parent's.
  struct Anchor {
    Lock lock;
    P::template Atomic<Node*> root{nullptr};

    // Relaxed: as everything that a version guards.
    [[nodiscard]] Node* get() const {
      return root.load(std::memory_order_relaxed);
    }
    void set(Node* node) { root.store(node, std::memory_order_relaxed); }
  };

  [[nodiscard]] static Leaf& leaf(Node& node) {
    return static_cast<Leaf&>(node);
  }
  [[nodiscard]] static Inner& inner(Node& node) {
    return static_cast<Inner&>(node);
  }
  [[nodiscard]] static std::size_t size_of(Node& node) {
    return node.level == 0 ? leaf(node).size() : inner(node).size();
  }
};

}  // namespace odo::btree::detail
