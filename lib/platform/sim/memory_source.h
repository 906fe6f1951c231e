// SPDX-License-Identifier: BSD-3-Clause
// Memory for what runs in the simulator: it may fail, and it knows what is
// live.
//
// Contexts: simulated CPUs and the code around them.
// Failure: an execution fails that frees what is not live.
// Complexity: linear in live allocations; programs have a handful.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "lib/base/bits.h"
#include "lib/platform/sim/engine.h"

namespace odo::sim {

class MemorySource {
 public:
  enum class Failure : std::uint8_t { kNever, kInjected };
  // What is freed may be handed out again, or stays as it is until the
  // execution is over: who still looks at it reads nobody else's bytes.
  enum class Freed : std::uint8_t { kReused, kKept };

  MemorySource(Failure failure, Freed freed)
      : failure_(failure), freed_(freed) {}
  MemorySource(const MemorySource&) = delete;
  MemorySource& operator=(const MemorySource&) = delete;
  ~MemorySource() {
    for (void* memory : live_) std::free(memory);
    for (void* memory : dead_) std::free(memory);
  }

  void* allocate(std::size_t bytes, std::size_t align) {
    if (failure_ == Failure::kInjected && Engine::current().inject_fault()) {
      return nullptr;
    }
    void* memory = std::aligned_alloc(align, align_up(bytes, align));
    live_.push_back(memory);
    return memory;
  }
  void free(void* memory) {
    const auto it = std::find(live_.begin(), live_.end(), memory);
    if (it == live_.end()) Engine::current().fail("freed what is not live");
    live_.erase(it);
    if (freed_ == Freed::kKept) {
      dead_.push_back(memory);
    } else {
      std::free(memory);
    }
  }
  [[nodiscard]] std::size_t live() const { return live_.size(); }

 private:
  Failure failure_;
  Freed freed_;
  std::vector<void*> live_;
  std::vector<void*> dead_;
};

}  // namespace odo::sim
