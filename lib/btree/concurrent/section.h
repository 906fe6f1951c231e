// SPDX-License-Identifier: BSD-3-Clause
// A section: a stretch of code of one lane in which nothing that it can reach
// is freed.
//
// Contexts: any that may enter a lane. Sections do not nest.
// Ordering: F with the heavy fence, Q with the look at a lane's word, both in
//   limbo.h; docs/btree-concurrent.md has the pairs.
// Failure: none.
// Complexity: two stores; no shared cache line is written.
// Origin: the asymmetric Dekker of Dice and Kogan's BRAVO locks (USENIX ATC
//   2019), as in lib/tokens: who waits pays for the fence. The counter is the
//   one of quiescent-state reclamation: Hart et al., "Performance of memory
//   reclamation for lockless synchronization" (JPDC 67, 2007).
#pragma once

#include <atomic>
#include <cstdint>

#include "lib/base/annotations.h"
#include "lib/btree/concurrent/platform.h"

namespace odo::btree::detail {

// A lane's word is odd while the lane is in a section.
[[nodiscard]] constexpr bool is_inside(std::uint64_t word) {
  return (word & 1) != 0;
}

template <ConcurrentPlatform P>
class Section {
 public:
  ODO_ALWAYS_INLINE explicit Section(P& ground) : ground_(ground) {
    ground_.enter_lane();
    word_ = &ground_.section(ground_.lane());
    // Relaxed: nobody else writes the lane's word.
    inside_ = word_->load(std::memory_order_relaxed) + 1;
    // F: the store is before whatever the section reads, or whoever waits for
    // readers has unlinked what it will free before we look for it.
    // Q: who finds us in this section knows that the last one has ended; the
    // store at its end isn't the one that it reads.
    word_->store(inside_, std::memory_order_release);
    ground_.light_fence();
  }
  Section(const Section&) = delete;
  Section& operator=(const Section&) = delete;
  ODO_ALWAYS_INLINE ~Section() {
    // Q: all that was read here is read before it may be freed.
    word_->store(inside_ + 1, std::memory_order_release);
    ground_.exit_lane();
  }

 private:
  P& ground_;
  P::template Atomic<std::uint64_t>* word_;
  std::uint64_t inside_;
};

}  // namespace odo::btree::detail
