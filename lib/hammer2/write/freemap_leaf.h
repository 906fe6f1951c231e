// SPDX-License-Identifier: BSD-3-Clause
// One zone's leaf of the freemap in memory: 256 entries of 4 MiB, and taking
// and giving back blocks in them.
//
// Contexts: any; no I/O.
// Complexity: take() looks at most at eight words.
// Origin: hammer2_freemap.c, hammer2_bmap_alloc().
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "lib/base/bits.h"
#include "lib/base/check.h"
#include "lib/hammer2/format/freemap.h"
#include "lib/hammer2/write/bitmap.h"

namespace odo::hammer2::write {

inline constexpr std::uint32_t kUnitBytes = 1U << format::kFreemapUnitRadix;

struct FreemapLeaf {
  std::array<format::BmapData, format::kFreemapEntries> entries;

  [[nodiscard]] std::uint64_t avail() const {
    std::uint64_t sum = 0;
    for (const format::BmapData& entry : entries) sum += entry.avail;
    return sum;
  }
  [[nodiscard]] std::uint32_t quads() const {
    std::uint32_t sum = 0;
    for (const format::BmapData& entry : entries) {
      for (const std::uint64_t word : entry.bitmap) sum += free_quads(word);
    }
    return sum;
  }
};
static_assert(sizeof(FreemapLeaf) == format::kFreemapBlockBytes);

// A block taken from an entry: where in the 4 MiB, and what the taking cost.
struct Taken {
  std::uint32_t offset;
  std::uint32_t unit_bytes;  // of units that were free before
  std::uint32_t quads;       // 64 KiB extents that were wholly free before
};

namespace detail {

constexpr Taken take_units(format::BmapData& entry, unsigned word,
                           unsigned unit, unsigned count) {
  std::uint64_t& bits = entry.bitmap[word];
  const unsigned before = free_quads(bits);
  bits |= unit_mask(unit, count);
  entry.avail -= count * kUnitBytes;
  return {.offset = (word * kUnitsInWord + unit) * kUnitBytes,
          .unit_bytes = count * kUnitBytes,
          .quads = before - free_quads(bits)};
}

}  // namespace detail

// An entry of space that is never given out.
[[nodiscard]] constexpr format::BmapData withheld_entry() {
  format::BmapData entry = {};
  entry.bitmap.fill(~std::uint64_t{0});
  entry.linear = std::int32_t{1} << format::kFreemapEntryRadix;
  return entry;
}

// Takes 2^radix bytes from `entry`, if it has them. Small blocks go on where
// the last ended, at a multiple of `align`, while they fit into its unit.
constexpr std::optional<Taken> take(format::BmapData& entry, unsigned radix,
                                    std::uint32_t align) {
  const std::uint32_t bytes = 1U << radix;
  if (radix < format::kFreemapUnitRadix) {
    const auto linear = static_cast<std::uint32_t>(entry.linear);
    // Media may say anything; the unit must be taken already.
    if (linear % kUnitBytes != 0 && linear < 1U << format::kFreemapEntryRadix &&
        linear % format::kMinAllocBytes == 0) {
      const unsigned unit = linear / kUnitBytes;
      const std::uint32_t at = align_up(linear, align);
      if (at / kUnitBytes == unit && at % kUnitBytes + bytes <= kUnitBytes &&
          format::unit_state(entry, unit) == format::FreemapState::kAllocated) {
        entry.linear = static_cast<std::int32_t>(at + bytes);
        return Taken{.offset = at, .unit_bytes = 0, .quads = 0};
      }
    }
  }
  const unsigned group =
      radix < format::kFreemapUnitRadix ? format::kFreemapUnitRadix : radix;
  for (unsigned word = 0; word < entry.bitmap.size(); ++word) {
    if (const auto unit = find_group(entry.bitmap[word], group)) {
      const Taken taken = detail::take_units(
          entry, word, *unit, 1U << (group - format::kFreemapUnitRadix));
      if (bytes < kUnitBytes) {
        entry.linear = static_cast<std::int32_t>(taken.offset + bytes);
      }
      return taken;
    }
  }
  return std::nullopt;
}

}  // namespace odo::hammer2::write
