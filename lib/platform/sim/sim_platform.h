// SPDX-License-Identifier: BSD-3-Clause
// The simulated ground: what lib/platform's concepts ask, answered by the
// engine of the execution under way.
//
// Contexts: inside an execution, or in its set-up.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <source_location>

#include "lib/platform/concepts.h"
#include "lib/platform/sim/atomic.h"
#include "lib/platform/sim/engine.h"

namespace odo::sim {

struct SimPlatform {
  template <class T>
  using Atomic = SimAtomic<T>;

  void fence(std::memory_order order, const std::source_location& where =
                                          std::source_location::current()) {
    sim::fence(order, where);
  }
  [[nodiscard]] std::uint64_t now_ns() { return Engine::current().now_ns(); }
  void relax() { Engine::current().relax(); }
};

static_assert(platform::HasAtomics<SimPlatform> &&
              platform::HasClock<SimPlatform> &&
              platform::CanRelax<SimPlatform>);

// Pages from the host's heap, any request of which may fail when the engine
// says so.
class SimPages {
 public:
  static constexpr std::size_t kPageBytes = 4096;

  // Zeroed pages, or null.
  [[nodiscard]] void* map(std::size_t pages) {
    if (Engine::current().inject_fault()) return nullptr;
    void* memory = std::aligned_alloc(kPageBytes, pages * kPageBytes);
    if (memory != nullptr) std::memset(memory, 0, pages * kPageBytes);
    return memory;
  }
  void unmap(void* memory, std::size_t /*pages*/) { std::free(memory); }
};

}  // namespace odo::sim
