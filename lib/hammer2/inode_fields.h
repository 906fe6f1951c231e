// SPDX-License-Identifier: BSD-3-Clause
// What the bytes of a validated inode say, in the terms of types.h.
//
// Contexts: any; no I/O.
// Failure: a PFS root that can't be one is kBadInode; all else is total.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/format/inode.h"
#include "lib/hammer2/path.h"
#include "lib/hammer2/types.h"

namespace odo::hammer2::detail {

[[nodiscard]] inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <class T>
[[nodiscard]] T meta_field(Bytes inode, std::size_t offset) {
  return load_le<T>(inode.data() + offset);
}

[[nodiscard]] inline std::string_view inode_name(Bytes inode) {
  const auto length =
      meta_field<std::uint16_t>(inode, offsetof(format::InodeMeta, name_len));
  return as_text(inode.subspan(offsetof(format::Inode, filename), length));
}

inline void fill_attributes(Bytes inode, const format::Blockref& ref,
                            Attributes& to) {
  using format::InodeMeta;
  const auto u8 = [&](std::size_t at) {
    return meta_field<std::uint8_t>(inode, at);
  };
  const auto u32 = [&](std::size_t at) {
    return meta_field<std::uint32_t>(inode, at);
  };
  const auto u64 = [&](std::size_t at) {
    return meta_field<std::uint64_t>(inode, at);
  };
  const std::uint8_t comp = u8(offsetof(InodeMeta, comp_algo));
  const std::uint8_t check = u8(offsetof(InodeMeta, check_algo));
  to.type = static_cast<ObjectType>(u8(offsetof(InodeMeta, type)));
  to.check = static_cast<CheckMethod>(check & 15);
  to.comp = static_cast<CompMethod>(comp & 15);
  to.comp_level = comp >> 4;
  to.mode = u32(offsetof(InodeMeta, mode)) & 07777;
  to.uid = format::unix_id(format::load_uuid(inode, offsetof(InodeMeta, uid)));
  to.gid = format::unix_id(format::load_uuid(inode, offsetof(InodeMeta, gid)));
  to.uflags = u32(offsetof(InodeMeta, uflags));
  to.rmajor = u32(offsetof(InodeMeta, rmajor));
  to.rminor = u32(offsetof(InodeMeta, rminor));
  to.size = u64(offsetof(InodeMeta, size));
  to.nlinks = u64(offsetof(InodeMeta, nlinks));
  to.inum = u64(offsetof(InodeMeta, inum));
  to.parent_inum = u64(offsetof(InodeMeta, iparent));
  to.ctime_us = u64(offsetof(InodeMeta, ctime_us));
  to.mtime_us = u64(offsetof(InodeMeta, mtime_us));
  to.atime_us = u64(offsetof(InodeMeta, atime_us));
  to.btime_us = u64(offsetof(InodeMeta, btime_us));
  to.data_bytes = ref.embed.stats.data_count;
}

// From the inode at a PFS's root.
[[nodiscard]] inline Result<void> fill_pfs(Bytes inode,
                                           const format::Blockref& ref,
                                           Pfs& out) {
  using format::InodeMeta;
  const std::string_view label = inode_name(inode);
  const auto type = meta_field<std::uint8_t>(inode, offsetof(InodeMeta, type));
  if (!name_possible(label) ||
      static_cast<ObjectType>(type) != ObjectType::kDirectory) {
    return fail(error_at(Code::kBadInode, ref));
  }
  out.root = ref;
  out.last_inum =
      meta_field<std::uint64_t>(inode, offsetof(InodeMeta, pfs_inum));
  out.data_bytes = ref.embed.stats.data_count;
  out.inode_count = ref.embed.stats.inode_count;
  out.clid = format::load_uuid(inode, offsetof(InodeMeta, pfs_clid));
  out.fsid = format::load_uuid(inode, offsetof(InodeMeta, pfs_fsid));
  out.type = static_cast<format::PfsType>(
      meta_field<std::uint8_t>(inode, offsetof(InodeMeta, pfs_type)));
  out.subtype = static_cast<format::PfsSubtype>(
      meta_field<std::uint8_t>(inode, offsetof(InodeMeta, pfs_subtype)));
  out.label_length = static_cast<std::uint16_t>(label.size());
  std::copy_n(label.data(), label.size(), out.label_chars.data());
  return {};
}

}  // namespace odo::hammer2::detail
