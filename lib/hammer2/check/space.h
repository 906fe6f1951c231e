// SPDX-License-Identifier: BSD-3-Clause
// Which parts of the volumes are in use, as the walk finds them: finds blocks
// that overlap, tells shared blocks from new ones, and is what the freemap is
// held against.
//
// A page for each 4 MiB in which anything lies has one bit for each KiB in each
// of four maps. A block lies in one 64 KiB buffer, and so in one 64-bit word of
// each.
//
// Contexts: thread, one at a time.
// Sizes: 4 bytes for each 4 MiB of the volumes, about 2 KiB for each 4 MiB in
//   use: a 2000th of that.
// Failure: kNoMemory when the memory is used up; what was claimed stays right.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>

#include "lib/hammer2/check/arena.h"
#include "lib/hammer2/format/constants.h"

namespace odo::hammer2::audit {

enum class Claim : std::uint8_t {
  kNew,      // nothing lay there
  kShared,   // the same block has been reached before
  kOverlap,  // parts of it belong to another block
  kNoMemory,
};

enum class Content : std::uint8_t { kData, kMeta };

class SpaceMap {
 public:
  static constexpr std::uint64_t kPageSpan = std::uint64_t{1}
                                             << format::kFreemapEntryRadix;
  static constexpr std::size_t kUnits =
      kPageSpan >> format::kFreemapUnitRadix;  // in a page

  // False where the directory of pages doesn't fit.
  [[nodiscard]] bool init(Arena& arena, std::uint64_t total_bytes) {
    arena_ = &arena;
    used_bytes_ = 0;
    pages_ = arena.take<Page*>(
        static_cast<std::size_t>((total_bytes + kPageSpan - 1) / kPageSpan));
    for (Page*& page : pages_) page = nullptr;
    return !pages_.empty();
  }

  // The block of 2^radix bytes at `offset`, both proven possible. `due` says
  // that the freemap on media must know of it.
  [[nodiscard]] Claim claim(std::uint64_t offset, unsigned radix,
                            Content content, bool due) {
    Page* page = page_of(offset);
    if (page == nullptr) return Claim::kNoMemory;
    const std::size_t word = word_of(offset);
    const unsigned bit = bit_of(offset);
    const unsigned length = 1U << (radix - format::kMinRadix);
    const std::uint64_t mask =
        (length == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << length) - 1)
        << bit;
    const std::uint64_t start = std::uint64_t{1} << bit;
    const bool meta = content == Content::kMeta;
    if (due) {
      page->due[word / 16] |= due_mask(mask) << (word % 16 * 4);
    }
    std::uint64_t& used = page->used[word];
    std::uint64_t& starts = page->starts[word];
    std::uint64_t& metas = page->metas[word];
    if ((used & mask) == 0) {
      used |= mask;
      starts |= start;
      if (meta) metas |= start;
      used_bytes_ += std::uint64_t{1} << radix;
      return Claim::kNew;
    }
    const bool ends_there = bit + length == 64 ||
                            (used >> (bit + length) & 1) == 0 ||
                            (starts >> (bit + length) & 1) != 0;
    const bool same = (used & mask) == mask && (starts & mask) == start &&
                      ends_there && ((metas & start) != 0) == meta;
    used_bytes_ += same ? 0 : std::uint64_t{1} << radix;
    used |= mask;
    return same ? Claim::kShared : Claim::kOverlap;
  }

  // Whether a claimed block is reached for the first time in tree `epoch`.
  [[nodiscard]] bool first_in(std::uint32_t epoch, std::uint64_t offset) {
    Page* page = page_of(offset);
    if (page == nullptr) return true;
    if (page->epoch != epoch) {
      page->epoch = epoch;
      page->seen.fill(0);
    }
    std::uint64_t& seen = page->seen[word_of(offset)];
    const std::uint64_t start = std::uint64_t{1} << bit_of(offset);
    const bool first = (seen & start) == 0;
    seen |= start;
    return first;
  }

  [[nodiscard]] std::uint64_t used_bytes() const { return used_bytes_; }

  // Whether a claimed block lies in the KiB at `offset`.
  [[nodiscard]] bool in_use(std::uint64_t offset) const {
    const std::size_t index = static_cast<std::size_t>(offset / kPageSpan);
    return index < pages_.size() && pages_[index] != nullptr &&
           (pages_[index]->used[word_of(offset)] >> bit_of(offset) & 1) != 0;
  }

  // Units of 16 KiB in the 4 MiB at `offset` in which anything lies, and those
  // that the freemap must know of; a bit for each of 256.
  struct Units {
    std::array<std::uint64_t, 4> used = {};
    std::array<std::uint64_t, 4> due = {};
  };
  [[nodiscard]] Units units(std::uint64_t offset) const {
    Units units;
    const std::size_t index = static_cast<std::size_t>(offset / kPageSpan);
    if (index >= pages_.size() || pages_[index] == nullptr) return units;
    const Page& page = *pages_[index];
    for (std::size_t word = 0; word < page.used.size(); ++word) {
      units.used[word / 16] |= due_mask(page.used[word]) << (word % 16 * 4);
    }
    units.due = page.due;
    return units;
  }

 private:
  using Map = std::array<std::uint64_t, kPageSpan / format::kMaxAllocBytes>;
  struct Page {
    Map used;    // some block lies here
    Map starts;  // a block begins here
    Map metas;   // one that isn't data
    Map seen;    // of `epoch`: begins here and was reached in that tree
    std::array<std::uint64_t, 4> due;
    std::uint32_t epoch;
  };

  [[nodiscard]] static std::size_t word_of(std::uint64_t offset) {
    return static_cast<std::size_t>(offset % kPageSpan /
                                    format::kMaxAllocBytes);
  }
  [[nodiscard]] static unsigned bit_of(std::uint64_t offset) {
    return static_cast<unsigned>(offset % format::kMaxAllocBytes >>
                                 format::kMinRadix);
  }
  // One bit for each 16 that hold any.
  [[nodiscard]] static std::uint64_t due_mask(std::uint64_t kib) {
    std::uint64_t units = 0;
    for (unsigned unit = 0; unit < 4; ++unit) {
      if ((kib >> (unit * 16) & 0xffff) != 0) units |= std::uint64_t{1} << unit;
    }
    return units;
  }
  [[nodiscard]] Page* page_of(std::uint64_t offset) {
    const std::size_t index = static_cast<std::size_t>(offset / kPageSpan);
    if (index >= pages_.size()) return nullptr;
    Page*& page = pages_[index];
    if (page == nullptr) {
      const std::span<Page> made = arena_->take<Page>(1);
      if (made.empty()) return nullptr;
      page = ::new (made.data()) Page{};
    }
    return page;
  }

  Arena* arena_ = nullptr;
  std::span<Page*> pages_;
  std::uint64_t used_bytes_ = 0;
};

}  // namespace odo::hammer2::audit
