// SPDX-License-Identifier: BSD-3-Clause
// The parts of tree.h that insert: into a leaf that has room, or after making
// some among its neighbours or by a new leaf.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "lib/btree/tree.h"

namespace odo::btree::detail {

template <class K, class V, class O, bool Unique>
template <class Fill>
void Tree<K, V, O, Unique>::put(LeafT* leaf, std::uint32_t at, Fill&& fill) {
  open_slot(leaf->key(0), leaf->count, at);
  if constexpr (kHasValues) {
    open_slot(leaf->value(0), leaf->count, at);
    fill(leaf->key(at), leaf->value(at));
  } else {
    fill(leaf->key(at), static_cast<V*>(nullptr));
  }
  ++leaf->count;
  ++size_;
}

template <class K, class V, class O, bool Unique>
template <class Fill>
auto Tree<K, V, O, Unique>::insert(const K& key, Fill&& fill)
    -> Result<Inserted> {
  if constexpr (!kSummed) {
    // Ascending keys need no look-up.
    if (LeafT* tail = tail_; tail != nullptr && tail->count < kLeafSlots) {
      const K& last = *tail->key(tail->count - 1);
      if (in_order(last, key)) {
        put(tail, tail->count, std::forward<Fill>(fill));
        return Inserted{{tail, tail->count - 1}, true};
      }
    }
  }
  if (root_ == nullptr) {
    LeafT* leaf = new_leaf();
    if (leaf == nullptr) return fail(Error::kNoMemory);
    root_ = head_ = tail_ = leaf;
    put(leaf, 0, std::forward<Fill>(fill));
    return Inserted{{leaf, 0}, true};
  }
  PathT path;
  descend<true>(key, path);
  if constexpr (kUnique) {
    path.index = lower_in(path.leaf, key);
    if (path.index < path.leaf->count &&
        !less_(key, *path.leaf->key(path.index))) {
      return Inserted{{path.leaf, path.index}, false};
    }
  } else {
    path.index = upper_in(path.leaf, key);
  }
  PositionT at{path.leaf, path.index};
  const bool full = at.leaf->count == kLeafSlots;
  if (full) [[unlikely]] {
    ODO_TRY(at, make_room(path, key));
  }
  put(at.leaf, at.index, std::forward<Fill>(fill));
  if constexpr (kSummed) {
    if (full) path = path_to(at);
    for (std::uint32_t level = 0; level < path.height; ++level) {
      const auto [node, index] = path.steps[level];
      count_in(node->summaries.items[index], at.leaf, at.index);
    }
  }
  return Inserted{at, true};
}

template <class K, class V, class O, bool Unique>
template <class Fill>
auto Tree<K, V, O, Unique>::insert_near(PositionT hint, const K& key,
                                        Fill&& fill) -> Result<Inserted> {
  if constexpr (!kSummed) {
    // Strictly within one leaf, or at the tree's ends, no separator matters.
    LeafT* leaf = hint.leaf;
    if (leaf != nullptr && leaf->count < kLeafSlots) {
      const bool after = hint.index > 0 ? less_(*leaf->key(hint.index - 1), key)
                                        : leaf == head_;
      const bool before = hint.index < leaf->count
                              ? less_(key, *leaf->key(hint.index))
                              : leaf == tail_;
      if (after && before) {
        put(leaf, hint.index, std::forward<Fill>(fill));
        return Inserted{hint, true};
      }
    }
  }
  return insert(key, std::forward<Fill>(fill));
}

// Makes room for `key` at path.index of a full leaf, and answers where it goes
// now. The path is good for nothing afterwards.
template <class K, class V, class O, bool Unique>
auto Tree<K, V, O, Unique>::make_room(PathT& path, const K& key)
    -> Result<PositionT> {
  LeafT* leaf = path.leaf;
  const bool appends = leaf == tail_ && path.index == leaf->count;
  const bool prepends = leaf == head_ && path.index == 0;
  const std::uint32_t height = path.height;
  std::uint32_t first = 0;
  std::uint32_t leaves = 1;
  if (height > 0 && !appends && !prepends) {
    const auto [parent, index] = path.steps[height - 1];
    const policy::Window window =
        policy::spread_window(index, parent->count, O::kSpread);
    first = window.first;
    leaves = window.count;
    // All of them will be read and most of them written, whatever comes.
    for (std::uint32_t i = first; i < first + leaves; ++i) {
      prefetch_leaf(static_cast<const LeafT*>(parent->children[i]));
    }
    std::uint32_t elements = 0;
    for (std::uint32_t i = first; i < first + leaves; ++i) {
      elements += static_cast<LeafT*>(parent->children[i])->count;
    }
    if (policy::sharing_gains(elements, leaves, kLeafSlots)) {
      return spread(path, first, leaves, nullptr, key);
    }
  }

  Spares spares(*this);
  if (!spares.take_leaf() || !take_inners(path, height, spares)) {
    return fail(Error::kNoMemory);
  }
  LeafT* fresh = spares.use_leaf();
  PositionT at{fresh, 0};
  if (appends || prepends) {
    // Keys that come in order leave full leaves behind.
    std::uint32_t slot = 0;
    Newcomer newcomer{fresh, {}};
    if (appends) {
      link_after(leaf, fresh);
      tail_ = fresh;
      slot = height == 0 ? 1 : path.steps[height - 1].index + 1;
      newcomer.separator = separator_of(fresh, at, key);
    } else {
      fresh->next = leaf;
      leaf->prev = fresh;
      head_ = fresh;
      newcomer.separator = separator_of(leaf, {}, key);
    }
    add_child(path, height, slot, newcomer, spares);
    return at;
  }
  const std::uint32_t middle = (leaves + 1) / 2;
  LeafT* left =
      height == 0
          ? leaf
          : static_cast<LeafT*>(
                path.steps[height - 1].node->children[first + middle - 1]);
  link_after(left, fresh);
  if (tail_ == left) tail_ = fresh;
  at = spread(path, first, leaves + 1, fresh, key);
  add_child(path, height, first + middle, {fresh, separator_of(fresh, at, key)},
            spares);
  return at;
}

// Shares the elements of `leaves` leaves, from child `first` of the path's last
// parent on, evenly, counting the one that will come at path.index. `fresh`, if
// there, is one of them that the parent doesn't know yet.
template <class K, class V, class O, bool Unique>
auto Tree<K, V, O, Unique>::spread(PathT& path, std::uint32_t first,
                                   std::uint32_t leaves, LeafT* fresh,
                                   const K& key) -> PositionT {
  InnerT* parent =
      path.height == 0 ? nullptr : path.steps[path.height - 1].node;
  LeafT* list[O::kSpread + 1];
  std::uint32_t have[O::kSpread + 1];
  std::uint32_t want[O::kSpread + 1];
  std::uint32_t elements = 0;
  std::uint32_t place = 0;  // of the one to come, in all
  list[0] = parent == nullptr ? path.leaf
                              : static_cast<LeafT*>(parent->children[first]);
  for (std::uint32_t i = 0; i < leaves; ++i) {
    if (i > 0) list[i] = list[i - 1]->next;
    if (list[i] == path.leaf) place = elements + path.index;
    have[i] = list[i]->count;
    elements += have[i];
  }
  const policy::Landing landing =
      policy::share_out(elements, place, leaves, want);
  const PositionT at{list[landing.node], landing.index};
  policy::even_out(
      have, want, leaves,
      [&](std::uint32_t i, std::uint32_t count) {
        push_right(list[i], list[i + 1], count);
      },
      [&](std::uint32_t i, std::uint32_t count) {
        pull_left(list[i], list[i + 1], count);
      });
  if (parent != nullptr) {
    for (std::uint32_t i = 0, child = first; i < leaves; ++i) {
      if (list[i] == fresh) continue;
      if constexpr (kCopiedSeparators<K>) {
        if (i > 0) {
          parent->separators.items[child - 1] = separator_of(list[i], at, key);
        }
      }
      resum(parent, child, 0);
      ++child;
    }
  }
  return at;
}

// The inner nodes that a newcomer under the path's lowest `levels` steps costs:
// one for each full node on its way up, and a root.
template <class K, class V, class O, bool Unique>
bool Tree<K, V, O, Unique>::take_inners(const PathT& path, std::uint32_t levels,
                                        Spares& spares) {
  while (levels > 0 && path.steps[levels - 1].node->count == kInnerSlots) {
    if (!spares.take_inner()) return false;
    --levels;
  }
  return levels > 0 || spares.take_inner();
}

// Puts `newcomer` at child index `at` of path.steps[levels - 1] (of a new root,
// with 0 levels), splitting full nodes on the way up.
template <class K, class V, class O, bool Unique>
void Tree<K, V, O, Unique>::add_child(PathT& path, std::uint32_t levels,
                                      std::uint32_t at, Newcomer newcomer,
                                      Spares& spares) {
  while (levels > 0) {
    InnerT* inner = path.steps[levels - 1].node;
    const std::uint32_t child_height = path.height - levels;
    if (inner->count < kInnerSlots) {
      insert_child(inner, at, newcomer, child_height);
      break;
    }
    InnerT* right = spares.use_inner();
    // Asked only where it matters: it means to look all the way up.
    policy::Edge edge = policy::Edge::kNone;
    if (at == kInnerSlots && on_edge(path, levels, true)) {
      edge = policy::Edge::kRight;
    } else if (at == 0 && on_edge(path, levels, false)) {
      edge = policy::Edge::kLeft;
    }
    const std::uint32_t keep = policy::split_keeps(kInnerSlots, at, edge);
    typename InnerT::Separator between;
    split_inner(inner, right, keep, between);
    if (at <= inner->count) {
      insert_child(inner, at, newcomer, child_height);
    } else {
      insert_child(right, at - inner->count, newcomer, child_height);
    }
    newcomer = {right, between};
    --levels;
    if (levels > 0) {
      at = path.steps[levels - 1].index + 1;
      resum(path.steps[levels - 1].node, at - 1, child_height + 1);
    } else {
      at = 1;
    }
  }
  // Nodes further up hold the same elements as before.
  if (levels > 0) return;
  InnerT* root = spares.use_inner();
  root->count = 1;
  root->children[0] = root_;
  ++height_;
  resum(root, 0, height_ - 1);
  insert_child(root, at, newcomer, height_ - 1);
  root_ = root;
}

// Whether the path's lowest of `levels` steps is its level's last (first) node.
template <class K, class V, class O, bool Unique>
bool Tree<K, V, O, Unique>::on_edge(const PathT& path, std::uint32_t levels,
                                    bool right) {
  for (std::uint32_t level = 0; level + 1 < levels; ++level) {
    const auto [node, index] = path.steps[level];
    if (index != (right ? node->count - 1 : 0)) return false;
  }
  return true;
}

template <class K, class V, class O, bool Unique>
void Tree<K, V, O, Unique>::insert_child(InnerT* inner, std::uint32_t at,
                                         Newcomer newcomer,
                                         std::uint32_t child_height) {
  // The separator of a new first child is between it and the old one.
  const std::uint32_t gap = at == 0 ? 0 : at - 1;
  auto* separators = inner->separators.items;
  relocate(separators + gap + 1, separators + gap, inner->count - 1 - gap);
  separators[gap] = newcomer.separator;
  open_slot(inner->children, inner->count, at);
  inner->children[at] = newcomer.node;
  if constexpr (kSummed) open_slot(inner->summaries.items, inner->count, at);
  ++inner->count;
  resum(inner, at, child_height);
}

// Leaves `keep` children in `left` and moves the others to `right`, which is
// new. `between` is the separator that neither keeps.
template <class K, class V, class O, bool Unique>
void Tree<K, V, O, Unique>::split_inner(InnerT* left, InnerT* right,
                                        std::uint32_t keep,
                                        typename InnerT::Separator& between) {
  const std::uint32_t moved = left->count - keep;
  between = left->separators.items[keep - 1];
  relocate(right->separators.items, left->separators.items + keep, moved - 1);
  relocate(right->children, left->children + keep, moved);
  if constexpr (kSummed) {
    relocate(right->summaries.items, left->summaries.items + keep, moved);
  }
  right->count = moved;
  left->count = keep;
}

}  // namespace odo::btree::detail
