// SPDX-License-Identifier: BSD-3-Clause
// What bytes on a medium may be, that nothing which is known refers to: an
// inode, a directory entry or a volume header, each proven by what it says
// about itself.
//
// Contexts: any; no state.
// Proofs: an inode of the index has its number as a name, an older one or a
//   PFS's root a name whose hash is its key; an entry's key is the hash of its
//   name, 48 bits of it; a volume header has its check codes. An image of a
//   filesystem kept in a file looks the same, wherever that file's blocks lie.
// Origin: hammer2_inode.c and hammer2_subr.c (names and keys).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/hammer2/check/examine.h"
#include "lib/hammer2/check/pfs_audit.h"
#include "lib/hammer2/check_codes.h"
#include "lib/hammer2/format/inode.h"
#include "lib/hammer2/format/volume_header.h"
#include "lib/hammer2/path.h"
#include "lib/hammer2/validate.h"

namespace odo::hammer2::recover {

// A reference to an inode of which only the place is known: nothing proves it.
[[nodiscard]] inline format::Blockref inode_at(std::uint64_t offset,
                                               std::uint64_t key) {
  format::Blockref ref = {};
  ref.type = format::BlockType::kInode;
  ref.methods = format::encode_methods(format::CheckMethod::kNone,
                                       format::CompMethod::kNone);
  ref.key = key;
  ref.data_off = offset | format::kMinRadix;
  return ref;
}

enum class InodeSort : std::uint8_t {
  kIndexed,  // reached by its number
  kNamed,    // in the place of a directory entry
  kPfsRoot,
};

// What sort of inode the 1 KiB are, if they are one.
[[nodiscard]] inline std::optional<InodeSort> inode_in(Bytes bytes) {
  const auto meta = read_struct<format::InodeMeta>(bytes, 0);
  if (bytes.size() != format::kInodeBytes || !meta ||
      meta->version != format::kInodeVersion || meta->inum == 0 ||
      meta->name_len == 0 || meta->name_len > format::kInodeNameBytes) {
    return std::nullopt;
  }
  const format::Blockref ref = inode_at(0, meta->inum);
  if (!validate_inode(bytes, Tree::kDirectory, ref, meta->inum)) {
    return std::nullopt;
  }
  const std::string_view name = {reinterpret_cast<const char*>(bytes.data()) +
                                     offsetof(format::Inode, filename),
                                 meta->name_len};
  if ((meta->op_flags & format::kInodePfsRoot) != 0) {
    const bool root = meta->type == format::ObjectType::kDirectory &&
                      meta->inum == format::kRootInum;
    if (!root || !audit::entry_name_fits(meta->name_key, name)) {
      return std::nullopt;
    }
    return InodeSort::kPfsRoot;
  }
  const auto own = format::own_name(meta->inum);
  if (meta->name_key == meta->inum &&
      name == std::string_view(own.data(), own.size())) {
    return InodeSort::kIndexed;
  }
  if (!audit::entry_name_fits(meta->name_key, name)) return std::nullopt;
  return InodeSort::kNamed;
}

// The directory entry in 128 bytes, if they are one whose name is in it.
[[nodiscard]] inline std::optional<format::Blockref> entry_in(Bytes bytes) {
  if (bytes.empty() ||
      static_cast<format::BlockType>(bytes[0]) != format::BlockType::kDirent) {
    return std::nullopt;
  }
  const auto ref = read_struct<format::Blockref>(bytes, 0);
  if (!ref) return std::nullopt;
  const format::Dirent& dirent = ref->embed.dirent;
  if (ref->keybits != 0 || ref->data_off != 0 || dirent.inum == 0 ||
      dirent.name_len == 0 || dirent.name_len > format::kEmbeddedNameBytes ||
      !audit::entry_name_fits(ref->key,
                              {ref->check.name.data(), dirent.name_len})) {
    return std::nullopt;
  }
  return ref;
}

// Whether 64 KiB are a volume header with right check codes.
template <CheckPolicy Checks>
[[nodiscard]] bool is_header(const Checks& checks, Bytes bytes) {
  if (read_le<std::uint64_t>(bytes, 0) != format::kVolumeMagic ||
      bytes.size() < format::kVolumeHeaderBytes) {
    return false;
  }
  for (const format::HeaderCrc& crc : format::kHeaderCrcs) {
    if (!checks.header_crc(
            bytes.subspan(crc.begin, crc.length),
            load_le<std::uint32_t>(bytes.data() + crc.stored_at))) {
      return false;
    }
  }
  return true;
}

}  // namespace odo::hammer2::recover
