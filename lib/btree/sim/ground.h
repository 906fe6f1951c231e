// SPDX-License-Identifier: BSD-3-Clause
// The simulated ground for concurrent trees, and memory that is never used
// twice, so that a look at what was freed is found out.
//
// Contexts: inside an execution, or in its set-up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <source_location>

#include "lib/btree/concurrent/platform.h"
#include "lib/platform/sim/explore.h"
#include "lib/platform/sim/memory_source.h"
#include "lib/platform/sim/sim_platform.h"

namespace odo::btree {

using sim::Engine;

// What nodes' witnesses tell: each look at a node must come after its birth and
// before its end, in the order that the memory model knows, not only in this
// execution's.
class SimLives {
 public:
  unsigned add() {
    lives_.emplace_back();
    return static_cast<unsigned>(lives_.size() - 1);
  }
  void born(unsigned id) { lives_[id].alive.set(true); }
  void seen(unsigned id) {
    if (!lives_[id].alive.get()) {
      Engine::current().fail("what was freed is looked at");
    }
  }
  void buried(unsigned id) { lives_[id].link.set(true); }
  void dead(unsigned id) {
    if (!lives_[id].alive.get()) Engine::current().fail("freed twice");
    lives_[id].alive.set(false);
    lives_[id].link.set(false);
  }

 private:
  struct Life {
    sim::Plain<bool> alive{false};
    sim::Plain<bool> link{false};
  };
  std::deque<Life> lives_;
};

// What all that stand on one simulated ground share.
struct SimShared {
  static constexpr unsigned kLanes = 3;
  sim::SimAtomic<std::uint64_t> sections[kLanes];
  SimLives lives;
  // Of the execution under way on this host thread.
  inline static SimShared* current = nullptr;
};

class SimGround : public sim::SimPlatform {
 public:
  static constexpr unsigned kMaxLanes = SimShared::kLanes;

  class Witness {
   public:
    void born() {
      id_ = SimShared::current->lives.add();
      SimShared::current->lives.born(id_);
    }
    void seen() const { SimShared::current->lives.seen(id_); }
    void buried() { SimShared::current->lives.buried(id_); }
    void dead() { SimShared::current->lives.dead(id_); }

   private:
    unsigned id_ = 0;
  };

  [[nodiscard]] unsigned lane() { return Engine::current().cpu(); }
  [[nodiscard]] unsigned lanes() { return kMaxLanes; }
  // Threads of one CPU give way to each other only where they block.
  void enter_lane() {}
  void exit_lane() {}
  [[nodiscard]] Atomic<std::uint64_t>& section(unsigned lane) {
    return SimShared::current->sections[lane];
  }
  void light_fence() {}
  void heavy_fence(
      const std::source_location& where = std::source_location::current()) {
    Engine::current().fence_everywhere(where);
  }
};

static_assert(ConcurrentPlatform<SimGround>);

// What is allocated, and whether it may fail.
struct SimMemory : sim::MemorySource {
  explicit SimMemory(Failure failure) : MemorySource(failure, Freed::kKept) {}
};

struct SimNodes {
  SimMemory* memory = nullptr;

  void* allocate(std::size_t bytes, std::size_t align) {
    return memory->allocate(bytes, align);
  }
  void deallocate(void* node, std::size_t /*bytes*/, std::size_t /*align*/) {
    memory->free(node);
  }
};

}  // namespace odo::btree
