// SPDX-License-Identifier: BSD-3-Clause
// Memory as a simulated device sees it: only what a test lends it, at addresses
// that are not the CPU's, in pages whose neighbours are elsewhere. What reaches
// beyond is counted instead of done.
//
// Contexts: tests only, one thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/driver/ground.h"

namespace odo::driver {

class SimMemory {
 public:
  static constexpr std::uint64_t kPage = 4096;
  // Larger than any address of the CPU's, smaller than a device's 64 bits.
  static constexpr std::uint64_t kOffset = std::uint64_t{1} << 50;

  unsigned strays = 0;  // accesses outside of what was lent

  // Lends one run of memory that is contiguous for the device too.
  void lend_contiguous(Bytes bytes) { contiguous_.push_back(bytes); }
  // Lends bytes for the duration of a request; the last lent goes back first.
  void lend(Bytes bytes) { lent_.push_back(bytes); }
  void take_back() { lent_.pop_back(); }

  [[nodiscard]] DmaRun run(const std::byte* p, std::size_t length) const {
    const auto address = reinterpret_cast<std::uint64_t>(p);
    if (find(contiguous_, address, 1) != nullptr) {
      return {address + kOffset, length};
    }
    return {swapped(address) + kOffset,
            std::min<std::size_t>(length, kPage - address % kPage)};
  }

  // What a device finds at `physical`; null, and counted, where it has nothing
  // to look for.
  [[nodiscard]] std::byte* at(std::uint64_t physical, std::size_t length) {
    const std::uint64_t address = physical - kOffset;
    if (std::byte* p = find(contiguous_, address, length)) return p;
    if (address % kPage + length <= kPage) {
      if (std::byte* p = find(lent_, swapped(address), length)) return p;
    }
    ++strays;
    return nullptr;
  }

 private:
  // Pages trade places with their neighbours.
  [[nodiscard]] static std::uint64_t swapped(std::uint64_t address) {
    return address ^ kPage;
  }
  [[nodiscard]] static std::byte* find(const std::vector<Bytes>& among,
                                       std::uint64_t address,
                                       std::size_t length) {
    for (const Bytes& bytes : among) {
      const auto begin = reinterpret_cast<std::uint64_t>(bytes.data());
      if (address >= begin &&
          range_inside(address - begin, length, bytes.size())) {
        // The device may write to whatever the driver lent it.
        return const_cast<std::byte*>(bytes.data()) + (address - begin);
      }
    }
    return nullptr;
  }

  std::vector<Bytes> contiguous_;
  std::vector<Bytes> lent_;
};

// Satisfies DriverGround. A wait is one step of the device and a millisecond.
class SimGround {
 public:
  SimGround(SimMemory& memory, std::function<void()> step)
      : memory_(&memory), step_(std::move(step)) {}

  [[nodiscard]] std::uint16_t load_acquire(const std::uint16_t* from) const {
    return __atomic_load_n(from, __ATOMIC_ACQUIRE);
  }
  void store_release(std::uint16_t* to, std::uint16_t value) const {
    __atomic_store_n(to, value, __ATOMIC_RELEASE);
  }
  void full_fence() const { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
  [[nodiscard]] DmaRun dma_run(const std::byte* p, std::size_t length) const {
    return memory_->run(p, length);
  }
  void begin_wait(std::uint32_t limit_ms) { left_ms_ = limit_ms; }
  [[nodiscard]] bool wait() {
    step_();
    if (left_ms_ == 0) return false;
    return --left_ms_ != 0;
  }

 private:
  SimMemory* memory_;
  std::function<void()> step_;
  std::uint32_t left_ms_ = 0;
};

static_assert(DriverGround<SimGround>);

}  // namespace odo::driver
