// SPDX-License-Identifier: BSD-3-Clause
// The memory of one object, with the note that the checks keep beside it.
//
// Contexts: any; who holds the object holds the block.
// Invariants:
//   B1. the object stands at the block's beginning, so that either address
//       gives the other;
//   B2. is_out says whether the object is out of the cache. An exchange changes
//       it, so of two puts at once one finds the other.
// Ordering: relaxed: the note decides nothing but a fault.
// Failure: none. What is no object of any cache may lie at the end of its
//   memory, and the look at its note then reads beyond: a check, no guarantee.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>

#include "lib/objcache/platform.h"
#include "lib/objcache/stock.h"

namespace odo::objcache {

template <ObjCachePlatform P>
struct CheckedNote {
  explicit CheckedNote(const void* whose) : cache(whose) {}

  const void* cache;
  typename P::template Atomic<bool> is_out{false};
  // Of the last put; read for faults only.
  Where last_put{};
};

struct NoNote {
  explicit NoNote(const void* /*whose*/) {}
};

template <class T, class Note>
struct Block {
  explicit Block(const void* whose) : note(whose) {}

  // A block without an object is a RawBlock.
  static constexpr std::size_t kObjectBytes =
      std::max(sizeof(T), sizeof(RawBlock));
  static constexpr std::size_t kObjectAlign =
      std::max(alignof(T), alignof(RawBlock));
  alignas(kObjectAlign) std::byte object[kObjectBytes];
  [[no_unique_address]] Note note;

  [[nodiscard]] static Block& of(void* object) {
    return *static_cast<Block*>(object);  // B1
  }
};

}  // namespace odo::objcache
