// SPDX-License-Identifier: BSD-3-Clause
// The fields of the format's structures in which something is decided, as
// places for a mutator to change.
//
// Contexts: any; constants only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/hammer2/format/blockref.h"
#include "lib/hammer2/format/constants.h"
#include "lib/hammer2/format/freemap.h"
#include "lib/hammer2/format/inode.h"
#include "lib/hammer2/format/volume_header.h"

namespace odo::hammer2::fuzz {

struct Field {
  std::uint32_t offset;
  std::uint8_t width;  // 1, 2, 4 or 8 bytes
  std::uint8_t small;  // values below this are what it is meant to hold; or 0
};

inline constexpr std::array kRefFields = {
    Field{offsetof(format::Blockref, type), 1, 8},
    Field{offsetof(format::Blockref, methods), 1, 0},
    Field{offsetof(format::Blockref, keybits), 1, 65},
    Field{offsetof(format::Blockref, flags), 1, 8},
    Field{offsetof(format::Blockref, leaf_count), 2, 9},
    Field{offsetof(format::Blockref, key), 8, 0},
    Field{offsetof(format::Blockref, mirror_tid), 8, 32},
    Field{offsetof(format::Blockref, data_off), 8, 0},
    Field{offsetof(format::Blockref, embed), 8, 9},
    Field{offsetof(format::Blockref, embed) + 8, 8, 9},
    Field{offsetof(format::Blockref, check), 8, 0},
    Field{offsetof(format::Blockref, check) + 8, 8, 0},
};

inline constexpr std::array kDirentFields = {
    Field{offsetof(format::Blockref, embed) + offsetof(format::Dirent, inum), 8,
          9},
    Field{
        offsetof(format::Blockref, embed) + offsetof(format::Dirent, name_len),
        2, 70},
    Field{offsetof(format::Blockref, embed) + offsetof(format::Dirent, type), 1,
          12},
    Field{offsetof(format::Blockref, key), 8, 0},
};

inline constexpr std::array kInodeFields = {
    Field{offsetof(format::InodeMeta, version), 2, 3},
    Field{offsetof(format::InodeMeta, pfs_subtype), 1, 4},
    Field{offsetof(format::InodeMeta, rmajor), 4, 0},
    Field{offsetof(format::InodeMeta, mode), 4, 0},
    Field{offsetof(format::InodeMeta, type), 1, 12},
    Field{offsetof(format::InodeMeta, op_flags), 1, 4},
    Field{offsetof(format::InodeMeta, inum), 8, 9},
    Field{offsetof(format::InodeMeta, size), 8, 0},
    Field{offsetof(format::InodeMeta, nlinks), 8, 4},
    Field{offsetof(format::InodeMeta, iparent), 8, 9},
    Field{offsetof(format::InodeMeta, name_key), 8, 0},
    Field{offsetof(format::InodeMeta, name_len), 2, 0},
    Field{offsetof(format::InodeMeta, comp_algo), 1, 6},
    Field{offsetof(format::InodeMeta, check_algo), 1, 8},
    Field{offsetof(format::InodeMeta, pfs_type), 1, 12},
    Field{offsetof(format::InodeMeta, pfs_inum), 8, 9},
    Field{offsetof(format::InodeMeta, pfs_fsid), 8, 3},
    Field{offsetof(format::InodeMeta, data_quota), 8, 3},
    Field{offsetof(format::InodeMeta, inode_quota), 8, 3},
};

inline constexpr std::array kHeaderFields = {
    Field{offsetof(format::VolumeHeader, magic), 8, 0},
    Field{offsetof(format::VolumeHeader, boot_beg), 8, 0},
    Field{offsetof(format::VolumeHeader, boot_end), 8, 0},
    Field{offsetof(format::VolumeHeader, aux_beg), 8, 0},
    Field{offsetof(format::VolumeHeader, aux_end), 8, 0},
    Field{offsetof(format::VolumeHeader, volu_size), 8, 0},
    Field{offsetof(format::VolumeHeader, version), 4, 4},
    Field{offsetof(format::VolumeHeader, volu_id), 1, 4},
    Field{offsetof(format::VolumeHeader, nvolumes), 1, 4},
    Field{offsetof(format::VolumeHeader, fsid), 8, 2},
    Field{offsetof(format::VolumeHeader, fstype), 8, 0},
    Field{offsetof(format::VolumeHeader, allocator_size), 8, 0},
    Field{offsetof(format::VolumeHeader, allocator_free), 8, 0},
    Field{offsetof(format::VolumeHeader, allocator_beg), 8, 0},
    Field{offsetof(format::VolumeHeader, mirror_tid), 8, 32},
    Field{offsetof(format::VolumeHeader, freemap_tid), 8, 32},
    Field{offsetof(format::VolumeHeader, total_size), 8, 0},
    Field{offsetof(format::VolumeHeader, volu_loff), 8, 0},
    Field{offsetof(format::VolumeHeader, volu_loff) + 8, 8, 0},
};

inline constexpr std::array kBmapFields = {
    Field{offsetof(format::BmapData, linear), 4, 0},
    Field{offsetof(format::BmapData, alloc_class), 2, 0},
    Field{offsetof(format::BmapData, avail), 4, 0},
    Field{offsetof(format::BmapData, bitmap), 8, 0},
    Field{offsetof(format::BmapData, bitmap) + 24, 8, 0},
    Field{offsetof(format::BmapData, bitmap) + 56, 8, 0},
};

}  // namespace odo::hammer2::fuzz
