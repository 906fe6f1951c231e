// SPDX-License-Identifier: BSD-3-Clause
// Whether a concurrent tree is in order: for tests.
//
//   const TreeReport report = ConcurrentInspector<Tree>(tree).report();
//   EXPECT_EQ(report.wrong, nullptr);
//
// Contexts: while nobody changes the tree.
// Complexity: O(n).
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/btree/concurrent.h"

namespace odo::btree {

struct TreeReport {
  const char* wrong = nullptr;  // the first invariant that is broken
  std::size_t elements = 0;
  std::size_t leaves = 0;
  std::size_t inner_nodes = 0;
  std::size_t height = 0;  // levels
};

template <class Tree>
class ConcurrentInspector {
  using Kit = Tree::Kit;
  using Key = Tree::key_type;
  using Node = Kit::Node;

 public:
  explicit ConcurrentInspector(const Tree& tree) : tree_(tree) {}

  [[nodiscard]] TreeReport report() {
    check(is_free(tree_.anchor_.lock), "the anchor is locked");
    Node* root = tree_.anchor_.get();
    if (root != nullptr) {
      report_.height = root->level + std::size_t{1};
      visit(*root, true, nullptr, nullptr);
    }
    check(report_.elements == tree_.size(), "the size was counted wrongly");
    return report_;
  }

 private:
  void check(bool holds, const char* what) {
    if (!holds && report_.wrong == nullptr) report_.wrong = what;
  }
  bool is_free(const Kit::Lock& lock) {
    return !Kit::Lock::is_locked(lock.held());
  }

  // All keys are in [low, high); null: no limit. As deep as the tree is high.
  void visit(Node& node, bool is_root, const Key* low, const Key* high) {
    check(is_free(node.lock), "a node is locked");
    const std::size_t n = node.count.load(std::memory_order_relaxed);
    if (node.level == 0) {
      visit_leaf(Kit::leaf(node), n, is_root, low, high);
      return;
    }
    ++report_.inner_nodes;
    check(n <= Kit::kInnerSlots, "an inner node is too full");
    check(n >= (is_root ? 2 : Kit::kInnerLeast), "an inner node is too empty");
    if (report_.wrong != nullptr) return;
    auto& inner = Kit::inner(node);
    Key last{};
    for (std::size_t i = 0; i < n; ++i) {
      Key next{};
      if (i + 1 < n) {
        next = inner.separators[i].get();
        check_order(i == 0 ? low : &last, next, high);
      }
      Node& child = *inner.children[i].get();
      check(child.level + 1 == node.level, "leaves have different depths");
      if (report_.wrong != nullptr) return;
      visit(child, false, i == 0 ? low : &last, i + 1 < n ? &next : high);
      last = next;
    }
  }
  void visit_leaf(Kit::Leaf& leaf, std::size_t n, bool is_root, const Key* low,
                  const Key* high) {
    ++report_.leaves;
    check(n <= Kit::kLeafSlots, "a leaf is too full");
    check(is_root || n >= Kit::kLeafLeast, "a leaf is too empty");
    if (report_.wrong != nullptr) return;
    report_.elements += n;
    for (std::size_t i = 0; i < n; ++i) {
      const Key key = leaf.keys[i].get();
      check_order(low, key, high);
      if (i == 0) continue;
      check(tree_.less_(leaf.keys[i - 1].get(), key), "keys are out of order");
    }
  }
  void check_order(const Key* low, Key key, const Key* high) {
    check((low == nullptr || !tree_.less_(key, *low)) &&
              (high == nullptr || tree_.less_(key, *high)),
          "a key is not where the separators lead");
  }

  const Tree& tree_;
  TreeReport report_;
};

}  // namespace odo::btree
