// SPDX-License-Identifier: BSD-3-Clause
// Asks a tree of strings all the invariants of string_tree.h, and says in words
// which one fails.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/btree/string_map.h"

namespace odo::btree {

template <class V, class Choice>
class StringInspector {
  using C = StringContainer<V, Choice>;
  using TreeT = detail::StringTree<V, Choice>;
  using LeafT = TreeT::LeafT;
  using InnerT = TreeT::InnerT;

 public:
  // What is wrong with it; empty if nothing is.
  [[nodiscard]] static std::string faults(const C& container) {
    StringInspector inspector(container.tree_);
    inspector.look();
    return inspector.faults_;
  }
  [[nodiscard]] static std::size_t height(const C& container) {
    return container.tree_.height_;
  }
  [[nodiscard]] static std::size_t leaves(const C& container) {
    std::size_t leaves = 0;
    for (const LeafT* leaf = container.tree_.head_; leaf != nullptr;
         leaf = leaf->next) {
      ++leaves;
    }
    return leaves;
  }
  // The bytes of separators that inner pages store, and their number.
  static void separators(const C& container, std::size_t& bytes,
                         std::size_t& count) {
    StringInspector inspector(container.tree_);
    inspector.look();
    bytes = inspector.separator_bytes_;
    count = inspector.separators_;
  }

 private:
  explicit StringInspector(const TreeT& tree) : tree_(tree) {}

  void blame(std::string_view what) {
    if (faults_.size() < 400) faults_.append(what).append("; ");
  }

  void look() {
    if (tree_.root_ == nullptr) {
      if (tree_.head_ != nullptr || tree_.tail_ != nullptr ||
          tree_.size_ != 0 || tree_.height_ != 0 || tree_.bytes_ != 0) {
        blame("S4: an empty tree remembers something");
      }
      return;
    }
    visit(tree_.root_, tree_.height_);
    const LeafT* before = nullptr;
    std::size_t elements = 0;
    std::size_t place = 0;
    for (LeafT* leaf = tree_.head_; leaf != nullptr; leaf = leaf->next) {
      if (leaf->prev != before) blame("S1: a leaf's prev is wrong");
      if (place >= leaves_.size() || leaves_[place] != leaf) {
        blame("S1: the list of leaves is not the tree's");
        return;
      }
      if (before != nullptr &&
          before->key(before->count() - 1) >= leaf->key(0)) {
        blame("S1: leaves out of order");
      }
      elements += leaf->count();
      before = leaf;
      ++place;
    }
    if (place != leaves_.size()) blame("S1: leaves are missing in the list");
    if (tree_.tail_ != before) blame("S4: tail_ is not the last leaf");
    if (elements != tree_.size_) blame("size_ is wrong");
    if (bytes_ != tree_.bytes_) blame("bytes_ is wrong");
  }

  template <class PageT>
  void look_at_page(const PageT* page, std::size_t usual) {
    bytes_ += page->bytes();
    std::size_t tails = 0;
    for (std::uint32_t i = 0; i < page->count(); ++i) {
      const StringKey key = page->key(i);
      if (i > 0 && page->key(i - 1) >= key) blame("S1: keys out of order");
      if (!key.starts_with(page->prefix())) blame("S1: a prefix is wrong");
      const auto& spot = page->spot(i);
      const std::uint32_t tail = PageT::tail_bytes(spot.size);
      if (spot.tail + tail > page->bytes()) blame("a tail is outside");
      tails += tail;
      // What is behind the end of a short key orders it.
      if (spot.size < 8 && (page->heads()[i] << (8 * spot.size)) != 0 &&
          spot.size > 0) {
        blame("a head is not padded with zeros");
      }
    }
    if (page->count() > page->slots()) blame("too many slots are in use");
    if (page->used() != PageT::kFixed + page->prefix().size() +
                            page->count() * PageT::kSlotBytes + tails) {
      blame("dead bytes are counted wrong");
    }
    if (page->used() > page->bytes() + PageT::kFixed) blame("a page overflows");
    const std::size_t bytes = page->bytes();
    if (bytes != usual && (bytes < usual || (bytes & (bytes - 1)) != 0)) {
      blame("S5: a page's size is wrong");
    }
  }

  // Height bounds the recursion.
  void visit(void* node, std::size_t height) {
    if (height == 0) {
      auto* leaf = static_cast<LeafT*>(node);
      leaves_.push_back(leaf);
      look_at_page(leaf, TreeT::kLeafBytes);
      if (leaf->count() == 0) blame("S2: a leaf is empty");
      return;
    }
    auto* inner = static_cast<InnerT*>(node);
    look_at_page(inner, TreeT::kInnerBytes);
    if (node == tree_.root_ && inner->count() == 0) {
      blame("S2: a root has one child");
    }
    for (std::uint32_t i = 0; i <= inner->count(); ++i) {
      const std::size_t first = leaves_.size();
      visit(inner->child(i), height - 1);
      if (i == 0 || first == leaves_.size()) continue;
      const StringKey separator = inner->key(i - 1);
      LeafT* left = leaves_[first - 1];
      if (left->key(left->count() - 1) >= separator ||
          separator > leaves_[first]->key(0)) {
        blame("S3: a separator does not separate");
      }
      separator_bytes_ += separator.size() - inner->prefix().size();
      ++separators_;
    }
  }

  const TreeT& tree_;
  std::vector<LeafT*> leaves_;
  std::size_t bytes_ = 0;
  std::size_t separator_bytes_ = 0;
  std::size_t separators_ = 0;
  std::string faults_;
};

template <class V, class Choice>
[[nodiscard]] std::string faults_of(
    const StringContainer<V, Choice>& container) {
  return StringInspector<V, Choice>::faults(container);
}

}  // namespace odo::btree
