// SPDX-License-Identifier: BSD-3-Clause
// Empty units on their way from one lane to another, past the arena's lock.
//
// Contexts: lanes' owners; any number at once.
// Ownership: what is in a slot is the depot's, who takes it out has it alone.
// Ordering: KD: give's exchange-in releases what its lane did to the units,
//   take's exchange acquires it.
// Failure: full or empty: the caller goes to the arena.
// Complexity: O(slots), all loads but one; wait-free.
// Origin: the depot of Bonwick and Adams, "Magazines and Vmem", USENIX 2001,
//   with slots in the place of a locked list.
#pragma once

#include <atomic>
#include <cstddef>

#include "lib/kmalloc/chunk.h"

namespace odo::kmalloc {

template <KmallocPlatform P>
class Depot {
 public:
  static constexpr std::size_t kSlots = kDepotSlots<P>;
  using Fields = SlabFields<P>;

  // One unit, which nobody uses. False: full.
  [[nodiscard]] bool give(Fields& unit) {
    for (auto& slot : slots_) {
      Fields* none = slot.load(std::memory_order_relaxed);
      if (none != nullptr) continue;
      if (slot.compare_exchange_strong(none, &unit,
                                       std::memory_order_release,  // KD
                                       std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }
  // Null: empty.
  [[nodiscard]] Fields* take() {
    for (auto& slot : slots_) {
      if (slot.load(std::memory_order_relaxed) == nullptr) continue;
      Fields* unit = slot.exchange(nullptr, std::memory_order_acquire);  // KD
      if (unit != nullptr) return unit;
    }
    return nullptr;
  }

 private:
  typename P::template Atomic<Fields*> slots_[kSlots];
};

}  // namespace odo::kmalloc
