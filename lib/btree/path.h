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

// An element's place, or with index == leaf->count in the last leaf the end;
// no leaf in an empty tree.
template <class LeafT>
struct Position {
  LeafT* leaf = nullptr;
  std::uint32_t index = 0;

  friend bool operator==(const Position&, const Position&) = default;
};

}  // namespace odo::btree::detail
