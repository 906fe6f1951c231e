// SPDX-License-Identifier: BSD-3-Clause
// What a tree of strings lets its user choose. Derive and hide what should
// differ:
//
//   struct Names : btree::StringOptions {
//     using Allocator = btree::HeapNodes<Heap>;
//   };
//   btree::BTreeStringMap<Inode, Names> names{btree::HeapNodes(heap)};
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "lib/btree/free_store.h"
#include "lib/btree/search.h"

namespace odo::btree {

struct StringOptions {
  using Allocator = FreeStore;
  // Finds heads in a page.
  using Search = DefaultSearch<std::uint64_t, std::less<>>;

  // The sizes of pages in bytes, what malloc adds not counted. Keys that need
  // more, a few long ones, get pages of powers of two.
  static constexpr std::size_t kLeafBytes = 2032;
  static constexpr std::size_t kInnerBytes = 4080;

  // Longer keys are refused.
  static constexpr std::size_t kMaxKeyBytes = 4096;

  // A leaf less full than this is merged with a neighbour where both fit.
  static constexpr std::size_t kLeastFillPercent = 40;
};

}  // namespace odo::btree
