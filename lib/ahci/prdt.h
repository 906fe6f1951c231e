// SPDX-License-Identifier: BSD-3-Clause
// Where data are, as an AHCI command table says it: runs of memory.
//
// Contexts: thread.
// Complexity: linear in the runs.
// Origin: Serial ATA AHCI 1.3.1 §4.2.3.3 (physical region descriptor table).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/driver/ground.h"

namespace odo::ahci {

inline constexpr std::size_t kRegionBytes = 16;
inline constexpr std::size_t kMaxRegionBytes = std::size_t{4} << 20;

struct Regions {
  std::size_t bytes = 0;  // described
  std::size_t count = 0;
};

// Describes as much of the front of `data` as `max_regions` and `max_bytes`
// allow, in whole blocks, at `table`. 0 bytes where not one block can be
// described: regions begin and end on even addresses, below `reach`.
template <driver::DriverGround G>
[[nodiscard]] Regions describe_data(G& ground, Bytes data,
                                    std::size_t max_bytes,
                                    std::uint32_t block_bytes, std::byte* table,
                                    std::size_t max_regions,
                                    std::uint64_t reach) {
  const std::size_t most = std::min(data.size(), max_bytes);
  const auto length_of = [&](std::size_t region) {
    return load_le<std::uint32_t>(table + region * kRegionBytes + 12) + 1;
  };
  const auto set_length = [&](std::size_t region, std::size_t length) {
    store_le(table + region * kRegionBytes + 12,
             static_cast<std::uint32_t>(length - 1));
  };
  Regions regions;
  while (regions.bytes < most && regions.count < max_regions) {
    const std::size_t want = std::min(most - regions.bytes, kMaxRegionBytes);
    const driver::DmaRun run =
        ground.dma_run(data.data() + regions.bytes, want);
    ODO_CHECK(run.length != 0);
    const std::size_t length = std::min(run.length, want);
    if (!is_aligned(run.physical, 2) || length % 2 != 0 ||
        !range_inside(run.physical, length, reach)) {
      break;
    }
    std::byte* const region = table + regions.count * kRegionBytes;
    store_le(region, run.physical);
    store_le(region + 8, std::uint32_t{0});
    set_length(regions.count++, length);
    regions.bytes += length;
  }
  // Runs of memory need not end where blocks do: the piece of a block at the
  // end goes back.
  std::size_t excess = regions.bytes % block_bytes;
  regions.bytes -= excess;
  while (excess != 0) {
    const std::size_t length = length_of(regions.count - 1);
    const std::size_t cut = std::min(excess, length);
    excess -= cut;
    if (cut == length) {
      --regions.count;
    } else {
      set_length(regions.count - 1, length - cut);
    }
  }
  return regions;
}

}  // namespace odo::ahci
