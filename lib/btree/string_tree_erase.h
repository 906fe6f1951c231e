// SPDX-License-Identifier: BSD-3-Clause
// The parts of string_tree.h that erase. A leaf that has become rather empty is
// merged with a neighbour where one page has room for both to spare; otherwise
// it stays: sharing would need a new separator, and that perhaps memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "lib/btree/string_tree.h"

namespace odo::btree::detail {

template <class V, class O>
bool StringTree<V, O>::erase(std::string_view key) {
  if (root_ == nullptr) return false;
  PathT path;
  descend(key, path);
  const auto place = path.leaf->template locate<Bound::kLower>(key);
  if (!place.found) return false;
  path.index = place.index;
  remove(path);
  return true;
}

template <class V, class O>
auto StringTree<V, O>::erase(PositionT at) -> PositionT {
  // Most leaves stay full enough: nothing above them changes.
  LeafT* leaf = at.leaf;
  if (leaf->count() > 1 &&
      leaf->used() >= kLeastInLeaf + LeafT::kSlotBytes +
                          LeafT::tail_bytes(leaf->spot(at.index).size)) {
    leaf->remove(at.index, 1);
    --size_;
    return settled(at);
  }
  return remove_slowly(at);
}

// By way of the key. Apart, so that others don't pay for its stack.
template <class V, class O>
auto StringTree<V, O>::remove_slowly(PositionT at) -> PositionT {
  char buffer[kMaxKeyBytes];
  PathT path;
  descend(at.leaf->key(at.index).copy_to(buffer), path);
  path.index = at.index;
  return remove(path);
}

template <class V, class O>
auto StringTree<V, O>::remove(PathT& path) -> PositionT {
  LeafT* leaf = path.leaf;
  leaf->remove(path.index, 1);
  --size_;
  PositionT at{leaf, path.index};
  if (leaf->count() == 0) return drop_leaf(path);
  // Where neighbours had no room, they hardly have it one element later:
  // looking at them costs more than what is erased.
  constexpr std::uint32_t kSometimes = 4;
  if (leaf->used() < kLeastInLeaf && leaf->count() % kSometimes == 0 &&
      path.height > 0) {
    merge_leaf(path, at);
  }
  return settled(at);
}

// Frees an empty leaf, with every inner page that had no other child. Answers
// where the elements after it begin.
template <class V, class O>
auto StringTree<V, O>::drop_leaf(PathT& path) -> PositionT {
  LeafT* leaf = path.leaf;
  LeafT* before = leaf->prev;
  LeafT* after = leaf->next;
  link(before, after, *this);
  free_page(leaf);
  std::uint32_t level = path.height;
  for (; level > 0; --level) {
    const auto [inner, index] = path.steps[level - 1];
    if (inner->count() > 0) {
      drop_child(inner, index);
      mend_up(path, level);
      break;
    }
    free_page(inner);
  }
  if (level == 0) {
    root_ = nullptr;
    height_ = 0;
    return {};
  }
  return after != nullptr ? PositionT{after, 0}
                          : PositionT{before, before->count()};
}

// Forgets child `index`, and the separator on its left, or of the leftmost the
// one on its right.
template <class V, class O>
void StringTree<V, O>::drop_child(InnerT* inner, std::uint32_t index) {
  if (index == 0) {
    inner->set_child(0, inner->child(1));
    inner->remove(0, 1);
  } else {
    inner->remove(index - 1, 1);
  }
}

// Merges the path's leaf with the right or the left neighbour under its parent
// if one page has room for both and for more. `track` names the same element
// afterwards.
template <class V, class O>
void StringTree<V, O>::merge_leaf(PathT& path, PositionT& track) {
  constexpr std::uint32_t kMost = kLeafBytes - kLeafBytes / 4;
  const auto [parent, index] = path.steps[path.height - 1];
  for (std::uint32_t side = 0; side < 2; ++side) {
    const std::uint32_t at = index - side;  // of the left one
    if (at + 1 > parent->count() || index < side) continue;
    auto* left = static_cast<LeafT*>(parent->child(at));
    auto* right = static_cast<LeafT*>(parent->child(at + 1));
    if (left->used() + right->used() > kMost) continue;
    StringRun<LeafT> run;
    run.add(left, 0, left->count());
    run.add(right, 0, right->count());
    const auto shape = run.shape(0, run.count());
    if (shape.bytes() > kMost) continue;
    auto* both = new_page<LeafT>(shape, kLeafBytes);
    if (both == nullptr) return;
    if (track.leaf == right) track.index += left->count();
    track.leaf = both;
    run.fill(shape, both);
    link(left->prev, both, *this);
    link(both, right->next, *this);
    parent->set_child(at, both);
    parent->remove(at, 1);
    free_page(left);
    free_page(right);
    mend_up(path, path.height);
    return;
  }
}

// The same for child `index` of `above`, an inner page.
template <class V, class O>
bool StringTree<V, O>::merge_inner(InnerT* above, std::uint32_t index) {
  constexpr std::uint32_t kMost = kInnerBytes - kInnerBytes / 4;
  for (std::uint32_t side = 0; side < 2; ++side) {
    const std::uint32_t at = index - side;
    if (at + 1 > above->count() || index < side) continue;
    auto* left = static_cast<InnerT*>(above->child(at));
    auto* right = static_cast<InnerT*>(above->child(at + 1));
    if (left->used() + right->used() > kMost) continue;
    StringRun<InnerT> run;
    run.add(left, 0, left->count());
    run.add(above->key(at), right->child(0));
    run.add(right, 0, right->count());
    const auto shape = run.shape(0, run.count());
    if (shape.bytes() > kMost) continue;
    auto* both = new_page<InnerT>(shape, kInnerBytes);
    if (both == nullptr) return false;
    run.fill(shape, both);
    both->set_child(0, left->child(0));
    above->set_child(at, both);
    above->remove(at, 1);
    free_page(left);
    free_page(right);
    return true;
  }
  return false;
}

// Mends the lowest of `levels` steps, which has lost a child, and what that
// costs above; a root with one child gives way to it.
template <class V, class O>
void StringTree<V, O>::mend_up(const PathT& path, std::uint32_t levels) {
  for (std::uint32_t level = levels - 1;
       level > 0 && path.steps[level].node->used() < kLeastInInner; --level) {
    const auto [above, index] = path.steps[level - 1];
    if (!merge_inner(above, index)) break;
  }
  while (height_ > 0 && static_cast<InnerT*>(root_)->count() == 0) {
    auto* old = static_cast<InnerT*>(root_);
    root_ = old->child(0);
    --height_;
    free_page(old);
  }
}

template <class V, class O>
void StringTree<V, O>::clear() {
  for (LeafT* leaf = head_; leaf != nullptr;) {
    LeafT* next = leaf->next;
    if constexpr (kHasValues) std::destroy_n(leaf->value(0), leaf->count());
    free_page(leaf);
    leaf = next;
  }
  leave_inner_nodes<InnerT>(
      root_, height_,
      [this](InnerT* inner, std::uint32_t /*height*/) { free_page(inner); });
  root_ = nullptr;
  head_ = tail_ = nullptr;
  size_ = 0;
  height_ = 0;
}

}  // namespace odo::btree::detail
