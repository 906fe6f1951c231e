// SPDX-License-Identifier: BSD-3-Clause
// The 1 KiB inode: 256 bytes of attributes, 256 bytes of name, and 512 bytes
// that hold either a small file's data or four block references.
//
// Contexts: any. Plain data, little-endian, naturally aligned.
// Units: times are microseconds since 1970.
// Origin: hammer2_disk.h, struct hammer2_inode_meta and hammer2_inode_data.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/hammer2/format/blockref.h"
#include "lib/hammer2/format/constants.h"
#include "lib/hammer2/format/uuid.h"

namespace odo::hammer2::format {

struct InodeMeta {
  std::uint16_t version;
  std::uint8_t reserved02;
  PfsSubtype pfs_subtype;
  std::uint32_t uflags;  // chflags(2)
  std::uint32_t rmajor;  // device nodes
  std::uint32_t rminor;
  std::uint64_t ctime_us;
  std::uint64_t mtime_us;
  std::uint64_t atime_us;
  std::uint64_t btime_us;
  Uuid uid;
  Uuid gid;
  ObjectType type;
  std::uint8_t op_flags;  // kInode…
  std::uint16_t cap_flags;
  std::uint32_t mode;  // permission bits
  std::uint64_t inum;
  std::uint64_t size;
  std::uint64_t nlinks;
  std::uint64_t iparent;   // inode number of the directory it was made in
  std::uint64_t name_key;  // key of its own entry
  std::uint16_t name_len;
  std::uint8_t ncopies;
  std::uint8_t comp_algo;  // CompMethod, level in the high half
  std::uint8_t unused84;
  std::uint8_t check_algo;  // CheckMethod
  std::uint8_t pfs_nmasters;
  PfsType pfs_type;
  std::uint64_t pfs_inum;  // last inode number given, in a PFS root
  Uuid pfs_clid;
  Uuid pfs_fsid;
  std::uint64_t data_quota;
  std::uint64_t unusedb8;
  std::uint64_t inode_quota;
  std::uint64_t unusedc8;
  std::uint64_t pfs_lsnap_tid;  // transaction of the last snapshot
  std::uint64_t reservedd8;
  std::uint64_t decrypt_check;
  std::array<std::uint64_t, 3> reservede8;
};
static_assert(sizeof(InodeMeta) == 256);
static_assert(offsetof(InodeMeta, version) == 0x00);
static_assert(offsetof(InodeMeta, reserved02) == 0x02);
static_assert(offsetof(InodeMeta, pfs_subtype) == 0x03);
static_assert(offsetof(InodeMeta, uflags) == 0x04);
static_assert(offsetof(InodeMeta, rmajor) == 0x08);
static_assert(offsetof(InodeMeta, rminor) == 0x0c);
static_assert(offsetof(InodeMeta, ctime_us) == 0x10);
static_assert(offsetof(InodeMeta, mtime_us) == 0x18);
static_assert(offsetof(InodeMeta, atime_us) == 0x20);
static_assert(offsetof(InodeMeta, btime_us) == 0x28);
static_assert(offsetof(InodeMeta, uid) == 0x30);
static_assert(offsetof(InodeMeta, gid) == 0x40);
static_assert(offsetof(InodeMeta, type) == 0x50);
static_assert(offsetof(InodeMeta, op_flags) == 0x51);
static_assert(offsetof(InodeMeta, cap_flags) == 0x52);
static_assert(offsetof(InodeMeta, mode) == 0x54);
static_assert(offsetof(InodeMeta, inum) == 0x58);
static_assert(offsetof(InodeMeta, size) == 0x60);
static_assert(offsetof(InodeMeta, nlinks) == 0x68);
static_assert(offsetof(InodeMeta, iparent) == 0x70);
static_assert(offsetof(InodeMeta, name_key) == 0x78);
static_assert(offsetof(InodeMeta, name_len) == 0x80);
static_assert(offsetof(InodeMeta, ncopies) == 0x82);
static_assert(offsetof(InodeMeta, comp_algo) == 0x83);
static_assert(offsetof(InodeMeta, unused84) == 0x84);
static_assert(offsetof(InodeMeta, check_algo) == 0x85);
static_assert(offsetof(InodeMeta, pfs_nmasters) == 0x86);
static_assert(offsetof(InodeMeta, pfs_type) == 0x87);
static_assert(offsetof(InodeMeta, pfs_inum) == 0x88);
static_assert(offsetof(InodeMeta, pfs_clid) == 0x90);
static_assert(offsetof(InodeMeta, pfs_fsid) == 0xa0);
static_assert(offsetof(InodeMeta, data_quota) == 0xb0);
static_assert(offsetof(InodeMeta, unusedb8) == 0xb8);
static_assert(offsetof(InodeMeta, inode_quota) == 0xc0);
static_assert(offsetof(InodeMeta, unusedc8) == 0xc8);
static_assert(offsetof(InodeMeta, pfs_lsnap_tid) == 0xd0);
static_assert(offsetof(InodeMeta, reservedd8) == 0xd8);
static_assert(offsetof(InodeMeta, decrypt_check) == 0xe0);
static_assert(offsetof(InodeMeta, reservede8) == 0xe8);

union InodePayload {
  std::array<std::byte, kEmbeddedBytes> data;  // kInodeDirectData
  Blockset blockset;
};
static_assert(sizeof(InodePayload) == kEmbeddedBytes);

struct Inode {
  InodeMeta meta;
  std::array<char, kInodeNameBytes> filename;  // name_len bytes, unterminated
  InodePayload payload;
};
static_assert(sizeof(Inode) == kInodeBytes);
static_assert(offsetof(Inode, meta) == 0x000);
static_assert(offsetof(Inode, filename) == 0x100);
static_assert(offsetof(Inode, payload) == 0x200);

// The name that an inode of the index gives itself: "0x%016llx".
inline constexpr std::size_t kOwnNameBytes = 18;
[[nodiscard]] constexpr std::array<char, kOwnNameBytes> own_name(
    std::uint64_t inum) {
  std::array<char, kOwnNameBytes> name = {'0', 'x'};
  for (std::size_t i = 0; i < 16; ++i) {
    name[2 + i] = "0123456789abcdef"[inum >> (60 - 4 * i) & 15];
  }
  return name;
}

}  // namespace odo::hammer2::format
