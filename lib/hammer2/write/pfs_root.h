// SPDX-License-Identifier: BSD-3-Clause
// What the root inode of a PFS must say, for formatting and for new PFSs.
//
// Contexts: any; no state.
// Origin: newfs_hammer2's mkfs_hammer2.c; hammer2_inode.c for snapshots.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "lib/hammer2/format/inode.h"
#include "lib/hammer2/format/uuid.h"

namespace odo::hammer2::write {

// Inode numbers below it are kept for the format's own use.
inline constexpr std::uint64_t kFirstPfsInum = 16;

// A kernel must be readable for boot loaders, which needn't know compression.
inline constexpr std::string_view kBootLabel = "BOOT";

// `label` is possible as a name and has at most 255 bytes.
inline void name_root(format::Inode& inode, std::string_view label,
                      std::uint64_t key) {
  inode.filename = {};
  std::copy(label.begin(), label.end(), inode.filename.begin());
  inode.meta.name_len = static_cast<std::uint16_t>(label.size());
  inode.meta.name_key = key;
}

// An empty directory, yet to be named and to get its identifiers.
[[nodiscard]] inline format::Inode new_root(std::string_view label,
                                            std::uint64_t now_us) {
  const bool boot = label == kBootLabel;
  format::Inode inode = {};
  inode.meta.version = format::kInodeVersion;
  inode.meta.ctime_us = now_us;
  inode.meta.mtime_us = now_us;
  inode.meta.atime_us = now_us;
  inode.meta.btime_us = now_us;
  inode.meta.type = format::ObjectType::kDirectory;
  inode.meta.op_flags = format::kInodePfsRoot;
  inode.meta.mode = 0755;
  inode.meta.inum = format::kRootInum;
  inode.meta.nlinks = 1;
  inode.meta.comp_algo = static_cast<std::uint8_t>(
      boot ? format::CompMethod::kAutozero : format::CompMethod::kLz4);
  inode.meta.check_algo =
      static_cast<std::uint8_t>(format::CheckMethod::kXxhash64);
  inode.meta.pfs_type = format::PfsType::kMaster;
  inode.meta.pfs_inum = kFirstPfsInum;
  return inode;
}

// Makes random bytes an identifier of the kind that says so (RFC 9562, 5.4).
inline void mark_random(format::Uuid& uuid) {
  uuid.time_hi_and_version =
      static_cast<std::uint16_t>((uuid.time_hi_and_version & 0x0fff) | 0x4000);
  uuid.clock_seq_hi =
      static_cast<std::uint8_t>((uuid.clock_seq_hi & 0x3f) | 0x80);
}

}  // namespace odo::hammer2::write
