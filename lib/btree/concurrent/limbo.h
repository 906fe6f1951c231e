// SPDX-License-Identifier: BSD-3-Clause
// Where nodes wait that have left the tree, until nobody can be reading them.
//
//   fresh     unlinked; readers of any lane may be in them
//   waiting   unlinked before a heavy fence; after it, each lane's word was
//             noted. A lane that was in a section then may still be reading
//             them, until its word is another one
//   freed     all those lanes have left their sections
//
// Contexts: outside a lane's section: a heavy fence may be needed.
// Ownership: the nodes in it.
// Invariants:
//   B1. who holds busy_ owns `waiting_` and what stands below it; nobody waits
//       for busy_.
// Ordering: F, Q with section.h; R, K here; docs/btree-concurrent.md has the
//   pairs.
// Failure: none. Nodes stay as long as the slowest lane stays in one section.
// Complexity: one heavy fence and a look at every lane a batch.
// Origin: as section.h.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "lib/btree/concurrent/platform.h"
#include "lib/btree/concurrent/section.h"

namespace odo::btree::detail {

// `N` has a plain N* `next_retired` that nobody else uses, and a `lock` whose
// witness knows when it lives.
template <ConcurrentPlatform P, class N>
class Limbo {
 public:
  Limbo() { witness_.born(); }
  Limbo(const Limbo&) = delete;
  Limbo& operator=(const Limbo&) = delete;

  // Takes a node that nobody can reach anew. True when there are `batch` or
  // more, so that collect() is worth its fence.
  [[nodiscard]] bool retire(N& node, std::uint64_t batch) {
    node.lock.witness.buried();
    // Relaxed: what head is, is only written down here.
    N* head = fresh_.load(std::memory_order_relaxed);
    do {
      node.next_retired = head;
      // R: the collector finds the link, and all that we did to the node.
    } while (!fresh_.compare_exchange_weak(
        head, &node, std::memory_order_release, std::memory_order_relaxed));
    // Relaxed: a hint.
    return fresh_count_.fetch_add(1, std::memory_order_relaxed) + 1 >= batch;
  }

  // Frees what can be freed now, by free(N&); returns how many.
  template <class Free>
  std::size_t collect(P& ground, Free&& free) {
    // K: what the last holder left is here.
    if (busy_.exchange(true, std::memory_order_acquire)) return 0;
    std::size_t freed = 0;
    while (waiting_ != nullptr || fence_off(ground)) {
      if (!have_left(ground)) break;
      freed += free_all(std::exchange(waiting_, nullptr), free);
    }
    witness_.buried();
    busy_.store(false, std::memory_order_release);  // K
    return freed;
  }

  // Frees everything. Nobody else uses the tree any more.
  template <class Free>
  void drain(Free&& free) {
    free_all(std::exchange(waiting_, nullptr), free);
    // Relaxed: whatever lets the caller be alone brings all this along.
    free_all(fresh_.exchange(nullptr, std::memory_order_relaxed), free);
  }

 private:
  // Makes the fresh ones the waiting ones; false if there are none.
  bool fence_off(P& ground) {
    // R. The heavy fence would do for it, if one looks that closely.
    waiting_ = fresh_.exchange(nullptr, std::memory_order_acquire);
    if (waiting_ == nullptr) return false;
    fresh_count_.store(0, std::memory_order_relaxed);  // a hint
    // F: a lane that is not in a section now will not find them in its next.
    ground.heavy_fence();
    lanes_ = ground.lanes();
    for (unsigned lane = 0; lane < lanes_; ++lane) {
      seen_[lane] = ground.section(lane).load(std::memory_order_acquire);  // Q
    }
    next_lane_ = 0;
    return true;
  }
  // Whether all lanes have left the sections that they were in.
  bool have_left(P& ground) {
    for (; next_lane_ < lanes_; ++next_lane_) {
      if (!is_inside(seen_[next_lane_])) continue;
      // Q: it is done with all that it read there.
      if (ground.section(next_lane_).load(std::memory_order_acquire) ==
          seen_[next_lane_]) {
        return false;
      }
    }
    return true;
  }
  template <class Free>
  static std::size_t free_all(N* node, Free& free) {
    std::size_t freed = 0;
    for (; node != nullptr; ++freed) {
      N* next = node->next_retired;
      node->lock.witness.dead();
      free(*node);
      node = next;
    }
    return freed;
  }

  P::template Atomic<N*> fresh_{nullptr};
  P::template Atomic<std::uint64_t> fresh_count_{0};
  P::template Atomic<bool> busy_{false};
  [[no_unique_address]] Witness<P> witness_;  // of what follows (B1)
  N* waiting_ = nullptr;
  unsigned lanes_ = 0;
  unsigned next_lane_ = 0;
  std::uint64_t seen_[P::kMaxLanes] = {};
};

}  // namespace odo::btree::detail
