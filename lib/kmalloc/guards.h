// SPDX-License-Identifier: BSD-3-Clause
// Pages that nobody may touch: behind each slab's last object, and behind each
// large allocation, where the ground wants that.
//
//   slab   | object | object | ... | object |  | guard: at least a page |
//   large  | object, up to whole pages         | guard: one page        |
//
// They are made when the slab or the allocation is, and are pages like others
// again before anybody else gets them, and before they go back to the page
// source. Where the ground can't make one there is none: the pages stay unused
// all the same, and it is counted.
//
// Contexts: lanes' owners, without locks held.
// Ownership: a guard is the slab's or the allocation's that it is behind.
// Failure: guard(): false; unguard(): none.
// Complexity: one call of the ground's each; without the policy no code and no
//   data.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "lib/kmalloc/layout.h"
#include "lib/kmalloc/platform.h"

namespace odo::kmalloc {

// Of a moment.
struct GuardCounts {
  std::size_t bytes = 0;      // that nobody may touch
  std::uint64_t missing = 0;  // guards that could not be made so far
};

template <class P>
class Guards {
 public:
  // Of a large allocation's.
  static constexpr std::size_t kBytes = 0;
};

template <class P>
requires kIsGuarded<P>
class Guards<P> {
 public:
  static constexpr std::size_t kBytes = kPageBytes;

  // Whole pages. Whether there is a guard now, for unguard().
  [[nodiscard]] bool guard(P& ground, void* memory, std::size_t bytes) {
    if (!ground.protect(memory, bytes)) {
      (void)missing_.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    (void)bytes_.fetch_add(bytes, std::memory_order_relaxed);
    return true;
  }
  void unguard(P& ground, void* memory, std::size_t bytes) {
    ground.unprotect(memory, bytes);
    (void)bytes_.fetch_sub(bytes, std::memory_order_relaxed);
  }
  [[nodiscard]] GuardCounts counts() const {
    return {.bytes = bytes_.load(std::memory_order_relaxed),
            .missing = missing_.load(std::memory_order_relaxed)};
  }

 private:
  // Relaxed: each number stands for itself.
  typename P::template Atomic<std::size_t> bytes_{std::size_t{0}};
  typename P::template Atomic<std::uint64_t> missing_{std::uint64_t{0}};
};

// Whether each of N places has its guard: nothing where there are none.
template <bool HasGuards, std::size_t N>
struct GuardFlags {};
template <std::size_t N>
struct GuardFlags<true, N> {
  bool has_guard[N] = {};
};

}  // namespace odo::kmalloc
