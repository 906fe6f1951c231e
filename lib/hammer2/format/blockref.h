// SPDX-License-Identifier: BSD-3-Clause
// The 128-byte reference to a block, of which every HAMMER2 structure above
// file data is made: where the block lies, which keys it covers, how it is
// checked and compressed.
//
// Contexts: any. Plain data, little-endian, naturally aligned.
// Shape: the keys covered are [key, key + 2^keybits). data_off holds a byte
// offset with log2 of the block's size in its low six bits; 0 is "no block".
// Origin: hammer2_disk.h, struct hammer2_blockref and hammer2_dirent_head.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/hammer2/format/constants.h"

namespace odo::hammer2::format {

// What a directory entry says; its name is in Blockref::check when it fits.
struct Dirent {
  std::uint64_t inum;
  std::uint16_t name_len;
  ObjectType type;
  std::uint8_t unused0b;
  std::array<std::uint8_t, 4> unused0c;
};
static_assert(sizeof(Dirent) == 16);
static_assert(offsetof(Dirent, inum) == 0);
static_assert(offsetof(Dirent, name_len) == 8);
static_assert(offsetof(Dirent, type) == 10);
static_assert(offsetof(Dirent, unused0b) == 11);
static_assert(offsetof(Dirent, unused0c) == 12);

// Totals of everything below an inode or an indirect block.
struct Statistics {
  std::uint64_t data_count;  // bytes allocated
  std::uint64_t inode_count;
};
static_assert(sizeof(Statistics) == 16);
static_assert(offsetof(Statistics, data_count) == 0);
static_assert(offsetof(Statistics, inode_count) == 8);

union BlockrefEmbed {
  std::array<std::byte, 16> bytes;
  Dirent dirent;     // type kDirent
  Statistics stats;  // types kInode and kIndirect
};
static_assert(sizeof(BlockrefEmbed) == 16);

struct CheckIscsi32 {
  std::uint32_t value;
  std::array<std::uint32_t, 15> reserved;
};
static_assert(sizeof(CheckIscsi32) == 64);
static_assert(offsetof(CheckIscsi32, value) == 0);
static_assert(offsetof(CheckIscsi32, reserved) == 4);

struct CheckXxhash64 {
  std::uint64_t value;
  std::array<std::uint64_t, 7> reserved;
};
static_assert(sizeof(CheckXxhash64) == 64);
static_assert(offsetof(CheckXxhash64, value) == 0);
static_assert(offsetof(CheckXxhash64, reserved) == 8);

struct CheckSha192 {
  std::array<std::byte, 24> value;
  std::array<std::byte, 40> reserved;
};
static_assert(sizeof(CheckSha192) == 64);
static_assert(offsetof(CheckSha192, value) == 0);
static_assert(offsetof(CheckSha192, reserved) == 24);

struct CheckFreemap {
  std::uint32_t icrc32;
  std::uint32_t bigmask;  // bit r: an allocation of radix r may succeed
  std::uint64_t avail;    // bytes free below
  std::array<std::byte, 48> reserved;
};
static_assert(sizeof(CheckFreemap) == 64);
static_assert(offsetof(CheckFreemap, icrc32) == 0);
static_assert(offsetof(CheckFreemap, bigmask) == 4);
static_assert(offsetof(CheckFreemap, avail) == 8);
static_assert(offsetof(CheckFreemap, reserved) == 16);

union BlockrefCheck {
  std::array<std::byte, 64> bytes;
  std::array<char, kEmbeddedNameBytes> name;  // a Dirent's name of up to 64
  CheckIscsi32 iscsi32;
  CheckXxhash64 xxhash64;
  CheckSha192 sha192;
  CheckFreemap freemap;
};
static_assert(sizeof(BlockrefCheck) == 64);

inline constexpr std::uint64_t kOffsetRadixMask = 0x3f;

struct Blockref {
  BlockType type;
  std::uint8_t methods;  // check_method() and comp_method() of the block
  std::uint8_t copyid;
  std::uint8_t keybits;
  std::uint8_t vradix;
  std::uint8_t flags;        // kRef…
  std::uint16_t leaf_count;  // leaves below, at most 65535
  std::uint64_t key;
  std::uint64_t mirror_tid;  // last flush of the block or below
  std::uint64_t modify_tid;  // last change of the block itself
  std::uint64_t data_off;
  std::uint64_t update_tid;
  BlockrefEmbed embed;
  BlockrefCheck check;

  // log2 of the block's bytes; 0 when there is no block.
  [[nodiscard]] constexpr unsigned radix() const {
    return static_cast<unsigned>(data_off & kOffsetRadixMask);
  }
  // Offset of the block in the space of all volumes.
  [[nodiscard]] constexpr std::uint64_t offset() const {
    return data_off & ~kOffsetRadixMask;
  }
};
static_assert(sizeof(Blockref) == kBlockrefBytes);
static_assert(offsetof(Blockref, type) == 0x00);
static_assert(offsetof(Blockref, methods) == 0x01);
static_assert(offsetof(Blockref, copyid) == 0x02);
static_assert(offsetof(Blockref, keybits) == 0x03);
static_assert(offsetof(Blockref, vradix) == 0x04);
static_assert(offsetof(Blockref, flags) == 0x05);
static_assert(offsetof(Blockref, leaf_count) == 0x06);
static_assert(offsetof(Blockref, key) == 0x08);
static_assert(offsetof(Blockref, mirror_tid) == 0x10);
static_assert(offsetof(Blockref, modify_tid) == 0x18);
static_assert(offsetof(Blockref, data_off) == 0x20);
static_assert(offsetof(Blockref, update_tid) == 0x28);
static_assert(offsetof(Blockref, embed) == 0x30);
static_assert(offsetof(Blockref, check) == 0x40);

// Four references side by side, in inodes and in the volume header. Entries in
// use are in the order of their keys; empty ones may lie between them.
struct Blockset {
  std::array<Blockref, kBlocksetCount> refs;
};
static_assert(sizeof(Blockset) == kEmbeddedBytes);
static_assert(offsetof(Blockset, refs) == 0);

}  // namespace odo::hammer2::format
