// SPDX-License-Identifier: BSD-3-Clause
// The references to data that have been proven, so that a block which many
// files share is proven once for each description of it.
//
// Kept are 64-bit fingerprints of everything that a reference says about its
// block. That two different descriptions of one block have the same is as
// unlikely as that a wrong XXH64 fits.
//
// Contexts: thread, one at a time.
// Sizes: 8 bytes a block at a load of at most 3/4, and as much again for the
//   tables that it has outgrown.
// Failure: full() from when the memory is used up; insert() then answers true,
//   as for something new.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/base/bytes.h"
#include "lib/hammer2/check/arena.h"
#include "lib/hammer2/format/blockref.h"

namespace odo::hammer2::audit {

class SeenSet {
 public:
  void init(Arena& arena) {
    arena_ = &arena;
    slots_ = {};
    count_ = 0;
    full_ = false;
  }
  [[nodiscard]] bool full() const { return full_; }

  [[nodiscard]] bool empty() const { return count_ == 0; }

  // False where it has been inserted before, with that mark.
  bool insert(const format::Blockref& ref, unsigned mark = 0) {
    if (!full_ && (count_ + 1) * 4 > slots_.size() * 3 && !grow()) full_ = true;
    const std::uint64_t print = fingerprint(ref, mark);
    if (slots_.empty()) return true;
    std::uint64_t* slot = probe(print);
    if (*slot == print) return false;
    if (full_) return true;
    *slot = print;
    ++count_;
    return true;
  }
  [[nodiscard]] bool contains(const format::Blockref& ref, unsigned mark) {
    if (slots_.empty()) return false;
    const std::uint64_t print = fingerprint(ref, mark);
    return *probe(print) == print;
  }

 private:
  static constexpr std::size_t kFirstSlots = 1024;
  static constexpr std::uint64_t kEmpty = 0;

  [[nodiscard]] static std::uint64_t mix(std::uint64_t h, std::uint64_t value) {
    h = (h ^ value) * 0x9fb21c651e98df25;
    return h ^ h >> 32;
  }
  [[nodiscard]] static std::uint64_t fingerprint(const format::Blockref& ref,
                                                 unsigned mark) {
    const std::byte* check = ref.check.bytes.data();
    // One after the other: bits of the offset must not meet the methods'.
    std::uint64_t h = mix(0, ref.data_off);
    h = mix(h, std::uint64_t{mark} << 16 | std::uint64_t{ref.methods} << 8 |
                   std::uint64_t{ref.keybits});
    h = mix(h, load_le<std::uint64_t>(check));
    h = mix(h, load_le<std::uint64_t>(check + 8));
    h = mix(h, load_le<std::uint64_t>(check + 16));
    return h == kEmpty ? 1 : h;
  }

  [[nodiscard]] std::uint64_t* probe(std::uint64_t print) {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = static_cast<std::size_t>(print) & mask;
    while (slots_[at] != kEmpty && slots_[at] != print) at = (at + 1) & mask;
    return &slots_[at];
  }

  bool grow() {
    const std::span<std::uint64_t> old = slots_;
    const std::span<std::uint64_t> larger =
        arena_->take<std::uint64_t>(old.empty() ? kFirstSlots : old.size() * 2);
    if (larger.empty()) return false;
    std::fill(larger.begin(), larger.end(), kEmpty);
    slots_ = larger;
    for (const std::uint64_t print : old) {
      if (print != kEmpty) *probe(print) = print;
    }
    return true;
  }

  Arena* arena_ = nullptr;
  std::span<std::uint64_t> slots_;
  std::size_t count_ = 0;
  bool full_ = false;
};

}  // namespace odo::hammer2::audit
