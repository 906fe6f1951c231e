// SPDX-License-Identifier: BSD-3-Clause
// The way from a tree's root to a leaf. Nodes know no parents: whoever changes
// the tree remembers how it came down.
//
// Contexts: any; plain data on the stack, about half a KiB.
#pragma once

#include <cstddef>
#include <cstdint>

namespace odo::btree::detail {

// Inner nodes have two children at least, and nearly always dozens: a tree of
// this height would hold more than 2^32 leaves of any shape.
inline constexpr std::size_t kMaxHeight = 32;

template <class LeafT, class InnerT>
struct Path {
  struct Step {
    InnerT* node;
    std::uint32_t index;  // of the child that the path takes
  };

  LeafT* leaf = nullptr;
  std::uint32_t index = 0;   // in the leaf
  std::uint32_t height = 0;  // steps in use; the last is the leaf's parent
  Step steps[kMaxHeight];
};

// Calls leave(node, height) for every inner node under `root` and for it, after
// its children; leaves are at height 0. `leave` may free the node.
template <class InnerT, class Leave>
void leave_inner_nodes(void* root, std::uint32_t height, const Leave& leave) {
  struct Step {
    InnerT* node;
    std::uint32_t next;  // child to enter
  };
  if (height == 0) return;
  Step steps[kMaxHeight];
  std::uint32_t depth = 1;
  steps[0] = {static_cast<InnerT*>(root), 0};
  while (depth > 0) {
    auto& [node, next] = steps[depth - 1];
    if (depth == height || next == node->degree()) {
      leave(node, height - depth + 1);
      --depth;
    } else {
      steps[depth++] = {static_cast<InnerT*>(node->child(next++)), 0};
    }
  }
}

// An element's place, or with index == leaf->count in the last leaf the end;
// no leaf in an empty tree.
template <class LeafT>
struct Position {
  LeafT* leaf = nullptr;
  std::uint32_t index = 0;

  friend bool operator==(const Position&, const Position&) = default;
};

}  // namespace odo::btree::detail
