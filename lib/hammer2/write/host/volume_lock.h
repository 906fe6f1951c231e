// SPDX-License-Identifier: BSD-3-Clause
// A lock for a volume that many threads are at, as GroupSync wants it.
//
// Contexts: any thread.
#pragma once

#include <condition_variable>
#include <mutex>

#include "lib/hammer2/write/group_sync.h"

namespace odo::hammer2::write {

class VolumeLock {
 public:
  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

  void wait() { changed_.wait(*this); }
  void wake_all() { changed_.notify_all(); }

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
};

static_assert(SyncLock<VolumeLock>);

}  // namespace odo::hammer2::write
