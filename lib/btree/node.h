// SPDX-License-Identifier: BSD-3-Clause
// The two kinds of node: leaves, which hold all elements, and inner nodes,
// which hold separators and children.
//
//   Leaf    prev next count | key key key ...        | value value value ...
//   Inner   count           | separator ... (n - 1)  | child child ... (n)
//
// Keys lie side by side, so that a search reads keys only and a vector of them
// at once. Sizes are the options'; a node of large objects grows beyond them to
// hold four.
//
// A separator between children i and i + 1 is not less than any key on its left
// and not greater than any on its right. Where keys are trivially copyable it
// is a copy of a key. Other keys are not copied, and not copyable perhaps:
// there the separator is the leaf where the right side begins, and its first
// key is what is compared. A leaf that a separator names is never freed before
// the separator is gone (see tree.h, I6).
//
// Contexts: any; plain data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "lib/btree/augment.h"
#include "lib/btree/relocate.h"

namespace odo::btree::detail {

inline constexpr std::size_t kLeastSlots = 4;

[[nodiscard]] constexpr std::size_t aligned(std::size_t offset,
                                            std::size_t align) {
  return (offset + align - 1) / align * align;
}

// How many pairs of A and B, in two arrays after `header` bytes, fit in
// `bytes`.
[[nodiscard]] constexpr std::size_t fitting(
    std::size_t bytes, std::size_t header, std::size_t size_a,
    std::size_t align_a, std::size_t size_b, std::size_t align_b) {
  std::size_t slots = kLeastSlots;
  while (aligned(aligned(header, align_a) + (slots + 1) * size_a, align_b) +
             (slots + 1) * size_b <=
         bytes) {
    ++slots;
  }
  return slots;
}

template <class V, std::size_t N>
struct Values {
  Slots<V, N> slots;
};
template <std::size_t N>
struct Values<NoValue, N> {};

template <class K, class V, std::size_t Bytes>
struct Leaf {
  static constexpr bool kHasValues = !std::is_same_v<V, NoValue>;
  static constexpr std::size_t kHeader =
      2 * sizeof(void*) + sizeof(std::uint64_t);
  static constexpr std::size_t kSlots =
      fitting(Bytes, kHeader, sizeof(K), alignof(K), kHasValues ? sizeof(V) : 0,
              kHasValues ? alignof(V) : 1);

  [[nodiscard]] K* key(std::size_t i) { return keys.items + i; }
  [[nodiscard]] const K* key(std::size_t i) const { return keys.items + i; }
  [[nodiscard]] V* value(std::size_t i)
  requires kHasValues
  {
    return values.slots.items + i;
  }

  Leaf* prev = nullptr;
  Leaf* next = nullptr;
  std::uint32_t count = 0;
  Slots<K, kSlots> keys;
  [[no_unique_address]] Values<V, kSlots> values;
};

template <class K>
inline constexpr bool kCopiedSeparators = std::is_trivially_copyable_v<K>;

// What an inner node may know of each child.
template <class Summary, std::size_t N, bool = std::is_empty_v<Summary>>
struct Summaries {
  Summary items[N];
};
template <class Summary, std::size_t N>
struct Summaries<Summary, N, true> {};

template <class K, class LeafT, class Summary, std::size_t Bytes>
struct Inner {
  using Separator = std::conditional_t<kCopiedSeparators<K>, K, LeafT*>;
  static constexpr std::size_t kPerChild =
      sizeof(void*) + (std::is_empty_v<Summary> ? 0 : sizeof(Summary));
  // Children; one separator fewer.
  static constexpr std::size_t kSlots =
      fitting(Bytes, sizeof(std::uint64_t), sizeof(Separator),
              alignof(Separator), kPerChild, alignof(void*));

  [[nodiscard]] std::uint32_t degree() const { return count; }
  [[nodiscard]] void* child(std::uint32_t i) const { return children[i]; }

  std::uint32_t count = 0;  // of children
  Slots<Separator, kSlots - 1> separators;
  // Leaves just above them, else inner nodes: the height tells.
  void* children[kSlots];
  [[no_unique_address]] Summaries<Summary, kSlots> summaries;
};

}  // namespace odo::btree::detail
