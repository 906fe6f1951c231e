// SPDX-License-Identifier: BSD-3-Clause
// What maps, sets and their multi variants have in common: a standard ordered
// container's face over a tree, with results instead of exceptions.
//
//   btree::BTreeMap<std::uint64_t, Thread*> by_id;          // map.h
//   if (!by_id.insert(7, thread)) return no_memory();
//   for (auto [id, thread] : by_id) ...
//   by_id.erase(7);
//
// Differences from std::map: elements move when others come and go (for stable
// ones keep pointers, or index.h); `*it` is a pair of references; whatever may
// need memory answers a Result; find() answers end() as usual.
//
// Contexts: any; one caller at a time, or readers only.
// Ownership: keys and values live in the tree; it ends them. What it was built
//   with (order, allocator) is copied.
// Invariants: those of tree.h.
// Failure: Error::kNoMemory, with everything as it was; the key and value
//   passed in are then gone with the call, unless try_emplace() was used, which
//   moves from them only when it succeeds.
// Complexity: as in tree.h; count() and equal_range() of a multi variant, and
//   differences of iterators, are linear in leaves.
#pragma once

#include <cstddef>
#include <iterator>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

#include "lib/btree/error.h"
#include "lib/btree/iterator.h"
#include "lib/btree/options.h"
#include "lib/btree/tree.h"

namespace odo::btree {

template <class K, class V, class Choice, bool Unique>
class Container {
  using TreeT = detail::Tree<K, V, Choice, Unique>;
  static constexpr bool kMap = TreeT::kHasValues;
  static constexpr bool kTransparent =
      requires { typename Choice::Less::is_transparent; };

  // What a look-up may be asked with: as with std::map, what converts to a key,
  // or with a transparent order anything that it compares.
  template <class Q>
  static constexpr bool kQuery =
      kTransparent || std::is_convertible_v<const Q&, K>;
  template <class Q>
  [[nodiscard]] static decltype(auto) asked(const Q& query) {
    if constexpr (kTransparent || std::is_same_v<Q, K>) {
      return (query);
    } else {
      return static_cast<K>(query);
    }
  }

 public:
  using key_type = K;
  using mapped_type = V;
  using key_compare = Choice::Less;
  using allocator_type = Choice::Allocator;
  using size_type = std::size_t;
  using difference_type = std::ptrdiff_t;
  using iterator = Iterator<TreeT, false>;
  using const_iterator = Iterator<TreeT, true>;
  using reverse_iterator = std::reverse_iterator<iterator>;
  using const_reverse_iterator = std::reverse_iterator<const_iterator>;
  using value_type = iterator::value_type;
  using reference = iterator::reference;
  using const_reference = const_iterator::reference;
  using Augment = Choice::Augment;
  using Inserted = std::pair<iterator, bool>;  // false: it was there before

  explicit Container(const key_compare& less = key_compare(),
                     const allocator_type& allocator = allocator_type())
      : tree_(less, allocator) {}
  explicit Container(const allocator_type& allocator)
      : tree_(key_compare(), allocator) {}

  // A container of what a sorted range holds, in O(n) and with full leaves.
  // Elements are what reference or value_type converts from: pairs for maps.
  template <class Range>
  [[nodiscard]] static Result<Container> build(
      Range&& range, const key_compare& less = key_compare(),
      const allocator_type& allocator = allocator_type()) {
    Container made(less, allocator);
    ODO_TRY_VOID(made.tree_.build(
        std::begin(range), std::end(range),
        [](const auto& at, K* key, [[maybe_unused]] V* value) {
          if constexpr (kMap) {
            auto&& element = *at;
            using Element = decltype(element);
            std::construct_at(key, std::forward<Element>(element).first);
            std::construct_at(value, std::forward<Element>(element).second);
          } else {
            std::construct_at(key, *at);
          }
        }));
    return made;
  }

  // --- size and order --------------------------------------------------------

  [[nodiscard]] std::size_t size() const { return tree_.size(); }
  [[nodiscard]] bool empty() const { return size() == 0; }
  // Of nodes, in bytes.
  [[nodiscard]] std::size_t bytes() const { return tree_.bytes(); }
  [[nodiscard]] key_compare key_comp() const { return tree_.less(); }

  [[nodiscard]] iterator begin() { return iterator(tree_.first()); }
  [[nodiscard]] iterator end() { return iterator(tree_.end()); }
  [[nodiscard]] const_iterator begin() const {
    return const_iterator(tree_.first());
  }
  [[nodiscard]] const_iterator end() const {
    return const_iterator(tree_.end());
  }
  [[nodiscard]] const_iterator cbegin() const { return begin(); }
  [[nodiscard]] const_iterator cend() const { return end(); }
  [[nodiscard]] reverse_iterator rbegin() { return reverse_iterator(end()); }
  [[nodiscard]] reverse_iterator rend() { return reverse_iterator(begin()); }
  [[nodiscard]] const_reverse_iterator rbegin() const {
    return const_reverse_iterator(end());
  }
  [[nodiscard]] const_reverse_iterator rend() const {
    return const_reverse_iterator(begin());
  }

  // --- to look up ------------------------------------------------------------

  template <class Q = K>
  requires kQuery<Q>
  [[nodiscard]] iterator find(const Q& key) {
    const auto at = tree_.find(asked(key));
    return at.leaf == nullptr ? end() : iterator(at);
  }
  template <class Q = K>
  requires kQuery<Q>
  [[nodiscard]] const_iterator find(const Q& key) const {
    const auto at = tree_.find(asked(key));
    return at.leaf == nullptr ? end() : const_iterator(at);
  }
  template <class Q = K>
  requires kQuery<Q>
  [[nodiscard]] bool contains(const Q& key) const {
    return tree_.find(asked(key)).leaf != nullptr;
  }
  template <class Q = K>
  requires kQuery<Q>
  [[nodiscard]] std::size_t count(const Q& key) const {
    if constexpr (Unique) {
      return contains(key) ? 1 : 0;
    } else {
      return TreeT::distance(tree_.lower_bound(asked(key)),
                             tree_.upper_bound(asked(key)));
    }
  }

  template <class Q = K>
  requires kQuery<Q>
  [[nodiscard]] iterator lower_bound(const Q& key) {
    return iterator(tree_.lower_bound(asked(key)));
  }
  template <class Q = K>
  requires kQuery<Q>
  [[nodiscard]] const_iterator lower_bound(const Q& key) const {
    return const_iterator(tree_.lower_bound(asked(key)));
  }
  template <class Q = K>
  requires kQuery<Q>
  [[nodiscard]] iterator upper_bound(const Q& key) {
    return iterator(tree_.upper_bound(asked(key)));
  }
  template <class Q = K>
  requires kQuery<Q>
  [[nodiscard]] const_iterator upper_bound(const Q& key) const {
    return const_iterator(tree_.upper_bound(asked(key)));
  }
  template <class Q = K>
  requires kQuery<Q>
  [[nodiscard]] std::pair<iterator, iterator> equal_range(const Q& key) {
    return {lower_bound(key), upper_bound(key)};
  }
  template <class Q = K>
  requires kQuery<Q>
  [[nodiscard]] std::pair<const_iterator, const_iterator> equal_range(
      const Q& key) const {
    return {lower_bound(key), upper_bound(key)};
  }

  // find() of many keys at once: several times as fast where the tree doesn't
  // fit in the processor's caches. answer(i, iterator) for each.
  template <class Answer>
  void find_each(std::span<const K> keys, Answer&& answer) const {
    tree_.find_each(keys.data(), keys.size(), [&](std::size_t i, auto at) {
      answer(i, at.leaf == nullptr ? end() : const_iterator(at));
    });
  }

  // --- to insert -------------------------------------------------------------

  [[nodiscard]] Result<Inserted> insert(K key, V value)
  requires kMap
  {
    return try_emplace(std::move(key), std::move(value));
  }
  [[nodiscard]] Result<Inserted> insert(K key)
  requires(!kMap)
  {
    return placed(tree_.insert(key, [&](K* to, V* /*none*/) {
      std::construct_at(to, std::move(key));
    }));
  }

  // Constructs V from `arguments` if there is no such key (in a multi variant:
  // always).
  template <class Q, class... Arguments>
  [[nodiscard]] Result<Inserted> try_emplace(Q&& key, Arguments&&... arguments)
  requires(kMap && std::is_same_v<std::remove_cvref_t<Q>, K>)
  {
    return placed(tree_.insert(key, [&](K* to, V* value) {
      std::construct_at(to, std::forward<Q>(key));
      std::construct_at(value, std::forward<Arguments>(arguments)...);
    }));
  }

  [[nodiscard]] Result<Inserted> insert_or_assign(K key, V value)
  requires(kMap && Unique)
  {
    ODO_TRY(auto there, try_emplace(std::move(key), std::move(value)));
    if (!there.second) {
      tree_.update(there.first.position(),
                   [&](V& old) { old = std::move(value); });
    }
    return there;
  }

  // Without a look-up if the element belongs right before `hint`.
  [[nodiscard]] Result<Inserted> insert_near(const_iterator hint, K key,
                                             V value)
  requires kMap
  {
    return placed(tree_.insert_near(hint.position(), key, [&](K* to, V* there) {
      std::construct_at(to, std::move(key));
      std::construct_at(there, std::move(value));
    }));
  }
  [[nodiscard]] Result<Inserted> insert_near(const_iterator hint, K key)
  requires(!kMap)
  {
    return placed(tree_.insert_near(
        hint.position(), key,
        [&](K* to, V* /*none*/) { std::construct_at(to, std::move(key)); }));
  }

  // --- to change and erase ---------------------------------------------------

  // change(V&), where values are summarised and iterators show them const.
  template <class Change>
  void update(const_iterator at, Change&& change)
  requires kMap
  {
    tree_.update(at.position(), std::forward<Change>(change));
  }

  // The element after it (them).
  iterator erase(const_iterator at) {
    return iterator(tree_.erase(at.position()));
  }
  iterator erase(const_iterator first, const_iterator last) {
    return iterator(tree_.erase(
        first.position(), TreeT::distance(first.position(), last.position())));
  }
  // How many there were.
  template <class Q = K>
  requires(kQuery<Q> && !std::is_convertible_v<const Q&, const_iterator>)
  std::size_t erase(const Q& key) {
    if constexpr (Unique) {
      const auto at = tree_.find(asked(key));
      if (at.leaf == nullptr) return 0;
      tree_.erase(at);
      return 1;
    } else {
      const auto first = tree_.lower_bound(asked(key));
      const std::size_t many =
          TreeT::distance(first, tree_.upper_bound(asked(key)));
      tree_.erase(first, many);
      return many;
    }
  }
  // All elements from `from` up to but not including `to`.
  template <class Q = K>
  requires kQuery<Q>
  std::size_t erase_range(const Q& from, const Q& to) {
    if (!tree_.less()(asked(from), asked(to))) return 0;
    const auto first = tree_.lower_bound(asked(from));
    const std::size_t many =
        TreeT::distance(first, tree_.lower_bound(asked(to)));
    tree_.erase(first, many);
    return many;
  }
  void clear() { tree_.clear(); }

  // --- whole containers ------------------------------------------------------

  // Takes everything from the first element not less than `key` on out of
  // here, into the answer. O(log n), and a walk over the smaller part's leaves
  // to count them.
  template <class Q = K>
  requires kQuery<Q>
  [[nodiscard]] Result<Container> split(const Q& key) {
    Container right(tree_.less(), tree_.allocator());
    ODO_TRY_VOID(tree_.split(asked(key), right.tree_));
    return right;
  }

  // Appends `right`, none of whose keys is less than any here; on failure it
  // keeps what it has. Both must have the same allocator. O(log n).
  [[nodiscard]] Result<void> concatenate(Container& right) {
    return tree_.concatenate(right.tree_);
  }

  // --- summaries -------------------------------------------------------------

  // Of all elements.
  [[nodiscard]] auto summary() const
  requires TreeT::kSummed
  {
    return tree_.summary();
  }

  // With CountAugment: the element that has `n` before it, and how many are
  // less than `key`. O(height * fan-out), additions in a row.
  [[nodiscard]] iterator nth(std::size_t n)
  requires std::is_same_v<Augment, CountAugment>
  {
    return iterator(tree_.nth(n));
  }
  [[nodiscard]] const_iterator nth(std::size_t n) const
  requires std::is_same_v<Augment, CountAugment>
  {
    return const_iterator(tree_.nth(n));
  }
  template <class Q = K>
  requires(kQuery<Q> && std::is_same_v<Augment, CountAugment>)
  [[nodiscard]] std::size_t rank(const Q& key) const {
    return tree_.rank(asked(key));
  }

  // With MaxEndAugment: visit(const_iterator) for each [key, end) that meets
  // [from, to), in order, while it returns true. O(log n) for each one found.
  template <class Q, class Visit>
  void overlapping(const Q& from, const Q& to, Visit&& visit) const
  requires requires { typename Augment::EndOf; }
  {
    const auto& less = tree_.less();
    tree_.walk([&](const auto& greatest) { return from < greatest; },
               [&](const K& key) { return !less(key, to); },
               [&](auto at) {
                 const const_iterator it(at);
                 return !(from < Augment::EndOf::of(it.value())) || visit(it);
               });
  }

 private:
  template <class, class, class, bool>
  friend class Inspector;  // testing/inspector.h

  [[nodiscard]] static Result<Inserted> placed(
      Result<typename TreeT::Inserted> result) {
    if (!result) return fail(result.error());
    return Inserted{iterator(result->at), result->fresh};
  }

  TreeT tree_;
};

}  // namespace odo::btree
