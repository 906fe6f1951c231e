// SPDX-License-Identifier: BSD-3-Clause
// A magazine: an array of pointers to constructed objects that nobody uses, the
// unit in which lanes and depots exchange them.
//
// Contexts: any; no locking of its own: one user at a time.
// Ownership: whoever holds a magazine holds the objects in it. A magazine in
//   memory of the caller's (populate()) is never given to the backing.
// Invariants:
//   M1. slots()[0 .. rounds) are objects; rounds <= capacity. While a lane has
//       a magazine loaded, it counts the rounds itself (lane.h).
// Complexity: O(1).
// Origin: Bonwick and Adams, "Magazines and Vmem: Extending the Slab Allocator
//   to Many CPUs and Arbitrary Resources" (USENIX 2001), section 3.
#pragma once

#include <cstddef>
#include <cstdint>

namespace odo::objcache {

enum class MagazineHome : std::uint8_t { kBacking, kLinear };

struct Magazine {
  Magazine* next = nullptr;
  std::uint32_t capacity;
  std::uint32_t rounds = 0;
  MagazineHome home;

  Magazine(std::uint32_t capacity_wanted, MagazineHome whose)
      : capacity(capacity_wanted), home(whose) {}

  // The array follows the header.
  [[nodiscard]] void** slots() { return reinterpret_cast<void**>(this + 1); }
  [[nodiscard]] static constexpr std::size_t bytes(std::uint32_t capacity) {
    return sizeof(Magazine) + capacity * sizeof(void*);
  }
};
static_assert(sizeof(Magazine) % alignof(void*) == 0);

// Youngest first: what was put last is warm.
class MagazineList {
 public:
  [[nodiscard]] bool empty() const { return first_ == nullptr; }
  [[nodiscard]] Magazine* front() { return first_; }
  void push(Magazine& magazine) {
    magazine.next = first_;
    first_ = &magazine;
  }
  // Null when empty.
  Magazine* pop() {
    Magazine* magazine = first_;
    if (magazine != nullptr) first_ = magazine->next;
    return magazine;
  }

 private:
  Magazine* first_ = nullptr;
};

}  // namespace odo::objcache
