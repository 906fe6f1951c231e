// SPDX-License-Identifier: BSD-3-Clause
// The host ground: a program under Linux. What it offers beside the concepts:
// the processor's features, and a last word on the standard error.
//
// Contexts: any thread. Stateless: every instance is as good as another.
// Failure: none.
#pragma once

#include <immintrin.h>
#include <sched.h>
#include <time.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "lib/base/check.h"
#include "lib/check/cpu.h"
#include "lib/check/vector/host_cpu.h"
#include "lib/platform/concepts.h"
#include "lib/platform/host/atomic.h"

namespace odo::platform {

class HostPlatform {
 public:
  template <class T>
  using Atomic = HostAtomic<T>;

  // Since some moment in the past; not disturbed by clock adjustments.
  [[nodiscard]] std::uint64_t now_ns() const {
    timespec now{};
    int failed = clock_gettime(CLOCK_MONOTONIC, &now);
    ODO_CHECK(failed == 0);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(now.tv_nsec);
  }

  void relax() const { _mm_pause(); }
  // The same for locks that a thread may hold when it loses its processor: who
  // waits gives its own away now and then.
  void relax_or_yield() const {
    constexpr unsigned kPatience = 64;
    static thread_local constinit unsigned rounds = 0;
    if (++rounds % kPatience == 0) {
      (void)sched_yield();
    } else {
      _mm_pause();
    }
  }

  // Asked of the processor once a program.
  [[nodiscard]] static const check::CpuFeatures& cpu_features() {
    static const check::CpuFeatures features = check::host_features();
    return features;
  }

  // From here on a broken invariant prints what and where before it aborts.
  static void install_panic_hook() { panic_hook = print_and_abort; }

 private:
  [[noreturn]] static void print_and_abort(const PanicSite& site) {
    std::fprintf(stderr, "panic: %s\n  at %s:%d\n", site.text, site.file,
                 site.line);
    std::abort();
  }
};

static_assert(HasAtomics<HostPlatform>);
static_assert(HasClock<HostPlatform>);
static_assert(CanRelax<HostPlatform>);

}  // namespace odo::platform
