// SPDX-License-Identifier: BSD-3-Clause
// A test of tokens on whatever ground it stands on, for places without a test
// framework: a kernel runs it on its real CPUs, the host on threads.
//
// One SelfTest is shared; each CPU or thread calls run() once with its own
// tokens, and when all have returned, verdict() tells whether the counts agree.
//
// Contexts: threads that may block.
// Failure: verdict() is null or says what went wrong.
// Complexity: about ten acquisitions a round.
#pragma once

#include <atomic>
#include <cstdint>

#include "lib/tokens/guard.h"
#include "lib/tokens/thread_tokens.h"

namespace odo::tokens {

inline constexpr TokenClass kSelfTestClass{"self test"};

template <TokenPlatform P>
class SelfTest {
 public:
  template <class Self>
  void run(Self& self, std::uint32_t rounds) {
    const std::uint32_t me = runners_.fetch_add(1, std::memory_order_relaxed);
    for (std::uint32_t round = 0; round < rounds; ++round) {
      // Every second runner takes the two in the opposite order.
      Token<P>& first = me % 2 == 0 ? a_ : b_;
      Token<P>& second = me % 2 == 0 ? b_ : a_;
      self.acquire(first);
      self.acquire(first);
      self.acquire(second);
      add_to_both();
      self.swap_top();
      self.release(first);
      self.block([] {});
      add_to_both();
      self.release(second);
      self.release(first);
      read(self, round);
    }
    (void)rounds_.fetch_add(rounds, std::memory_order_relaxed);
  }

  // After every run() has returned and the caller knows it.
  [[nodiscard]] const char* verdict() {
    if (torn_.load(std::memory_order_relaxed))
      return "a reader saw half a write";
    const std::uint64_t expected = 2 * rounds_.load(std::memory_order_relaxed);
    if (under_a_ != expected || under_b_ != expected) {
      return "an update was lost";
    }
    if (a_.is_held_exclusive() || b_.is_held_exclusive()) {
      return "a token was left behind";
    }
    return nullptr;
  }

 private:
  void add_to_both() {
    under_a_ = under_a_ + 1;
    under_b_ = under_b_ + 1;
  }
  // More reads than writes, at times enough of them for the lanes.
  template <class Self>
  void read(Self& self, std::uint32_t round) {
    const std::uint32_t reads =
        round % 64 == 0 ? 2 * P::kTokenTuning.bias_after_reads : 4;
    for (std::uint32_t i = 0; i < reads; ++i) {
      SharedTokenGuard hold(self, a_);
      if (under_a_ != under_b_) torn_.store(true, std::memory_order_relaxed);
    }
  }

  template <class T>
  using Atomic = typename P::template Atomic<T>;

  Token<P> a_{kSelfTestClass};
  Token<P> b_{kSelfTestClass};
  // Plain, and both written under both tokens: a reader under one of them must
  // find them equal.
  std::uint64_t under_a_ = 0;
  std::uint64_t under_b_ = 0;
  Atomic<std::uint32_t> runners_{std::uint32_t{0}};
  Atomic<std::uint64_t> rounds_{std::uint64_t{0}};
  Atomic<bool> torn_{false};
};

}  // namespace odo::tokens
