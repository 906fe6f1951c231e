// SPDX-License-Identifier: BSD-3-Clause
// What drivers ask of this machine: see driver::DriverGround. Answers are
// looked for in a loop, until the time allowed is over.
//
// Contexts: thread, one at a time for a device.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "lib/driver/ground.h"

namespace odo::x86 {

class DriverGround {
 public:
  // Ring words lie in ordinary cached memory that the device shares coherently:
  // the CPU's own atomic operations are the right ones.
  [[nodiscard]] std::uint16_t load_acquire(const std::uint16_t* from) const {
    return __atomic_load_n(from, __ATOMIC_ACQUIRE);
  }
  void store_release(std::uint16_t* to, std::uint16_t value) const {
    __atomic_store_n(to, value, __ATOMIC_RELEASE);
  }
  void full_fence() const {
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
  [[nodiscard]] driver::DmaRun dma_run(const std::byte* p,
                                       std::size_t length) const;
  void begin_wait(std::uint32_t limit_ms);
  [[nodiscard]] bool wait();

 private:
  std::uint64_t begin_cycles_ = 0;
  std::uint64_t limit_ms_ = 0;
  std::uint64_t looks_ = 0;
};

static_assert(driver::DriverGround<DriverGround>);

// From now on no driver waits longer than this, whatever it thinks is right.
void set_longest_wait(std::uint32_t limit_ms);

}  // namespace odo::x86
