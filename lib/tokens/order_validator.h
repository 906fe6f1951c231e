// SPDX-License-Identifier: BSD-3-Clause
// Watches in which order tokens are taken, and reports when two threads'
// orders, or an order and the ranks, don't agree.
//
// Tokens can't deadlock by order, but threads that take them in opposite orders
// keep making each other lapse; and an order that is kept is one that a later
// change from token to spinlock survives.
//
// Classes with ranks must be taken in rising rank. Between classes of which one
// has no rank, the first order seen is the right one, and both stacks are shown
// when another comes. Several tokens of one class may be taken in any order.
//
// Contexts: as ThreadTokens::acquire(). The table is under a spinlock.
// Size: Edges orders of 160 bytes; when the table is full, no more are learned
//   (full() says so).
// Failure: what a report leads to is the ground's affair: order_misuse() may
//   return. One pair of classes is reported once.
// Origin: the idea is Linux's lockdep (Documentation/locking/lockdep-design)
//   and FreeBSD's witness(4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <span>

#include "lib/platform/spinlock.h"
#include "lib/tokens/token_stack.h"

namespace odo::tokens {

// One token of a stack: what, and where it was taken.
struct OrderStep {
  const TokenClass* kind;
  Where where;
};

// `now` takes its last step in an order that contradicts `before` (which is
// empty if the ranks alone say so). Both from the oldest token to the youngest.
struct OrderMisuse {
  std::span<const OrderStep> before;
  std::span<const OrderStep> now;
};

template <class P>
concept HearsOrderMisuse = requires(P& ground, const OrderMisuse& misuse) {
  { ground.order_misuse(misuse) } -> std::same_as<void>;
};

// What all threads share.
template <TokenPlatform P, std::size_t Edges = 256>
requires HearsOrderMisuse<P>
class OrderGraph {
 public:
  explicit OrderGraph(P platform = P())
      : platform_(platform), lock_(platform) {}

  // `stack` is about to take `token` at `where`.
  void check(const TokenStack<P>& stack, const Token<P>& token, Where where) {
    Snapshot now;
    for (const TokenRef<P>& ref : stack.refs()) {
      if (ref.token == &token) return;  // recursion has no order
    }
    take_snapshot(now, stack, token, where);
    for (std::size_t i = 0; i + 1 < now.steps; ++i) {
      check_pair(*now.step[i].kind, token.kind(), now);
    }
  }

  [[nodiscard]] bool full() {
    platform::SpinGuard guard(lock_);
    return used_ == Edges;
  }

 private:
  // The youngest are the ones that matter.
  static constexpr std::size_t kSteps = 8;

  struct Snapshot {
    std::size_t steps = 0;
    OrderStep step[kSteps] = {};
    [[nodiscard]] std::span<const OrderStep> view() const {
      return {step, steps};
    }
  };
  struct Edge {
    const TokenClass* first = nullptr;
    const TokenClass* second = nullptr;
    bool reported = false;
    Snapshot seen;
  };

  static void take_snapshot(Snapshot& out, const TokenStack<P>& stack,
                            const Token<P>& token, Where where) {
    const auto refs = stack.refs();
    const std::size_t skip =
        refs.size() < kSteps ? 0 : refs.size() - (kSteps - 1);
    for (std::size_t i = skip; i < refs.size(); ++i) {
      out.step[out.steps++] = {&refs[i].token->kind(), refs[i].where};
    }
    out.step[out.steps++] = {&token.kind(), where};
  }

  void check_pair(const TokenClass& held, const TokenClass& wanted,
                  const Snapshot& now) {
    if (&held == &wanted) return;
    const bool ranked = held.rank != 0 && wanted.rank != 0;
    Snapshot before;
    {
      platform::SpinGuard guard(lock_);
      Edge* edge = find(held, wanted);
      if (edge == nullptr) edge = learn(held, wanted, now);
      if (edge == nullptr || edge->reported) return;
      if (ranked) {
        if (held.rank < wanted.rank) return;
      } else {
        Edge* opposite = find(wanted, held);
        if (opposite == nullptr) return;
        opposite->reported = true;
        before = opposite->seen;
      }
      edge->reported = true;
    }
    // Outside the lock: the ground may want to print, or never return.
    platform_.order_misuse({before.view(), now.view()});
  }

  Edge* find(const TokenClass& first, const TokenClass& second)
      ODO_REQUIRES(lock_) {
    for (std::size_t i = 0; i < used_; ++i) {
      if (edges_[i].first == &first && edges_[i].second == &second) {
        return &edges_[i];
      }
    }
    return nullptr;
  }
  Edge* learn(const TokenClass& first, const TokenClass& second,
              const Snapshot& now) ODO_REQUIRES(lock_) {
    if (used_ == Edges) return nullptr;
    edges_[used_] = {&first, &second, false, now};
    return &edges_[used_++];
  }

  [[no_unique_address]] P platform_;
  platform::SpinLock<P> lock_;
  std::size_t used_ ODO_GUARDED_BY(lock_) = 0;
  Edge edges_[Edges] ODO_GUARDED_BY(lock_);
};

// The validator of one thread; all of them share a graph.
template <TokenPlatform P, std::size_t Edges = 256>
class OrderValidator {
 public:
  explicit OrderValidator(OrderGraph<P, Edges>& graph) : graph_(&graph) {}
  void before_acquire(const TokenStack<P>& stack, const Token<P>& token,
                      Where where) {
    graph_->check(stack, token, where);
  }

 private:
  OrderGraph<P, Edges>* graph_;
};

}  // namespace odo::tokens
