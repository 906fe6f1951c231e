// SPDX-License-Identifier: BSD-3-Clause
// What a simulated thread knows: which events happened before it, and for each
// atomic location the oldest store that it may still read.
//
// Contexts: one host thread.
#pragma once

#include <cstdint>

#include "lib/platform/sim/shared_array.h"

namespace odo::sim {

using ThreadId = std::uint32_t;
using LocationId = std::uint32_t;
using StoreId = std::uint32_t;

// Happens-before as a vector clock: entry t is how many events of thread t
// happened before.
class VectorClock {
 public:
  [[nodiscard]] std::uint32_t of(ThreadId thread) const {
    return ticks_.of(thread);
  }
  void set(ThreadId thread, std::uint32_t tick) { ticks_.set(thread, tick); }
  void join(const VectorClock& other) { ticks_.join(other.ticks_, Later()); }
  void clear() { ticks_.clear(); }

 private:
  struct Later {
    [[nodiscard]] bool by_size(std::uint32_t /*block*/) const { return true; }
    [[nodiscard]] bool is_newer(ThreadId /*thread*/, std::uint32_t theirs,
                                std::uint32_t ours) const {
      return theirs > ours;
    }
  };

  SharedArray ticks_;
};

// For each location a store: the floor below which coherence forbids to read.
// Store 0 of every location is its initial value, so an absent entry means "no
// floor".
class Floors {
 public:
  [[nodiscard]] StoreId of(LocationId location) const {
    return stores_.of(location);
  }
  void set(LocationId location, StoreId store) { stores_.set(location, store); }
  // Order says which of two stores of a location is later in modification order
  // (shared_array.h).
  template <class Order>
  void join(const Floors& other, const Order& order) {
    stores_.join(other.stores_, order);
  }
  [[nodiscard]] bool empty() const { return stores_.empty(); }
  void clear() { stores_.clear(); }

 private:
  SharedArray stores_;
};

struct View {
  VectorClock clock;
  Floors floors;

  void clear() {
    clock.clear();
    floors.clear();
  }
};

}  // namespace odo::sim
