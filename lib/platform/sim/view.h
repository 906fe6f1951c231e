// SPDX-License-Identifier: BSD-3-Clause
// What a simulated thread knows: which events happened before it, and for each
// atomic location the oldest store that it may still read.
//
// Contexts: one host thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace odo::sim {

using ThreadId = std::uint32_t;
using LocationId = std::uint32_t;
using StoreId = std::uint32_t;

// Happens-before as a vector clock: entry t is how many events of thread t
// happened before.
class VectorClock {
 public:
  [[nodiscard]] std::uint32_t of(ThreadId thread) const {
    return thread < ticks_.size() ? ticks_[thread] : 0;
  }
  void set(ThreadId thread, std::uint32_t tick) {
    if (thread >= ticks_.size()) ticks_.resize(thread + 1, 0);
    ticks_[thread] = tick;
  }
  void join(const VectorClock& other) {
    if (other.ticks_.size() > ticks_.size()) {
      ticks_.resize(other.ticks_.size(), 0);
    }
    for (std::size_t i = 0; i < other.ticks_.size(); ++i) {
      ticks_[i] = std::max(ticks_[i], other.ticks_[i]);
    }
  }
  // True when every event here happened before `other` too.
  [[nodiscard]] bool before(const VectorClock& other) const {
    for (std::size_t i = 0; i < ticks_.size(); ++i) {
      if (ticks_[i] > other.of(static_cast<ThreadId>(i))) return false;
    }
    return true;
  }
  void clear() { ticks_.clear(); }

 private:
  std::vector<std::uint32_t> ticks_;
};

// For each location a store: the floor below which coherence forbids to read.
// Store 0 of every location is its initial value, so an absent entry means "no
// floor".
class Floors {
 public:
  [[nodiscard]] StoreId of(LocationId location) const {
    return location < stores_.size() ? stores_[location] : 0;
  }
  void set(LocationId location, StoreId store) {
    if (location >= stores_.size()) stores_.resize(location + 1, 0);
    stores_[location] = store;
  }
  [[nodiscard]] std::size_t size() const { return stores_.size(); }
  void clear() { stores_.clear(); }

 private:
  std::vector<StoreId> stores_;
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
