// SPDX-License-Identifier: BSD-3-Clause
// The inodes of one PFS as its index and its directories tell of them: a hash
// table by inode number.
//
// Contexts: thread, one at a time.
// Sizes: 64 bytes an inode at a load of at most 3/4, and as much again for the
//   smaller tables that a growing one leaves behind: 350 bytes at worst.
// Failure: find_or_add() answers null when the memory is used up.
// Complexity: O(1) expected. Numbers are scattered by a multiplication whose
//   constant is public, so that media could be made to collide; a probe gives
//   up after kMaxProbes and counts as memory used up.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <span>

#include "lib/base/bytes.h"
#include "lib/hammer2/check/arena.h"
#include "lib/hammer2/format/constants.h"

namespace odo::hammer2::audit {

struct InodeRecord {
  static constexpr std::uint64_t kEmpty =
      std::numeric_limits<std::uint64_t>::max();

  std::uint64_t inum = kEmpty;
  std::uint64_t nlinks = 0;   // as the inode says
  std::uint64_t iparent = 0;  // as the inode says
  std::uint64_t offset = 0;   // of its block
  // The first entry found for it: in which directory, under which key.
  std::uint64_t parent = 0;
  std::uint64_t key = 0;
  std::uint32_t entries = 0;
  std::uint32_t mark = 0;  // of the last climb towards the root
  format::ObjectType type = format::ObjectType::kUnknown;
  format::ObjectType entry_type = format::ObjectType::kUnknown;
  bool present = false;     // the index refers to it
  bool readable = false;    // and its block is good
  bool type_clash = false;  // entries disagree about its type
};

class InodeTable {
 public:
  static constexpr std::size_t kMaxProbes = 4096;

  // Forgets everything and uses `memory` from now on.
  void reset(MutableBytes memory) {
    memory_ = memory;
    arena_ = Arena(memory);
    slots_ = {};
    count_ = 0;
  }
  void clear() { reset(memory_); }

  [[nodiscard]] InodeRecord* find(std::uint64_t inum) {
    if (slots_.empty()) return nullptr;
    InodeRecord* slot = probe(inum);
    return slot != nullptr && slot->inum == inum ? slot : nullptr;
  }

  // Valid until the next call.
  [[nodiscard]] InodeRecord* find_or_add(std::uint64_t inum) {
    if ((count_ + 1) * 4 > slots_.size() * 3 && !grow()) return nullptr;
    InodeRecord* slot = probe(inum);
    if (slot != nullptr && slot->inum != inum) {
      slot->inum = inum;
      ++count_;
    }
    return slot;
  }

  [[nodiscard]] std::size_t size() const { return count_; }
  // Records in no order, with empty ones between.
  [[nodiscard]] std::span<InodeRecord> slots() { return slots_; }

 private:
  static constexpr std::size_t kFirstSlots = 256;

  // The slot of that number or the empty one where it belongs.
  [[nodiscard]] InodeRecord* probe(std::uint64_t inum) {
    const std::size_t mask = slots_.size() - 1;
    // Numbers are given one after the other: neighbours stay neighbours.
    std::size_t at = static_cast<std::size_t>(
        ((inum >> 4) * 0x9e3779b97f4a7c15 >> shift_ & ~std::uint64_t{15}) |
        (inum & 15));
    for (std::size_t i = 0; i < kMaxProbes; ++i, at = (at + 1) & mask) {
      InodeRecord& slot = slots_[at & mask];
      if (slot.inum == inum || slot.inum == InodeRecord::kEmpty) return &slot;
    }
    return nullptr;
  }

  bool grow() {
    const std::span<InodeRecord> old = slots_;
    const std::size_t count = old.empty() ? kFirstSlots : old.size() * 2;
    const std::span<InodeRecord> larger = arena_.take<InodeRecord>(count);
    if (larger.empty()) return false;
    for (InodeRecord& slot : larger) ::new (&slot) InodeRecord{};
    slots_ = larger;
    shift_ = static_cast<unsigned>(64 - std::countr_zero(count));
    for (const InodeRecord& record : old) {
      if (record.inum == InodeRecord::kEmpty) continue;
      InodeRecord* slot = probe(record.inum);
      if (slot == nullptr) {
        slots_ = old;
        shift_ = static_cast<unsigned>(64 - std::countr_zero(old.size()));
        return false;
      }
      *slot = record;
    }
    return true;
  }

  MutableBytes memory_;
  Arena arena_;
  std::span<InodeRecord> slots_;
  std::size_t count_ = 0;
  unsigned shift_ = 0;
};

}  // namespace odo::hammer2::audit
