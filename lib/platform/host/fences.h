// SPDX-License-Identifier: BSD-3-Clause
// A pair of fences of which one is almost free, by membarrier(2): HasFencePair
// for a Linux program.
//
// Contexts: any thread. Stateless.
// Failure: where the kernel has no private expedited membarrier (before 4.14,
//   or forbidden by a sandbox) both fences are full ones: slower on the light
//   side, same meaning.
// Origin: membarrier(2).
#pragma once

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

#include "lib/base/check.h"
#include "lib/platform/concepts.h"

namespace odo::platform {

class HostFences {
 public:
  void light_fence() const {
    if (light_may_be_none_.load(std::memory_order_relaxed)) [[likely]] {
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

 private:
  [[nodiscard]] static bool has_membarrier() {
    static const bool registered =
        syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0,
                0) == 0;
    return registered;
  }
  // Set before main(). Until then, in other static constructors, light_fence()
  // is a full one, which is right beside any heavy one.
  inline static std::atomic<bool> light_may_be_none_{has_membarrier()};
};

static_assert(HasFencePair<HostFences>);

}  // namespace odo::platform
