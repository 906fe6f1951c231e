// SPDX-License-Identifier: BSD-3-Clause
// What a concurrent tree lets its user choose. Derive and hide what should
// differ.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "lib/btree/free_store.h"

namespace odo::btree {

template <class K, class Order = std::less<K>>
struct ConcurrentOptions {
  // Orders keys. It is asked about keys that may be about to change, and never
  // about others than were once in the tree; it must not use the tree.
  using Less = Order;
  // Called by several threads at once, outside sections and without locks.
  using Allocator = FreeStore;

  // Elements in a leaf, 3 or more, and children of an inner node, 4 or more.
  // With keys and values of 8 bytes, nodes of some 512 and 1,024 bytes.
  static constexpr std::size_t kLeafSlots = 62;
  static constexpr std::size_t kInnerSlots = 62;

  // How often an operation that met with a change begins anew before it locks
  // its way down.
  static constexpr unsigned kTries = 32;
  // How many nodes wait for one look at who may be reading them.
  static constexpr std::uint64_t kRetireBatch = 64;
};

}  // namespace odo::btree
