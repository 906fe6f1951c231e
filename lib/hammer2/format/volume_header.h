// SPDX-License-Identifier: BSD-3-Clause
// The 64 KiB volume header, of which a volume keeps up to four, 2 GiB apart:
// its size and identity, and the roots of the two trees.
//
// Contexts: any. Plain data, little-endian, naturally aligned. Too large for a
// kernel stack: it lives in caller memory.
// Origin: hammer2_disk.h, struct hammer2_volume_data; the CRCs' ranges and
// order from sbin/newfs_hammer2/mkfs_hammer2.c.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/hammer2/format/blockref.h"
#include "lib/hammer2/format/constants.h"
#include "lib/hammer2/format/uuid.h"

namespace odo::hammer2::format {

struct VolumeHeader {
  std::uint64_t magic;
  std::uint64_t boot_beg;
  std::uint64_t boot_end;
  std::uint64_t aux_beg;
  std::uint64_t aux_end;
  std::uint64_t volu_size;
  std::uint32_t version;
  std::uint32_t flags;
  std::uint8_t copyid;
  std::uint8_t freemap_version;
  std::uint8_t peer_type;
  std::uint8_t volu_id;
  std::uint8_t nvolumes;  // 0 in version 1
  std::uint8_t reserved003d;
  std::uint16_t reserved003e;
  Uuid fsid;
  Uuid fstype;
  std::uint64_t allocator_size;  // bytes for data: without reserves and areas
  std::uint64_t allocator_free;  // of these, free
  std::uint64_t allocator_beg;   // first byte the freemap gives out
  std::uint64_t mirror_tid;      // last transaction flushed
  std::uint64_t reserved0080;
  std::uint64_t reserved0088;
  std::uint64_t freemap_tid;
  std::uint64_t bulkfree_tid;
  std::array<std::uint64_t, 4> reserved00a0;
  std::uint64_t total_size;  // of all volumes; 0 in version 1
  std::array<std::uint32_t, 8> copyexists;
  std::array<std::byte, 248> reserved00e8;
  std::array<std::uint32_t, 8> icrc_sects;
  Blockset sroot_blockset;
  std::array<std::byte, 512> sector2;
  std::array<std::byte, 512> sector3;
  Blockset freemap_blockset;
  std::array<std::byte, 512> sector5;
  std::array<std::byte, 512> sector6;
  std::array<std::uint64_t, kMaxVolumes> volu_loff;  // offset of each volume
  std::array<std::byte, 0x8000> reserved1000;
  std::array<std::byte, 0x6ffc> reserved9000;
  std::uint32_t icrc_volheader;
};
static_assert(sizeof(VolumeHeader) == kVolumeHeaderBytes);
static_assert(offsetof(VolumeHeader, magic) == 0x0000);
static_assert(offsetof(VolumeHeader, boot_beg) == 0x0008);
static_assert(offsetof(VolumeHeader, boot_end) == 0x0010);
static_assert(offsetof(VolumeHeader, aux_beg) == 0x0018);
static_assert(offsetof(VolumeHeader, aux_end) == 0x0020);
static_assert(offsetof(VolumeHeader, volu_size) == 0x0028);
static_assert(offsetof(VolumeHeader, version) == 0x0030);
static_assert(offsetof(VolumeHeader, flags) == 0x0034);
static_assert(offsetof(VolumeHeader, copyid) == 0x0038);
static_assert(offsetof(VolumeHeader, freemap_version) == 0x0039);
static_assert(offsetof(VolumeHeader, peer_type) == 0x003a);
static_assert(offsetof(VolumeHeader, volu_id) == 0x003b);
static_assert(offsetof(VolumeHeader, nvolumes) == 0x003c);
static_assert(offsetof(VolumeHeader, reserved003d) == 0x003d);
static_assert(offsetof(VolumeHeader, reserved003e) == 0x003e);
static_assert(offsetof(VolumeHeader, fsid) == 0x0040);
static_assert(offsetof(VolumeHeader, fstype) == 0x0050);
static_assert(offsetof(VolumeHeader, allocator_size) == 0x0060);
static_assert(offsetof(VolumeHeader, allocator_free) == 0x0068);
static_assert(offsetof(VolumeHeader, allocator_beg) == 0x0070);
static_assert(offsetof(VolumeHeader, mirror_tid) == 0x0078);
static_assert(offsetof(VolumeHeader, reserved0080) == 0x0080);
static_assert(offsetof(VolumeHeader, reserved0088) == 0x0088);
static_assert(offsetof(VolumeHeader, freemap_tid) == 0x0090);
static_assert(offsetof(VolumeHeader, bulkfree_tid) == 0x0098);
static_assert(offsetof(VolumeHeader, reserved00a0) == 0x00a0);
static_assert(offsetof(VolumeHeader, total_size) == 0x00c0);
static_assert(offsetof(VolumeHeader, copyexists) == 0x00c8);
static_assert(offsetof(VolumeHeader, reserved00e8) == 0x00e8);
static_assert(offsetof(VolumeHeader, icrc_sects) == 0x01e0);
static_assert(offsetof(VolumeHeader, sroot_blockset) == 0x0200);
static_assert(offsetof(VolumeHeader, sector2) == 0x0400);
static_assert(offsetof(VolumeHeader, sector3) == 0x0600);
static_assert(offsetof(VolumeHeader, freemap_blockset) == 0x0800);
static_assert(offsetof(VolumeHeader, sector5) == 0x0a00);
static_assert(offsetof(VolumeHeader, sector6) == 0x0c00);
static_assert(offsetof(VolumeHeader, volu_loff) == 0x0e00);
static_assert(offsetof(VolumeHeader, reserved1000) == 0x1000);
static_assert(offsetof(VolumeHeader, reserved9000) == 0x9000);
static_assert(offsetof(VolumeHeader, icrc_volheader) == 0xfffc);

// A volume with room for one header only can't lose it while it is written
// over: a copy of what is being written stands in a block of the first zone's
// reserve that the format leaves unused (hammer2_disk.h, ZONE_UNUSED62). It
// counts where no header proper can be used. This is ours alone; who doesn't
// know of it neither reads nor writes there, but for zeros when formatting.
inline constexpr std::uint64_t kShadowHeaderOffset =
    std::uint64_t{62} * kVolumeHeaderBytes;

// Whether a volume of that size has one header.
[[nodiscard]] constexpr bool has_one_header(std::uint64_t volume_bytes) {
  return volume_bytes < kVolumeHeaderStride + kZoneReserveBytes;
}

// The three CRC-32C codes of a header: which bytes each covers, and where it
// is kept. They are verified in this order and computed in this order, since
// the second covers the first and the third covers both.
struct HeaderCrc {
  std::uint32_t begin;
  std::uint32_t length;
  std::uint32_t stored_at;
};
inline constexpr std::array<HeaderCrc, 3> kHeaderCrcs = {{
    {512, 512, offsetof(VolumeHeader, icrc_sects) + 6 * sizeof(std::uint32_t)},
    {0, 508, offsetof(VolumeHeader, icrc_sects) + 7 * sizeof(std::uint32_t)},
    {0, 65532, offsetof(VolumeHeader, icrc_volheader)},
}};

}  // namespace odo::hammer2::format
