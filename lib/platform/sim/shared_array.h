// SPDX-License-Identifier: BSD-3-Clause
// An array of numbers, 0 where none was set, whose copies share what they have
// in common: views of a machine with many CPUs and many locations are long,
// are copied with every release, and differ little.
//
// Contexts: one host thread.
// Invariants: a tree of nodes that count those who refer to them; what more
//   than one refers to is not written.
// Complexity: copy O(1); get and set O(height); join: what differs.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

namespace odo::sim {

class SharedArray {
 public:
  static constexpr std::uint32_t kBlock = 32;

  SharedArray() = default;
  SharedArray(const SharedArray& other)
      : root_(share(other.root_)), height_(other.height_) {}
  SharedArray(SharedArray&& other) noexcept
      : root_(std::exchange(other.root_, nullptr)),
        height_(std::exchange(other.height_, 0)) {}
  SharedArray& operator=(const SharedArray& other) {
    if (this == &other) return *this;
    Node* root = share(other.root_);
    drop(root_, height_);
    root_ = root;
    height_ = other.height_;
    return *this;
  }
  SharedArray& operator=(SharedArray&& other) noexcept {
    std::swap(root_, other.root_);
    std::swap(height_, other.height_);
    return *this;
  }
  ~SharedArray() { drop(root_, height_); }

  [[nodiscard]] bool empty() const { return root_ == nullptr; }
  void clear() {
    drop(std::exchange(root_, nullptr), height_);
    height_ = 0;
  }

  [[nodiscard]] std::uint32_t of(std::uint32_t at) const {
    if (at >> bits(height_) != 0) return 0;
    const Node* node = root_;
    for (unsigned height = height_; height != 0 && node != nullptr; --height) {
      node = as_branch(node)->below[way(at, height)];
    }
    return node == nullptr ? 0 : as_leaf(node)->values[at % kBlock];
  }
  void set(std::uint32_t at, std::uint32_t value) {
    while (at >> bits(height_) != 0) grow();
    Node** slot = &root_;
    for (unsigned height = height_; height != 0; --height) {
      slot = &own<Branch>(*slot, height)->below[way(at, height)];
    }
    own<Leaf>(*slot, 0)->values[at % kBlock] = value;
  }

  // Takes over each number of `other` that is newer than what is here:
  // order.is_newer(at, theirs, ours), or if order.by_size(block) says so of its
  // block of kBlock numbers, the greater one. Nothing is newer than itself, and
  // everything is newer than 0.
  template <class Order>
  void join(const SharedArray& other, const Order& order) {
    if (other.root_ == nullptr || other.root_ == root_) return;
    while (height_ < other.height_) grow();
    Node** slot = &root_;
    for (unsigned height = height_; height != other.height_; --height) {
      slot = &own<Branch>(*slot, height)->below[0];
    }
    join(*slot, other.root_, other.height_, 0, order);
  }

 private:
  // Few, as a copy of a branch is a new reference to each node below it.
  static constexpr std::uint32_t kWays = 8;
  static constexpr unsigned kBlockBits = std::bit_width(kBlock) - 1;
  static constexpr unsigned kWayBits = std::bit_width(kWays) - 1;

  struct Node {
    std::uint32_t users = 1;
  };
  // Made and dropped all the time, so that they are kept for reuse.
  struct Leaf : Node {
    std::uint32_t values[kBlock] = {};

    static void* operator new(std::size_t bytes) {
      if (free_ == nullptr) return ::operator new(bytes);
      return std::exchange(free_, *static_cast<void**>(free_));
    }
    static void operator delete(void* leaf) {
      ::new (leaf) void*(free_);
      free_ = leaf;
    }
    inline static void* free_ = nullptr;
  };
  struct Branch : Node {
    Node* below[kWays] = {};
  };

  // How many bits of an index a tree of that height tells apart.
  [[nodiscard]] static constexpr unsigned bits(unsigned height) {
    return std::min(kBlockBits + height * kWayBits, 31U);
  }
  // Which way down an index is, in a branch of that height.
  [[nodiscard]] static constexpr std::uint32_t way(std::uint32_t at,
                                                   unsigned height) {
    return at >> bits(height - 1) & (kWays - 1);
  }
  [[nodiscard]] static const Leaf* as_leaf(const Node* node) {
    return static_cast<const Leaf*>(node);
  }
  [[nodiscard]] static const Branch* as_branch(const Node* node) {
    return static_cast<const Branch*>(node);
  }
  [[nodiscard]] static Node* share(Node* node) {
    if (node != nullptr) ++node->users;
    return node;
  }
  static void drop(Node* node, unsigned height) {
    if (node == nullptr || --node->users != 0) return;
    if (height == 0) {
      delete static_cast<Leaf*>(node);
      return;
    }
    auto* branch = static_cast<Branch*>(node);
    for (Node* below : branch->below) drop(below, height - 1);
    delete branch;
  }
  // The slot's node, there and nobody else's.
  template <class T>
  static T* own(Node*& slot, unsigned height) {
    if (slot == nullptr) {
      slot = new T();
    } else if (slot->users != 1) {
      auto* copy = new T(*static_cast<T*>(slot));
      copy->users = 1;
      if constexpr (std::is_same_v<T, Branch>) {
        for (Node* below : copy->below) (void)share(below);
      }
      drop(slot, height);
      slot = copy;
    }
    return static_cast<T*>(slot);
  }
  void grow() {
    if (root_ != nullptr) {
      auto* root = new Branch();
      root->below[0] = root_;
      root_ = root;
    }
    ++height_;
  }

  template <class Order>
  static void join(Node*& ours, Node* theirs, unsigned height,
                   std::uint32_t first, const Order& order) {
    if (theirs == nullptr || theirs == ours) return;
    if (ours == nullptr) {
      ours = share(theirs);
      return;
    }
    const bool all_theirs =
        height == 0
            ? join_leaves(ours, *as_leaf(theirs), first, order)
            : join_branches(ours, *as_branch(theirs), height, first, order);
    // Shared, so that the next join finds nothing to do here.
    if (all_theirs) {
      drop(ours, height);
      ours = share(theirs);
    }
  }
  // Both: true if what comes out is all theirs.
  template <class Order>
  [[nodiscard]] static bool join_leaves(Node*& ours, const Leaf& theirs,
                                        std::uint32_t first,
                                        const Order& order) {
    const Leaf& before = *as_leaf(ours);
    std::uint32_t newer[kBlock];
    std::uint32_t some_newer = 0;
    std::uint32_t some_older = 0;
    if (order.by_size(first / kBlock)) {
      // Without branches: the compiler takes several at a time.
      for (std::uint32_t i = 0; i < kBlock; ++i) {
        newer[i] = std::max(theirs.values[i], before.values[i]);
        some_newer |= newer[i] ^ before.values[i];
        some_older |= newer[i] ^ theirs.values[i];
      }
    } else {
      for (std::uint32_t i = 0; i < kBlock; ++i) {
        const std::uint32_t value = before.values[i];
        newer[i] = theirs.values[i];
        if (newer[i] == value) continue;
        if (order.is_newer(first + i, newer[i], value)) {
          some_newer = 1;
        } else {
          some_older = 1;
          newer[i] = value;
        }
      }
    }
    if (some_older == 0 || some_newer == 0) return some_older == 0;
    std::copy_n(newer, kBlock, own<Leaf>(ours, 0)->values);
    return false;
  }
  template <class Order>
  [[nodiscard]] static bool join_branches(Node*& ours, const Branch& theirs,
                                          unsigned height, std::uint32_t first,
                                          const Order& order) {
    if (ours->users == 1) {
      auto* branch = static_cast<Branch*>(ours);
      bool all_theirs = true;
      for (std::uint32_t i = 0; i < kWays; ++i) {
        join(branch->below[i], theirs.below[i], height - 1,
             first + (i << bits(height - 1)), order);
        all_theirs = all_theirs && branch->below[i] == theirs.below[i];
      }
      return all_theirs;
    }
    // Copied only if something of it changes, and not all.
    const Branch& before = *as_branch(ours);
    Node* joined[kWays];
    bool all_ours = true;
    bool all_theirs = true;
    for (std::uint32_t i = 0; i < kWays; ++i) {
      joined[i] = share(before.below[i]);
      join(joined[i], theirs.below[i], height - 1,
           first + (i << bits(height - 1)), order);
      all_ours = all_ours && joined[i] == before.below[i];
      all_theirs = all_theirs && joined[i] == theirs.below[i];
    }
    if (all_ours || all_theirs) {
      for (Node* node : joined) drop(node, height - 1);
      return all_theirs;
    }
    auto* branch = new Branch();
    std::copy_n(joined, kWays, branch->below);
    drop(ours, height);
    ours = branch;
    return false;
  }

  Node* root_ = nullptr;
  unsigned height_ = 0;
};

}  // namespace odo::sim
