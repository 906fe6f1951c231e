// SPDX-License-Identifier: BSD-3-Clause
// The ground of object caches in a Linux program: a lane a thread, handed on
// when the thread ends; sleep by futex(2); faults on the standard error.
//
//   objcache::ObjCache<Session, objcache::HostGround, objcache::HeapBacking>
//       sessions("session");
//
// Contexts: any thread, not a signal handler. Stateless.
// Ownership: lanes belong to the program. One whose thread has ended keeps its
//   magazines, in every cache, for the next thread or a visitor.
// Invariants:
//   H1. a lane has one thread at most; what its last thread did happens before
//       what the next one does (ThreadLanes, T1).
// Failure: a thread more than kMaxLanes at once panics, at its first use.
// Origin: futex(2), membarrier(2).
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "lib/base/annotations.h"
#include "lib/objcache/platform.h"
#include "lib/platform/host/fences.h"
#include "lib/platform/host/host_platform.h"
#include "lib/platform/host/thread_lanes.h"

namespace odo::objcache {

struct ObjCacheUse {
  static constexpr const char* kTooMany =
      "more threads use object caches than HostLanes::kMax";
};
using HostLanes = platform::ThreadLanes<ObjCacheUse>;

class HostGround : public platform::HostPlatform, public platform::HostFences {
 public:
  static constexpr unsigned kMaxLanes = HostLanes::kMax;

  // One thread writes it at a time (H1).
  class Counter {
   public:
    void add_one() {
      count_.store(count_.load(std::memory_order_relaxed) + 1,
                   std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t read() const {
      return count_.load(std::memory_order_relaxed);
    }

   private:
    Atomic<std::uint64_t> count_;
  };

  [[nodiscard]] ODO_ALWAYS_INLINE unsigned lane() const {
    return HostLanes::mine();
  }
  [[nodiscard]] unsigned lanes() const { return HostLanes::count(); }
  // A thread has its lane to itself.
  void enter_lane() const {}
  void exit_lane() const {}

  void relax() const { relax_or_yield(); }

  void park(Atomic<std::uint32_t>& word, std::uint32_t seen) const {
    syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
  }
  void unpark_all(Atomic<std::uint32_t>& word) const {
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
  }

  void objcache_fault(const ObjCacheFault& fault) const {
    std::fprintf(stderr, "object cache \"%s\": %s", fault.cache,
                 misuse_text(fault.what));
    if (fault.object == nullptr) {
      std::fprintf(stderr, " (%llu)",
                   static_cast<unsigned long long>(fault.count));
    }
    std::fprintf(stderr, "\n  at %s:%u (%s)\n", fault.here.file_name(),
                 fault.here.line(), fault.here.function_name());
    if (fault.there.line() != 0) {
      std::fprintf(stderr, "  put before at %s:%u (%s)\n",
                   fault.there.file_name(), fault.there.line(),
                   fault.there.function_name());
    }
    std::abort();
  }

 private:
  // A futex is the four bytes of the atomic itself.
  static_assert(sizeof(Atomic<std::uint32_t>) == sizeof(std::uint32_t));
};

static_assert(ObjCachePlatform<HostGround> && CanPark<HostGround>);

}  // namespace odo::objcache
