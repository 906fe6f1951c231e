// SPDX-License-Identifier: BSD-3-Clause
// Blocks of file data that were written lately, so that one with the same bytes
// can refer to them in place of being written again.
//
// Contexts: thread, one at a time.
// Invariants:
//   U1. every entry's block is allocated, and holds what was written to it: who
//       frees blocks says so by forget() or clear();
//   U2. no block that two references share is fresh to either: a fresh one that
//       is to be shared is noted here, until the transaction ends, so that
//       nobody gives it back.
// Bounds: the entries and notes that it is made with; the newest entries stay.
// Complexity: O(1).
// Origin: hammer2_strategy.c, hammer2_dedup_lookup().
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/hammer2/format/blockref.h"
#include "lib/hammer2/write/ground.h"
#include "lib/hammer2/write/memory.h"

namespace odo::hammer2::write {

template <Ground G>
class DedupIndex {
 public:
  // `entries` is a power of two, or 0 for none at all.
  [[nodiscard]] Result<void> init(G& ground, std::size_t entries) {
    ODO_CHECK(entries == 0 || (is_power_of_two(entries) && entries >= kWays));
    ODO_TRY_VOID(entries_.init(ground, entries));
    ODO_TRY_VOID(shared_.init(ground, entries == 0 ? 0 : kMostShared));
    shared_count_ = 0;
    return {};
  }
  void clear() { std::ranges::fill(entries_.span(), format::Blockref{}); }

  // A block that may have the same bytes: same size, methods and code. Null if
  // there is none, or the block has no code to be known by.
  [[nodiscard]] const format::Blockref* find(const format::Blockref& block,
                                             unsigned radix) {
    if (entries_.size() == 0 || !has_key(block)) return nullptr;
    format::Blockref* set = set_of(block);
    for (std::size_t i = 0; i < kWays; ++i) {
      if (set[i].methods == block.methods && set[i].radix() == radix &&
          equal_bytes(set[i].check.bytes, block.check.bytes)) {
        return &set[i];
      }
    }
    return nullptr;
  }

  // A block that has been written.
  void remember(const format::Blockref& ref) {
    if (entries_.size() == 0 || !has_key(ref)) return;
    format::Blockref* set = set_of(ref);
    std::copy_backward(set, set + kWays - 1, set + kWays);
    set[0] = ref;
  }
  // One that is about to be free.
  void forget(const format::Blockref& ref) {
    if (entries_.size() == 0 || !has_key(ref)) return;
    format::Blockref* set = set_of(ref);
    for (std::size_t i = 0; i < kWays; ++i) {
      if (set[i].data_off == ref.data_off) set[i] = {};
    }
  }

  // Notes that a block which this transaction took is shared. False where no
  // more can be noted.
  [[nodiscard]] bool share(std::uint64_t data_off) {
    if (is_shared(data_off)) return true;
    if (shared_count_ * 2 >= shared_.size()) return false;
    *slot_of(data_off) = data_off;
    ++shared_count_;
    return true;
  }
  [[nodiscard]] bool is_shared(std::uint64_t data_off) {
    return shared_count_ != 0 && *slot_of(data_off) == data_off;
  }
  // What was taken by the transaction that has ended is given back by bulkfree
  // alone.
  void end_transaction() {
    if (shared_count_ != 0) std::ranges::fill(shared_.span(), 0);
    shared_count_ = 0;
  }

 private:
  static constexpr std::size_t kWays = 4;
  static constexpr std::size_t kMostShared = 8192;  // at half load

  [[nodiscard]] static bool has_key(const format::Blockref& ref) {
    const format::CheckMethod check = format::check_method(ref.methods);
    return check == format::CheckMethod::kXxhash64 ||
           check == format::CheckMethod::kSha192;
  }
  [[nodiscard]] format::Blockref* set_of(const format::Blockref& ref) {
    const auto key = load_le<std::uint64_t>(ref.check.bytes.data());
    return &entries_[key & (entries_.size() - 1) & ~(kWays - 1)];
  }
  // Where it is, or would be.
  [[nodiscard]] std::uint64_t* slot_of(std::uint64_t data_off) {
    std::size_t at = (data_off >> format::kMinRadix) * 0x9e3779b97f4a7c15 >> 40;
    for (;; ++at) {
      std::uint64_t& slot = shared_[at & (shared_.size() - 1)];
      if (slot == 0 || slot == data_off) return &slot;
    }
  }

  Array<G, format::Blockref> entries_;
  Array<G, std::uint64_t> shared_;
  std::size_t shared_count_ = 0;
};

}  // namespace odo::hammer2::write
