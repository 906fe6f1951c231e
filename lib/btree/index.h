// SPDX-License-Identifier: BSD-3-Clause
// Objects that live elsewhere, in order of one of their members: pids, mounts,
// extents. The tree holds the key's copy and the object's address; it neither
// moves nor ends objects, so their addresses stay good whatever comes and goes.
//
//   btree::BTreeIndex<Process, &Process::pid> processes;
//   if (!processes.insert(process)) return no_memory();
//   if (Process* found = processes.find(42)) ...
//   processes.erase(process);
//
// Contexts: any; one caller at a time, or readers only.
// Ownership: the caller's. An object stays put, and its key unchanged, from
//   insert() to erase().
// Failure: insert() by Error::kNoMemory, with everything as it was.
// Complexity: O(log n). Of objects with equal keys, if there may be any,
//   erase() looks at each.
#pragma once

#include <cstddef>
#include <functional>
#include <iterator>
#include <type_traits>
#include <utility>

#include "lib/btree/container.h"
#include "lib/btree/options.h"

namespace odo::btree {

// `KeyOf` is a pointer to a member, or a function of a const T&; its answer is
// copied.
template <class T, auto KeyOf,
          class Choice = Options<std::remove_cvref_t<
              std::invoke_result_t<decltype(KeyOf), const T&>>>,
          bool Unique = true>
class BTreeIndex {
  using K =
      std::remove_cvref_t<std::invoke_result_t<decltype(KeyOf), const T&>>;
  using Inner = Container<K, T*, Choice, Unique>;

 public:
  using key_type = K;
  using allocator_type = Choice::Allocator;

  // Walks objects in order.
  class Walk {
   public:
    using iterator_category = std::bidirectional_iterator_tag;
    using difference_type = std::ptrdiff_t;
    using value_type = T;
    using reference = T&;
    using pointer = T*;

    Walk() = default;
    explicit Walk(Inner::const_iterator at) : at_(at) {}

    [[nodiscard]] T& operator*() const { return *at_.value(); }
    [[nodiscard]] T* operator->() const { return at_.value(); }
    Walk& operator++() {
      ++at_;
      return *this;
    }
    Walk& operator--() {
      --at_;
      return *this;
    }
    Walk operator++(int) { return Walk(at_++); }
    Walk operator--(int) { return Walk(at_--); }
    friend bool operator==(const Walk&, const Walk&) = default;

   private:
    friend BTreeIndex;
    Inner::const_iterator at_;
  };
  using iterator = Walk;

  explicit BTreeIndex(const allocator_type& allocator = allocator_type())
      : tree_(allocator) {}

  [[nodiscard]] std::size_t size() const { return tree_.size(); }
  [[nodiscard]] bool empty() const { return tree_.empty(); }
  [[nodiscard]] iterator begin() const { return iterator(tree_.begin()); }
  [[nodiscard]] iterator end() const { return iterator(tree_.end()); }

  // The object with this key (the first of several), or null.
  [[nodiscard]] T* find(const K& key) const {
    const auto at = tree_.find(key);
    return at == tree_.end() ? nullptr : at.value();
  }
  [[nodiscard]] iterator lower_bound(const K& key) const {
    return iterator(tree_.lower_bound(key));
  }
  [[nodiscard]] iterator upper_bound(const K& key) const {
    return iterator(tree_.upper_bound(key));
  }

  // False: another object has this key, and stays.
  [[nodiscard]] Result<bool> insert(T& object) {
    ODO_TRY(const auto there,
            tree_.insert(std::invoke(KeyOf, object), &object));
    return there.second;
  }

  // Whether it was here.
  bool erase(T& object) {
    const K key = std::invoke(KeyOf, object);
    for (auto at = tree_.lower_bound(key);
         at != tree_.end() && !tree_.key_comp()(key, at.key()); ++at) {
      if (at.value() == &object) {
        tree_.erase(at);
        return true;
      }
    }
    return false;
  }
  // The one after it.
  iterator erase(iterator at) { return iterator(tree_.erase(at.at_)); }
  void clear() { tree_.clear(); }

 private:
  Inner tree_;
};

}  // namespace odo::btree
