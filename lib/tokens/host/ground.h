// SPDX-License-Identifier: BSD-3-Clause
// The ground of tokens in a Linux program: sleep by futex(2), faults on the
// standard error.
//
// Contexts: any thread. Stateless.
// Failure: none.
// Origin: futex(2).
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "lib/platform/host/fences.h"
#include "lib/platform/host/host_platform.h"
#include "lib/tokens/platform.h"

namespace odo::tokens {

class HostGround : public platform::HostPlatform, public platform::HostFences {
 public:
  static constexpr TokenTuning kTokenTuning = {
      .spin_rounds = 24,
      .max_pause = 64,
      .impatient_after = 9,
      .let_pass = 64,
      .bias_after_reads = 256,
  };

  class Counter {
   public:
    void add_one() { (void)count_.fetch_add(1, std::memory_order_relaxed); }
    [[nodiscard]] std::uint32_t read() {
      return count_.load(std::memory_order_relaxed);
    }

   private:
    Atomic<std::uint32_t> count_;
  };

  void park(Atomic<std::uint32_t>& word, std::uint32_t seen) const {
    syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
  }
  void wake_all(Atomic<std::uint32_t>& word) const {
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
  }

  void token_fault(const TokenFault& fault) const {
    std::fprintf(stderr, "token \"%s\": %s\n  at %s:%u (%s)\n", fault.token,
                 misuse_text(fault.what), fault.here.file_name(),
                 fault.here.line(), fault.here.function_name());
    if (fault.there.line() != 0) {
      std::fprintf(stderr, "  holding \"%s\" since %s:%u (%s)\n", fault.other,
                   fault.there.file_name(), fault.there.line(),
                   fault.there.function_name());
    }
    std::abort();
  }

 private:
  // A futex is the four bytes of the atomic itself.
  static_assert(sizeof(Atomic<std::uint32_t>) == sizeof(std::uint32_t));
};

static_assert(TokenPlatform<HostGround> && CanPark<HostGround>);

}  // namespace odo::tokens
