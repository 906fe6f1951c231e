// SPDX-License-Identifier: BSD-3-Clause
// Walks a tree's elements in either direction.
//
// What it points at has no address: a map's key and value lie in two arrays, so
// `*it` is an Entry of two references, made on the spot. By the ranges concepts
// it is a bidirectional iterator; by the older category too, as vector<bool>'s
// iterators are what they are: std::prev() and std::reverse_iterator work.
//
// Contexts: any; as its tree. Any change of the tree invalidates it, except
//   where the call that changes answers with one.
// Complexity: O(1); the next leaf is fetched while this one is walked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <type_traits>
#include <utility>

#include "lib/btree/path.h"

namespace odo::btree {

// What a map's iterator shows: `for (auto [key, value] : map)`.
template <class K, class V>
struct Entry {
  Entry(const K& key, V& value) : first(key), second(value) {}
  // From elements taken out, and from entries that may be written through.
  explicit(false) Entry(const std::pair<K, std::remove_const_t<V>>& element)
  requires std::is_const_v<V>
      : first(element.first), second(element.second) {}
  template <class Mutable>
  requires(std::is_const_v<V> && std::is_same_v<const Mutable, V>)
  explicit(false) Entry(const Entry<K, Mutable>& other)
      : first(other.first), second(other.second) {}

  // NOLINTNEXTLINE(google-explicit-constructor): what iter_value_t wants.
  explicit(false) operator std::pair<K, std::remove_const_t<V>>() const {
    return {first, second};
  }

  const K& first;
  V& second;
};

namespace detail {

// `it->first` needs something with an address while the expression lasts.
template <class T>
struct Arrow {
  [[nodiscard]] T* operator->() { return &value; }
  T value;
};

}  // namespace detail

template <class TreeT, bool Const>
class Iterator {
  using K = TreeT::Key;
  using V = TreeT::Value;
  using LeafT = TreeT::LeafT;
  static constexpr bool kMap = TreeT::kHasValues;
  // Changing a value behind the tree's back would make its summaries wrong.
  using Shown = std::conditional_t<Const || TreeT::kSummed, const V, V>;

 public:
  using iterator_concept = std::bidirectional_iterator_tag;
  using iterator_category = std::bidirectional_iterator_tag;
  using difference_type = std::ptrdiff_t;
  using value_type = std::conditional_t<kMap, std::pair<K, V>, K>;
  using reference = std::conditional_t<kMap, Entry<K, Shown>, const K&>;
  using pointer = std::conditional_t<kMap, detail::Arrow<reference>, const K*>;

  Iterator() = default;
  explicit Iterator(detail::Position<LeafT> at)
      : leaf_(at.leaf), index_(at.index) {}
  // A const_iterator from an iterator.
  template <bool Other>
  requires(Const && !Other)
  explicit(false) Iterator(const Iterator<TreeT, Other>& other)
      : Iterator(other.position()) {}

  [[nodiscard]] reference operator*() const {
    if constexpr (kMap) {
      return {*leaf_->key(index_), *leaf_->value(index_)};
    } else {
      return *leaf_->key(index_);
    }
  }
  [[nodiscard]] pointer operator->() const {
    if constexpr (kMap) {
      return {**this};
    } else {
      return leaf_->key(index_);
    }
  }
  [[nodiscard]] const K& key() const { return *leaf_->key(index_); }
  [[nodiscard]] Shown& value() const
  requires kMap
  {
    return *leaf_->value(index_);
  }

  Iterator& operator++() {
    if (++index_ == leaf_->count && leaf_->next != nullptr) {
      leaf_ = leaf_->next;
      index_ = 0;
      if (leaf_->next != nullptr) TreeT::prefetch_leaf(leaf_->next);
    }
    return *this;
  }
  Iterator& operator--() {
    if (index_ == 0) {
      leaf_ = leaf_->prev;
      index_ = leaf_->count;
      if (leaf_->prev != nullptr) TreeT::prefetch_leaf(leaf_->prev);
    }
    --index_;
    return *this;
  }
  Iterator operator++(int) {
    Iterator before = *this;
    ++*this;
    return before;
  }
  Iterator operator--(int) {
    Iterator before = *this;
    --*this;
    return before;
  }

  friend bool operator==(const Iterator& a, const Iterator& b) {
    return a.leaf_ == b.leaf_ && a.index_ == b.index_;
  }

  [[nodiscard]] detail::Position<LeafT> position() const {
    return {leaf_, index_};
  }

 private:
  LeafT* leaf_ = nullptr;
  std::uint32_t index_ = 0;
};

}  // namespace odo::btree

// An element and what an iterator shows of one have in common what a reader
// needs: the ranges algorithms ask.
template <class K, class V, class W, template <class> class Q,
          template <class> class R>
requires std::is_same_v<std::remove_const_t<V>, W>
struct std::basic_common_reference<odo::btree::Entry<K, V>, std::pair<K, W>, Q,
                                   R> {
  using type = odo::btree::Entry<K, const W>;
};
template <class K, class V, class W, template <class> class Q,
          template <class> class R>
requires std::is_same_v<std::remove_const_t<V>, W>
struct std::basic_common_reference<std::pair<K, W>, odo::btree::Entry<K, V>, Q,
                                   R> {
  using type = odo::btree::Entry<K, const W>;
};
