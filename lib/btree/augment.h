// SPDX-License-Identifier: BSD-3-Clause
// What an inner node may know about each of its subtrees beside the keys: a
// summary, kept true by every change of the tree.
//
//   augmentation    summary                     gives
//   NoAugment       nothing, takes no room      the plain tree
//   CountAugment    the number of elements      nth(), rank(): order statistics
//   MaxEndAugment   the greatest end among      overlapping(): which intervals
//                   [key, end(value))           meet a range
//
// An augmentation is a monoid over elements:
//   using Summary = ...;                              small, copied freely
//   static Summary none();                            of no elements
//   static void include(Summary&, const K&, const V&) one element more
//   static void join(Summary&, const Summary&)        those of another subtree
// and, where that is possible without looking at the others,
//   static void exclude(Summary&, const K&, const V&) one element fewer
//
// Complexity: with include() and exclude(), O(height) a change; without
//   exclude(), an erase looks at one whole node on each level.
#pragma once

#include <concepts>
#include <cstdint>

namespace odo::btree {

struct NoAugment {
  struct Summary {};
};

struct CountAugment {
  using Summary = std::uint64_t;

  [[nodiscard]] static Summary none() { return 0; }
  template <class K, class V>
  static void include(Summary& sum, const K& /*key*/, const V& /*value*/) {
    ++sum;
  }
  template <class K, class V>
  static void exclude(Summary& sum, const K& /*key*/, const V& /*value*/) {
    --sum;
  }
  static void join(Summary& sum, const Summary& other) { sum += other; }
};

// Intervals [key, End::of(value)), by the key's order. End's type must be
// comparable with the key; `End::lowest()` is not after any end.
template <class End>
struct MaxEndAugment {
  using EndOf = End;
  using Summary = decltype(End::lowest());

  [[nodiscard]] static Summary none() { return End::lowest(); }
  template <class K, class V>
  static void include(Summary& greatest, const K& /*key*/, const V& value) {
    const Summary end = End::of(value);
    if (greatest < end) greatest = end;
  }
  static void join(Summary& greatest, const Summary& other) {
    if (greatest < other) greatest = other;
  }
};

template <class A>
inline constexpr bool kAugmented = !std::same_as<A, NoAugment>;

template <class A, class K, class V>
inline constexpr bool kExcludes =
    requires(A::Summary& sum, const K& key, const V& value) {
      A::exclude(sum, key, value);
    };

}  // namespace odo::btree
