// SPDX-License-Identifier: BSD-3-Clause
// Members of Volume that tell devices of space that nobody needs; see volume.h.
//
// Space that the freemap calls free after a sync is referred to by no header
// that could be mounted, and what is allocated later is written before anything
// refers to it: so a discard may take effect at any time, or never.
//
// Contexts: as volume.h says.
#pragma once

#include <algorithm>

#include "lib/hammer2/write/volume.h"

namespace odo::hammer2::write {

template <Ground G>
Result<std::uint64_t> Volume<G>::discard_free()
requires block::DiscardingDevice<typename G::Device>
{
  // What was freed since the last header is needed if that one comes back.
  ODO_TRY_VOID(sync());
  std::uint64_t total = 0;
  std::uint64_t begin = 0;  // of the run at hand
  std::uint64_t end = 0;
  const auto give = [&]() -> Result<void> {
    if (begin == end) return {};
    ODO_TRY_VOID(media_.discard(begin, end - begin));
    total += end - begin;
    begin = end;
    return {};
  };
  constexpr std::uint64_t kUnitsInEntry =
      (std::uint64_t{1} << format::kFreemapEntryRadix) / kUnitBytes;
  for (std::uint64_t zone = 0; zone < freemap_.zones(); ++zone) {
    ODO_TRY(const FreemapLeaf* leaf, freemap_.leaf_of(zone));
    for (std::size_t i = 0; i < format::kFreemapEntries; ++i) {
      const std::uint64_t entry =
          zone * format::kZoneBytes +
          (std::uint64_t{i} << format::kFreemapEntryRadix);
      if (audit::never_given_out(entry, freemap_.allocator_beg(),
                                 info().total_bytes)) {
        continue;
      }
      for (std::uint64_t unit = 0; unit < kUnitsInEntry; ++unit) {
        if (format::unit_state(leaf->entries[i],
                               static_cast<std::uint32_t>(unit)) !=
            format::FreemapState::kFree) {
          continue;
        }
        const std::uint64_t at = entry + unit * kUnitBytes;
        // A run lies in one device: volumes begin with zones.
        if (at != end || at % format::kZoneBytes == 0) {
          ODO_TRY_VOID(give());
          begin = at;
        }
        end = at + kUnitBytes;
      }
    }
  }
  ODO_TRY_VOID(give());
  return total;
}

}  // namespace odo::hammer2::write
