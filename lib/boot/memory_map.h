// SPDX-License-Identifier: BSD-3-Clause
// The machine's memory as the firmware tells it, made orderly: sorted,
// disjoint, merged, clipped to what can be addressed.
//
// Contexts: any; one owner at a time. No allocation.
// Shapes: at most kMaxRanges ranges before and after; addresses and lengths in
//   bytes. kUsable ranges are shrunk inward to whole pages, all others grown
//   outward, so that a page is usable only when nothing else claims a byte.
// Failure: add() answers false when the map is full; the rest cannot fail. Any
//   input is accepted: empty, overlapping and overflowing ranges included.
// Complexity: normalise() is quadratic in the number of ranges, at most 256.
// Origin: the address-range kinds of ACPI 6.5 §15 (QueryAddressMap), as PVH
//   and Multiboot2 also number them.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "lib/base/bits.h"

namespace odo::boot {

// In rising order of claim: where ranges overlap, the later kind wins.
enum class MemoryKind : std::uint8_t {
  kUsable,
  kAcpiReclaimable,
  kAcpiNvs,
  kReserved,
  kBad,
};

// The firmware's number for a kind; an unknown number is a reservation.
[[nodiscard]] constexpr MemoryKind memory_kind(std::uint32_t type) {
  switch (type) {
    case 1:
      return MemoryKind::kUsable;
    case 3:
      return MemoryKind::kAcpiReclaimable;
    case 4:
      return MemoryKind::kAcpiNvs;
    case 5:
      return MemoryKind::kBad;
    default:
      return MemoryKind::kReserved;
  }
}

struct MemoryRange {
  std::uint64_t base;
  std::uint64_t end;  // one past the last byte
  MemoryKind kind;

  [[nodiscard]] constexpr std::uint64_t length() const { return end - base; }
  friend constexpr bool operator==(const MemoryRange&,
                                   const MemoryRange&) = default;
};

class MemoryMap {
 public:
  static constexpr std::size_t kMaxRanges = 256;
  static constexpr std::uint64_t kPageBytes = 4096;

  // Takes one range as told. Empty ranges are dropped; a range that would pass
  // the last address ends there. False when there is no room for it.
  [[nodiscard]] constexpr bool add(std::uint64_t base, std::uint64_t length,
                                   MemoryKind kind) {
    if (length == 0) return true;
    if (count_ == kMaxRanges) return false;
    const std::uint64_t room = std::numeric_limits<std::uint64_t>::max() - base;
    ranges_[count_++] = {base, base + std::min(length, room), kind};
    return true;
  }

  // Sorts, resolves overlaps in favour of the stronger claim, merges neighbours
  // of one kind, and forgets everything at or above `limit` (a page multiple).
  // False when the disjoint pieces no longer fit; the map is then empty.
  [[nodiscard]] constexpr bool normalise(std::uint64_t limit) {
    clip_to_pages(limit);
    std::array<std::uint64_t, 2 * kMaxRanges> cuts{};
    std::size_t cut_count = 0;
    for (const MemoryRange& range : ranges()) {
      cuts[cut_count++] = range.base;
      cuts[cut_count++] = range.end;
    }
    std::sort(cuts.begin(), cuts.begin() + cut_count);
    std::array<MemoryRange, kMaxRanges> pieces{};
    std::size_t piece_count = 0;
    for (std::size_t i = 0; i + 1 < cut_count; ++i) {
      const MemoryRange* claim = claim_on(cuts[i], cuts[i + 1]);
      if (claim == nullptr) continue;
      if (piece_count != 0 && pieces[piece_count - 1].end == cuts[i] &&
          pieces[piece_count - 1].kind == claim->kind) {
        pieces[piece_count - 1].end = cuts[i + 1];
        continue;
      }
      if (piece_count == kMaxRanges) {
        count_ = 0;
        return false;
      }
      pieces[piece_count++] = {cuts[i], cuts[i + 1], claim->kind};
    }
    ranges_ = pieces;
    count_ = piece_count;
    return true;
  }

  [[nodiscard]] constexpr std::span<const MemoryRange> ranges() const {
    return {ranges_.data(), count_};
  }

  [[nodiscard]] constexpr std::uint64_t usable_bytes() const {
    std::uint64_t sum = 0;
    for (const MemoryRange& range : ranges()) {
      if (range.kind == MemoryKind::kUsable) sum += range.length();
    }
    return sum;
  }

 private:
  constexpr void clip_to_pages(std::uint64_t limit) {
    std::size_t kept = 0;
    for (MemoryRange range : ranges()) {
      range.base = std::min(range.base, limit);
      range.end = std::min(range.end, limit);
      if (range.kind == MemoryKind::kUsable) {
        range.base = align_up(range.base, kPageBytes);
        range.end = align_down(range.end, kPageBytes);
      } else {
        range.base = align_down(range.base, kPageBytes);
        range.end = align_up(range.end, kPageBytes);
      }
      if (range.base < range.end) ranges_[kept++] = range;
    }
    count_ = kept;
  }

  // The strongest range that covers [from, to), which no boundary divides.
  [[nodiscard]] constexpr const MemoryRange* claim_on(std::uint64_t from,
                                                      std::uint64_t to) const {
    const MemoryRange* best = nullptr;
    if (from == to) return best;
    for (const MemoryRange& range : ranges()) {
      if (range.base <= from && to <= range.end &&
          (best == nullptr || range.kind > best->kind)) {
        best = &range;
      }
    }
    return best;
  }

  std::array<MemoryRange, kMaxRanges> ranges_{};
  std::size_t count_ = 0;
};

}  // namespace odo::boot
