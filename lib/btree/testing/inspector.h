// SPDX-License-Identifier: BSD-3-Clause
// Asks a tree all the invariants of tree.h, and says in words which one fails.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/btree/container.h"

namespace odo::btree {

template <class K, class V, class Choice, bool Unique>
class Inspector {
  using C = Container<K, V, Choice, Unique>;
  using TreeT = detail::Tree<K, V, Choice, Unique>;
  using LeafT = TreeT::LeafT;
  using InnerT = TreeT::InnerT;

 public:
  // What is wrong with it; empty if nothing is.
  [[nodiscard]] static std::string faults(const C& container) {
    Inspector inspector(container.tree_);
    inspector.look();
    return inspector.faults_;
  }
  [[nodiscard]] static std::size_t height(const C& container) {
    return container.tree_.height_;
  }
  [[nodiscard]] static std::size_t leaf_slots() { return TreeT::kLeafSlots; }

 private:
  explicit Inspector(const TreeT& tree) : tree_(tree) {}

  void blame(std::string_view what) {
    if (faults_.size() < 400) faults_.append(what).append("; ");
  }
  [[nodiscard]] bool less(const K& a, const K& b) const {
    return tree_.less_(a, b);
  }

  void look() {
    if (tree_.root_ == nullptr) {
      if (tree_.head_ != nullptr || tree_.tail_ != nullptr ||
          tree_.size_ != 0 || tree_.height_ != 0) {
        blame("I4: an empty tree remembers something");
      }
      return;
    }
    visit(tree_.root_, tree_.height_, true, true);
    const LeafT* before = nullptr;
    std::size_t elements = 0;
    std::size_t place = 0;
    for (LeafT* leaf = tree_.head_; leaf != nullptr; leaf = leaf->next) {
      if (leaf->prev != before) blame("I1: a leaf's prev is wrong");
      if (place >= leaves_.size() || leaves_[place] != leaf) {
        blame("I1: the list of leaves is not the tree's");
        return;
      }
      if (before != nullptr) {
        in_order(*before->key(before->count - 1), *leaf->key(0));
      }
      elements += leaf->count;
      before = leaf;
      ++place;
    }
    if (place != leaves_.size()) blame("I1: leaves are missing in the list");
    if (tree_.tail_ != before) blame("I4: tail_ is not the last leaf");
    if (elements != tree_.size_) blame("size_ is wrong");
  }

  void in_order(const K& a, const K& b) {
    if (Unique ? !less(a, b) : less(b, a)) blame("I1: keys out of order");
  }

  // Height bounds the recursion.
  void visit(void* node, std::size_t height, bool on_left, bool on_right) {
    const bool root = node == tree_.root_;
    if (height == 0) {
      auto* leaf = static_cast<LeafT*>(node);
      leaves_.push_back(leaf);
      if (leaf->count == 0 || leaf->count > TreeT::kLeafSlots) {
        blame("I2: a leaf's count is impossible");
      }
      if (!root && !on_left && !on_right && leaf->count < TreeT::kLeastInLeaf) {
        blame("I2: a leaf holds too little");
      }
      for (std::size_t i = 1; i < leaf->count; ++i) {
        in_order(*leaf->key(i - 1), *leaf->key(i));
      }
      return;
    }
    auto* inner = static_cast<InnerT*>(node);
    if (inner->count < 2 || inner->count > TreeT::kInnerSlots) {
      blame("I2: an inner node's count is impossible");
    }
    if (!root && !on_left && !on_right && inner->count < TreeT::kLeastInInner) {
      blame("I2: an inner node holds too little");
    }
    for (std::uint32_t i = 0; i < inner->count; ++i) {
      const std::size_t first = leaves_.size();
      visit(inner->children[i], height - 1, on_left && i == 0,
            on_right && i + 1 == inner->count);
      LeafT* leftmost = leaves_[first];
      if (i > 0) {
        const auto& separator = inner->separators.items[i - 1];
        LeafT* left = leaves_[first - 1];
        if constexpr (detail::kCopiedSeparators<K>) {
          if (less(separator, *left->key(left->count - 1)) ||
              less(*leftmost->key(0), separator)) {
            blame("I3: a separator does not separate");
          }
          if (Unique && !less(*left->key(left->count - 1), separator)) {
            blame("I3: a separator is on its left");
          }
        } else if (separator != leftmost) {
          blame("I3: a separator names another leaf");
        }
      }
      if constexpr (TreeT::kSummed) {
        if (!(inner->summaries.items[i] ==
              TreeT::summary_of(inner->children[i],
                                static_cast<std::uint32_t>(height - 1)))) {
          blame("I5: a summary is wrong");
        }
      }
    }
  }

  const TreeT& tree_;
  std::vector<LeafT*> leaves_;
  std::string faults_;
};

template <class K, class V, class Choice, bool Unique>
[[nodiscard]] std::string faults_of(
    const Container<K, V, Choice, Unique>& container) {
  return Inspector<K, V, Choice, Unique>::faults(container);
}

}  // namespace odo::btree
