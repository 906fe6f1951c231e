// SPDX-License-Identifier: BSD-3-Clause
// The parts of tree.h that handle whole trees: building from sorted input,
// splitting in two, and joining two.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <utility>

#include "lib/btree/tree.h"

namespace odo::btree::detail {

template <class K, class V, class O, bool Unique>
template <class I, class S, class Fill>
Result<void> Tree<K, V, O, Unique>::build(I first, S last, const Fill& fill) {
  std::size_t leaves = 0;
  while (first != last) {
    LeafT* leaf = new_leaf();
    if (leaf == nullptr) {
      clear();
      return fail(Error::kNoMemory);
    }
    if (tail_ == nullptr) {
      head_ = leaf;
    } else {
      link_after(tail_, leaf);
    }
    tail_ = leaf;
    ++leaves;
    leaf->count = fill_leaf(leaf, first, last, fill);
    size_ += leaf->count;
    // Of a whole leaf at once, without a jump for each key.
    bool sorted =
        leaf->prev == nullptr ||
        in_order(*leaf->prev->key(leaf->prev->count - 1), *leaf->key(0));
    for (std::uint32_t i = 1; i < leaf->count; ++i) {
      sorted &= in_order(*leaf->key(i - 1), *leaf->key(i));
    }
    if (!sorted) {
      clear();
      return fail(Error::kUnsorted);
    }
  }
  if (leaves > 1 && tail_->count < kLeastInLeaf) {
    LeafT* left = tail_->prev;
    push_right(left, tail_, (left->count - tail_->count) / 2);
  }
  if (leaves > 0 && !index_leaves(leaves)) {
    clear();
    return fail(Error::kNoMemory);
  }
  return {};
}

// Constructs as many elements as `leaf`, which is empty, has room for; answers
// how many there were.
template <class K, class V, class O, bool Unique>
template <class I, class S, class Fill>
std::uint32_t Tree<K, V, O, Unique>::fill_leaf(LeafT* leaf, I& first,
                                               const S& last,
                                               const Fill& fill) {
  const auto put_at = [&](std::uint32_t at) {
    if constexpr (kHasValues) {
      fill(first, leaf->key(at), leaf->value(at));
    } else {
      fill(first, leaf->key(at), static_cast<V*>(nullptr));
    }
    ++first;
  };
  std::uint32_t count = 0;
  if constexpr (std::sized_sentinel_for<S, I>) {
    // A loop whose length is known can go several elements at a time.
    const auto left = static_cast<std::size_t>(last - first);
    count = left < kLeafSlots ? static_cast<std::uint32_t>(left) : kLeafSlots;
    for (std::uint32_t at = 0; at < count; ++at) put_at(at);
  } else {
    for (; count < kLeafSlots && first != last; ++count) put_at(count);
  }
  return count;
}

// Builds the inner levels over the list of leaves, from left to right; the
// children of a level are dealt evenly to its nodes. On failure the inner nodes
// made so far hang from root_.
template <class K, class V, class O, bool Unique>
bool Tree<K, V, O, Unique>::index_leaves(std::size_t leaves) {
  // nodes[level] are wanted at that height above the leaves, made[level] begun.
  std::size_t nodes[kMaxHeight + 1] = {leaves};
  std::size_t made[kMaxHeight + 1] = {};
  InnerT* open[kMaxHeight + 1] = {};
  std::uint32_t height = 0;
  while (nodes[height] > 1) {
    nodes[height + 1] = (nodes[height] + kInnerSlots - 1) / kInnerSlots;
    ++height;
  }
  if (height == 0) {
    root_ = head_;
    return true;
  }
  root_ = new_inner();
  if (root_ == nullptr) return false;
  height_ = height;
  open[height] = static_cast<InnerT*>(root_);
  made[height] = 1;
  const auto full = [&](std::uint32_t level) {
    const std::size_t extra = nodes[level - 1] % nodes[level];
    return open[level]->count == nodes[level - 1] / nodes[level] +
                                     (made[level] - 1 < extra ? 1U : 0U);
  };
  for (LeafT* leaf = head_; leaf != nullptr; leaf = leaf->next) {
    const auto separator = separator_of(leaf, {}, *leaf->key(0));
    std::uint32_t level = 1;
    while (open[level] == nullptr || full(level)) ++level;
    for (; level > 0; --level) {
      void* child = leaf;
      if (level > 1) {
        child = new_inner();
        if (child == nullptr) return false;
        open[level - 1] = static_cast<InnerT*>(child);
        ++made[level - 1];
      }
      InnerT* parent = open[level];
      if (parent->count > 0) {
        parent->separators.items[parent->count - 1] = separator;
      }
      parent->children[parent->count++] = child;
    }
  }
  resum_all();
  return true;
}

// Tells every inner node what its children hold, children first.
template <class K, class V, class O, bool Unique>
void Tree<K, V, O, Unique>::resum_all() {
  if constexpr (kSummed) {
    leave_inner_nodes<InnerT>(
        root_, height_, [](InnerT* inner, std::uint32_t height) {
          for (std::uint32_t i = 0; i < inner->count; ++i) {
            resum(inner, i, height - 1);
          }
        });
  }
}

template <class K, class V, class O, bool Unique>
template <class Q>
Result<void> Tree<K, V, O, Unique>::split(const Q& key, Tree& right) {
  const PositionT cut_at = lower_bound(key);
  if (cut_at == end()) return {};
  if (cut_at == first()) {
    right.steal(*this);
    return {};
  }
  PathT path = path_to(cut_at);
  LeafT* leaf = path.leaf;
  // A node is cut in two unless all of it is on the right: on each level, once
  // something below has stayed on the left.
  Spares spares(*this);
  bool stays = path.index > 0;
  if (stays && !spares.take_leaf()) return fail(Error::kNoMemory);
  for (std::uint32_t level = height_; level > 0; --level) {
    stays = stays || path.steps[level - 1].index > 0;
    if (stays && !spares.take_inner()) return fail(Error::kNoMemory);
  }

  stays = path.index > 0;
  LeafT* begin = leaf;
  if (stays) {
    begin = spares.use_leaf();
    const std::uint32_t moved = leaf->count - path.index;
    move_elements(leaf, path.index, begin, 0, moved);
    begin->count = moved;
    leaf->count = path.index;
    link_after(leaf, begin);
    if (tail_ == leaf) tail_ = begin;
  }
  void* node = begin;
  for (std::uint32_t level = height_; level > 0; --level) {
    const auto [inner, index] = path.steps[level - 1];
    if (!stays && index == 0) {
      node = inner;
      continue;
    }
    InnerT* cut_off = spares.use_inner();
    const std::uint32_t moved = inner->count - index - 1;
    relocate(cut_off->separators.items, inner->separators.items + index, moved);
    cut_off->children[0] = node;
    relocate(cut_off->children + 1, inner->children + index + 1, moved);
    if constexpr (kSummed) {
      relocate(cut_off->summaries.items + 1, inner->summaries.items + index + 1,
               moved);
    }
    cut_off->count = moved + 1;
    inner->count = index + (stays ? 1 : 0);
    resum(cut_off, 0, height_ - level);
    resum(inner, inner->count - 1, height_ - level);
    stays = true;
    node = cut_off;
  }
  right.root_ = node;
  right.height_ = height_;
  right.head_ = begin;
  right.tail_ = tail_;
  tail_ = begin->prev;
  tail_->next = nullptr;
  begin->prev = nullptr;
  recount(right);
  fix_edge(true);
  right.fix_edge(false);
  return {};
}

// After a split: counts the smaller part.
template <class K, class V, class O, bool Unique>
void Tree<K, V, O, Unique>::recount(Tree& right) {
  std::size_t here = 0;
  std::size_t there = 0;
  const LeafT* left_leaf = head_;
  const LeafT* right_leaf = right.head_;
  while (left_leaf != nullptr && right_leaf != nullptr) {
    here += left_leaf->count;
    there += right_leaf->count;
    left_leaf = left_leaf->next;
    right_leaf = right_leaf->next;
  }
  right.size_ = right_leaf == nullptr ? there : size_ - here;
  size_ -= right.size_;
}

template <class K, class V, class O, bool Unique>
Result<void> Tree<K, V, O, Unique>::concatenate(Tree& right) {
  if (right.root_ == nullptr) return {};
  if (root_ == nullptr) {
    steal(right);
    return {};
  }
  const K& last = *tail_->key(tail_->count - 1);
  const K& next = *right.head_->key(0);
  if (!in_order(last, next)) return fail(Error::kUnsorted);
  // What was an edge is in the middle afterwards.
  fix_edge(true);
  right.fix_edge(false);
  const bool under = height_ >= right.height_;  // right's root goes under ours
  Tree& taller = under ? *this : right;
  const std::uint32_t levels =
      under ? height_ - right.height_ : right.height_ - height_;
  PathT path;
  taller.descend_edge(path, 0, under);
  Spares spares(taller);
  if (!taller.take_inners(path, levels, spares)) return fail(Error::kNoMemory);
  const Newcomer newcomer{under ? right.root_ : root_,
                          separator_of(right.head_, {}, next)};
  std::uint32_t at = under ? 1 : 0;
  if (levels > 0 && under) at = path.steps[levels - 1].node->count;
  taller.add_child(path, levels, at, newcomer, spares);

  tail_->next = right.head_;
  right.head_->prev = tail_;
  tail_ = right.tail_;
  size_ += right.size_;
  root_ = taller.root_;
  height_ = taller.height_;
  right.root_ = nullptr;
  right.head_ = right.tail_ = nullptr;
  right.size_ = 0;
  right.height_ = 0;
  descend_edge(path, 0, under);
  resum(path);
  fix_edge(under);
  return {};
}

}  // namespace odo::btree::detail
