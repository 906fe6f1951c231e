// SPDX-License-Identifier: BSD-3-Clause
// Where data are, as an NVMe command says it: pages, of which only the first
// may begin in its middle; from the third on they stand in a list.
//
// Contexts: thread.
// Complexity: linear in the pages.
// Origin: NVM Express Base Specification 1.4 §4.3 (physical region page entry
//   and list).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/driver/ground.h"
#include "lib/nvme/registers.h"

namespace odo::nvme {

struct DataPointer {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  std::size_t bytes = 0;  // described
};

// Describes as much of the front of `data` as the list holds and `max_bytes`
// allow, in whole blocks. 0 bytes where not one block can be described, because
// it does not lie on multiples of 4, or is cut in the middle of a page.
// `list_physical` is where the device finds `list`, which crosses no page.
template <driver::DriverGround G>
[[nodiscard]] DataPointer describe_data(G& ground, Bytes data,
                                        std::size_t max_bytes,
                                        std::uint32_t block_bytes,
                                        std::span<std::uint64_t> list,
                                        std::uint64_t list_physical) {
  DataPointer pointer;
  const std::size_t most = std::min(data.size(), max_bytes);
  std::size_t bytes = 0;
  std::size_t pages = 0;
  while (bytes < most && pages <= list.size()) {
    const driver::DmaRun run =
        ground.dma_run(data.data() + bytes, most - bytes);
    ODO_CHECK(run.length != 0);
    const std::uint64_t needed = bytes == 0 ? 4 : kPageBytes;
    if (!is_aligned(run.physical, needed)) break;
    std::uint64_t at = run.physical;
    std::size_t left = std::min(run.length, most - bytes);
    while (left != 0 && pages <= list.size()) {
      if (pages == 0) {
        pointer.first = at;
      } else {
        list[pages - 1] = at;
      }
      ++pages;
      const std::size_t length =
          std::min<std::size_t>(left, kPageBytes - at % kPageBytes);
      at += length;
      bytes += length;
      left -= length;
    }
    // The next page must begin where this one ends.
    if (at % kPageBytes != 0) break;
  }
  pointer.bytes = align_down(bytes, block_bytes);
  if (pointer.bytes == 0) return {};
  const std::uint64_t span = pointer.first % kPageBytes + pointer.bytes;
  if (span > std::uint64_t{2} * kPageBytes) {
    pointer.second = list_physical;
  } else if (span > kPageBytes) {
    pointer.second = list[0];
  }
  return pointer;
}

}  // namespace odo::nvme
