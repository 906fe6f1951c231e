// SPDX-License-Identifier: BSD-3-Clause
// The parts of tree.h that walk: paths, and look-ups many at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/btree/tree.h"

namespace odo::btree::detail {

// While one query waits for the memory of its next node, those after it ask for
// theirs: the misses of a batch overlap, level by level. All leaves being at
// one depth, the queries stay in step.
template <class K, class V, class O, bool Unique>
template <class Q, class Answer>
void Tree<K, V, O, Unique>::find_each(const Q* queries, std::size_t count,
                                      Answer&& answer) const {
  if (root_ == nullptr) {
    for (std::size_t i = 0; i < count; ++i) answer(i, PositionT{});
    return;
  }
  void* nodes[kBatch];
  for (std::size_t done = 0; done < count; done += kBatch) {
    const std::size_t batch = count - done < kBatch ? count - done : kBatch;
    const Q* query = queries + done;
    for (std::size_t i = 0; i < batch; ++i) nodes[i] = root_;
    for (std::uint32_t left = height_; left > 0; --left) {
      for (std::size_t i = 0; i < batch; ++i) {
        const auto* inner = static_cast<const InnerT*>(nodes[i]);
        nodes[i] = inner->children[child_for<kUnique>(inner, query[i])];
        if (left > 1) {
          prefetch_inner(static_cast<const InnerT*>(nodes[i]));
        } else {
          prefetch_leaf(static_cast<const LeafT*>(nodes[i]));
        }
      }
    }
    for (std::size_t i = 0; i < batch; ++i) {
      auto* leaf = static_cast<LeafT*>(nodes[i]);
      PositionT at{leaf, lower_in(leaf, query[i])};
      if constexpr (!kUnique) at = settled(at);
      if (at.index == at.leaf->count ||
          less_(query[i], *at.leaf->key(at.index))) {
        at = {};
      }
      answer(done + i, at);
    }
  }
}

template <class K, class V, class O, bool Unique>
void Tree<K, V, O, Unique>::descend_edge(PathT& path, std::uint32_t level,
                                         bool right) const {
  void* node =
      level == 0
          ? root_
          : path.steps[level - 1].node->children[path.steps[level - 1].index];
  path.height = height_;
  for (; level < height_; ++level) {
    auto* inner = static_cast<InnerT*>(node);
    const std::uint32_t index = right ? inner->count - 1 : 0;
    path.steps[level] = {inner, index};
    node = inner->children[index];
  }
  path.leaf = static_cast<LeafT*>(node);
}

template <class K, class V, class O, bool Unique>
void Tree<K, V, O, Unique>::advance(PathT& path) const {
  std::uint32_t level = path.height;
  while (path.steps[level - 1].index + 1 == path.steps[level - 1].node->count) {
    --level;
  }
  ++path.steps[level - 1].index;
  descend_edge(path, level, false);
}

template <class K, class V, class O, bool Unique>
auto Tree<K, V, O, Unique>::path_to(PositionT at) const -> PathT {
  PathT path;
  descend<kUnique>(*at.leaf->key(at.index), path);
  // Equal keys may begin some leaves before the one that is meant.
  while (path.leaf != at.leaf) advance(path);
  path.index = at.index;
  return path;
}

template <class K, class V, class O, bool Unique>
std::size_t Tree<K, V, O, Unique>::distance(PositionT from, PositionT to) {
  std::size_t sum = to.index;
  sum -= from.index;  // modulo 2^64, until the leaves between are added
  for (const LeafT* leaf = from.leaf; leaf != to.leaf; leaf = leaf->next) {
    sum += leaf->count;
  }
  return sum;
}

template <class K, class V, class O, bool Unique>
std::size_t Tree<K, V, O, Unique>::bytes() const {
  std::size_t sum = 0;
  for (const LeafT* leaf = head_; leaf != nullptr; leaf = leaf->next) {
    sum += sizeof(LeafT);
  }
  leave_inner_nodes<InnerT>(
      root_, height_, [&](const InnerT* /*inner*/, std::uint32_t /*height*/) {
        sum += sizeof(InnerT);
      });
  return sum;
}

}  // namespace odo::btree::detail
