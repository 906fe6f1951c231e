// SPDX-License-Identifier: BSD-3-Clause
// The words that components share when they say what they need of the ground
// they stand on. A component's own concept is a conjunction of these and of
// whatever it alone needs, written beside it; docs/platform.md tells how.
//
// Contexts: each concept says what its functions may be called from.
// Failure: none of these operations fails.
#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>

namespace odo::platform {

// An atomic variable. There is no default order anywhere: an order that is not
// written down looks like a decision that was not made. Any context.
template <class A, class T>
concept AtomicOf =
    std::default_initializable<A> && std::constructible_from<A, T> &&
    requires(A& atomic, const A& constant, T value, T& expected,
             std::memory_order order) {
      { constant.load(order) } -> std::same_as<T>;
      { atomic.store(value, order) } -> std::same_as<void>;
      { atomic.exchange(value, order) } -> std::same_as<T>;
      // (expected, desired, order on success, order on failure)
      {
        atomic.compare_exchange_weak(expected, value, order, order)
      } -> std::same_as<bool>;
      {
        atomic.compare_exchange_strong(expected, value, order, order)
      } -> std::same_as<bool>;
    };

// What an atomic can count with: unsigned, so that it may wrap.
template <class T>
concept Countable = std::unsigned_integral<T> && !std::same_as<T, bool>;

// An atomic number, which can also be counted with.
template <class A, class T>
concept AtomicNumberOf = Countable<T> && AtomicOf<A, T> &&
                         requires(A& atomic, T value, std::memory_order order) {
                           {
                             atomic.fetch_add(value, order)
                           } -> std::same_as<T>;
                           {
                             atomic.fetch_sub(value, order)
                           } -> std::same_as<T>;
                           {
                             atomic.fetch_and(value, order)
                           } -> std::same_as<T>;
                           { atomic.fetch_or(value, order) } -> std::same_as<T>;
                         };

// Atomics come from the platform, so that a checker can stand between a
// component and memory. P::Atomic<T> holds for bool, for unsigned numbers of 8
// to 64 bits, and for pointers; the numbers also count.
template <class P>
concept HasAtomics =
    AtomicOf<typename P::template Atomic<bool>, bool> &&
    AtomicOf<typename P::template Atomic<void*>, void*> &&
    AtomicNumberOf<typename P::template Atomic<std::uint8_t>, std::uint8_t> &&
    AtomicNumberOf<typename P::template Atomic<std::uint16_t>, std::uint16_t> &&
    AtomicNumberOf<typename P::template Atomic<std::uint32_t>, std::uint32_t> &&
    AtomicNumberOf<typename P::template Atomic<std::uint64_t>, std::uint64_t>;

// A clock that never goes back, from any starting point. Any context.
template <class P>
concept HasClock = requires(P& platform) {
  { platform.now_ns() } -> std::same_as<std::uint64_t>;
};

// A moment's rest in a loop that waits for another CPU. Any context.
template <class P>
concept CanRelax = requires(P& platform) {
  { platform.relax() } -> std::same_as<void>;
};

// The two halves of a store-load barrier: if one thread writes A,
// light_fence(), reads B, and another writes B, heavy_fence(), reads A, at
// least one of them sees the other's write. The light half may be as little as
// a compiler barrier; the heavy half then makes every CPU that runs one of our
// threads pass a full barrier (an IPI, membarrier(2)). A ground that has no
// such thing makes both a seq_cst fence. light_fence: any context; heavy_fence:
// threads with interrupts on.
template <class P>
concept HasFencePair = requires(P& platform) {
  { platform.light_fence() } -> std::same_as<void>;
  { platform.heavy_fence() } -> std::same_as<void>;
};

}  // namespace odo::platform
