// SPDX-License-Identifier: BSD-3-Clause
// The lock that every request takes at the volume. Satisfies
// hammer2::write::SyncLock.
//
// Contexts: any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "lib/hammer2/write/group_sync.h"

namespace odo::h2fuse {

class VolumeLock {
 public:
  void lock() {
    if (mutex_.try_lock()) return;
    waiting_.fetch_add(1, std::memory_order_relaxed);
    mutex_.lock();
    waiting_.fetch_sub(1, std::memory_order_relaxed);
  }
  void unlock() { mutex_.unlock(); }

  // A mutex is not fair: who has just let it go would have it again before one
  // that waits has woken up.
  void pass() {
    constexpr std::chrono::microseconds kToWakeUp(50);
    if (waiting_.load(std::memory_order_relaxed) == 0) return;
    unlock();
    std::this_thread::sleep_for(kToWakeUp);
    lock();
  }
  void wait() { changed_.wait(*this); }
  void wake_all() { changed_.notify_all(); }
  // wait() for a time at most.
  void wait_for(std::chrono::milliseconds time) {
    changed_.wait_for(*this, time);
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  // A hint, which orders nothing.
  std::atomic<unsigned> waiting_{0};
};

static_assert(hammer2::write::SyncLock<VolumeLock>);

}  // namespace odo::h2fuse
