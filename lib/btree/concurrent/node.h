// SPDX-License-Identifier: BSD-3-Clause
// Nodes that may be read while they are changed: every key, value and pointer
// is an atomic word of its own.
//
//   Leaf    lock count level | key key key ...        | value value value ...
//   Inner   lock count level | separator ... (n - 1)  | child child ... (n)
//
// Keys below a separator are on its left, all others on its right.
//
// Contexts: reading: a lane's section; nothing that is read means anything
//   before the node's lock says that it is_still() what it was. Changing: by
//   who locked the node, or made it and has not linked it yet.
// Invariants:
//   N1. whatever a racing reader reads, it stays within the node: counts are
//       clamped, indices come from clamped counts;
//   N2. `level` never changes: 0 in leaves, one more in each level above.
// Ordering: all accesses are relaxed; the locks of version_lock.h order them.
// Failure: none.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "lib/base/annotations.h"
#include "lib/btree/concurrent/platform.h"
#include "lib/btree/concurrent/version_lock.h"

namespace odo::btree {

// What a concurrent tree can hold as a key or as a value: what fits one atomic
// word.
template <class T>
concept WordSized =
    std::is_trivially_copyable_v<T> && std::default_initializable<T> &&
    (sizeof(T) == 1 || sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8);

namespace detail {

template <std::size_t Bytes>
struct WordOf;
template <>
struct WordOf<1> {
  using Type = std::uint8_t;
};
template <>
struct WordOf<2> {
  using Type = std::uint16_t;
};
template <>
struct WordOf<4> {
  using Type = std::uint32_t;
};
template <>
struct WordOf<8> {
  using Type = std::uint64_t;
};
template <WordSized T>
using Word = WordOf<sizeof(T)>::Type;

// A slot for a T.
template <class P, WordSized T>
class Cell {
  using Stored = std::conditional_t<std::is_pointer_v<T>, T, Word<T>>;

 public:
  [[nodiscard]] T get() const {
    return std::bit_cast<T>(word_.load(std::memory_order_relaxed));
  }
  void set(T value) {
    word_.store(std::bit_cast<Stored>(value), std::memory_order_relaxed);
  }

 private:
  P::template Atomic<Stored> word_;
};

// How many of the first `count` cells are `before`, which holds for the first
// ones and for none after the first for which it doesn't. It looks at the last
// of each eight, then at eight side by side: no branch depends on a key, and no
// look waits for the one before, as it does where a range is halved. Never more
// than `count`, whatever the cells hold.
template <class Cells, class Before>
[[nodiscard]] ODO_ALWAYS_INLINE std::size_t partition(const Cells& cells,
                                                      std::size_t count,
                                                      const Before& before) {
  constexpr std::size_t kStride = 8;
  std::size_t found = 0;
  if (count < kStride) {
    for (std::size_t i = 0; i < count; ++i) {
      found += before(cells[i].get()) ? 1U : 0U;
    }
    return found;
  }
  for (std::size_t i = kStride - 1; i < count; i += kStride) {
    found += before(cells[i].get()) ? kStride : 0U;
  }
  // Cells that were passed over are before, so that some may be counted again.
  found = std::min(found, count - kStride);
  const std::size_t base = found;
  for (std::size_t i = 0; i < kStride; ++i) {
    found += before(cells[base + i].get()) ? 1U : 0U;
  }
  return found;
}

template <ConcurrentPlatform P>
struct ConcurrentNode {
  explicit ConcurrentNode(std::uint32_t node_level) : level(node_level) {}

  VersionLock<P> lock;
  P::template Atomic<std::uint32_t> count{0};  // of elements, or of children
  const std::uint32_t level;
  ConcurrentNode* next_retired = nullptr;  // limbo.h's

  void set_count(std::size_t now) {
    count.store(static_cast<std::uint32_t>(now), std::memory_order_relaxed);
  }
};

template <ConcurrentPlatform P, WordSized K, WordSized V, std::size_t Slots>
struct ConcurrentLeaf : ConcurrentNode<P> {
  ConcurrentLeaf() : ConcurrentNode<P>(0) {}

  Cell<P, K> keys[Slots];
  Cell<P, V> values[Slots];

  [[nodiscard]] std::size_t size() const {
    return std::min<std::size_t>(this->count.load(std::memory_order_relaxed),
                                 Slots);
  }
  // Of the first `n` keys, how many are less than `key`.
  template <class Less>
  [[nodiscard]] std::size_t lower(std::size_t n, K key,
                                  const Less& less) const {
    return partition(keys, n, [&](K mine) { return less(mine, key); });
  }
  // Whether there is an element at `at`, of `n`, and its key is `key`, where
  // at = lower(n, key).
  template <class Less>
  [[nodiscard]] bool is_at(std::size_t at, std::size_t n, K key,
                           const Less& less) const {
    return at < n && !less(key, keys[at].get());
  }

  // --- changing; `n` is the number of elements before

  void insert(std::size_t at, std::size_t n, K key, V value) {
    for (std::size_t i = n; i > at; --i) copy(*this, i - 1, i);
    keys[at].set(key);
    values[at].set(value);
    this->set_count(n + 1);
  }
  void erase(std::size_t at, std::size_t n) {
    for (std::size_t i = at; i + 1 < n; ++i) copy(*this, i + 1, i);
    this->set_count(n - 1);
  }
  // Moves elements between this leaf and the one on its right until this one
  // has `wanted` of them.
  void balance(ConcurrentLeaf& right, std::size_t wanted) {
    const std::size_t n = size();
    const std::size_t m = right.size();
    if (wanted < n) {
      const std::size_t moved = n - wanted;
      for (std::size_t i = m; i-- > 0;) right.copy(right, i, i + moved);
      for (std::size_t i = 0; i < moved; ++i) right.copy(*this, wanted + i, i);
      right.set_count(m + moved);
    } else {
      const std::size_t moved = wanted - n;
      for (std::size_t i = 0; i < moved; ++i) copy(right, i, n + i);
      for (std::size_t i = moved; i < m; ++i) right.copy(right, i, i - moved);
      right.set_count(m - moved);
    }
    this->set_count(wanted);
  }

 private:
  void copy(const ConcurrentLeaf& from, std::size_t i, std::size_t to) {
    keys[to].set(from.keys[i].get());
    values[to].set(from.values[i].get());
  }
};

template <ConcurrentPlatform P, WordSized K, std::size_t Slots>
struct ConcurrentInner : ConcurrentNode<P> {
  using Node = ConcurrentNode<P>;
  explicit ConcurrentInner(std::uint32_t node_level) : Node(node_level) {}

  Cell<P, K> separators[Slots - 1];
  Cell<P, Node*> children[Slots];

  // Of children, one at least.
  [[nodiscard]] std::size_t size() const {
    return std::clamp<std::size_t>(this->count.load(std::memory_order_relaxed),
                                   1, Slots);
  }
  // Of the first `n` children, the place of the one that may hold `key`.
  template <class Less>
  [[nodiscard]] std::size_t place_of(std::size_t n, K key,
                                     const Less& less) const {
    return partition(separators, n - 1,
                     [&](K mine) { return !less(key, mine); });
  }

  // --- changing

  // After child `at`: a separator, and a child on its right.
  void insert_after(std::size_t at, K separator, Node* child) {
    const std::size_t n = size();
    for (std::size_t i = n; i > at + 1; --i) {
      separators[i - 1].set(separators[i - 2].get());
      children[i].set(children[i - 1].get());
    }
    separators[at].set(separator);
    children[at + 1].set(child);
    this->set_count(n + 1);
  }
  // The child after child `at`, and the separator between.
  void erase_after(std::size_t at) {
    const std::size_t n = size();
    for (std::size_t i = at + 1; i + 1 < n; ++i) {
      separators[i - 1].set(separators[i].get());
      children[i].set(children[i + 1].get());
    }
    this->set_count(n - 1);
  }
  // Moves children between this node, of `n`, and the one on its right, of `m`,
  // until this one has `wanted` of them. `between` separates the two nodes;
  // what separates them afterwards is returned, and means nothing if one of
  // them is empty.
  K balance(ConcurrentInner& right, std::size_t n, std::size_t m,
            std::size_t wanted, K between) {
    K divides = between;
    if (wanted < n) {
      const std::size_t moved = n - wanted;
      for (std::size_t i = m; i-- > 0;) right.put(i + moved, right, i);
      for (std::size_t i = m; i-- > 1;) {
        right.separators[i + moved - 1].set(right.separators[i - 1].get());
      }
      if (m != 0) right.separators[moved - 1].set(between);
      for (std::size_t i = 0; i < moved; ++i) right.put(i, *this, wanted + i);
      for (std::size_t i = 1; i < moved; ++i) {
        right.separators[i - 1].set(separators[wanted + i - 1].get());
      }
      divides = separators[wanted - 1].get();
      right.set_count(m + moved);
    } else if (wanted > n) {
      const std::size_t moved = wanted - n;
      separators[n - 1].set(between);
      for (std::size_t i = 0; i < moved; ++i) put(n + i, right, i);
      for (std::size_t i = 1; i < moved; ++i) {
        separators[n + i - 1].set(right.separators[i - 1].get());
      }
      if (moved < m) divides = right.separators[moved - 1].get();
      for (std::size_t i = moved; i < m; ++i) right.put(i - moved, right, i);
      for (std::size_t i = moved + 1; i < m; ++i) {
        right.separators[i - moved - 1].set(right.separators[i - 1].get());
      }
      right.set_count(m - moved);
    }
    this->set_count(wanted);
    return divides;
  }

 private:
  void put(std::size_t to, const ConcurrentInner& from, std::size_t i) {
    children[to].set(from.children[i].get());
  }
};

}  // namespace detail

}  // namespace odo::btree
