// SPDX-License-Identifier: BSD-3-Clause
// What concurrent trees ask of the ground they stand on: atomics, fences, and
// lanes, by which they know who may still be reading.
//
// Contexts: each function says its own.
// Failure: nothing of a ground fails.
#pragma once

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>

#include "lib/platform/concepts.h"

namespace odo::btree {

// lane() is the index of the lane that the caller runs on, below lanes(), which
// may grow up to kMaxLanes but never shrinks. A lane is a CPU, or on a host a
// thread. Between enter_lane() and exit_lane(), which do not nest, the caller
// keeps its lane and nobody else runs on it. A ground that can be preempted
// elsewhere than there lets waiters see that in relax(): who is waited for may
// have lost its processor.
//
// section(lane) is a word of the ground's, 0 at first, for all trees on it and
// for nobody else. Words of two lanes lie on different cache lines. Who waits
// for readers reads those of others.
//
// Contexts: heavy_fence: threads, outside a lane's section. All others: any.
template <class P>
concept ConcurrentPlatform =
    platform::HasAtomics<P> && platform::CanRelax<P> &&
    platform::HasFencePair<P> &&
    requires(P& ground, unsigned lane, std::memory_order order) {
      { P::kMaxLanes } -> std::convertible_to<unsigned>;
      { ground.lane() } -> std::same_as<unsigned>;
      { ground.lanes() } -> std::same_as<unsigned>;
      { ground.enter_lane() } -> std::same_as<void>;
      { ground.exit_lane() } -> std::same_as<void>;
      {
        ground.section(lane)
      } -> std::same_as<typename P::template Atomic<std::uint64_t>&>;
      // std::atomic_thread_fence(order).
      { ground.fence(order) } -> std::same_as<void>;
    };

namespace detail {

inline constexpr std::size_t kLineBytes = 64;

// A ground that checks lifetimes may offer a Witness, which stands for a node's
// memory: it is told of each event in the node's life, and reports those that
// nothing orders.
template <class P>
struct Witness {
  void born() {}
  void seen() const {}
  void buried() {}  // will be freed; its link is written
  void dead() {}    // is freed
};
template <class P>
requires requires { typename P::Witness; }
struct Witness<P> : P::Witness {};

}  // namespace detail

}  // namespace odo::btree
