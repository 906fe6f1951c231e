// SPDX-License-Identifier: BSD-3-Clause
// A thread's tokens, with waiting: spin first, then give the CPU away.
//
//   ThreadTokens<Ground, MyBlocker> self(lane, ground, blocker);
//   self.acquire(token); ... self.release(token);
//
// acquire() and release() are not annotated for clang's analysis, which does
// not know recursion; the guards in guard.h and assert_held() are.
//
// Contexts: the thread whose tokens these are; no spinlock, no interrupts-off
//   guard alive in anything that may wait.
// Failure: waiting where the blocker forbids it is a fault; see platform.h.
// Origin: lwkt_gettoken() and lwkt_switch() in DragonFly's lwkt_token.c.
#pragma once

#include <concepts>
#include <source_location>
#include <utility>

#include "lib/base/annotations.h"
#include "lib/tokens/token_stack.h"

namespace odo::tokens {

// Who switches threads. switch_until_held() calls release_all() before another
// thread may run, and returns on the same thread once try_reacquire_all() has
// said true; how it passes the time between attempts is its own affair
// (polling from a scheduler's loop as DragonFly does, or ParkingBlocker).
// may_block(): false where this thread must not wait, such as in a critical
// section.
template <class B, class P>
concept Blocker = requires(B& blocker, TokenStack<P>& stack) {
  { blocker.switch_until_held(stack) } -> std::same_as<void>;
  { blocker.may_block() } -> std::same_as<bool>;
};

// Sees each acquisition that may wait, before it. order_validator.h has one
// that does something.
template <class V, class P>
concept Validator = requires(V& validator, const TokenStack<P>& stack,
                             const Token<P>& token, Where where) {
  { validator.before_acquire(stack, token, where) } -> std::same_as<void>;
};

struct NoValidator {
  template <class Stack, class AnyToken>
  void before_acquire(const Stack& /*stack*/, const AnyToken& /*token*/,
                      const Where& /*where*/) {}
};

template <TokenPlatform P, Blocker<P> B, Validator<P> V = NoValidator>
class ThreadTokens : public TokenStack<P> {
 public:
  explicit ThreadTokens(Lane<P>& lane, P platform = P(), B blocker = B(),
                        V validator = V())
      : TokenStack<P>(lane, platform),
        blocker_(std::move(blocker)),
        validator_(std::move(validator)) {}

  // Recursive. Other threads may have run, and all our tokens may have lapsed
  // for a while, when it returns. Cannot fail.
  ODO_ALWAYS_INLINE void acquire(Token<P>& token,
                                 Where where = Where::current()) ODO_MAY_BLOCK {
    validator_.before_acquire(*this, token, where);
    if (!this->take_at_once(token, where)) [[unlikely]] {
      wait(token, where, Want::kExclusive);
    }
  }
  // The same beside other readers. Who holds the token exclusively may take it
  // shared; the other way round never ends and is a fault.
  ODO_ALWAYS_INLINE void acquire_shared(
      Token<P>& token, Where where = Where::current()) ODO_MAY_BLOCK {
    validator_.before_acquire(*this, token, where);
    if (!this->share_at_once(token, where)) {
      wait(token, where, Want::kShared);
    }
  }

  // Gives up every token, calls sleep(), and returns with every token held
  // again. What was read under them has to be read again.
  template <std::invocable Sleep>
  void block(Sleep&& sleep, Where where = Where::current()) ODO_MAY_BLOCK {
    if (!blocker_.may_block()) {
      this->fault(Misuse::kMayNotBlock, nullptr, this->youngest(), where);
    }
    this->release_all();
    std::forward<Sleep>(sleep)();
    if (!this->try_reacquire_all()) blocker_.switch_until_held(*this);
  }

  // Broken if the caller does not hold it; tells the compiler that it does.
  void assert_held(const Token<P>& token) const ODO_ASSERT_HELD(token) {
    ODO_ASSERT(this->holds_exclusive(token));
  }
  void assert_held_shared(const Token<P>& token) const
      ODO_ASSERT_HELD_SHARED(token) {
    ODO_ASSERT(this->holds(token));
  }

  [[nodiscard]] B& blocker() { return blocker_; }

 private:
  // The long way.
  ODO_NOINLINE void wait(Token<P>& token, Where where, Want want) {
    auto& ref = this->push_pending(token, where, want);
    if (!this->holds(token)) this->let_impatient_pass(token);
    if (this->try_take(ref)) return;
    this->refuse_upgrade(ref);
    this->begin_wait(ref);
    if (this->spin(ref)) {
      this->withdraw_request();
      return;
    }
    if (!blocker_.may_block()) {
      this->fault(Misuse::kMayNotBlock, ref.token, this->last_before(&ref),
                  ref.where);
    }
    blocker_.switch_until_held(*this);
  }

  [[no_unique_address]] B blocker_;
  [[no_unique_address]] V validator_;
};

}  // namespace odo::tokens
