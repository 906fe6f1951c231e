// SPDX-License-Identifier: BSD-3-Clause
// Free objects at hand: addresses in an array, the one freed last on top.
//
// Below the first entry lies a null that stands for "empty", so that to pop is
// one load and a test of what will be returned anyway.
//
// Contexts: its lane's owner.
// Invariants: base <= top <= limit; base[-1] is null, entries below top are
//   not.
// Complexity: pop, push O(1).
// Failure: pop: null when empty; push: false when full.
// Origin: magazines as in Bonwick and Adams, "Magazines and Vmem", USENIX 2001.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "lib/base/annotations.h"

namespace odo::kmalloc {

class Stack {
 public:
  // Of no lane: empty, and full.
  constexpr Stack() = default;
  // One in front of the first entry is the stack's as well.
  constexpr Stack(void** base, std::uint32_t capacity)
      : top_(base), limit_(base + capacity) {
    base[-1] = nullptr;
  }

  [[nodiscard]] ODO_ALWAYS_INLINE void* pop() {
    void** top = top_;
    void* object = top[-1];
    if (object == nullptr) [[unlikely]]
      return nullptr;
    top_ = top - 1;
    return object;
  }
  [[nodiscard]] ODO_ALWAYS_INLINE bool push(void* object) {
    void** top = top_;
    if (top == limit_) [[unlikely]]
      return false;
    *top = object;
    top_ = top + 1;
    return true;
  }

  // --- for the slow ways, which know the base --------------------------------
  [[nodiscard]] std::uint32_t count(void** base) const {
    return static_cast<std::uint32_t>(top_ - base);
  }
  [[nodiscard]] std::uint32_t capacity(void** base) const {
    return static_cast<std::uint32_t>(limit_ - base);
  }
  // No less than the count.
  void set_capacity(void** base, std::uint32_t capacity) {
    limit_ = base + capacity;
  }
  void set_count(void** base, std::uint32_t count) { top_ = base + count; }
  // The oldest `count` go, the others move down.
  void drop_oldest(void** base, std::uint32_t count) {
    std::copy(base + count, top_, base);
    top_ -= count;
  }

 private:
  static constinit inline void* none_[2] = {nullptr, nullptr};

  void** top_ = none_ + 1;
  void** limit_ = none_ + 1;
};

}  // namespace odo::kmalloc
