// SPDX-License-Identifier: BSD-3-Clause
// What a tree lets its user choose. Derive and hide what should differ:
//
//   struct Extents : btree::Options<std::uint64_t> {
//     using Augment = btree::MaxEndAugment<ExtentEnd>;
//     static constexpr std::size_t kLeafBytes = 512;
//   };
//   btree::BTreeMap<std::uint64_t, Extent, Extents> extents;
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "lib/btree/augment.h"
#include "lib/btree/free_store.h"
#include "lib/btree/policy.h"
#include "lib/btree/search.h"

namespace odo::btree {

template <class K, class Order = std::less<K>>
struct Options {
  // Orders keys; with `is_transparent`, also keys and other types.
  using Less = Order;
  using Search = DefaultSearch<K, Order>;
  using Allocator = FreeStore;
  using Augment = NoAugment;

  // The sizes of nodes, at most, in bytes, what malloc adds not counted. Larger
  // leaves scan faster and waste less; smaller ones are cheaper to change.
  static constexpr std::size_t kLeafBytes = 1008;
  static constexpr std::size_t kInnerBytes = 1008;

  // When a leaf is full, up to this many neighbours share their room before
  // one leaf more is made (policy.h has the fill that each gives).
  static constexpr std::uint32_t kSpread = 4;

  // A node that is not at an edge of the tree is at least this full.
  static constexpr std::uint32_t kLeastFillPercent = policy::kLeastFillPercent;
};

}  // namespace odo::btree
