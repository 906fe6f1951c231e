// SPDX-License-Identifier: BSD-3-Clause
// What a driver asks of the ground that it runs on, besides its device's
// registers: words of memory that the device touches too, where memory is for
// the device, and a wait that ends.
//
// Contexts: thread.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace odo::driver {

// How the ground touches words that the device touches too.
template <class R>
concept RingAccess = requires(const R& access, const std::uint16_t* from,
                              std::uint16_t* to, std::uint16_t value) {
  { access.load_acquire(from) } -> std::same_as<std::uint16_t>;
  { access.store_release(to, value) } -> std::same_as<void>;
  { access.full_fence() } -> std::same_as<void>;
};

// The longest run from a pointer on that is contiguous for the device too.
struct DmaRun {
  std::uint64_t physical;
  std::size_t length;  // at least 1, at most what was asked about
};

template <class G>
concept DriverGround =
    RingAccess<G> && requires(G& ground, const std::byte* p, std::size_t n,
                              std::uint32_t limit_ms) {
      { ground.dma_run(p, n) } -> std::same_as<DmaRun>;
      // begin_wait() starts the clock; wait() returns when something may have
      // happened, true until the time allowed is over.
      { ground.begin_wait(limit_ms) } -> std::same_as<void>;
      { ground.wait() } -> std::same_as<bool>;
    };

// What a request that a device took may last: disks that wake up or write a
// bad place again answer within that.
inline constexpr std::uint32_t kRequestLimitMs = 10'000;

}  // namespace odo::driver
