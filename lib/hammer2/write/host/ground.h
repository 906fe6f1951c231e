// SPDX-License-Identifier: BSD-3-Clause
// The write path's ground on a hosted system: its allocator, clock and source
// of random bytes.
//
// Contexts: thread; several threads may share one.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <new>
#include <random>

#include "lib/base/bytes.h"
#include "lib/hammer2/write/ground.h"

namespace odo::hammer2::write {

template <block::WritableBlockDevice D>
class HostGround {
 public:
  using Device = D;

  void* allocate(std::size_t bytes, std::size_t align) {
    return ::operator new(bytes, std::align_val_t{align}, std::nothrow);
  }
  void deallocate(void* memory, std::size_t /*bytes*/, std::size_t align) {
    ::operator delete(memory, std::align_val_t{align});
  }
  std::uint64_t now_us() {
    using namespace std::chrono;
    return static_cast<std::uint64_t>(
        duration_cast<microseconds>(system_clock::now().time_since_epoch())
            .count());
  }
  void fill_random(MutableBytes to) {
    std::random_device random;
    for (std::byte& byte : to) byte = static_cast<std::byte>(random());
  }
};

}  // namespace odo::hammer2::write
