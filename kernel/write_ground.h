// SPDX-License-Identifier: BSD-3-Clause
// What changes to a filesystem stand on here. Satisfies
// hammer2::write::Ground.
//
// Contexts: thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel/x86_64/heap.h"
#include "kernel/x86_64/random.h"
#include "kernel/x86_64/units.h"
#include "kernel/x86_64/wall_clock.h"
#include "lib/base/bytes.h"
#include "lib/hammer2/write/ground.h"

namespace odo::kernel {

class WriteGround {
 public:
  using Device = x86::UnitDevice;

  [[nodiscard]] void* allocate(std::size_t bytes, std::size_t align) {
    return x86::kernel_heap().allocate(bytes, align);
  }
  void deallocate(void* memory, std::size_t /*bytes*/, std::size_t /*align*/) {
    x86::kernel_heap().free(memory);
  }
  [[nodiscard]] std::uint64_t now_us() { return x86::wall_clock_us(); }
  void fill_random(MutableBytes to) { x86::fill_random(to); }
};

static_assert(hammer2::write::Ground<WriteGround>);

}  // namespace odo::kernel
