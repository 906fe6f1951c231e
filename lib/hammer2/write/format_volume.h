// SPDX-License-Identifier: BSD-3-Clause
// Makes an empty filesystem on one device or several: volume headers, the
// super-root and the roots of its first PFSs.
//
// Contexts: thread; blocks where devices do.
// Bounds: 64 KiB of memory, the caller's.
// Failure: FormatError; what is on the devices is then no filesystem, or the
//   one that was there.
// Complexity: writes a few blocks a device, and zeros over the headers of
//   whatever was there.
// Origin: newfs_hammer2 (mkfs_hammer2.c): layout, sizes of areas, fields. It
//   clears the boot and auxiliary areas, too, which nothing reads.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/block/device.h"
#include "lib/check/checks.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/format/dirhash.h"
#include "lib/hammer2/format/inode.h"
#include "lib/hammer2/format/volume_header.h"
#include "lib/hammer2/path.h"
#include "lib/hammer2/seal.h"
#include "lib/hammer2/types.h"
#include "lib/hammer2/write/pfs_root.h"

namespace odo::hammer2::write {

// As many roots as stand in the super-root's inode.
inline constexpr std::size_t kMostLabels = format::kBlocksetCount;

struct FormatOptions {
  std::uint32_t version = format::kVersionMultiVolume;
  // PFSs to make beside "LOCAL"; at most kMostLabels - 1.
  std::span<const std::string_view> labels = {};
  std::uint64_t boot_bytes = kDefaultArea;
  std::uint64_t aux_bytes = kDefaultArea;
  format::CompMethod comp = format::CompMethod::kLz4;
  format::CheckMethod check = format::CheckMethod::kXxhash64;
  std::uint64_t now_us = 0;
  // Drawn by the caller: the volume's, the super-root's two, two for each PFS.
  std::array<format::Uuid, 3 + 2 * kMostLabels> ids = {};

  static constexpr std::uint64_t kDefaultArea = ~std::uint64_t{0};
};

namespace detail {

inline constexpr std::uint64_t kAreaStep = std::uint64_t{8} << 20;
inline constexpr std::uint64_t kBootAreaBytes = std::uint64_t{64} << 20;
inline constexpr std::uint64_t kAuxAreaBytes = std::uint64_t{256} << 20;

// An area that is a twentieth of the volume at most, but one step at least.
[[nodiscard]] constexpr std::uint64_t area_bytes(std::uint64_t wanted,
                                                 std::uint64_t usual,
                                                 std::uint64_t total) {
  if (wanted != FormatOptions::kDefaultArea) {
    return align_up(wanted, kAreaStep);
  }
  while (usual > kAreaStep && usual > total / 20) usual >>= 1U;
  return usual;
}

// Reserves at the head of each zone that begins in the volume.
[[nodiscard]] constexpr std::uint64_t reserve_bytes(std::uint64_t size) {
  return (size + format::kZoneBytes - 1) / format::kZoneBytes *
         format::kZoneReserveBytes;
}

}  // namespace detail

// What a volume of a device will hold: all but the last are whole zones.
[[nodiscard]] constexpr std::uint64_t volume_bytes(std::uint64_t device_bytes,
                                                   bool last) {
  return align_down(device_bytes,
                    last ? format::kVolumeAlignBytes : format::kZoneBytes);
}

template <block::WritableBlockDevice D>
class Formatter {
 public:
  Formatter(std::span<D* const> devices, const FormatOptions& options,
            MutableBytes memory, const check::Checks& checks)
      : devices_(devices),
        options_(options),
        block_(memory.first(format::kVolumeHeaderBytes)),
        checks_(checks) {}

  [[nodiscard]] Result<void> run() {
    ODO_TRY_VOID(plan());
    for (std::size_t i = 0; i < devices_.size(); ++i) {
      ODO_TRY_VOID(clear_headers(i));
    }
    ODO_TRY_VOID(flush());
    ODO_TRY_VOID(write_roots());
    ODO_TRY_VOID(flush());
    for (std::size_t i = 0; i < devices_.size(); ++i) {
      ODO_TRY_VOID(write_headers(i));
    }
    return flush();
  }

 private:
  static constexpr std::uint64_t kFirstTid = 16;

  [[nodiscard]] static Result<void> refused(Code code) {
    return fail(Error{.code = code});
  }

  [[nodiscard]] Result<void> plan() {
    if (devices_.empty() || devices_.size() > format::kMaxVolumes ||
        options_.labels.size() >= kMostLabels ||
        (options_.version != format::kVersionSingleVolume &&
         options_.version != format::kVersionMultiVolume) ||
        (options_.version == format::kVersionSingleVolume &&
         devices_.size() != 1)) {
      return refused(Code::kInvalid);
    }
    labels_[labels_used_++] = kLocalLabel;
    for (const std::string_view label : options_.labels) {
      if (!name_possible(label) || label.size() > 255) {
        return refused(Code::kInvalid);
      }
      for (std::size_t i = 0; i < labels_used_; ++i) {
        if (labels_[i] == label) return refused(Code::kExists);
      }
      labels_[labels_used_++] = label;
    }
    for (std::size_t i = 0; i < devices_.size(); ++i) {
      const std::uint64_t size =
          volume_bytes(devices_[i]->size_bytes(), i + 1 == devices_.size());
      if (size == 0) return too_small(i);
      offsets_[i] = total_;
      sizes_[i] = size;
      total_ += size;
      reserved_ += detail::reserve_bytes(size);
    }
    boot_ =
        detail::area_bytes(options_.boot_bytes, detail::kBootAreaBytes, total_);
    aux_ =
        detail::area_bytes(options_.aux_bytes, detail::kAuxAreaBytes, total_);
    allocator_beg_ = format::kZoneReserveBytes + boot_ + aux_;
    // The roots' block must lie in the first zone, and leave something.
    if (allocator_beg_ + format::kZoneReserveBytes >
        std::min(sizes_[0], format::kZoneBytes)) {
      return too_small(0);
    }
    return {};
  }

  [[nodiscard]] Result<void> too_small(std::size_t device) const {
    Error error{.code = Code::kDeviceTooSmall};
    error.volume = static_cast<std::uint8_t>(device);
    error.found = devices_[device]->size_bytes();
    error.expected = format::kZoneReserveBytes * 2 + boot_ + aux_;
    return fail(error);
  }

  [[nodiscard]] Result<void> write(std::size_t device, std::uint64_t offset,
                                   Bytes bytes) {
    const auto written = devices_[device]->write(offset, bytes);
    return told(written, device, offset);
  }
  [[nodiscard]] static Result<void> told(const block::Result<void>& result,
                                         std::size_t device,
                                         std::uint64_t offset) {
    if (result) return {};
    Error error{.code = Code::kDeviceError};
    error.device = result.error();
    error.volume = static_cast<std::uint8_t>(device);
    error.offset = offset;
    return fail(error);
  }
  [[nodiscard]] Result<void> flush() {
    for (std::size_t i = 0; i < devices_.size(); ++i) {
      ODO_TRY_VOID(told(devices_[i]->flush(), i, 0));
    }
    return {};
  }

  template <class F>
  [[nodiscard]] Result<void> for_each_header(std::size_t device, F&& visit) {
    for (unsigned i = 0; i < format::kVolumeHeaderCount; ++i) {
      const std::uint64_t offset = i * format::kVolumeHeaderStride;
      if (offset + format::kVolumeHeaderBytes > sizes_[device]) break;
      ODO_TRY_VOID(visit(offset));
    }
    return {};
  }

  // A cut while the new headers are written must not bring back old ones that
  // refer to what has been overwritten.
  [[nodiscard]] Result<void> clear_headers(std::size_t device) {
    zero_bytes(block_);
    // The last block of the volume can be written, too.
    ODO_TRY_VOID(
        write(device, sizes_[device] - format::kVolumeHeaderBytes, block_));
    ODO_TRY_VOID(write(device, format::kShadowHeaderOffset, block_));
    return for_each_header(device, [&](std::uint64_t offset) {
      return write(device, offset, block_);
    });
  }

  void finish_ref(format::Blockref& ref, std::uint64_t offset,
                  const format::Inode& inode, format::CompMethod comp) {
    ref.type = format::BlockType::kInode;
    ref.methods = format::encode_methods(format::CheckMethod::kXxhash64, comp);
    ref.vradix = static_cast<std::uint8_t>(format::kMinRadix);
    ref.mirror_tid = kFirstTid;
    ref.data_off = offset | format::kMinRadix;
    seal(ref, bytes_of(inode), checks_);
  }

  // The super-root and behind it the roots, in one block.
  [[nodiscard]] Result<void> write_roots() {
    zero_bytes(block_);
    std::array<format::Blockref, kMostLabels> refs = {};
    const auto slot = [&](std::size_t i) {
      return block_.subspan(i * format::kInodeBytes, format::kInodeBytes);
    };
    for (std::size_t i = 0; i < labels_used_; ++i) {
      format::Inode root = new_root(labels_[i], options_.now_us);
      const std::uint64_t key = format::dirhash(labels_[i]);
      name_root(root, labels_[i], key);
      if (labels_[i] != kBootLabel) {
        root.meta.comp_algo = static_cast<std::uint8_t>(options_.comp);
        root.meta.check_algo = static_cast<std::uint8_t>(options_.check);
      }
      root.meta.pfs_clid = options_.ids[3 + 2 * i];
      root.meta.pfs_fsid = options_.ids[4 + 2 * i];
      copy_bytes(slot(1 + i), bytes_of(root));
      refs[i].key = key;
      refs[i].flags = format::kRefPfsRoot;
      finish_ref(refs[i], allocator_beg_ + (1 + i) * format::kInodeBytes, root,
                 format::CompMethod::kNone);
    }
    std::sort(refs.begin(),
              refs.begin() + static_cast<std::ptrdiff_t>(labels_used_),
              [](const format::Blockref& a, const format::Blockref& b) {
                return a.key < b.key;
              });

    format::Inode super = new_root({}, options_.now_us);
    super.meta.op_flags = 0;
    super.meta.mode = 0700;
    super.meta.inum = 0;
    super.meta.nlinks = 2;
    super.meta.comp_algo =
        static_cast<std::uint8_t>(format::CompMethod::kAutozero);
    super.meta.pfs_type = format::PfsType::kSuperRoot;
    super.meta.pfs_inum = 0;
    super.meta.pfs_clid = options_.ids[1];
    super.meta.pfs_fsid = options_.ids[2];
    name_root(super, "SUPROOT", 0);
    super.payload.blockset.refs = refs;
    copy_bytes(slot(0), bytes_of(super));
    super_root_ = {};
    super_root_.key = format::kSuperRootKey;
    finish_ref(super_root_, allocator_beg_, super,
               format::CompMethod::kAutozero);
    super_root_.embed.stats = {.data_count = labels_used_ * format::kInodeBytes,
                               .inode_count = labels_used_};
    super_root_.leaf_count = static_cast<std::uint16_t>(labels_used_);
    return write(0, allocator_beg_, block_);
  }

  [[nodiscard]] Result<void> write_headers(std::size_t device) {
    zero_bytes(block_);
    auto& header = *reinterpret_cast<format::VolumeHeader*>(block_.data());
    const bool root = device == format::kRootVolume;
    const std::uint64_t usable = total_ - reserved_ - boot_ - aux_;
    header.magic = format::kVolumeMagic;
    header.volu_size = sizes_[device];
    header.version = options_.version;
    header.peer_type = 3;  // a volume that has been mounted
    header.fsid = options_.ids[0];
    header.fstype = format::kHammer2FsType;
    header.allocator_size = usable;
    header.mirror_tid = kFirstTid;
    header.freemap_tid = kFirstTid;
    if (root) {
      header.boot_beg = format::kZoneReserveBytes;
      header.boot_end = header.boot_beg + boot_;
      header.aux_beg = header.boot_end;
      header.aux_end = header.aux_beg + aux_;
      header.allocator_free = usable;
      header.allocator_beg =
          allocator_beg_ + (1 + labels_used_) * format::kInodeBytes;
      header.sroot_blockset.refs[0] = super_root_;
    } else {
      for (format::Blockref& ref : header.sroot_blockset.refs) {
        ref.type = format::BlockType::kInvalid;
      }
    }
    if (options_.version >= format::kVersionMultiVolume) {
      header.volu_id = static_cast<std::uint8_t>(device);
      header.nvolumes = static_cast<std::uint8_t>(devices_.size());
      header.total_size = total_;
      header.volu_loff.fill(format::kUnusedVolumeOffset);
      std::copy_n(offsets_.begin(), devices_.size(), header.volu_loff.begin());
    }
    seal_header(block_, checks_);
    return for_each_header(device, [&](std::uint64_t offset) {
      return write(device, offset, block_);
    });
  }

  std::span<D* const> devices_;
  const FormatOptions& options_;
  MutableBytes block_;
  check::Checks checks_;
  std::array<std::string_view, kMostLabels> labels_ = {};
  std::size_t labels_used_ = 0;
  std::array<std::uint64_t, format::kMaxVolumes> offsets_ = {};
  std::array<std::uint64_t, format::kMaxVolumes> sizes_ = {};
  std::uint64_t total_ = 0;
  std::uint64_t reserved_ = 0;
  std::uint64_t boot_ = 0;
  std::uint64_t aux_ = 0;
  std::uint64_t allocator_beg_ = 0;
  format::Blockref super_root_ = {};
};

// `memory` is of kVolumeHeaderBytes at least, at a multiple of 8.
template <block::WritableBlockDevice D>
[[nodiscard]] Result<void> format_volume(std::span<D* const> devices,
                                         const FormatOptions& options,
                                         MutableBytes memory,
                                         const check::Checks& checks) {
  Formatter<D> formatter(devices, options, memory, checks);
  return formatter.run();
}

}  // namespace odo::hammer2::write
