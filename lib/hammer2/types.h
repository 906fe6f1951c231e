// SPDX-License-Identifier: BSD-3-Clause
// What the reader tells about volumes, PFSs, files and directory entries, and
// the small values by which a caller refers to them between calls.
//
// Contexts: any. Plain values owned by the caller; none holds a reference, so
// they may be copied and kept for as long as the FileSystem is open.
// Units: bytes; microseconds since 1970.
// Sizes: Pfs and Node take a few hundred bytes each: keep them in objects
// rather than on a kernel stack.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/hammer2/format/blockref.h"
#include "lib/hammer2/format/constants.h"
#include "lib/hammer2/format/uuid.h"

namespace odo::hammer2 {

using format::CheckMethod;
using format::CompMethod;
using format::ObjectType;

// Formatting makes a PFS of that label on every volume.
inline constexpr std::string_view kLocalLabel = "LOCAL";

// The filesystem as its newest usable volume header describes it.
struct VolumeInfo {
  std::uint32_t version = 0;
  std::uint8_t volumes = 0;
  std::uint8_t header = 0;          // which of the root volume's, 0 to 3
  std::uint8_t usable_headers = 0;  // bit i: header i could be used
  std::uint64_t header_offset = 0;
  std::uint64_t total_bytes = 0;  // sum of the volumes
  // For df: the space that data can use (total_bytes without reserves, boot
  // and auxiliary areas) and what of it was free at the header's flush.
  std::uint64_t allocator_bytes = 0;
  std::uint64_t free_bytes = 0;
  std::uint64_t mirror_tid = 0;
  std::uint64_t freemap_tid = 0;
  std::uint64_t boot_beg = 0;
  std::uint64_t boot_end = 0;
  std::uint64_t aux_beg = 0;
  std::uint64_t aux_end = 0;
  format::Uuid fsid = {};
};

// A pseudo-filesystem: a tree of its own with its own inode numbers.
struct Pfs {
  format::Blockref root = {};  // of its root directory's inode
  std::uint64_t last_inum = 0;
  std::uint64_t data_bytes = 0;  // allocated below it, as of the last flush
  std::uint64_t inode_count = 0;
  format::Uuid clid = {};
  format::Uuid fsid = {};
  format::PfsType type = format::PfsType::kNone;
  format::PfsSubtype subtype = format::PfsSubtype::kNone;
  std::uint16_t label_length = 0;
  std::array<char, format::kInodeNameBytes> label_chars = {};

  [[nodiscard]] std::string_view label() const {
    return {label_chars.data(), label_length};
  }
};

struct Attributes {
  ObjectType type = ObjectType::kUnknown;
  CheckMethod check = CheckMethod::kNone;  // for new data
  CompMethod comp = CompMethod::kNone;
  std::uint8_t comp_level = 0;
  std::uint32_t mode = 0;  // permission bits, 07777
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t uflags = 0;
  std::uint32_t rmajor = 0;  // of device nodes
  std::uint32_t rminor = 0;
  std::uint64_t size = 0;
  std::uint64_t nlinks = 0;
  std::uint64_t inum = 0;
  std::uint64_t parent_inum = 0;  // trustworthy for directories only
  std::uint64_t ctime_us = 0;
  std::uint64_t mtime_us = 0;
  std::uint64_t atime_us = 0;
  std::uint64_t btime_us = 0;
  std::uint64_t data_bytes = 0;  // allocated for data and indirect blocks
};

// A file, directory, symlink or other inode of a PFS.
struct Node {
  format::Blockref ref = {};       // of its inode
  format::Blockref pfs_root = {};  // of its PFS's root inode
  Attributes attributes = {};

  [[nodiscard]] bool is(ObjectType type) const {
    return attributes.type == type;
  }
  [[nodiscard]] std::uint64_t inum() const { return attributes.inum; }
};

// How far a directory has been read. The position is a key, not an index: it
// stays right however long it is kept, and may be stored as its two numbers.
struct DirCursor {
  std::uint64_t next_key = format::kDirhashVisible;
  bool at_end = false;

  // Goes on behind the entry of that key.
  void pass(std::uint64_t key) {
    at_end = key == ~std::uint64_t{0};
    next_key = key + 1;
  }
};

// One name in a directory. "." and ".." are not on media and not shown.
struct DirEntry {
  std::uint64_t key = 0;
  std::uint64_t inum = 0;
  ObjectType type = ObjectType::kUnknown;
  std::uint16_t name_length = 0;
  std::array<char, format::kInodeNameBytes> name_chars = {};

  [[nodiscard]] std::string_view name() const {
    return {name_chars.data(), name_length};
  }
};

// Whether a path's last component is followed where it is a symlink.
enum class FollowLast : std::uint8_t { kYes, kNo };

[[nodiscard]] constexpr std::string_view to_string(ObjectType type) {
  using std::operator""sv;
  switch (type) {
    case ObjectType::kDirectory:
      return "dir"sv;
    case ObjectType::kRegular:
      return "file"sv;
    case ObjectType::kFifo:
      return "fifo"sv;
    case ObjectType::kCharDevice:
      return "chardev"sv;
    case ObjectType::kBlockDevice:
      return "blockdev"sv;
    case ObjectType::kSymlink:
      return "symlink"sv;
    case ObjectType::kSocket:
      return "socket"sv;
    case ObjectType::kWhiteout:
      return "whiteout"sv;
    case ObjectType::kUnknown:
    case ObjectType::kUnused8:
      break;
  }
  return "unknown"sv;
}

[[nodiscard]] constexpr std::string_view to_string(format::PfsType type) {
  using std::operator""sv;
  switch (type) {
    case format::PfsType::kNone:
      return "NONE"sv;
    case format::PfsType::kCache:
      return "CACHE"sv;
    case format::PfsType::kSlave:
      return "SLAVE"sv;
    case format::PfsType::kSoftSlave:
      return "SOFT_SLAVE"sv;
    case format::PfsType::kSoftMaster:
      return "SOFT_MASTER"sv;
    case format::PfsType::kMaster:
      return "MASTER"sv;
    case format::PfsType::kSuperRoot:
      return "SUPROOT"sv;
    case format::PfsType::kDummy:
      return "DUMMY"sv;
  }
  return "UNKNOWN"sv;
}

[[nodiscard]] constexpr std::string_view to_string(format::PfsSubtype type) {
  using std::operator""sv;
  switch (type) {
    case format::PfsSubtype::kNone:
      return "NONE"sv;
    case format::PfsSubtype::kSnapshot:
      return "SNAPSHOT"sv;
    case format::PfsSubtype::kAutoSnapshot:
      return "AUTOSNAP"sv;
  }
  return "UNKNOWN"sv;
}

}  // namespace odo::hammer2
