// SPDX-License-Identifier: BSD-3-Clause
// The ground of concurrent trees in a Linux program: a lane a thread, handed on
// when the thread ends; the heavy fence by membarrier(2).
//
//   btree::ConcurrentBTree<std::uint64_t, std::uint64_t, btree::HostGround> t;
//
// Contexts: any thread, not a signal handler. Stateless.
// Invariants:
//   H1. a lane has one thread at most; what its last thread did happens before
//       what the next one does (the mutex in HostLanes).
// Failure: a thread more than kMaxLanes at once panics, at its first use.
// Origin: membarrier(2).
#pragma once

#include <pthread.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>

#include "lib/base/annotations.h"
#include "lib/base/check.h"
#include "lib/btree/concurrent/platform.h"
#include "lib/platform/host/fences.h"
#include "lib/platform/host/host_platform.h"

namespace odo::btree {

// Which lanes there are, whose, and each one's word.
class HostLanes {
 public:
  static constexpr unsigned kMax = 256;
  using Word = platform::HostAtomic<std::uint64_t>;

  // The calling thread's lane.
  [[nodiscard]] ODO_ALWAYS_INLINE static unsigned mine() {
    const unsigned lane = mine_;
    if (lane == kNone) [[unlikely]]
      return take();
    return lane;
  }
  // So many were in use at once at some time.
  [[nodiscard]] static unsigned count() {
    return count_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] ODO_ALWAYS_INLINE static Word& word(unsigned lane) {
    return words_[lane].word;
  }

 private:
  static constexpr unsigned kNone = ~0U;
  struct alignas(128) Line {  // two: lines come in pairs
    Word word;
  };

  HostLanes() {
    // A key's destructor, because it runs after those of thread_local objects,
    // which may still use trees; and again, if others after it do.
    const int failed = pthread_key_create(&key_, give_back);
    ODO_CHECK(failed == 0);
  }
  // Never destroyed: threads may outlive main().
  [[nodiscard]] static HostLanes& all() {
    static auto* const lanes = new HostLanes;
    return *lanes;
  }

  [[nodiscard]] ODO_NOINLINE static unsigned take() {
    HostLanes& lanes = all();
    {
      const std::scoped_lock lock(lanes.mutex_);
      if (lanes.free_count_ != 0) {
        mine_ = lanes.free_[--lanes.free_count_];
      } else {
        const unsigned next = count();
        if (next == kMax) {
          ODO_PANIC("more threads use trees than HostLanes::kMax");
        }
        // Relaxed: who waits for readers and misses it comes before this
        // thread's light fence, so what was unlinked is not found.
        count_.store(next + 1, std::memory_order_relaxed);
        mine_ = next;
      }
    }
    const int failed = pthread_setspecific(lanes.key_, &lanes);
    ODO_CHECK(failed == 0);
    return mine_;
  }
  static void give_back(void* lanes_of_key) {
    auto& lanes = *static_cast<HostLanes*>(lanes_of_key);
    const std::scoped_lock lock(lanes.mutex_);
    lanes.free_[lanes.free_count_++] = mine_;
    mine_ = kNone;
  }

  inline static thread_local constinit unsigned mine_ = kNone;
  inline static constinit std::array<Line, kMax> words_{};
  inline static constinit std::atomic<unsigned> count_{0};

  pthread_key_t key_{};
  std::mutex mutex_;
  unsigned free_count_ = 0;
  std::array<unsigned, kMax> free_{};
};

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
    return HostLanes::word(lane);
  }

  ODO_ALWAYS_INLINE void fence(std::memory_order order) const {
    std::atomic_thread_fence(order);
  }
  void relax() const { relax_or_yield(); }
};

static_assert(ConcurrentPlatform<HostGround>);

}  // namespace odo::btree
