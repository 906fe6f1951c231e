// SPDX-License-Identifier: BSD-3-Clause
// An ordered set threaded through a hook in its elements: an AVL tree with
// parent links and, where wanted, a summary of each subtree.
//
// Why AVL: its height stays below 1.4405 log2(n + 2), the lowest of the usual
// balanced trees, so lookups, which outnumber changes in every use here, cost
// least; heights (rather than colours) make insert and erase share one
// rebalancing loop and make the invariants easy to check; and unlike a treap it
// needs no random numbers and has no bad luck.
//
// Contexts: any; no locking of its own: one user at a time.
// Ownership: the tree owns nothing. An element must outlive its membership, and
// neither move nor change its key while linked; the tree itself may move.
// Invariants:
//   I1. keys increase strictly from left to right;
//   I2. the heights of two siblings differ by at most one;
//   I3. every stored height and every summary is right;
//   I4. a hook outside any tree has height 0 and null links.
// Complexity: find, lower_bound, upper_bound, floor, insert, erase, refresh
// O(log n); stepping an iterator O(log n), O(1) amortised over a walk; replace
// O(1), O(log n) with summaries. No recursion.
// Failure: insert tells when an equal key is there; nothing else fails.
// Origin: Adelson-Velsky and Landis, 1962; Knuth, The Art of Computer
// Programming 3, section 6.2.3.
#pragma once

#include <cstdint>

#include "lib/base/check.h"
#include "lib/base/container_of.h"

namespace odo {

template <class T, auto Hook, class KeyOf, class Summary>
class Tree;

// A member of type TreeHook lets its object be in one tree at a time.
class TreeHook {
 public:
  constexpr TreeHook() = default;
  TreeHook(const TreeHook&) = delete;
  TreeHook& operator=(const TreeHook&) = delete;
  ~TreeHook() { ODO_ASSERT(!is_linked()); }

  [[nodiscard]] bool is_linked() const { return height_ != 0; }

 private:
  template <class T, auto Hook, class KeyOf, class Summary>
  friend class Tree;

  TreeHook* parent_ = nullptr;
  TreeHook* left_ = nullptr;
  TreeHook* right_ = nullptr;
  std::uint8_t height_ = 0;  // 1 for a leaf; below 93 for 2^64 elements
};

// A tree without summaries.
struct NoSummary {
  template <class T>
  static bool update(T&, const T*, const T*) {
    return false;
  }
};

// `Hook` is a member pointer: &Run::hook.
// `KeyOf::key(const T&)` gives the key, which has `<`.
// `Summary::update(T& node, const T* left, const T* right)` recomputes what the
// node stores about its subtree from itself and its children's summaries, and
// tells whether that changed.
template <class T, auto Hook, class KeyOf, class Summary = NoSummary>
class Tree {
 public:
  class Iterator {
   public:
    Iterator() = default;
    T& operator*() const { return *at_; }
    T* operator->() const { return at_; }
    Iterator& operator++() {
      at_ = tree_->next(*at_);
      return *this;
    }
    Iterator operator++(int) {
      Iterator old = *this;
      ++*this;
      return old;
    }
    Iterator& operator--() {
      at_ = at_ == nullptr ? tree_->last() : tree_->prev(*at_);
      return *this;
    }
    Iterator operator--(int) {
      Iterator old = *this;
      --*this;
      return old;
    }
    bool operator==(const Iterator& other) const { return at_ == other.at_; }

   private:
    friend class Tree;
    Iterator(T* at, const Tree* tree) : at_(at), tree_(tree) {}
    T* at_ = nullptr;
    const Tree* tree_ = nullptr;
  };

  constexpr Tree() = default;
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;
  Tree(Tree&& other) noexcept : root_(other.root_) { other.root_ = nullptr; }
  // Only onto an empty tree: elements are never dropped silently.
  Tree& operator=(Tree&& other) noexcept {
    if (this != &other) {
      ODO_ASSERT(empty());
      root_ = other.root_;
      other.root_ = nullptr;
    }
    return *this;
  }
  ~Tree() { ODO_ASSERT(empty()); }

  [[nodiscard]] bool empty() const { return root_ == nullptr; }

  // The shape, for searches that follow the summaries. Null where there is
  // nothing.
  [[nodiscard]] T* root() const { return object(root_); }
  [[nodiscard]] T* left(const T& node) const {
    return object((node.*Hook).left_);
  }
  [[nodiscard]] T* right(const T& node) const {
    return object((node.*Hook).right_);
  }
  [[nodiscard]] T* parent(const T& node) const {
    return object((node.*Hook).parent_);
  }

  // In key order; null past either end.
  [[nodiscard]] T* first() const {
    return object(edge<&TreeHook::left_>(root_));
  }
  [[nodiscard]] T* last() const {
    return object(edge<&TreeHook::right_>(root_));
  }
  [[nodiscard]] T* next(const T& node) const {
    return object(step<&TreeHook::left_, &TreeHook::right_>(&(node.*Hook)));
  }
  [[nodiscard]] T* prev(const T& node) const {
    return object(step<&TreeHook::right_, &TreeHook::left_>(&(node.*Hook)));
  }
  [[nodiscard]] Iterator begin() const { return Iterator(first(), this); }
  [[nodiscard]] Iterator end() const { return Iterator(nullptr, this); }

  // The element with exactly this key, or null.
  template <class K>
  [[nodiscard]] T* find(const K& key) const {
    T* at = lower_bound(key);
    return at != nullptr && !(key < KeyOf::key(*at)) ? at : nullptr;
  }

  // The first element whose key is not below `key`, or null.
  template <class K>
  [[nodiscard]] T* lower_bound(const K& key) const {
    TreeHook* best = nullptr;
    for (TreeHook* at = root_; at != nullptr;) {
      if (KeyOf::key(*object(at)) < key) {
        at = at->right_;
      } else {
        best = at;
        at = at->left_;
      }
    }
    return object(best);
  }

  // The first element whose key is above `key`, or null.
  template <class K>
  [[nodiscard]] T* upper_bound(const K& key) const {
    TreeHook* best = nullptr;
    for (TreeHook* at = root_; at != nullptr;) {
      if (key < KeyOf::key(*object(at))) {
        best = at;
        at = at->left_;
      } else {
        at = at->right_;
      }
    }
    return object(best);
  }

  // The last element whose key is not above `key`, or null.
  template <class K>
  [[nodiscard]] T* floor(const K& key) const {
    TreeHook* best = nullptr;
    for (TreeHook* at = root_; at != nullptr;) {
      if (key < KeyOf::key(*object(at))) {
        at = at->left_;
      } else {
        best = at;
        at = at->right_;
      }
    }
    return object(best);
  }

  // True when `element` is now in; false, and nothing changed, when an equal
  // key was there already.
  [[nodiscard]] bool insert(T& element) {
    TreeHook* hook = &(element.*Hook);
    ODO_ASSERT(!hook->is_linked());
    const auto& key = KeyOf::key(element);
    TreeHook* parent = nullptr;
    TreeHook** link = &root_;
    while (*link != nullptr) {
      parent = *link;
      const auto& here = KeyOf::key(*object(parent));
      if (key < here) {
        link = &parent->left_;
      } else if (here < key) {
        link = &parent->right_;
      } else {
        return false;
      }
    }
    hook->parent_ = parent;
    *link = hook;
    hook->height_ = 1;
    (void)Summary::update(element, static_cast<const T*>(nullptr),
                          static_cast<const T*>(nullptr));
    repair(parent);
    return true;
  }

  // The element must be in this tree; iterators to others stay valid.
  void erase(T& element) {
    TreeHook* hook = &(element.*Hook);
    ODO_ASSERT(hook->is_linked());
    if (hook->left_ != nullptr && hook->right_ != nullptr) {
      // The next element, which has no left child, takes this one's place.
      TreeHook* heir = edge<&TreeHook::left_>(hook->right_);
      TreeHook* low = heir->parent_ == hook ? heir : heir->parent_;
      if (low != heir) {
        put_child(low, heir, heir->right_);
        heir->right_ = hook->right_;
        heir->right_->parent_ = heir;
      }
      heir->left_ = hook->left_;
      heir->left_->parent_ = heir;
      heir->height_ = hook->height_;
      put_child(hook->parent_, hook, heir);
      repair(low);
      // `repair` stops where nothing changes, but the heir's stored summary
      // describes its old place: equal there says nothing about its parents.
      refresh(*object(heir));
    } else {
      TreeHook* child = hook->left_ != nullptr ? hook->left_ : hook->right_;
      TreeHook* above = hook->parent_;
      put_child(above, hook, child);
      repair(above);
    }
    reset(*hook);
  }

  // Puts `fresh`, whose key must sort exactly where `old` does, in its place.
  void replace(T& old, T& fresh) {
    TreeHook* from = &(old.*Hook);
    TreeHook* to = &(fresh.*Hook);
    ODO_ASSERT(from->is_linked() && !to->is_linked());
    to->left_ = from->left_;
    to->right_ = from->right_;
    to->height_ = from->height_;
    if (to->left_ != nullptr) to->left_->parent_ = to;
    if (to->right_ != nullptr) to->right_->parent_ = to;
    put_child(from->parent_, from, to);
    reset(*from);
    refresh(fresh);
  }

  // Call after changing what an element adds to its summaries.
  void refresh(T& element) {
    TreeHook* hook = &(element.*Hook);
    // A newcomer to this place (`replace`, `erase`) may find its own summary
    // right while its parents' are not, so the first step never stops.
    (void)update(hook);
    repair(hook->parent_);
  }

  // Unlinks every element. O(n).
  void clear() {
    for (TreeHook* at = root_; at != nullptr;) {
      if (at->left_ != nullptr) {
        at = at->left_;
      } else if (at->right_ != nullptr) {
        at = at->right_;
      } else {
        TreeHook* above = at->parent_;
        put_child(above, at, nullptr);
        reset(*at);
        at = above;
      }
    }
  }

  // Checks I1 to I4 over the whole tree, for tests: O(n).
  [[nodiscard]] bool is_valid() const {
    if (root_ != nullptr && root_->parent_ != nullptr) return false;
    const T* before = nullptr;
    for (const T* at = first(); at != nullptr; at = next(*at)) {
      const TreeHook& hook = (*at).*Hook;
      if (before != nullptr && !(KeyOf::key(*before) < KeyOf::key(*at))) {
        return false;
      }
      before = at;
      int left = height(hook.left_);
      int right = height(hook.right_);
      if (left - right > 1 || right - left > 1) return false;
      if (hook.height_ != 1 + (left > right ? left : right)) return false;
      if (hook.left_ != nullptr && hook.left_->parent_ != &hook) return false;
      if (hook.right_ != nullptr && hook.right_->parent_ != &hook) return false;
    }
    return true;
  }

 private:
  static T* object(TreeHook* hook) {
    return hook == nullptr ? nullptr : container_of(hook, Hook);
  }
  static int height(const TreeHook* hook) {
    return hook == nullptr ? 0 : hook->height_;
  }
  static void reset(TreeHook& hook) {
    hook.parent_ = nullptr;
    hook.left_ = nullptr;
    hook.right_ = nullptr;
    hook.height_ = 0;
  }

  // The outermost hook below `at` on one side.
  template <TreeHook* TreeHook::* Side>
  static TreeHook* edge(TreeHook* at) {
    if (at == nullptr) return nullptr;
    while (at->*Side != nullptr) at = at->*Side;
    return at;
  }

  // The neighbour of `at` on the Forward side.
  template <TreeHook* TreeHook::* Back, TreeHook* TreeHook::* Forward>
  static TreeHook* step(const TreeHook* at) {
    if (at->*Forward != nullptr) return edge<Back>(at->*Forward);
    TreeHook* above = at->parent_;
    while (above != nullptr && above->*Forward == at) {
      at = above;
      above = above->parent_;
    }
    return above;
  }

  // Makes `now` hang where `was` hangs below `parent`, or be the root.
  void put_child(TreeHook* parent, const TreeHook* was, TreeHook* now) {
    if (parent == nullptr) {
      root_ = now;
    } else if (parent->left_ == was) {
      parent->left_ = now;
    } else {
      parent->right_ = now;
    }
    if (now != nullptr) now->parent_ = parent;
  }

  // Recomputes height and summary from the children; true if either changed.
  static bool update(TreeHook* hook) {
    int left = height(hook->left_);
    int right = height(hook->right_);
    auto fresh = static_cast<std::uint8_t>(1 + (left > right ? left : right));
    bool changed = fresh != hook->height_;
    hook->height_ = fresh;
    return Summary::update(*object(hook),
                           static_cast<const T*>(object(hook->left_)),
                           static_cast<const T*>(object(hook->right_))) ||
           changed;
  }

  // Lifts `at`'s child on side Up into its place. `Down` is the other side.
  template <TreeHook* TreeHook::* Down, TreeHook* TreeHook::* Up>
  TreeHook* rotate(TreeHook* at) {
    TreeHook* top = at->*Up;
    put_child(at->parent_, at, top);
    at->*Up = top->*Down;
    if (at->*Up != nullptr) (at->*Up)->parent_ = at;
    top->*Down = at;
    at->parent_ = top;
    (void)update(at);
    (void)update(top);
    return top;
  }

  // `at` is two higher on side Heavy: one or two rotations make I2 hold again.
  template <TreeHook* TreeHook::* Light, TreeHook* TreeHook::* Heavy>
  TreeHook* lower_heavy_side(TreeHook* at) {
    TreeHook* child = at->*Heavy;
    if (height(child->*Light) > height(child->*Heavy)) {
      (void)rotate<Heavy, Light>(child);
    }
    return rotate<Light, Heavy>(at);
  }

  // Restores I2 and I3 from `at` upwards, stopping where nothing changes.
  void repair(TreeHook* at) {
    while (at != nullptr) {
      int lean = height(at->left_) - height(at->right_);
      if (lean > 1) {
        at = lower_heavy_side<&TreeHook::right_, &TreeHook::left_>(at);
      } else if (lean < -1) {
        at = lower_heavy_side<&TreeHook::left_, &TreeHook::right_>(at);
      } else if (!update(at)) {
        return;
      }
      at = at->parent_;
    }
  }

  TreeHook* root_ = nullptr;
};

}  // namespace odo
