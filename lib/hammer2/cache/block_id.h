// SPDX-License-Identifier: BSD-3-Clause
// What a cached block is known by.
//
// Contexts: any. Plain data.
// Invariants:
//   I1. two equal ids have the same verified content: an id holds everything
//       about a reference that decides what its block means. It doesn't name a
//       filesystem, so that a cache is for the blocks of one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/base/bytes.h"
#include "lib/hammer2/format/blockref.h"
#include "lib/hammer2/format/constants.h"

namespace odo::hammer2 {

struct BlockId {
  std::uint64_t data_off = 0;
  std::uint64_t key = 0;
  std::array<std::byte, 24> check = {};
  format::BlockType type = format::BlockType::kEmpty;
  std::uint8_t methods = 0;
  std::uint8_t keybits = 0;
  std::uint8_t tree = 0;  // which kind of tree it was reached in

  // By words: a loop over the bytes of `check` is what a compiler makes of the
  // default.
  friend bool operator==(const BlockId& a, const BlockId& b) {
    return a.data_off == b.data_off && a.key == b.key &&
           equal_bytes(a.check, b.check) && a.type == b.type &&
           a.methods == b.methods && a.keybits == b.keybits && a.tree == b.tree;
  }
};

namespace cache {

// 2^64 divided by the golden ratio.
inline constexpr std::uint64_t kHashFactor = 0x9e37'79b9'7f4a'7c15;

// Its lower bits choose a hash chain.
[[nodiscard]] constexpr std::uint64_t hash_of(const BlockId& id) {
  const std::uint64_t h =
      (id.data_off ^ std::uint64_t{id.keybits} << 56) * kHashFactor;
  return h ^ h >> 29;
}

// The same for all blocks of one 64 KiB of media: neighbours there are used
// together and should share a frame. Its upper bits mix best.
[[nodiscard]] constexpr std::uint64_t region_hash_of(const BlockId& id) {
  return (id.data_off / format::kMaxAllocBytes) * kHashFactor;
}

}  // namespace cache

}  // namespace odo::hammer2
