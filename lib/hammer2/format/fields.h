// SPDX-License-Identifier: BSD-3-Clause
// The fields of the on-disk structures as tables: name, place, width and what
// the bytes mean, for whoever shows a block or asks for a field by its name.
//
// Contexts: any; constants only.
// Invariants: each table covers its structure without a gap or an overlap, in
//   the order of offsets, and each entry lies where the compiler puts the
//   member (static_assert, below each table).
// Shapes: a field of `count` elements has them side by side. What depends on a
//   blockref's type and methods, its `embed` and `check`, has a table for each
//   reading, with offsets from the blockref's begin.
// Origin: hammer2_disk.h, as the structures themselves.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/hammer2/format/blockref.h"
#include "lib/hammer2/format/constants.h"
#include "lib/hammer2/format/freemap.h"
#include "lib/hammer2/format/inode.h"
#include "lib/hammer2/format/volume_header.h"

namespace odo::hammer2::format {

// What the bytes of a field mean.
enum class FieldKind : std::uint8_t {
  kNumber,  // little-endian, for people in decimal
  kHex,     // little-endian, for people in hexadecimal: masks, ids, offsets
  kBytes,   // no number: check codes, reserved space
  kText,    // a name, padded with zeros
  kTime,    // microseconds since 1970
  kUuid,
  kDataOff,  // an offset with a radix in its low bits
  kMode,     // permission bits, for people in octal
  kBlockType,
  kMethods,  // check and compression of a block
  kObjectType,
  kCheckAlgo,
  kCompAlgo,
  kPfsType,
  kPfsSubtype,
  kBlockrefs,  // structures, to be shown by their own tables
};

struct Field {
  std::string_view name;
  std::uint32_t offset;
  std::uint32_t bytes;  // of one element
  std::uint32_t count;
  FieldKind kind;
};

using Fields = std::span<const Field>;

// Whether `fields` cover [begin, end) without a gap or an overlap.
[[nodiscard]] constexpr bool covers(Fields fields, std::size_t begin,
                                    std::size_t end) {
  std::size_t at = begin;
  for (const Field& field : fields) {
    if (field.offset != at || field.bytes == 0 || field.count == 0 ||
        field.name.empty()) {
      return false;
    }
    at += std::size_t{field.bytes} * field.count;
  }
  return at == end;
}

namespace detail {

template <std::size_t N>
[[nodiscard]] consteval Field field(const char (&name)[N], std::size_t offset,
                                    std::size_t bytes, FieldKind kind,
                                    std::size_t count = 1) {
  return {.name = {name, N - 1},
          .offset = static_cast<std::uint32_t>(offset),
          .bytes = static_cast<std::uint32_t>(bytes / count),
          .count = static_cast<std::uint32_t>(count),
          .kind = kind};
}

}  // namespace detail

// NOLINTBEGIN(bugprone-macro-parentheses): `type` and `member` are names.
#define ODO_FIELD(type, member, kind)            \
  detail::field(#member, offsetof(type, member), \
                sizeof(static_cast<type*>(nullptr)->member), FieldKind::kind)
#define ODO_FIELD_ARRAY(type, member, kind, count)                            \
  detail::field(#member, offsetof(type, member),                              \
                sizeof(static_cast<type*>(nullptr)->member), FieldKind::kind, \
                count)
// One of a blockref's two variable parts: its name and where it begins.
#define ODO_FIELD_AT(part, base, type, member, kind)               \
  detail::field(part "." #member, (base) + offsetof(type, member), \
                sizeof(static_cast<type*>(nullptr)->member), FieldKind::kind)
// NOLINTEND(bugprone-macro-parentheses)

// --- Blockrefs ---------------------------------------------------------------

// What every blockref has; `embed` and `check` follow.
inline constexpr std::array kBlockrefFields = {
    ODO_FIELD(Blockref, type, kBlockType),
    ODO_FIELD(Blockref, methods, kMethods),
    ODO_FIELD(Blockref, copyid, kNumber),
    ODO_FIELD(Blockref, keybits, kNumber),
    ODO_FIELD(Blockref, vradix, kNumber),
    ODO_FIELD(Blockref, flags, kHex),
    ODO_FIELD(Blockref, leaf_count, kNumber),
    ODO_FIELD(Blockref, key, kHex),
    ODO_FIELD(Blockref, mirror_tid, kHex),
    ODO_FIELD(Blockref, modify_tid, kHex),
    ODO_FIELD(Blockref, data_off, kDataOff),
    ODO_FIELD(Blockref, update_tid, kHex),
};
inline constexpr std::size_t kEmbedAt = offsetof(Blockref, embed);
inline constexpr std::size_t kCheckAt = offsetof(Blockref, check);
static_assert(covers(kBlockrefFields, 0, kEmbedAt));

inline constexpr std::array kEmbedBytesFields = {
    ODO_FIELD_AT("embed", kEmbedAt, BlockrefEmbed, bytes, kBytes)};
inline constexpr std::array kEmbedDirentFields = {
    ODO_FIELD_AT("embed", kEmbedAt, Dirent, inum, kHex),
    ODO_FIELD_AT("embed", kEmbedAt, Dirent, name_len, kNumber),
    ODO_FIELD_AT("embed", kEmbedAt, Dirent, type, kObjectType),
    ODO_FIELD_AT("embed", kEmbedAt, Dirent, unused0b, kHex),
    ODO_FIELD_AT("embed", kEmbedAt, Dirent, unused0c, kBytes),
};
inline constexpr std::array kEmbedStatisticsFields = {
    ODO_FIELD_AT("embed", kEmbedAt, Statistics, data_count, kNumber),
    ODO_FIELD_AT("embed", kEmbedAt, Statistics, inode_count, kNumber),
};
static_assert(covers(kEmbedBytesFields, kEmbedAt, kCheckAt));
static_assert(covers(kEmbedDirentFields, kEmbedAt, kCheckAt));
static_assert(covers(kEmbedStatisticsFields, kEmbedAt, kCheckAt));

inline constexpr std::array kCheckBytesFields = {
    ODO_FIELD_AT("check", kCheckAt, BlockrefCheck, bytes, kBytes)};
inline constexpr std::array kCheckNameFields = {
    ODO_FIELD_AT("check", kCheckAt, BlockrefCheck, name, kText)};
inline constexpr std::array kCheckIscsi32Fields = {
    ODO_FIELD_AT("check", kCheckAt, CheckIscsi32, value, kHex),
    ODO_FIELD_AT("check", kCheckAt, CheckIscsi32, reserved, kBytes),
};
inline constexpr std::array kCheckXxhash64Fields = {
    ODO_FIELD_AT("check", kCheckAt, CheckXxhash64, value, kHex),
    ODO_FIELD_AT("check", kCheckAt, CheckXxhash64, reserved, kBytes),
};
inline constexpr std::array kCheckSha192Fields = {
    ODO_FIELD_AT("check", kCheckAt, CheckSha192, value, kBytes),
    ODO_FIELD_AT("check", kCheckAt, CheckSha192, reserved, kBytes),
};
inline constexpr std::array kCheckFreemapFields = {
    ODO_FIELD_AT("check", kCheckAt, CheckFreemap, icrc32, kHex),
    ODO_FIELD_AT("check", kCheckAt, CheckFreemap, bigmask, kHex),
    ODO_FIELD_AT("check", kCheckAt, CheckFreemap, avail, kNumber),
    ODO_FIELD_AT("check", kCheckAt, CheckFreemap, reserved, kBytes),
};
static_assert(covers(kCheckBytesFields, kCheckAt, sizeof(Blockref)));
static_assert(covers(kCheckNameFields, kCheckAt, sizeof(Blockref)));
static_assert(covers(kCheckIscsi32Fields, kCheckAt, sizeof(Blockref)));
static_assert(covers(kCheckXxhash64Fields, kCheckAt, sizeof(Blockref)));
static_assert(covers(kCheckSha192Fields, kCheckAt, sizeof(Blockref)));
static_assert(covers(kCheckFreemapFields, kCheckAt, sizeof(Blockref)));

// The reading of a blockref's `embed`.
[[nodiscard]] constexpr Fields embed_fields(BlockType type) {
  switch (type) {
    case BlockType::kDirent:
      return kEmbedDirentFields;
    case BlockType::kInode:
    case BlockType::kIndirect:
      return kEmbedStatisticsFields;
    default:
      return kEmbedBytesFields;
  }
}

// The reading of a blockref's `check`. An entry without a block has its name
// there.
[[nodiscard]] constexpr Fields check_fields(BlockType type,
                                            std::uint8_t methods,
                                            std::uint64_t data_off) {
  if (type == BlockType::kEmpty) return kCheckBytesFields;
  if (type == BlockType::kDirent && data_off == 0) return kCheckNameFields;
  switch (check_method(methods)) {
    case CheckMethod::kIscsi32:
      return kCheckIscsi32Fields;
    case CheckMethod::kXxhash64:
      return kCheckXxhash64Fields;
    case CheckMethod::kSha192:
      return kCheckSha192Fields;
    case CheckMethod::kFreemap:
      return kCheckFreemapFields;
    default:
      return kCheckBytesFields;
  }
}

// --- Inodes ------------------------------------------------------------------

inline constexpr std::array kInodeMetaFields = {
    ODO_FIELD(InodeMeta, version, kNumber),
    ODO_FIELD(InodeMeta, reserved02, kHex),
    ODO_FIELD(InodeMeta, pfs_subtype, kPfsSubtype),
    ODO_FIELD(InodeMeta, uflags, kHex),
    ODO_FIELD(InodeMeta, rmajor, kNumber),
    ODO_FIELD(InodeMeta, rminor, kNumber),
    ODO_FIELD(InodeMeta, ctime_us, kTime),
    ODO_FIELD(InodeMeta, mtime_us, kTime),
    ODO_FIELD(InodeMeta, atime_us, kTime),
    ODO_FIELD(InodeMeta, btime_us, kTime),
    ODO_FIELD(InodeMeta, uid, kUuid),
    ODO_FIELD(InodeMeta, gid, kUuid),
    ODO_FIELD(InodeMeta, type, kObjectType),
    ODO_FIELD(InodeMeta, op_flags, kHex),
    ODO_FIELD(InodeMeta, cap_flags, kHex),
    ODO_FIELD(InodeMeta, mode, kMode),
    ODO_FIELD(InodeMeta, inum, kHex),
    ODO_FIELD(InodeMeta, size, kNumber),
    ODO_FIELD(InodeMeta, nlinks, kNumber),
    ODO_FIELD(InodeMeta, iparent, kHex),
    ODO_FIELD(InodeMeta, name_key, kHex),
    ODO_FIELD(InodeMeta, name_len, kNumber),
    ODO_FIELD(InodeMeta, ncopies, kNumber),
    ODO_FIELD(InodeMeta, comp_algo, kCompAlgo),
    ODO_FIELD(InodeMeta, unused84, kHex),
    ODO_FIELD(InodeMeta, check_algo, kCheckAlgo),
    ODO_FIELD(InodeMeta, pfs_nmasters, kNumber),
    ODO_FIELD(InodeMeta, pfs_type, kPfsType),
    ODO_FIELD(InodeMeta, pfs_inum, kHex),
    ODO_FIELD(InodeMeta, pfs_clid, kUuid),
    ODO_FIELD(InodeMeta, pfs_fsid, kUuid),
    ODO_FIELD(InodeMeta, data_quota, kNumber),
    ODO_FIELD(InodeMeta, unusedb8, kHex),
    ODO_FIELD(InodeMeta, inode_quota, kNumber),
    ODO_FIELD(InodeMeta, unusedc8, kHex),
    ODO_FIELD(InodeMeta, pfs_lsnap_tid, kHex),
    ODO_FIELD(InodeMeta, reservedd8, kHex),
    ODO_FIELD(InodeMeta, decrypt_check, kHex),
    ODO_FIELD(InodeMeta, reservede8, kBytes),
};
static_assert(covers(kInodeMetaFields, 0, sizeof(InodeMeta)));

inline constexpr std::array kInodeNameFields = {
    ODO_FIELD(Inode, filename, kText)};
static_assert(covers(kInodeNameFields, sizeof(InodeMeta),
                     offsetof(Inode, payload)));

// The two readings of what follows.
inline constexpr std::array kInodeDataFields = {detail::field(
    "data", offsetof(Inode, payload), kEmbeddedBytes, FieldKind::kBytes)};
inline constexpr std::array kInodeBlocksetFields = {
    detail::field("blockset", offsetof(Inode, payload), sizeof(Blockset),
                  FieldKind::kBlockrefs, kBlocksetCount)};
static_assert(covers(kInodeDataFields, offsetof(Inode, payload),
                     sizeof(Inode)));
static_assert(covers(kInodeBlocksetFields, offsetof(Inode, payload),
                     sizeof(Inode)));

// --- The volume header -------------------------------------------------------

inline constexpr std::array kVolumeHeaderFields = {
    ODO_FIELD(VolumeHeader, magic, kHex),
    ODO_FIELD(VolumeHeader, boot_beg, kHex),
    ODO_FIELD(VolumeHeader, boot_end, kHex),
    ODO_FIELD(VolumeHeader, aux_beg, kHex),
    ODO_FIELD(VolumeHeader, aux_end, kHex),
    ODO_FIELD(VolumeHeader, volu_size, kHex),
    ODO_FIELD(VolumeHeader, version, kNumber),
    ODO_FIELD(VolumeHeader, flags, kHex),
    ODO_FIELD(VolumeHeader, copyid, kNumber),
    ODO_FIELD(VolumeHeader, freemap_version, kNumber),
    ODO_FIELD(VolumeHeader, peer_type, kNumber),
    ODO_FIELD(VolumeHeader, volu_id, kNumber),
    ODO_FIELD(VolumeHeader, nvolumes, kNumber),
    ODO_FIELD(VolumeHeader, reserved003d, kHex),
    ODO_FIELD(VolumeHeader, reserved003e, kHex),
    ODO_FIELD(VolumeHeader, fsid, kUuid),
    ODO_FIELD(VolumeHeader, fstype, kUuid),
    ODO_FIELD(VolumeHeader, allocator_size, kNumber),
    ODO_FIELD(VolumeHeader, allocator_free, kNumber),
    ODO_FIELD(VolumeHeader, allocator_beg, kHex),
    ODO_FIELD(VolumeHeader, mirror_tid, kHex),
    ODO_FIELD(VolumeHeader, reserved0080, kHex),
    ODO_FIELD(VolumeHeader, reserved0088, kHex),
    ODO_FIELD(VolumeHeader, freemap_tid, kHex),
    ODO_FIELD(VolumeHeader, bulkfree_tid, kHex),
    ODO_FIELD(VolumeHeader, reserved00a0, kBytes),
    ODO_FIELD(VolumeHeader, total_size, kNumber),
    ODO_FIELD_ARRAY(VolumeHeader, copyexists, kHex, 8),
    ODO_FIELD(VolumeHeader, reserved00e8, kBytes),
    ODO_FIELD_ARRAY(VolumeHeader, icrc_sects, kHex, 8),
    ODO_FIELD_ARRAY(VolumeHeader, sroot_blockset, kBlockrefs, kBlocksetCount),
    ODO_FIELD(VolumeHeader, sector2, kBytes),
    ODO_FIELD(VolumeHeader, sector3, kBytes),
    ODO_FIELD_ARRAY(VolumeHeader, freemap_blockset, kBlockrefs, kBlocksetCount),
    ODO_FIELD(VolumeHeader, sector5, kBytes),
    ODO_FIELD(VolumeHeader, sector6, kBytes),
    ODO_FIELD_ARRAY(VolumeHeader, volu_loff, kHex, kMaxVolumes),
    ODO_FIELD(VolumeHeader, reserved1000, kBytes),
    ODO_FIELD(VolumeHeader, reserved9000, kBytes),
    ODO_FIELD(VolumeHeader, icrc_volheader, kHex),
};
static_assert(covers(kVolumeHeaderFields, 0, sizeof(VolumeHeader)));

// --- The freemap -------------------------------------------------------------

inline constexpr std::array kBmapFields = {
    ODO_FIELD(BmapData, linear, kHex),
    ODO_FIELD(BmapData, alloc_class, kHex),
    ODO_FIELD(BmapData, reserved06, kHex),
    ODO_FIELD(BmapData, reserved07, kHex),
    ODO_FIELD(BmapData, reserved08, kHex),
    ODO_FIELD(BmapData, reserved0c, kHex),
    ODO_FIELD(BmapData, reserved10, kHex),
    ODO_FIELD(BmapData, reserved14, kHex),
    ODO_FIELD(BmapData, reserved18, kHex),
    ODO_FIELD(BmapData, avail, kNumber),
    ODO_FIELD(BmapData, reserved20, kBytes),
    ODO_FIELD_ARRAY(BmapData, bitmap, kHex, 8),
};
static_assert(covers(kBmapFields, 0, sizeof(BmapData)));

#undef ODO_FIELD
#undef ODO_FIELD_ARRAY
#undef ODO_FIELD_AT

}  // namespace odo::hammer2::format
