// SPDX-License-Identifier: BSD-3-Clause
// The blocker for threads that somebody else schedules: a thread that cannot
// have its tokens sleeps on the one that stands in its way.
//
// Contexts: threads.
// Failure: none.
#pragma once

#include "lib/tokens/thread_tokens.h"

namespace odo::tokens {

template <TokenPlatform P>
requires CanPark<P>
class ParkingBlocker {
 public:
  void switch_until_held(TokenStack<P>& stack) {
    stack.release_all();
    while (!stack.try_reacquire_all()) stack.park();
  }
  [[nodiscard]] bool may_block() const { return true; }
};

}  // namespace odo::tokens
