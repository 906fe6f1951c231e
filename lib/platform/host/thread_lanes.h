// SPDX-License-Identifier: BSD-3-Clause
// Numbers for the threads of a Linux program: each that asks has one of its own
// from 0 on, and hands it on when it ends.
//
// `Use` keeps the numbers of one component apart from another's, and says what
// to panic with: static constexpr const char* kTooMany.
//
// Contexts: any thread, not a signal handler.
// Invariants:
//   T1. a lane has one thread at most; what its last thread did happens before
//       what the next one does (the mutex).
// Failure: a thread more than kMax at once panics, at its first use.
#pragma once

#include <pthread.h>

#include <array>
#include <atomic>
#include <mutex>

#include "lib/base/annotations.h"
#include "lib/base/check.h"

namespace odo::platform {

template <class Use>
class ThreadLanes {
 public:
  static constexpr unsigned kMax = 256;

  // The calling thread's lane.
  [[nodiscard]] ODO_ALWAYS_INLINE static unsigned mine() {
    const unsigned lane = mine_;
    if (lane == kNone) [[unlikely]]
      return take();
    return lane;
  }
  // So many were in use at once at some time. A new lane may be missed by who
  // then passes a heavy fence: its thread's next light fence comes after that,
  // and so does all that it does in the lane.
  [[nodiscard]] static unsigned count() {
    return count_.load(std::memory_order_relaxed);
  }

 private:
  static constexpr unsigned kNone = ~0U;

  ThreadLanes() {
    // A key's destructor, because it runs after those of thread_local objects,
    // which may still use the lane; and again, if others after it do.
    const int failed = pthread_key_create(&key_, give_back);
    ODO_CHECK(failed == 0);
  }
  // Never destroyed: threads may outlive main().
  [[nodiscard]] static ThreadLanes& all() {
    static auto* const lanes = new ThreadLanes;
    return *lanes;
  }

  [[nodiscard]] ODO_NOINLINE static unsigned take() {
    ThreadLanes& lanes = all();
    {
      const std::scoped_lock lock(lanes.mutex_);
      if (lanes.free_count_ != 0) {
        mine_ = lanes.free_[--lanes.free_count_];
      } else {
        const unsigned next = count();
        if (next == kMax) ODO_PANIC(Use::kTooMany);
        // Relaxed: see count().
        count_.store(next + 1, std::memory_order_relaxed);
        mine_ = next;
      }
    }
    const int failed = pthread_setspecific(lanes.key_, &lanes);
    ODO_CHECK(failed == 0);
    return mine_;
  }
  static void give_back(void* lanes_of_key) {
    auto& lanes = *static_cast<ThreadLanes*>(lanes_of_key);
    const std::scoped_lock lock(lanes.mutex_);
    lanes.free_[lanes.free_count_++] = mine_;
    mine_ = kNone;
  }

  inline static thread_local constinit unsigned mine_ = kNone;
  inline static constinit std::atomic<unsigned> count_{0};

  pthread_key_t key_{};
  std::mutex mutex_;
  unsigned free_count_ = 0;
  std::array<unsigned, kMax> free_{};
};

}  // namespace odo::platform
