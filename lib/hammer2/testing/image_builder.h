// SPDX-License-Identifier: BSD-3-Clause
// Makes small HAMMER2 images in memory, bottom-up, with right check codes
// around whatever a test wants to be wrong.
//
//   ImageBuilder image;
//   Inode root = image.directory(1);
//   image.attach(root, {image.indexed(image.small_file(1024, "hello")),
//                       image.dirent("greeting", 1024, ObjectType::kRegular)});
//   image.finish(root);
//   block::MemoryDevice device(image.bytes());
//
// Contexts: tests and fuzzers; hosted.
// Shapes: one volume, of 8 MiB if not said otherwise, without boot and
// auxiliary areas; blocks are given out one after the other from 4 MiB on,
// aligned to their size.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/check/checks.h"
#include "lib/hammer2/format/constants.h"
#include "lib/hammer2/format/dirhash.h"
#include "lib/hammer2/format/inode.h"
#include "lib/hammer2/format/volume_header.h"

namespace odo::hammer2::testing {

using format::Blockref;
using format::BlockType;
using format::CheckMethod;
using format::CompMethod;
using format::Inode;
using format::ObjectType;

inline constexpr std::uint64_t kHighKey = format::kDirhashVisible;

inline Bytes as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

class ImageBuilder {
 public:
  static constexpr std::uint64_t kDefaultBytes = std::uint64_t{8} << 20;

  explicit ImageBuilder(std::uint64_t size = kDefaultBytes)
      : bytes_(size), next_(format::kZoneReserveBytes) {}

  [[nodiscard]] MutableBytes bytes() { return bytes_; }
  [[nodiscard]] std::vector<std::byte>& storage() { return bytes_; }

  // Check method of blocks made from now on.
  void use(CheckMethod check) { check_ = check; }

  // --- Blocks ---------------------------------------------------------------

  // Stores `content`, padded with zeros to a power of two, and refers to it.
  Blockref put(BlockType type, Bytes content, std::uint64_t key = 0,
               unsigned keybits = 0, CompMethod comp = CompMethod::kNone) {
    const std::size_t size = std::bit_ceil(
        std::max<std::size_t>(content.size(), format::kMinAllocBytes));
    next_ = align_up(next_, size);
    const std::uint64_t offset = next_;
    next_ += size;
    copy_bytes(MutableBytes(bytes_).subspan(offset, size), content);
    Blockref ref = {};
    ref.type = type;
    ref.methods = format::encode_methods(check_, comp);
    ref.keybits = static_cast<std::uint8_t>(keybits);
    ref.key = key;
    ref.data_off = offset | static_cast<unsigned>(std::countr_zero(size));
    seal(ref);
    return ref;
  }

  // Recomputes the check code of the block that `ref` refers to.
  void seal(Blockref& ref) const {
    const Bytes block =
        Bytes(bytes_).subspan(ref.offset(), std::size_t{1} << ref.radix());
    const check::Checks checks;
    ref.check = {};
    switch (format::check_method(ref.methods)) {
      case CheckMethod::kIscsi32:
      case CheckMethod::kFreemap:
        ref.check.iscsi32.value = checks.crc32c(block);
        break;
      case CheckMethod::kXxhash64:
        ref.check.xxhash64.value = checks.xxh64(block, format::kXxhashSeed);
        break;
      case CheckMethod::kSha192:
        ref.check.sha192.value = checks.sha192(block);
        break;
      default:
        break;
    }
  }

  Blockref indirect(const std::vector<Blockref>& refs, std::uint64_t key,
                    unsigned keybits) {
    std::vector<std::byte> content(refs.size() * sizeof(Blockref));
    for (std::size_t i = 0; i < refs.size(); ++i) {
      copy_bytes(MutableBytes(content).subspan(i * sizeof(Blockref)),
                 bytes_of(refs[i]));
    }
    return put(BlockType::kIndirect, content, key, keybits);
  }

  // --- Inodes ---------------------------------------------------------------

  static Inode inode(std::uint64_t inum, ObjectType type) {
    Inode inode = {};
    inode.meta.version = format::kInodeVersion;
    inode.meta.type = type;
    inode.meta.mode = 0755;
    inode.meta.inum = inum;
    inode.meta.iparent = format::kRootInum;
    inode.meta.nlinks = 1;
    return inode;
  }
  static Inode directory(std::uint64_t inum) {
    return inode(inum, ObjectType::kDirectory);
  }
  // A file or symlink whose data stand in its inode.
  static Inode embedded(std::uint64_t inum, std::string_view data,
                        ObjectType type = ObjectType::kRegular) {
    Inode made = inode(inum, type);
    made.meta.op_flags = format::kInodeDirectData;
    made.meta.size = data.size();
    made.payload.data = {};
    std::memcpy(made.payload.data.data(), data.data(), data.size());
    return made;
  }
  static Inode file(std::uint64_t inum, std::uint64_t size) {
    Inode made = inode(inum, ObjectType::kRegular);
    made.meta.size = size;
    return made;
  }
  static void rename(Inode& inode, std::string_view name) {
    inode.filename = {};
    std::copy(name.begin(), name.end(), inode.filename.begin());
    inode.meta.name_len = static_cast<std::uint16_t>(name.size());
  }

  // Hangs sorted `refs` below `to`: in its blockset where they fit, else in
  // one indirect block for each half of the keys.
  void attach(Inode& to, std::vector<Blockref> refs) {
    std::sort(
        refs.begin(), refs.end(),
        [](const Blockref& a, const Blockref& b) { return a.key < b.key; });
    if (refs.size() > format::kBlocksetCount) {
      const auto middle = std::partition_point(
          refs.begin(), refs.end(),
          [](const Blockref& r) { return r.key < kHighKey; });
      const std::vector<Blockref> low(refs.begin(), middle);
      const std::vector<Blockref> high(middle, refs.end());
      refs.clear();
      if (!low.empty()) refs.push_back(indirect(low, 0, 63));
      if (!high.empty()) refs.push_back(indirect(high, kHighKey, 63));
    }
    set_refs(to, refs);
  }
  // As they are, whether they make sense or not.
  static void set_refs(Inode& to, const std::vector<Blockref>& refs) {
    to.payload.blockset = {};
    std::copy_n(refs.begin(), std::min<std::size_t>(refs.size(), 4),
                to.payload.blockset.refs.begin());
  }

  // An inode as the PFS's index refers to it.
  Blockref indexed(const Inode& inode) {
    return put(BlockType::kInode, bytes_of(inode), inode.meta.inum);
  }

  Blockref dirent(std::string_view name, std::uint64_t inum, ObjectType type,
                  unsigned collision = 0) {
    const std::uint64_t key = format::dirhash(name) + collision;
    Blockref ref = {};
    if (name.size() > format::kEmbeddedNameBytes) {
      ref = put(BlockType::kDirent, as_bytes(name), key);
    } else {
      ref.type = BlockType::kDirent;
      ref.key = key;
      ref.check = {};
      std::copy(name.begin(), name.end(), ref.check.name.begin());
    }
    ref.embed.dirent = {};
    ref.embed.dirent.inum = inum;
    ref.embed.dirent.name_len = static_cast<std::uint16_t>(name.size());
    ref.embed.dirent.type = type;
    return ref;
  }

  // --- The volume -----------------------------------------------------------

  Blockref pfs(Inode root, std::string_view label) {
    rename(root, label);
    root.meta.op_flags = format::kInodePfsRoot;
    root.meta.pfs_type = format::PfsType::kMaster;
    return put(BlockType::kInode, bytes_of(root), format::dirhash(label));
  }

  // One PFS, called "DATA".
  void finish(const Inode& root) { finish_pfs({pfs(root, "DATA")}); }

  void finish_pfs(const std::vector<Blockref>& list) {
    Inode super = directory(0);
    super.meta.pfs_type = format::PfsType::kSuperRoot;
    attach(super, list);
    finish_super(put(BlockType::kInode, bytes_of(super)));
  }

  void finish_super(const Blockref& super_root) {
    header().magic = format::kVolumeMagic;
    header().volu_size = bytes_.size();
    header().version = format::kVersionMultiVolume;
    header().nvolumes = 1;
    header().fstype = format::kHammer2FsType;
    header().allocator_size = bytes_.size() - format::kZoneReserveBytes;
    header().allocator_free = bytes_.size() - next_;
    header().mirror_tid = 17;
    header().total_size = bytes_.size();
    header().sroot_blockset.refs[0] = super_root;
    header().volu_loff.fill(format::kUnusedVolumeOffset);
    header().volu_loff[0] = 0;
    store_header(0);
  }

  // The header to be stored next.
  [[nodiscard]] format::VolumeHeader& header() { return *header_; }

  // Stores it, with right CRCs, at an offset.
  void store_header(std::uint64_t offset) {
    const MutableBytes to =
        MutableBytes(bytes_).subspan(offset, sizeof(format::VolumeHeader));
    copy_bytes(to, bytes_of(*header_));
    seal_header(to);
  }
  static void seal_header(MutableBytes header) {
    for (const format::HeaderCrc& crc : format::kHeaderCrcs) {
      store_le(header.data() + crc.stored_at,
               check::Checks().crc32c(header.subspan(crc.begin, crc.length)));
    }
  }

 private:
  std::vector<std::byte> bytes_;
  std::uint64_t next_;
  CheckMethod check_ = CheckMethod::kXxhash64;
  std::unique_ptr<format::VolumeHeader> header_ =
      std::make_unique<format::VolumeHeader>();
};

}  // namespace odo::hammer2::testing
