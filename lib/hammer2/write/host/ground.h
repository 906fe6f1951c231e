// SPDX-License-Identifier: BSD-3-Clause
// The write path's ground on a hosted system: its allocator, clock and source
// of random bytes.
//
// Contexts: thread; several threads may share one whose clock
//   runs.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <random>

#include "lib/base/bytes.h"
#include "lib/hammer2/write/ground.h"

namespace odo::hammer2::write {

template <block::WritableBlockDevice D>
class HostGround {
 public:
  using Device = D;

  // The usual alignment takes the usual way: glibc below 2.38 hardly reuses
  // what was freed with a larger one.
  void* allocate(std::size_t bytes, std::size_t align) {
    if (align <= kUsual) return ::operator new(bytes, std::nothrow);
    return ::operator new(bytes, std::align_val_t{align}, std::nothrow);
  }
  void deallocate(void* memory, std::size_t /*bytes*/, std::size_t align) {
    if (align <= kUsual) return ::operator delete(memory);
    ::operator delete(memory, std::align_val_t{align});
  }
  // From now on it is that time.
  void stop_clock(std::uint64_t now_us) { stopped_us_ = now_us; }
  std::uint64_t now_us() {
    if (stopped_us_) return *stopped_us_;
    using std::chrono::microseconds;
    using std::chrono::system_clock;
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<microseconds>(
            system_clock::now().time_since_epoch())
            .count());
  }
  void fill_random(MutableBytes to) {
    std::random_device random;
    for (std::byte& byte : to) byte = static_cast<std::byte>(random());
  }

 private:
  static constexpr std::size_t kUsual = __STDCPP_DEFAULT_NEW_ALIGNMENT__;

  std::optional<std::uint64_t> stopped_us_;
};

}  // namespace odo::hammer2::write
