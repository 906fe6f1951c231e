// SPDX-License-Identifier: BSD-3-Clause
// The simulated ground for tokens, and two blockers on it: one that parks, as
// host threads do, and one that is a scheduler and polls, as a kernel does.
//
// Contexts: inside an execution, or in its set-up.
// Ownership: a World belongs to one execution. Its stacks of tokens are freed
//   but not destroyed: a failed execution leaves threads in the middle of
//   things.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

#include "lib/platform/sim/explore.h"
#include "lib/platform/sim/sim_platform.h"
#include "lib/tokens/guard.h"
#include "lib/tokens/parking_blocker.h"
#include "lib/tokens/thread_tokens.h"

namespace odo::tokens {

// Who sleeps on which word. What futex(2) promises and no more: the look at the
// word and the falling asleep are one step for whoever wakes.
class SimParking {
 public:
  using Word = sim::SimAtomic<std::uint32_t>;

  void park(Word& word, std::uint32_t seen) {
    sim::Engine& engine = sim::Engine::current();
    // A read-modify-write reads the newest value, as the kernel's look does;
    // what it orders beyond that, no caller may rely on.
    if (word.fetch_add(0, std::memory_order_relaxed) != seen) return;
    sleepers_.push_back({&word, engine.self(), false});
    engine.block();
  }
  void wake_all(Word& word) {
    for (Sleeper& sleeper : sleepers_) {
      if (sleeper.word == &word) sleeper.woken = true;
    }
    // wake() lets others run, who may fall asleep here anew: those stay.
    while (true) {
      const auto it = std::find_if(
          sleepers_.begin(), sleepers_.end(), [&](const Sleeper& sleeper) {
            return sleeper.woken && sleeper.word == &word;
          });
      if (it == sleepers_.end()) return;
      const sim::ThreadId thread = it->thread;
      sleepers_.erase(it);
      sim::Engine::current().wake(thread);
    }
  }

 private:
  struct Sleeper {
    Word* word;
    sim::ThreadId thread;
    bool woken = false;
  };
  std::vector<Sleeper> sleepers_;
};

// `Bias` is the number of reads after which readers use their lanes.
template <std::uint32_t Bias, std::uint32_t Spins = 0>
class SimGround : public sim::SimPlatform {
 public:
  static constexpr TokenTuning kTokenTuning = {.spin_rounds = Spins,
                                               .max_pause = 1,
                                               .impatient_after = 0,
                                               .let_pass = Spins,
                                               .bias_after_reads = Bias};

  // Nothing depends on a statistic, so to count is no step of the machine.
  class Counter {
   public:
    void add_one() { ++count_; }
    [[nodiscard]] std::uint32_t read() const { return count_; }

   private:
    std::uint32_t count_ = 0;
  };

  explicit SimGround(SimParking& parking) : parking_(&parking) {}

  // Waiting in a token's code is bounded, so a pause is no promise that
  // somebody else makes progress: it is nothing at all.
  void relax() {}

  void light_fence() {}
  void heavy_fence(
      const std::source_location& where = std::source_location::current()) {
    sim::Engine::current().fence_everywhere(where);
  }
  void park(SimParking::Word& word, std::uint32_t seen) {
    parking_->park(word, seen);
  }
  void wake_all(SimParking::Word& word) { parking_->wake_all(word); }

  void token_fault(const TokenFault& fault) {
    // Static, because fail() does not return to clean up.
    static std::string text;
    text = std::string("token \"") + fault.token +
           "\": " + misuse_text(fault.what) + ", \"" + fault.other +
           "\" since line " + std::to_string(fault.there.line());
    sim::Engine::current().fail(text, fault.here);
  }

 private:
  SimParking* parking_;
};

// Several threads a CPU: who can't have its tokens lets another run and asks
// again when its turn comes.
template <class Ground>
class SimPollingBlocker {
 public:
  void switch_until_held(TokenStack<Ground>& stack) {
    stack.release_all();
    do {
      sim::Engine::current().yield();
    } while (!stack.try_reacquire_all());
  }
  [[nodiscard]] bool may_block() const { return true; }
};

inline constexpr TokenClass kSimClasses[] = {{"a"}, {"b"}, {"c"}};

// Three tokens, one lane a CPU, and as many threads as asked for.
template <std::uint32_t Bias, std::uint32_t Spins = 0,
          class B = ParkingBlocker<SimGround<Bias, Spins>>>
class World {
 public:
  using Ground = SimGround<Bias, Spins>;
  using Self = ThreadTokens<Ground, B>;

  World(unsigned cpus, unsigned threads) {
    for (unsigned i = 0; i < cpus; ++i) {
      lanes_.push_back(std::make_unique<Lane<Ground>>(domain_));
      domain_.add(*lanes_.back());
    }
    for (unsigned t = 0; t < threads; ++t) {
      stacks_.push_back(std::make_unique<Room>());
      new (stacks_.back()->bytes) Self(*lanes_[t % cpus], ground());
    }
  }

  Token<Ground> a{kSimClasses[0]};
  Token<Ground> b{kSimClasses[1]};
  Token<Ground> c{kSimClasses[2]};

  [[nodiscard]] Self& self(unsigned thread) {
    return *std::launder(reinterpret_cast<Self*>(stacks_[thread]->bytes));
  }
  [[nodiscard]] Lane<Ground>& lane(unsigned cpu) { return *lanes_[cpu]; }
  [[nodiscard]] TokenDomain<Ground>& domain() { return domain_; }
  [[nodiscard]] Ground ground() { return Ground(parking_); }

 private:
  struct Room {
    alignas(Self) std::byte bytes[sizeof(Self)];
  };

  SimParking parking_;
  TokenDomain<Ground> domain_;
  std::vector<std::unique_ptr<Lane<Ground>>> lanes_;
  std::vector<std::unique_ptr<Room>> stacks_;
};

}  // namespace odo::tokens
