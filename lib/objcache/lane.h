// SPDX-License-Identifier: BSD-3-Clause
// What one lane has of a cache: two magazines, of which one is loaded, and the
// lane's counts.
//
// Contexts: any.
// Invariants:
//   L1. the magazines are touched by
//         a) the lane itself, in its section, after it set busy and then found
//            nobody asking for attention; or
//         b) the lane itself, in its section, under its cluster's depot lock;
//         or c) a visitor, who asked for attention, passed heavy_fence(), holds
//         the
//            depot lock of the lane's cluster, and then found busy clear;
//   L2. nobody waits for a lock, or for anybody, while busy is set;
//   L3. at most one of the two magazines is partly full, unless a visitor was
//       here.
// Ordering: docs/objcache.md has the pairs; their letters stand beside the
//   orders in objcache.h.
// Failure: none.
// Complexity: O(1).
// Origin: Bonwick and Adams (magazine.h): loaded and previous. There, and in
//   DragonFly's kern_objcache.c, nobody reaches another CPU's magazines; the
//   way in is the one of Dice and Kogan's BRAVO locks (USENIX ATC 2019), as in
//   lib/tokens: the visitor pays for the fence.
#pragma once

#include <cstdint>
#include <utility>

#include "lib/objcache/magazine.h"
#include "lib/objcache/platform.h"

namespace odo::objcache {

namespace detail {

// A ground that checks memory orders may offer Plain<T>, which reports accesses
// that nothing orders; then each touch of a lane is one.
template <class P>
struct Witness {
  void touch() {}
};
template <class P>
requires requires { typename P::template Plain<int>; }
struct Witness<P> {
  void touch() { touched_.set(0); }

 private:
  typename P::template Plain<int> touched_;
};

}  // namespace detail

template <ObjCachePlatform P>
struct alignas(kLineBytes) Lane {
  typename P::template Atomic<bool> busy{false};
  std::uint32_t rounds = 0;
  std::uint32_t capacity = 0;
  // Of the loaded magazine, whose own count is stale meanwhile.
  void** slots = nullptr;
  Magazine* loaded = nullptr;
  Magazine* previous = nullptr;
  typename P::Counter gets;
  typename P::Counter puts;
  typename P::Counter exchanges;
  [[no_unique_address]] detail::Witness<P> witness;

  [[nodiscard]] bool can_pop() const { return rounds != 0; }
  [[nodiscard]] bool can_push() const { return rounds != capacity; }
  void* pop() { return slots[--rounds]; }
  void push(void* object) { slots[rounds++] = object; }

  // Makes `magazine` (null for none) the loaded one and gives back the one that
  // was.
  Magazine* load(Magazine* magazine) {
    if (loaded != nullptr) loaded->rounds = rounds;
    Magazine* before = std::exchange(loaded, magazine);
    rounds = magazine == nullptr ? 0 : magazine->rounds;
    capacity = magazine == nullptr ? 0 : magazine->capacity;
    slots = magazine == nullptr ? nullptr : magazine->slots();
    return before;
  }
  // True when there is an object to pop now.
  bool prepare_pop() {
    if (!can_pop() && previous != nullptr && previous->rounds != 0) {
      previous = load(previous);
    }
    return can_pop();
  }
  // True when there is room to push now.
  bool prepare_push() {
    if (!can_push() && previous != nullptr &&
        previous->rounds != previous->capacity) {
      previous = load(previous);
    }
    return can_push();
  }
};

}  // namespace odo::objcache
