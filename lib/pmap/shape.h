// SPDX-License-Identifier: BSD-3-Clause
// How a tree of translation tables divides addresses: so many levels, so many
// bits of the address to each, and pages below them.
//
// Contexts: any; constants and arithmetic.
// Units: addresses in bytes. Levels count from 0, the tables whose entries are
//   pages; an entry of level n covers as much as a whole table of level n - 1.
// Invariants: programs have the lower half of what the tables can translate;
//   the upper one is the kernel's, and none of this library's business but that
//   each root shows it.
// Origin: Intel SDM vol. 3 §4.5.
#pragma once

#include <cstdint>

namespace odo::pmap {

struct Shape {
  unsigned levels;
  unsigned index_bits;
  unsigned page_bits;

  [[nodiscard]] constexpr unsigned entries() const { return 1u << index_bits; }
  [[nodiscard]] constexpr unsigned root_level() const { return levels - 1; }
  // What one entry of this level covers.
  [[nodiscard]] constexpr std::uint64_t span_bytes(unsigned level) const {
    return std::uint64_t{1} << (page_bits + level * index_bits);
  }
  [[nodiscard]] constexpr std::uint64_t page_bytes() const {
    return span_bytes(0);
  }
  [[nodiscard]] constexpr unsigned index_of(std::uint64_t address,
                                            unsigned level) const {
    return static_cast<unsigned>(address / span_bytes(level)) & (entries() - 1);
  }
  // Where the next entry of this level begins.
  [[nodiscard]] constexpr std::uint64_t next(std::uint64_t address,
                                             unsigned level) const {
    return (address / span_bytes(level) + 1) * span_bytes(level);
  }
  // Programs have what is below.
  [[nodiscard]] constexpr std::uint64_t end() const {
    return span_bytes(levels) / 2;
  }
};

// 4-level paging: pages of 4 KiB, programs below 128 TiB.
inline constexpr Shape kX86Shape{.levels = 4, .index_bits = 9, .page_bits = 12};
static_assert(kX86Shape.end() == std::uint64_t{1} << 47);

}  // namespace odo::pmap
