// SPDX-License-Identifier: BSD-3-Clause
// Ordered maps and sets of byte strings, which hold their keys in themselves:
// what the keys of a page have in common once, the rest of each beside its
// neighbours'. See docs/btree-strings.md for when to use them and when not.
//
//   btree::BTreeStringMap<std::uint64_t> sizes;
//   if (!sizes.insert("/bin/sh", 125'688)) return no_memory();
//   for (auto [path, bytes] : sizes.with_prefix("/bin/")) ...
//   sizes.erase("/bin/sh");
//
// Keys are any bytes, zeros too, up to Choice::kMaxKeyBytes; they are ordered
// as unsigned bytes, a string before those that it begins. They are copied in;
// string_iterator.h says how to see them.
//
// Contexts: any; one caller at a time, or readers only.
// Ownership: keys and values live in the tree; it ends them. The allocator that
//   it was built with is copied.
// Invariants: those of string_tree.h.
// Failure: Error::kNoMemory or kTooLong, with everything as it was; a value
//   passed in is then gone with the call, unless try_emplace() was used.
// Complexity: O(log n) pages; with_prefix() two look-ups.
#pragma once

#include <cstddef>
#include <iterator>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#include "lib/btree/error.h"
#include "lib/btree/relocate.h"
#include "lib/btree/string_iterator.h"
#include "lib/btree/string_options.h"
#include "lib/btree/string_tree.h"

namespace odo::btree {

template <class V, class Choice>
class StringContainer {
  using TreeT = detail::StringTree<V, Choice>;
  using Bound = detail::Bound;
  static constexpr bool kMap = TreeT::kHasValues;

 public:
  using key_type = StringKey;
  using mapped_type = V;
  using allocator_type = Choice::Allocator;
  using size_type = std::size_t;
  using difference_type = std::ptrdiff_t;
  using iterator = StringIterator<TreeT, false>;
  using const_iterator = StringIterator<TreeT, true>;
  using KeyBuffer = StringKeyBuffer<Choice::kMaxKeyBytes>;
  using Inserted = std::pair<iterator, bool>;  // false: it was there before

  explicit StringContainer(const allocator_type& allocator = allocator_type())
      : tree_(allocator) {}

  // A container of what a sorted range holds, in O(n) and with full leaves.
  // Elements are pairs of what converts to std::string_view, and a value; for
  // sets, the former. Error::kUnsorted unless they ascend.
  template <class Range>
  [[nodiscard]] static Result<StringContainer> build(
      Range&& range, const allocator_type& allocator = allocator_type()) {
    StringContainer made(allocator);
    for (auto&& element : range) {
      using Element = decltype(element);
      if constexpr (kMap) {
        ODO_TRY_VOID(made.tree_.append(element.first, [&](V* value) {
          std::construct_at(value, std::forward<Element>(element).second);
        }));
      } else {
        ODO_TRY_VOID(made.tree_.append(element, [](V* /*none*/) {}));
      }
    }
    return made;
  }

  // --- size and order --------------------------------------------------------

  [[nodiscard]] std::size_t size() const { return tree_.size(); }
  [[nodiscard]] bool empty() const { return size() == 0; }
  // Of pages, keys and values included, in bytes.
  [[nodiscard]] std::size_t bytes() const { return tree_.bytes(); }

  [[nodiscard]] iterator begin() { return iterator(tree_.first()); }
  [[nodiscard]] iterator end() { return iterator(tree_.end()); }
  [[nodiscard]] const_iterator begin() const {
    return const_iterator(tree_.first());
  }
  [[nodiscard]] const_iterator end() const {
    return const_iterator(tree_.end());
  }

  // --- to look up ------------------------------------------------------------

  [[nodiscard]] iterator find(std::string_view key) {
    const auto at = tree_.find(key);
    return at.leaf == nullptr ? end() : iterator(at);
  }
  [[nodiscard]] const_iterator find(std::string_view key) const {
    const auto at = tree_.find(key);
    return at.leaf == nullptr ? end() : const_iterator(at);
  }
  [[nodiscard]] bool contains(std::string_view key) const {
    return tree_.find(key).leaf != nullptr;
  }

  [[nodiscard]] iterator lower_bound(std::string_view key) {
    return iterator(tree_.template bound<Bound::kLower>(key));
  }
  [[nodiscard]] const_iterator lower_bound(std::string_view key) const {
    return const_iterator(tree_.template bound<Bound::kLower>(key));
  }
  [[nodiscard]] iterator upper_bound(std::string_view key) {
    return iterator(tree_.template bound<Bound::kUpper>(key));
  }
  [[nodiscard]] const_iterator upper_bound(std::string_view key) const {
    return const_iterator(tree_.template bound<Bound::kUpper>(key));
  }

  // All elements whose keys begin with `prefix`.
  [[nodiscard]] StringRange<iterator> with_prefix(std::string_view prefix) {
    return {lower_bound(prefix),
            iterator(tree_.template bound<Bound::kPast>(prefix))};
  }
  [[nodiscard]] StringRange<const_iterator> with_prefix(
      std::string_view prefix) const {
    return {lower_bound(prefix),
            const_iterator(tree_.template bound<Bound::kPast>(prefix))};
  }

  // --- to insert -------------------------------------------------------------

  [[nodiscard]] Result<Inserted> insert(std::string_view key, V value)
  requires kMap
  {
    return try_emplace(key, std::move(value));
  }
  [[nodiscard]] Result<Inserted> insert(std::string_view key)
  requires(!kMap)
  {
    return placed(tree_.insert(key, [](V* /*none*/) {}));
  }

  // Constructs V from `arguments` if there is no such key.
  template <class... Arguments>
  [[nodiscard]] Result<Inserted> try_emplace(std::string_view key,
                                             Arguments&&... arguments)
  requires kMap
  {
    return placed(tree_.insert(key, [&](V* value) {
      std::construct_at(value, std::forward<Arguments>(arguments)...);
    }));
  }

  [[nodiscard]] Result<Inserted> insert_or_assign(std::string_view key, V value)
  requires kMap
  {
    // Only one of the two moves from it.
    ODO_TRY(auto there, placed(tree_.insert(key, [&](V* fresh) {
              std::construct_at(fresh, std::move(value));
            })));
    if (!there.second) there.first.value() = std::move(value);
    return there;
  }

  // --- to erase --------------------------------------------------------------

  std::size_t erase(std::string_view key) { return tree_.erase(key) ? 1 : 0; }
  // Answers where the next element is.
  iterator erase(const_iterator at) {
    return iterator(tree_.erase(at.position()));
  }
  void clear() { tree_.clear(); }

 private:
  template <class, class>
  friend class StringInspector;  // testing/string_inspector.h

  static Result<Inserted> placed(Result<typename TreeT::Inserted> result) {
    if (!result) return fail(result.error());
    return Inserted{iterator(result->at), result->fresh};
  }

  TreeT tree_;
};

template <class V, class Choice = StringOptions>
using BTreeStringMap = StringContainer<V, Choice>;

template <class Choice = StringOptions>
using BTreeStringSet = StringContainer<NoValue, Choice>;

}  // namespace odo::btree
