// SPDX-License-Identifier: BSD-3-Clause
// What a virtio driver asks of the ground that it runs on, besides its device's
// registers: where memory is for the device, and a wait that ends.
//
// Contexts: thread.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

#include "lib/virtio/split_queue.h"

namespace odo::virtio {

// The longest run from a pointer on that is contiguous for the device too.
struct DmaRun {
  std::uint64_t physical;
  std::size_t length;  // at least 1, at most what was asked about
};

template <class G>
concept DriverGround =
    RingAccess<G> && requires(G& ground, const std::byte* p, std::size_t n) {
      { ground.dma_run(p, n) } -> std::same_as<DmaRun>;
      // begin_wait() starts the clock; wait() returns when something may have
      // happened, true until the time allowed is over.
      { ground.begin_wait() } -> std::same_as<void>;
      { ground.wait() } -> std::same_as<bool>;
    };

}  // namespace odo::virtio
