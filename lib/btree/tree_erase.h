// SPDX-License-Identifier: BSD-3-Clause
// The parts of tree.h that erase, and what keeps nodes full enough: two
// neighbours under one parent merge if they fit in one node with room to spare,
// and share evenly if not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "lib/btree/tree.h"

namespace odo::btree::detail {

template <class K, class V, class O, bool Unique>
void Tree<K, V, O, Unique>::move_elements(LeafT* from, std::uint32_t from_at,
                                          LeafT* to, std::uint32_t to_at,
                                          std::uint32_t count) {
  relocate(to->key(to_at), from->key(from_at), count);
  if constexpr (kHasValues) {
    relocate(to->value(to_at), from->value(from_at), count);
  }
}

// The last `count` elements of `left` become the first of `right`.
template <class K, class V, class O, bool Unique>
void Tree<K, V, O, Unique>::push_right(LeafT* left, LeafT* right,
                                       std::uint32_t count) {
  move_elements(right, 0, right, count, right->count);
  move_elements(left, left->count - count, right, 0, count);
  left->count -= count;
  right->count += count;
}

// The first `count` elements of `right` become the last of `left`.
template <class K, class V, class O, bool Unique>
void Tree<K, V, O, Unique>::pull_left(LeafT* left, LeafT* right,
                                      std::uint32_t count) {
  move_elements(right, 0, left, left->count, count);
  move_elements(right, count, right, 0, right->count - count);
  left->count += count;
  right->count -= count;
}

template <class K, class V, class O, bool Unique>
auto Tree<K, V, O, Unique>::erase(PositionT at) -> PositionT {
  if constexpr (!kSummed) {
    // Most leaves stay full enough: nothing above them changes.
    if (at.leaf->count > kLeastInLeaf) {
      cut(at.leaf, at.index, 1);
      return settled(at);
    }
  }
  PathT path = path_to(at);
  return erase_chunk(path, 1);
}

template <class K, class V, class O, bool Unique>
auto Tree<K, V, O, Unique>::erase(PositionT at, std::size_t count)
    -> PositionT {
  while (count > 0) {
    PathT path = path_to(at);
    const std::uint32_t here = at.leaf->count - at.index;
    const auto chunk = count < here ? static_cast<std::uint32_t>(count) : here;
    at = erase_chunk(path, chunk);
    count -= chunk;
  }
  return at;
}

// Ends `count` elements of `leaf` from `at` on.
template <class K, class V, class O, bool Unique>
void Tree<K, V, O, Unique>::cut(LeafT* leaf, std::uint32_t at,
                                std::uint32_t count) {
  close_slots(leaf->key(0), leaf->count, at, count);
  if constexpr (kHasValues) {
    close_slots(leaf->value(0), leaf->count, at, count);
  }
  leaf->count -= count;
  size_ -= count;
}

// Ends `count` elements from path.index on, all in its leaf, mends the tree,
// and answers where the element after them is.
template <class K, class V, class O, bool Unique>
auto Tree<K, V, O, Unique>::erase_chunk(PathT& path, std::uint32_t count)
    -> PositionT {
  PositionT at{path.leaf, path.index};
  if constexpr (kSummed && kExcludes<Augment, K, V>) {
    for (std::uint32_t i = at.index; i < at.index + count; ++i) {
      for (std::uint32_t level = 0; level < path.height; ++level) {
        const auto [node, index] = path.steps[level];
        count_out(node->summaries.items[index], at.leaf, i);
      }
    }
    cut(at.leaf, at.index, count);
  } else {
    cut(at.leaf, at.index, count);
    resum(path);
  }
  if (at.leaf->count >= kLeastInLeaf && at.leaf->count > 0) return settled(at);
  if (path.height == 0) {
    if (at.leaf->count > 0) return at;
    free_leaf(at.leaf);
    root_ = head_ = tail_ = nullptr;
    return {};
  }
  const auto [parent, index] = path.steps[path.height - 1];
  fix_leaf(parent, index, at);
  fix_up(path, path.height);
  return settled(at);
}

// Mends the lowest of `levels` steps, which may have lost a child, and what
// that costs above.
template <class K, class V, class O, bool Unique>
void Tree<K, V, O, Unique>::fix_up(const PathT& path, std::uint32_t levels) {
  for (std::uint32_t level = levels - 1;
       level > 0 && path.steps[level].node->count < kLeastInInner; --level) {
    const auto [above, position] = path.steps[level - 1];
    fix_inner(above, position, path.height - level);
  }
  collapse_root();
}

// Child `index` of `parent`, a leaf, holds too little: shares with a neighbour
// or merges. `track` names the same element afterwards (or a leaf's end). True
// if the parent has one child less.
template <class K, class V, class O, bool Unique>
bool Tree<K, V, O, Unique>::fix_leaf(InnerT* parent, std::uint32_t index,
                                     PositionT& track) {
  const std::uint32_t at = index + 1 < parent->count ? index : index - 1;
  auto* left = static_cast<LeafT*>(parent->children[at]);
  auto* right = static_cast<LeafT*>(parent->children[at + 1]);
  const std::uint32_t all = left->count + right->count;
  // Where the tracked element is in both together.
  const std::uint32_t place =
      track.leaf == right ? left->count + track.index : track.index;
  const bool tracked = track.leaf == left || track.leaf == right;
  const bool merges = policy::merges(all, kLeafSlots);
  if (merges) {
    pull_left(left, right, right->count);
    left->next = right->next;
    if (right->next != nullptr) {
      right->next->prev = left;
    } else {
      tail_ = left;
    }
    drop_child(parent, at + 1);
    free_leaf(right);
    if (tracked) track = {left, place};
  } else {
    const std::uint32_t half = all / 2;
    if (left->count < half) {
      pull_left(left, right, half - left->count);
    } else {
      push_right(left, right, left->count - half);
    }
    if constexpr (kCopiedSeparators<K>) {
      parent->separators.items[at] = *right->key(0);
    }
    resum(parent, at + 1, 0);
    if (tracked) {
      track = place < half ? PositionT{left, place}
                           : PositionT{right, place - half};
    }
  }
  resum(parent, at, 0);
  return merges;
}

// The same for an inner node; its children are at `child_height`.
template <class K, class V, class O, bool Unique>
bool Tree<K, V, O, Unique>::fix_inner(InnerT* parent, std::uint32_t index,
                                      std::uint32_t height) {
  const std::uint32_t at = index + 1 < parent->count ? index : index - 1;
  auto* left = static_cast<InnerT*>(parent->children[at]);
  auto* right = static_cast<InnerT*>(parent->children[at + 1]);
  auto& between = parent->separators.items[at];
  const std::uint32_t all = left->count + right->count;
  const bool merges = policy::merges(all, kInnerSlots);
  if (merges) {
    pull_children(left, right, right->count, between);
    drop_child(parent, at + 1);
    free_inner(right);
  } else {
    const std::uint32_t half = all / 2;
    if (left->count < half) {
      pull_children(left, right, half - left->count, between);
    } else if (left->count > half) {
      push_children(left, right, left->count - half, between);
    }
    resum(parent, at + 1, height);
  }
  resum(parent, at, height);
  return merges;
}

// The first `count` children of `right` become the last of `left`; `between` is
// the separator of the two nodes, before and after.
template <class K, class V, class O, bool Unique>
void Tree<K, V, O, Unique>::pull_children(InnerT* left, InnerT* right,
                                          std::uint32_t count,
                                          typename InnerT::Separator& between) {
  auto* to = left->separators.items;
  auto* from = right->separators.items;
  to[left->count - 1] = between;
  relocate(to + left->count, from, count - 1);
  relocate(left->children + left->count, right->children, count);
  if constexpr (kSummed) {
    relocate(left->summaries.items + left->count, right->summaries.items,
             count);
  }
  left->count += count;
  right->count -= count;
  if (right->count == 0) return;
  between = from[count - 1];
  relocate(from, from + count, right->count - 1);
  relocate(right->children, right->children + count, right->count);
  if constexpr (kSummed) {
    relocate(right->summaries.items, right->summaries.items + count,
             right->count);
  }
}

// The last `count` children of `left` become the first of `right`.
template <class K, class V, class O, bool Unique>
void Tree<K, V, O, Unique>::push_children(InnerT* left, InnerT* right,
                                          std::uint32_t count,
                                          typename InnerT::Separator& between) {
  auto* from = left->separators.items;
  auto* to = right->separators.items;
  const std::uint32_t keep = left->count - count;
  relocate(to + count, to, right->count - 1);
  to[count - 1] = between;
  relocate(to, from + keep, count - 1);
  between = from[keep - 1];
  relocate(right->children + count, right->children, right->count);
  relocate(right->children, left->children + keep, count);
  if constexpr (kSummed) {
    relocate(right->summaries.items + count, right->summaries.items,
             right->count);
    relocate(right->summaries.items, left->summaries.items + keep, count);
  }
  left->count = keep;
  right->count += count;
}

// Forgets child `index`, which is not the first, and the separator before it.
template <class K, class V, class O, bool Unique>
void Tree<K, V, O, Unique>::drop_child(InnerT* parent, std::uint32_t index) {
  auto* separators = parent->separators.items;
  const std::uint32_t after = parent->count - index - 1;
  relocate(separators + index - 1, separators + index, after);
  relocate(parent->children + index, parent->children + index + 1, after);
  if constexpr (kSummed) {
    relocate(parent->summaries.items + index,
             parent->summaries.items + index + 1, after);
  }
  --parent->count;
}

// A root with one child gives way to it.
template <class K, class V, class O, bool Unique>
void Tree<K, V, O, Unique>::collapse_root() {
  while (height_ > 0 && static_cast<InnerT*>(root_)->count == 1) {
    auto* old = static_cast<InnerT*>(root_);
    root_ = old->children[0];
    --height_;
    free_inner(old);
  }
}

// Makes every node on the tree's right (left) edge full enough, from the top
// down: above each there are two children at least then, so that it has a
// neighbour. A merge may leave its parent too empty; then once more from the
// top, with a node less.
template <class K, class V, class O, bool Unique>
void Tree<K, V, O, Unique>::fix_edge(bool right) {
  PositionT nothing;
  for (bool again = true; again;) {
    again = false;
    collapse_root();
    void* node = root_;
    for (std::uint32_t left = height_; left > 0 && !again; --left) {
      auto* parent = static_cast<InnerT*>(node);
      std::uint32_t index = right ? parent->count - 1 : 0;
      void* child = parent->children[index];
      bool merged = false;
      if (left > 1) {
        if (static_cast<InnerT*>(child)->count < kLeastInInner) {
          merged = fix_inner(parent, index, left - 1);
        }
      } else if (static_cast<LeafT*>(child)->count < kLeastInLeaf) {
        merged = fix_leaf(parent, index, nothing);
      }
      again = merged && parent->count < kLeastInInner;
      if (parent == root_) again = merged && parent->count == 1;
      node = parent->children[right ? parent->count - 1 : 0];
    }
  }
}

template <class K, class V, class O, bool Unique>
void Tree<K, V, O, Unique>::clear() {
  for (LeafT* leaf = head_; leaf != nullptr;) {
    LeafT* next = leaf->next;
    std::destroy_n(leaf->key(0), leaf->count);
    if constexpr (kHasValues) std::destroy_n(leaf->value(0), leaf->count);
    free_leaf(leaf);
    leaf = next;
  }
  leave_inner_nodes<InnerT>(
      root_, height_,
      [this](InnerT* inner, std::uint32_t /*height*/) { free_inner(inner); });
  root_ = nullptr;
  head_ = tail_ = nullptr;
  size_ = 0;
  height_ = 0;
}

template <class K, class V, class O, bool Unique>
template <class Change>
void Tree<K, V, O, Unique>::update(PositionT at, Change&& change) {
  static_assert(kHasValues);
  change(*at.leaf->value(at.index));
  if constexpr (kSummed) {
    const PathT path = path_to(at);
    resum(path);
  }
}

}  // namespace odo::btree::detail
