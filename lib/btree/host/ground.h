// SPDX-License-Identifier: BSD-3-Clause
// The ground of concurrent trees in a Linux program: a lane a thread, handed on
// when the thread ends; the heavy fence by membarrier(2).
//
//   btree::ConcurrentBTree<std::uint64_t, std::uint64_t, btree::HostGround> t;
//
// Contexts: any thread, not a signal handler. Stateless.
// Invariants:
//   H1. a lane has one thread at most; what its last thread did happens before
//       what the next one does (ThreadLanes, T1).
// Failure: a thread more than kMaxLanes at once panics, at its first use.
// Origin: membarrier(2).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "lib/base/annotations.h"
#include "lib/btree/concurrent/platform.h"
#include "lib/platform/host/fences.h"
#include "lib/platform/host/host_platform.h"
#include "lib/platform/host/thread_lanes.h"

namespace odo::btree {

struct TreeUse {
  static constexpr const char* kTooMany =
      "more threads use trees than HostLanes::kMax";
};
using HostLanes = platform::ThreadLanes<TreeUse>;

// Each lane's word, on two lines of its own: lines come in pairs.
struct alignas(128) SectionWord {
  platform::HostAtomic<std::uint64_t> word;
};
inline constinit std::array<SectionWord, HostLanes::kMax> section_words{};

class HostGround : public platform::HostPlatform, public platform::HostFences {
 public:
  static constexpr unsigned kMaxLanes = HostLanes::kMax;

  [[nodiscard]] ODO_ALWAYS_INLINE unsigned lane() const {
    return HostLanes::mine();
  }
  [[nodiscard]] unsigned lanes() const { return HostLanes::count(); }
  // A thread has its lane to itself.
  void enter_lane() const {}
  void exit_lane() const {}
  [[nodiscard]] ODO_ALWAYS_INLINE Atomic<std::uint64_t>& section(
      unsigned lane) const {
    return section_words[lane].word;
  }

  ODO_ALWAYS_INLINE void fence(std::memory_order order) const {
    std::atomic_thread_fence(order);
  }
  void relax() const { relax_or_yield(); }
};

static_assert(ConcurrentPlatform<HostGround>);

}  // namespace odo::btree
