// SPDX-License-Identifier: BSD-3-Clause
// A ring of calls from one CPU to one other: what the first wants done, the
// second does, in order.
//
// Contexts: the producer's calls on one CPU, the consumer's on another; nothing
//   may come between the steps of either, so each is in a critical section.
//   is_done(): any CPU. A called function may drain the queue that it was
//   called from, and be drained around, to any depth.
// Invariants:
//   Q1. executed <= head <= tail <= head + Entries. All three count entries
//       since the beginning, 64 bits wide, and never go back;
//   Q2. tail is written by the producer only, head and executed by the
//       consumer only; each side keeps a copy of the other's index, which may
//       be too old but never too new;
//   Q3. head passes an entry once it was copied, before its function is called:
//       a nested drain then goes on with the next one, and the producer may
//       use the slot again;
//   Q4. executed passes an entry once its function and all before it have
//       returned. Nested calls return before the one around them, so while any
//       is under way, executed stands at the outermost; when that returns, all
//       that were begun have returned, and executed goes to head.
// Ordering: docs/lwkt.md has the pairs; their letters stand beside the orders.
// Failure: a full queue says so and stays as it is.
// Complexity: O(1). A push reads the consumer's line only when the queue looks
//   full, a pop reads the producer's only when it looks empty.
// Origin: Lamport, "Proving the Correctness of Multiprocess Programs" (1977),
//   for the ring between two that needs no lock; Giacomoni, Moseley,
//   Vachharajani, "FastForward for Efficient Pipeline Parallelism" (PPoPP
//   2008), for what shared indices cost; Lee, Bu, Chandranmenon, "A Lock-Free,
//   Cache-Efficient Shared Ring Buffer" (ANCS 2009), for the copies of them.
//   DragonFly's struct lwkt_ipiq has the three indices; there a nested call
//   that returns moves the executed index past the call around it, here it does
//   not (Q4).
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "lib/base/check.h"
#include "lib/platform/concepts.h"

namespace odo::lwkt {

struct IpiCall {
  // `receiver` is what the CPU that makes the call is known by to its owner.
  void (*function)(void* argument, void* receiver);
  void* argument;
};

// The how-manieth call of its queue, from 1. Sequence 0 is always done.
using IpiSequence = std::uint64_t;

// A ground that checks memory orders may offer Plain<T> with get() and set(),
// which reports accesses that nothing orders. Elsewhere T itself is stored.
template <class P>
concept ChecksPlainData = requires { typename P::template Plain<int>; };

namespace detail {

template <class T>
class UncheckedPlain {
 public:
  [[nodiscard]] const T& get() const { return value_; }
  void set(const T& value) { value_ = value; }

 private:
  T value_{};
};

template <class P, class T>
struct PlainOn {
  using Type = UncheckedPlain<T>;
};
template <ChecksPlainData P, class T>
struct PlainOn<P, T> {
  using Type = typename P::template Plain<T>;
};

}  // namespace detail

template <platform::HasAtomics P, std::size_t Entries = 256>
requires(std::has_single_bit(Entries))
class IpiQueue {
 public:
  static constexpr std::size_t kEntries = Entries;
  static constexpr std::size_t kLineBytes = 64;

  IpiQueue() = default;
  IpiQueue(const IpiQueue&) = delete;
  IpiQueue& operator=(const IpiQueue&) = delete;

  // --- producer --------------------------------------------------------------
  // None if the queue is full.
  [[nodiscard]] std::optional<IpiSequence> try_push(const IpiCall& call) {
    const std::uint64_t tail = tail_.load(std::memory_order_relaxed);  // ours
    if (tail - known_head_ == kEntries) {
      // IB: acquire, with the release in pop(): the slot was copied before it
      // is written again.
      known_head_ = head_.load(std::memory_order_acquire);
      if (tail - known_head_ == kEntries) return std::nullopt;
    }
    slots_[tail % kEntries].set(call);
    // IA: release, with the acquire in pop(): who sees the index sees the
    // entry, and whatever its producer wrote before.
    tail_.store(tail + 1, std::memory_order_release);
    return tail + 1;
  }
  // That of the last push; 0 before the first.
  [[nodiscard]] IpiSequence last_sequence() const {
    return tail_.load(std::memory_order_relaxed);  // ours
  }

  // True once the call and all before it have returned. What they wrote, the
  // asker then sees.
  [[nodiscard]] bool is_done(IpiSequence sequence) const {
    // IC: acquire, with the release in finish().
    return executed_.load(std::memory_order_acquire) >= sequence;
  }

  // --- consumer --------------------------------------------------------------
  // The oldest call, if there is one; it is under way until finish().
  [[nodiscard]] std::optional<IpiCall> pop() {
    const std::uint64_t head = head_.load(std::memory_order_relaxed);  // ours
    if (head == known_tail_) {
      // IA: acquire, with the release in try_push().
      known_tail_ = tail_.load(std::memory_order_acquire);
      if (head == known_tail_) return std::nullopt;
    }
    const IpiCall call = slots_[head % kEntries].get();
    // IB: release, with the acquire in try_push(): the copy is made.
    head_.store(head + 1, std::memory_order_release);
    ++under_way_;
    return call;
  }
  // The youngest call that is under way has returned.
  void finish() {
    ODO_ASSERT(under_way_ > 0);
    if (--under_way_ > 0) return;  // Q4
    // IC: release, with the acquire in is_done(): the calls' effects, nested
    // ones' too, are there for who sees them done.
    executed_.store(head_.load(std::memory_order_relaxed),
                    std::memory_order_release);
  }
  // visit(call) is to make the call. Returns how many this drain itself made;
  // fewer than `max` means that it found the queue empty after the last.
  template <class Visitor>
  std::size_t drain(std::size_t max, Visitor&& visit) {
    std::size_t made = 0;
    while (made < max) {
      const std::optional<IpiCall> call = pop();
      if (!call.has_value()) break;
      visit(*call);
      finish();
      ++made;
    }
    return made;
  }

 private:
  using Index = typename P::template Atomic<std::uint64_t>;

  // The line that the producer writes,
  alignas(kLineBytes) Index tail_{std::uint64_t{0}};
  std::uint64_t known_head_ = 0;
  // the line that the consumer writes,
  alignas(kLineBytes) Index head_{std::uint64_t{0}};
  Index executed_{std::uint64_t{0}};
  std::uint64_t known_tail_ = 0;
  std::uint32_t under_way_ = 0;
  // and what passes between them.
  alignas(kLineBytes)
      std::array<typename detail::PlainOn<P, IpiCall>::Type, Entries> slots_;
};

}  // namespace odo::lwkt
