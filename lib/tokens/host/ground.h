// SPDX-License-Identifier: BSD-3-Clause
// The ground of tokens in a Linux program: fences by membarrier(2), sleep by
// futex(2), faults on the standard error.
//
// Contexts: any thread. Stateless.
// Failure: where the kernel has no private expedited membarrier (before 4.14,
//   or forbidden by a sandbox) both fences are full ones: slower readers, same
//   meaning.
// Origin: membarrier(2), futex(2).
#pragma once

#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "lib/platform/host/host_platform.h"
#include "lib/tokens/platform.h"

namespace odo::tokens {

class HostGround : public platform::HostPlatform {
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

  void light_fence() const {
    if (readers_may_rely_.load(std::memory_order_relaxed)) [[likely]] {
      std::atomic_signal_fence(std::memory_order_seq_cst);
    } else {
      std::atomic_thread_fence(std::memory_order_seq_cst);
    }
  }
  void heavy_fence() const {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (has_membarrier()) {
      const long failed =
          syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
      ODO_CHECK(failed == 0);
    }
  }

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

  [[nodiscard]] static bool has_membarrier() {
    static const bool registered =
        syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0,
                0) == 0;
    return registered;
  }
  // Set before main(). Until then, in other static constructors, light_fence()
  // is a full one, which is right beside any heavy one.
  inline static std::atomic<bool> readers_may_rely_{has_membarrier()};
};

static_assert(TokenPlatform<HostGround> && CanPark<HostGround>);

}  // namespace odo::tokens
