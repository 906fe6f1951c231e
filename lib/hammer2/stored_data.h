// SPDX-License-Identifier: BSD-3-Clause
// Bytes of a file's tree, whatever its blocks cover: holes and what blocks
// leave out read as zeros.
//
// Contexts: thread; may block where the device does.
// Failure: what finding a leaf or fetching its block says.
// Complexity: a search and a block for each leaf that is touched.
// Origin: hammer2_strategy.c (read).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "lib/base/bytes.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/format/blockref.h"
#include "lib/hammer2/validate.h"

namespace odo::hammer2 {

// Fills `to` with what lies at `offset` of file `inum`. `find(first, last)`
// answers a Result of a pointer to the leaf with the lowest key whose range
// touches [first, last], null if there is none; it is good until the next call.
template <class Store, class Find>
[[nodiscard]] Result<void> read_stored(Store& store, std::uint64_t inum,
                                       std::uint64_t offset, MutableBytes to,
                                       Find&& find) {
  while (!to.empty()) {
    ODO_TRY(const format::Blockref* leaf,
            find(offset, offset + (to.size() - 1)));
    const std::uint64_t hole = leaf == nullptr      ? to.size()
                               : leaf->key > offset ? leaf->key - offset
                                                    : 0;
    zero_bytes(to.first(hole));
    to = to.subspan(hole);
    offset += hole;
    if (to.empty()) break;
    const std::uint64_t inside = offset - leaf->key;
    const std::uint64_t keys = std::uint64_t{1} << leaf->keybits;
    const std::size_t covered = static_cast<std::size_t>(
        std::min<std::uint64_t>(to.size(), keys - inside));
    if (covered == keys && leaf->type == format::BlockType::kData) {
      ODO_TRY_VOID(store.fetch_into(*leaf, inum, to.first(covered)));
    } else {
      ODO_TRY(const auto pin,
              store.fetch(*leaf, Tree::kFile, KeyRange{}, inum));
      const Bytes block = pin.bytes();
      const Bytes data =
          block.subspan(std::min<std::uint64_t>(inside, block.size()));
      const std::size_t kept = std::min(covered, data.size());
      copy_bytes(to, data.first(kept));
      zero_bytes(to.subspan(kept, covered - kept));
    }
    to = to.subspan(covered);
    offset += covered;
  }
  return {};
}

}  // namespace odo::hammer2
