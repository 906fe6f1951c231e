// SPDX-License-Identifier: BSD-3-Clause
// The parts of tree.h that keep and use what inner nodes know of their subtrees
// (augment.h).
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

#include "lib/btree/tree.h"

namespace odo::btree::detail {

template <class K, class V, class O, bool Unique>
auto Tree<K, V, O, Unique>::summary_of(void* node, std::uint32_t height)
    -> Summary {
  Summary sum = Augment::none();
  if (height == 0) {
    auto* leaf = static_cast<LeafT*>(node);
    for (std::uint32_t i = 0; i < leaf->count; ++i) count_in(sum, leaf, i);
  } else {
    const auto* inner = static_cast<const InnerT*>(node);
    for (std::uint32_t i = 0; i < inner->count; ++i) {
      Augment::join(sum, inner->summaries.items[i]);
    }
  }
  return sum;
}

// Tells `inner` anew what its child `index` holds.
template <class K, class V, class O, bool Unique>
void Tree<K, V, O, Unique>::resum(InnerT* inner, std::uint32_t index,
                                  std::uint32_t child_height) {
  if constexpr (kSummed) {
    inner->summaries.items[index] =
        summary_of(inner->children[index], child_height);
  }
}

// The same for a whole path, from its leaf up.
template <class K, class V, class O, bool Unique>
void Tree<K, V, O, Unique>::resum(const PathT& path) {
  for (std::uint32_t level = path.height; kSummed && level > 0; --level) {
    const auto [node, index] = path.steps[level - 1];
    resum(node, index, path.height - level);
  }
}

template <class K, class V, class O, bool Unique>
auto Tree<K, V, O, Unique>::summary() const -> Summary
requires kSummed
{
  return root_ == nullptr ? Augment::none() : summary_of(root_, height_);
}

template <class K, class V, class O, bool Unique>
auto Tree<K, V, O, Unique>::nth(std::size_t n) const -> PositionT
requires std::same_as<Augment, CountAugment>
{
  if (n >= size_) return end();
  void* node = root_;
  for (std::uint32_t left = height_; left > 0; --left) {
    const auto* inner = static_cast<const InnerT*>(node);
    std::uint32_t index = 0;
    while (n >= inner->summaries.items[index]) {
      n -= inner->summaries.items[index++];
    }
    node = inner->children[index];
  }
  return {static_cast<LeafT*>(node), static_cast<std::uint32_t>(n)};
}

template <class K, class V, class O, bool Unique>
template <class Q>
std::size_t Tree<K, V, O, Unique>::rank(const Q& key) const
requires std::same_as<Augment, CountAugment>
{
  if (root_ == nullptr) return 0;
  std::size_t before = 0;
  void* node = root_;
  for (std::uint32_t left = height_; left > 0; --left) {
    const auto* inner = static_cast<const InnerT*>(node);
    const std::uint32_t index = child_for<kUnique>(inner, key);
    for (std::uint32_t i = 0; i < index; ++i) {
      before += inner->summaries.items[i];
    }
    node = inner->children[index];
  }
  return before + lower_in(static_cast<LeafT*>(node), key);
}

template <class K, class V, class O, bool Unique>
template <class Enter, class Past, class Visit>
void Tree<K, V, O, Unique>::walk(const Enter& enter, const Past& past,
                                 Visit&& visit) const
requires kSummed
{
  if (root_ == nullptr) return;
  // One more step than inner nodes: with the root as the only child of nothing
  // the loop below needs no special first turn.
  PathT path;
  std::uint32_t depth = 0;
  void* node = root_;
  while (true) {
    if (depth == height_) {
      auto* leaf = static_cast<LeafT*>(node);
      for (std::uint32_t i = 0; i < leaf->count; ++i) {
        if (past(*leaf->key(i)) || !visit(PositionT{leaf, i})) return;
      }
    } else {
      path.steps[depth++] = {static_cast<InnerT*>(node), 0};
    }
    // The next child that is worth entering, on this level or above.
    node = nullptr;
    while (node == nullptr) {
      if (depth == 0) return;
      auto& [inner, index] = path.steps[depth - 1];
      while (index < inner->count && !enter(inner->summaries.items[index])) {
        ++index;
      }
      if (index < inner->count) {
        node = inner->children[index++];
      } else {
        --depth;
      }
    }
  }
}

}  // namespace odo::btree::detail
