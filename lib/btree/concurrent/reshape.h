// SPDX-License-Identifier: BSD-3-Clause
// What changes the shape of a tree: a full node is split, one with few elements
// takes from its neighbour or joins it, a root with one child goes.
//
//   make_room      parent, node                full: half of it into a new node
//   refill         parent, node, neighbour     few: both even, or all in the
//                                              left one
//   collapse_root  anchor, root                one child: it becomes the root
//
// Splits are made on the way down, before they are needed below, and so are
// refills: no change of shape goes further than one level up.
//
// Contexts: a lane's section; the caller has locked the parent (or the anchor)
//   and the node.
// Invariants:
//   S1. all locks are held before the first is given up (walk.h needs it);
//   S2. the parent has room for one child more, or one child to spare: who came
//       down saw to it.
// Failure: refill: false when the neighbour is locked; nothing was changed.
// Origin: the eager split of Leis et al. (version_lock.h); eager refills as in
//   Cormen et al., "Introduction to Algorithms", B-tree deletion.
#pragma once

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

#include "lib/base/check.h"
#include "lib/btree/concurrent/kit.h"
#include "lib/btree/concurrent/walk.h"

namespace odo::btree::detail {

// Memory for nodes that a change of shape may need, had before it begins.
struct SpareNodes {
  void* leaf = nullptr;
  void* inner[2] = {};
  // What was missing.
  bool wants_leaf = false;
  unsigned wants_inner = 0;

  // Whether there is enough to split a leaf, or an inner node, which may be the
  // root.
  [[nodiscard]] bool suffice(bool is_leaf, bool is_root) {
    wants_leaf = is_leaf;
    wants_inner = (is_leaf ? 0U : 1U) + (is_root ? 1U : 0U);
    return (!wants_leaf || leaf != nullptr) &&
           (wants_inner < 1 || inner[0] != nullptr) &&
           (wants_inner < 2 || inner[1] != nullptr);
  }
  [[nodiscard]] void* take_leaf() {
    ODO_CHECK(leaf != nullptr);
    return std::exchange(leaf, nullptr);
  }
  [[nodiscard]] void* take_inner() {
    void*& last = inner[1] != nullptr ? inner[1] : inner[0];
    ODO_CHECK(last != nullptr);
    return std::exchange(last, nullptr);
  }
};

template <class T>
class Reshape {
  using Node = T::Node;
  using Leaf = T::Leaf;
  using Inner = T::Inner;
  using Anchor = T::Anchor;
  static_assert(std::is_trivially_destructible_v<Leaf> &&
                std::is_trivially_destructible_v<Inner>);

 public:
  // `gone` gets the nodes that leave the tree, linked. They stay locked:
  // whoever comes from a parent as it was finds another version than he would
  // have.
  Reshape(Anchor& anchor, Node*& gone) : anchor_(anchor), gone_(gone) {}

  // Splits `node`, which is child `index` of `parent`; null: the anchor's. The
  // spares suffice.
  void make_room(Inner* parent, std::size_t index, Node& node,
                 SpareNodes& spares) {
    typename T::K separator;
    Node* right = nullptr;
    if (node.level == 0) {
      Leaf& left = T::leaf(node);
      auto* leaf = ::new (spares.take_leaf()) Leaf();
      left.balance(*leaf, (left.size() + 1) / 2);
      separator = leaf->keys[0].get();
      right = leaf;
    } else {
      Inner& left = T::inner(node);
      auto* inner = ::new (spares.take_inner()) Inner(node.level);
      const std::size_t n = left.size();
      separator =
          left.balance(*inner, n, 0, (n + 1) / 2, left.separators[0].get());
      right = inner;
    }
    if (parent != nullptr) {
      parent->insert_after(index, separator, right);
      return;
    }
    auto* root = ::new (spares.take_inner()) Inner(node.level + 1);
    root->children[0].set(&node);
    root->set_count(1);
    root->insert_after(0, separator, right);
    anchor_.set(root);
  }

  // Makes `node`, child `index` of `parent`, fuller; or it is gone.
  template <class Held>
  [[nodiscard]] bool refill(Held& held, Inner& parent, std::size_t index) {
    const bool is_left = index + 1 < parent.size();
    const std::size_t at = is_left ? index : index - 1;
    Node& left = *parent.children[at].get();
    Node& right = *parent.children[at + 1].get();
    if (!held.lock(is_left ? right.lock : left.lock)) return false;
    const std::size_t n = T::size_of(left);
    const std::size_t m = T::size_of(right);
    const bool is_leaf = left.level == 0;
    const std::size_t slots = is_leaf ? T::kLeafSlots : T::kInnerSlots;
    const std::size_t least = is_leaf ? T::kLeafLeast : T::kInnerLeast;
    const std::size_t all = n + m;
    // One node of three quarters, rather than two that the next erase finds as
    // empty again; but not a full one if two would do.
    const bool join =
        all <= slots && (all <= slots / 4 * 3 || all / 2 <= least);
    // The odd one goes to who is short.
    const std::size_t wanted = join ? all : (all + (is_left ? 1 : 0)) / 2;
    if (is_leaf) {
      T::leaf(left).balance(T::leaf(right), wanted);
      if (!join) parent.separators[at].set(T::leaf(right).keys[0].get());
    } else {
      const typename T::K separator = T::inner(left).balance(
          T::inner(right), n, m, wanted, parent.separators[at].get());
      if (!join) parent.separators[at].set(separator);
    }
    if (join) {
      parent.erase_after(at);
      leave(right);
    }
    return true;
  }

  void collapse_root(Inner& root) {
    anchor_.set(root.children[0].get());
    leave(root);
  }

 private:
  void leave(Node& node) { node.next_retired = std::exchange(gone_, &node); }

  Anchor& anchor_;
  Node*& gone_;
};

}  // namespace odo::btree::detail
