// SPDX-License-Identifier: BSD-3-Clause
// Walks a string tree's elements in either direction.
//
// Keys lie in pieces. `it.key()` is a StringKey, a view of them that compares,
// copies and costs nothing to make; `it.key(buffer)` puts the key together in a
// buffer of the caller's and answers with a std::string_view of that:
//
//   typename Map::KeyBuffer buffer;
//   for (auto it = map.begin(); it != map.end(); ++it) {
//     use(it.key(buffer), it.value());
//   }
//   for (auto [key, value] : map) if (key == "x") ...     // key: a StringKey
//
// Contexts: any; as its tree. Any change of the tree invalidates it and the
//   views that it gave, except where the call that changes answers with one.
// Complexity: O(1); key(buffer) O(length).
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>
#include <type_traits>

#include "lib/btree/path.h"
#include "lib/btree/string_key.h"

namespace odo::btree {

// What a map's iterator shows.
template <class V>
struct StringEntry {
  StringKey first;
  V& second;
};

template <class TreeT, bool Const>
class StringIterator {
  using LeafT = TreeT::LeafT;
  static constexpr bool kMap = TreeT::kHasValues;
  using Shown = std::conditional_t<Const, const typename TreeT::Value,
                                   typename TreeT::Value>;
  struct Arrow;

 public:
  using iterator_category = std::bidirectional_iterator_tag;
  using difference_type = std::ptrdiff_t;
  using reference = std::conditional_t<kMap, StringEntry<Shown>, StringKey>;
  using value_type = reference;
  using pointer = Arrow;

  StringIterator() = default;
  explicit StringIterator(detail::Position<LeafT> at)
      : leaf_(at.leaf), index_(at.index) {}
  // A const_iterator from an iterator.
  template <bool Other>
  requires(Const && !Other)
  explicit(false) StringIterator(const StringIterator<TreeT, Other>& other)
      : StringIterator(other.position()) {}

  [[nodiscard]] StringKey key() const { return leaf_->key(index_); }
  template <std::size_t Bytes>
  [[nodiscard]] std::string_view key(StringKeyBuffer<Bytes>& buffer) const {
    static_assert(Bytes >= TreeT::kMaxKeyBytes);
    return buffer.assign_from_page(key());
  }
  [[nodiscard]] Shown& value() const
  requires kMap
  {
    return *leaf_->value(index_);
  }

  [[nodiscard]] reference operator*() const {
    if constexpr (kMap) {
      return {key(), value()};
    } else {
      return key();
    }
  }
  [[nodiscard]] pointer operator->() const { return {**this}; }

  StringIterator& operator++() {
    if (++index_ == leaf_->count() && leaf_->next != nullptr) {
      leaf_ = leaf_->next;
      index_ = 0;
      if (leaf_->next != nullptr) TreeT::prefetch_all(leaf_->next);
    }
    return *this;
  }
  StringIterator& operator--() {
    if (index_ == 0) {
      leaf_ = leaf_->prev;
      index_ = leaf_->count();
      if (leaf_->prev != nullptr) TreeT::prefetch_all(leaf_->prev);
    }
    --index_;
    return *this;
  }
  StringIterator operator++(int) {
    StringIterator before = *this;
    ++*this;
    return before;
  }
  StringIterator operator--(int) {
    StringIterator before = *this;
    --*this;
    return before;
  }

  friend bool operator==(const StringIterator& a, const StringIterator& b) {
    return a.leaf_ == b.leaf_ && a.index_ == b.index_;
  }

  [[nodiscard]] detail::Position<LeafT> position() const {
    return {leaf_, index_};
  }

 private:
  // `it->first` needs something with an address while the expression lasts.
  struct Arrow {
    [[nodiscard]] reference* operator->() { return &shown; }
    reference shown;
  };

  LeafT* leaf_ = nullptr;
  std::uint32_t index_ = 0;
};

// A stretch of a tree, for range-for.
template <class It>
class StringRange {
 public:
  StringRange(It first, It last) : first_(first), last_(last) {}
  [[nodiscard]] It begin() const { return first_; }
  [[nodiscard]] It end() const { return last_; }
  [[nodiscard]] bool empty() const { return first_ == last_; }

 private:
  It first_;
  It last_;
};

}  // namespace odo::btree
