// SPDX-License-Identifier: BSD-3-Clause
// The freemap's leaf entry: 128 bytes that say which 16 KiB units of 4 MiB are
// in use. 256 of them make a leaf block for 1 GiB.
//
// Contexts: any. Plain data, little-endian, naturally aligned.
// Origin: hammer2_disk.h, struct hammer2_bmap_data.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/hammer2/format/constants.h"

namespace odo::hammer2::format {

struct BmapData {
  std::int32_t linear;        // next byte to give out below 16 KiB
  std::uint16_t alloc_class;  // (block type << 8) | device radix
  std::uint8_t reserved06;
  std::uint8_t reserved07;
  std::uint32_t reserved08;
  std::uint32_t reserved0c;
  std::uint32_t reserved10;
  std::uint32_t reserved14;
  std::uint32_t reserved18;
  std::uint32_t avail;  // bytes free
  std::array<std::uint32_t, 8> reserved20;
  std::array<std::uint64_t, 8> bitmap;  // FreemapState, two bits a unit
};
static_assert(sizeof(BmapData) == 128);
static_assert(offsetof(BmapData, linear) == 0x00);
static_assert(offsetof(BmapData, alloc_class) == 0x04);
static_assert(offsetof(BmapData, reserved06) == 0x06);
static_assert(offsetof(BmapData, reserved07) == 0x07);
static_assert(offsetof(BmapData, reserved08) == 0x08);
static_assert(offsetof(BmapData, reserved0c) == 0x0c);
static_assert(offsetof(BmapData, reserved10) == 0x10);
static_assert(offsetof(BmapData, reserved14) == 0x14);
static_assert(offsetof(BmapData, reserved18) == 0x18);
static_assert(offsetof(BmapData, avail) == 0x1c);
static_assert(offsetof(BmapData, reserved20) == 0x20);
static_assert(offsetof(BmapData, bitmap) == 0x40);

// The state of one 16 KiB unit of the entry's 4 MiB, 0 to 255.
[[nodiscard]] constexpr FreemapState unit_state(const BmapData& entry,
                                                unsigned unit) {
  return static_cast<FreemapState>(
      (entry.bitmap[(unit >> 5) & 7] >> ((unit & 31) * 2)) & 3);
}

}  // namespace odo::hammer2::format
