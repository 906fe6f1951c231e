// SPDX-License-Identifier: BSD-3-Clause
// Where readers of a read-biased token leave their mark, instead of in the
// token: one cache line a CPU, so that readers on different CPUs share none.
//
// A lane belongs to whatever runs one token-holding thread at a time: a CPU in
// a kernel, a thread on the host. As only running threads hold tokens, lanes
// are enough to find every reader; sleeping threads have none marked.
//
// Contexts: slots: the lane's own thread writes, anybody reads. A thread that
//   interrupts another on the same lane leaves the slots as it found them.
// Ownership: a lane, once added, stays in its domain until the domain goes;
//   hosted users hand lanes on to later threads.
// Complexity: a revocation looks at every slot of every lane.
#pragma once

#include <atomic>
#include <cstdint>

#include "lib/tokens/token.h"

namespace odo::tokens {

template <TokenPlatform P>
class TokenDomain;

template <TokenPlatform P>
class alignas(64) Lane {
 public:
  static constexpr unsigned kSlots = 8;

  explicit Lane(TokenDomain<P>& domain) : domain_(domain) {}
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

 private:
  friend class TokenDomain<P>;
  friend class TokenStack<P>;

  using Slot = typename P::template Atomic<Token<P>*>;

  Slot slots_[kSlots];  // the line that readers write
  TokenDomain<P>& domain_;
  // Constant once added; atomic so that the simulator sees it.
  typename P::template Atomic<Lane*> next_{nullptr};
};

// The lanes on which a set of tokens is used. A token is used from one domain
// only; a kernel has one, a test as many as it likes.
template <TokenPlatform P>
class TokenDomain {
 public:
  constexpr TokenDomain() = default;
  TokenDomain(const TokenDomain&) = delete;
  TokenDomain& operator=(const TokenDomain&) = delete;

  // Before the lane's first use. Any thread.
  void add(Lane<P>& lane) {
    Lane<P>* first = first_.load(std::memory_order_relaxed);
    do {
      lane.next_.store(first, std::memory_order_relaxed);
      // Release: next_ and the slots are there for whoever finds the lane.
    } while (!first_.compare_exchange_weak(
        first, &lane, std::memory_order_release, std::memory_order_relaxed));
  }

 private:
  friend class TokenStack<P>;

  typename P::template Atomic<Lane<P>*> first_{nullptr};
};

}  // namespace odo::tokens
