// SPDX-License-Identifier: BSD-3-Clause
// Which 16 KiB units something refers to: a bit for each, of a window of zones.
//
// Contexts: thread, one at a time.
// Bounds: 8 KiB a zone of the window, and a table of kRemembered references
//   that have been followed, so that what snapshots share is followed once as
//   long as the table holds it.
// Complexity: O(1) a block.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "lib/base/check.h"
#include "lib/hammer2/format/blockref.h"
#include "lib/hammer2/write/ground.h"
#include "lib/hammer2/write/memory.h"

namespace odo::hammer2::write {

template <Ground G>
class SpaceMarks {
 public:
  static constexpr std::size_t kRemembered = std::size_t{1} << 16;
  static constexpr std::uint64_t kZoneUnits =
      format::kZoneBytes >> format::kFreemapUnitRadix;

  [[nodiscard]] Result<void> init(G& ground, std::uint64_t zones) {
    ODO_TRY_VOID(bits_.init(ground, zones * kZoneUnits / 64));
    return followed_.init(ground, kRemembered);
  }

  // Looks at `zones` from `first_zone` on, and has seen nothing yet.
  void begin(std::uint64_t first_zone) {
    first_unit_ = first_zone * kZoneUnits;
    std::ranges::fill(bits_.span(), 0);
    std::ranges::fill(followed_.span(), 0);
    blocks_ = 0;
  }

  void mark(const format::Blockref& ref) {
    if (ref.radix() == 0) return;
    ++blocks_;
    const std::uint64_t first = ref.offset() >> format::kFreemapUnitRadix;
    const std::uint64_t last =
        (ref.offset() + (std::uint64_t{1} << ref.radix()) - 1) >>
        format::kFreemapUnitRadix;
    for (std::uint64_t unit = first; unit <= last; ++unit) {
      const std::uint64_t at = unit - first_unit_;
      if (at / 64 >= bits_.size()) continue;  // another window's
      bits_[at / 64] |= std::uint64_t{1} << (at % 64);
    }
  }

  // Whether the block is followed for the first time, as far as is remembered.
  [[nodiscard]] bool is_new(const format::Blockref& ref) {
    constexpr std::size_t kWays = 4;
    const std::uint64_t hash =
        (ref.data_off >> format::kMinRadix) * 0x9e3779b97f4a7c15;
    std::uint64_t* set =
        &followed_[hash >> 40 & (kRemembered - 1) & ~(kWays - 1)];
    for (std::size_t i = 0; i < kWays; ++i) {
      if (set[i] == ref.data_off) return false;
    }
    std::copy_backward(set, set + kWays - 1, set + kWays);
    set[0] = ref.data_off;
    return true;
  }

  // The bits of 64 units from a unit that is a multiple of 64.
  [[nodiscard]] std::uint64_t word(std::uint64_t unit) const {
    return bits_[(unit - first_unit_) / 64];
  }
  [[nodiscard]] std::uint64_t blocks() const { return blocks_; }

 private:
  Array<G, std::uint64_t> bits_;
  Array<G, std::uint64_t> followed_;
  std::uint64_t first_unit_ = 0;
  std::uint64_t blocks_ = 0;
};

}  // namespace odo::hammer2::write
