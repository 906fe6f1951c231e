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
#include <array>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/check/checks.h"
#include "lib/hammer2/format/constants.h"
#include "lib/hammer2/format/dirhash.h"
#include "lib/hammer2/format/freemap.h"
#include "lib/hammer2/format/inode.h"
#include "lib/hammer2/format/volume_header.h"
#include "lib/hammer2/seal.h"

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
  static constexpr std::uint64_t kTid = 17;          // of everything
  static constexpr std::uint64_t kLastInum = 65535;  // if a PFS root has none

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
    ref.mirror_tid = kTid;
    ref.data_off = offset | static_cast<unsigned>(std::countr_zero(size));
    seal(ref);
    return ref;
  }

  // Recomputes the check code of the block that `ref` refers to.
  void seal(Blockref& ref) const {
    const Bytes block =
        Bytes(bytes_).subspan(ref.offset(), std::size_t{1} << ref.radix());
    hammer2::seal(ref, block, check::Checks());
  }

  Blockref indirect(const std::vector<Blockref>& refs, std::uint64_t key,
                    unsigned keybits) {
    std::vector<std::byte> content(refs.size() * sizeof(Blockref));
    for (std::size_t i = 0; i < refs.size(); ++i) {
      copy_bytes(MutableBytes(content).subspan(i * sizeof(Blockref)),
                 bytes_of(refs[i]));
    }
    Blockref ref = put(BlockType::kIndirect, content, key, keybits);
    count(ref, refs);
    return ref;
  }

  // Has `ref` say how much lies below it, if that is `below`.
  static void count(Blockref& ref, std::span<const Blockref> below) {
    format::Statistics total = {};
    unsigned leaves = 0;
    for (const Blockref& child : below) {
      const bool inode = child.type == BlockType::kInode;
      const bool indirect = child.type == BlockType::kIndirect;
      if (child.type == BlockType::kEmpty) continue;
      if (child.radix() - format::kMinRadix <= format::kMaxRadix) {
        total.data_count += std::uint64_t{1} << child.radix();
      }
      if (inode || indirect) {
        total.data_count += child.embed.stats.data_count;
        total.inode_count += child.embed.stats.inode_count;
      }
      total.inode_count += inode ? 1 : 0;
      leaves += indirect ? child.leaf_count : 1U;
    }
    ref.embed.stats = total;
    ref.leaf_count = static_cast<std::uint16_t>(std::min(leaves, 65535U));
  }
  static void count(Blockref& ref, const Inode& inode) {
    const bool tree = (inode.meta.op_flags & format::kInodeDirectData) == 0;
    count(ref, tree ? std::span<const Blockref>(inode.payload.blockset.refs)
                    : std::span<const Blockref>());
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

  // An inode as the PFS's index refers to it, under the name that it gives
  // itself if it has none.
  Blockref indexed(Inode inode) {
    if (inode.meta.name_len == 0) {
      std::array<char, 19> own = {};
      std::snprintf(own.data(), own.size(), "0x%016llx",
                    static_cast<unsigned long long>(inode.meta.inum));
      rename(inode, {own.data(), own.size() - 1});
      inode.meta.name_key = inode.meta.inum;
    }
    Blockref ref = put(BlockType::kInode, bytes_of(inode), inode.meta.inum);
    count(ref, inode);
    return ref;
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
      ref.mirror_tid = kTid;
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
    if (root.meta.pfs_inum == 0) root.meta.pfs_inum = kLastInum;
    // Some id of its own.
    store_le(reinterpret_cast<std::byte*>(&root.meta.pfs_fsid),
             format::dirhash(label));
    Blockref ref =
        put(BlockType::kInode, bytes_of(root), format::dirhash(label));
    ref.flags = format::kRefPfsRoot;
    count(ref, root);
    return ref;
  }

  // One PFS, called "DATA".
  void finish(const Inode& root) { finish_pfs({pfs(root, "DATA")}); }

  void finish_pfs(const std::vector<Blockref>& list) {
    Inode super = directory(0);
    super.meta.pfs_type = format::PfsType::kSuperRoot;
    attach(super, list);
    Blockref ref = put(BlockType::kInode, bytes_of(super));
    count(ref, super);
    finish_super(ref);
  }

  // One freemap leaf, for a volume of up to 1 GiB, in which everything up to
  // the next block to be made is in use. Before finish().
  void make_freemap() { freemap_ = true; }

  void finish_super(const Blockref& super_root) {
    header().magic = format::kVolumeMagic;
    header().volu_size = bytes_.size();
    header().version = format::kVersionMultiVolume;
    header().nvolumes = 1;
    header().fstype = format::kHammer2FsType;
    header().allocator_size = bytes_.size() - format::kZoneReserveBytes;
    // Nothing is counted where there is no freemap yet.
    header().allocator_free =
        freemap_ ? bytes_.size() - next_ : header().allocator_size;
    header().mirror_tid = kTid;
    header().total_size = bytes_.size();
    header().sroot_blockset.refs[0] = super_root;
    header().volu_loff.fill(format::kUnusedVolumeOffset);
    header().volu_loff[0] = 0;
    if (freemap_) put_freemap();
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
    hammer2::seal_header(header, check::Checks());
  }

  // Where the freemap's leaf lies.
  static constexpr std::uint64_t kFreemapLeaf = 65536;

  // Refers to the freemap's leaf anew, after its bytes were changed.
  void seal_freemap() {
    Blockref& leaf = header().freemap_blockset.refs[0];
    const std::uint64_t avail = leaf.check.freemap.avail;
    seal(leaf);
    leaf.check.freemap.avail = avail;
    leaf.check.freemap.bigmask = ~0U;
    store_header(0);
  }

 private:
  void put_freemap() {
    constexpr std::uint64_t kSpan = std::uint64_t{1}
                                    << format::kFreemapEntryRadix;
    constexpr std::uint64_t kUnit = std::uint64_t{1}
                                    << format::kFreemapUnitRadix;
    std::uint64_t allocated = 0;
    for (std::size_t i = 0; i < format::kFreemapEntries; ++i) {
      format::BmapData entry = {};
      const std::uint64_t begin = i * kSpan;
      const bool never =
          begin < format::kZoneReserveBytes || begin >= bytes_.size();
      entry.linear = never ? kSpan : 0;
      for (std::uint64_t unit = 0; unit < kSpan / kUnit; ++unit) {
        if (never || begin + unit * kUnit < next_) {
          entry.bitmap[unit / 32] |= std::uint64_t{3} << unit % 32 * 2;
          allocated += never ? 0 : kUnit;
        } else {
          entry.avail += kUnit;
        }
      }
      copy_bytes(MutableBytes(bytes_).subspan(kFreemapLeaf + i * sizeof entry,
                                              sizeof entry),
                 bytes_of(entry));
    }
    header().allocator_beg = format::kZoneReserveBytes;
    header().allocator_free = header().allocator_size - allocated;
    header().freemap_tid = kTid;
    Blockref& leaf = header().freemap_blockset.refs[0];
    leaf.type = BlockType::kFreemapLeaf;
    leaf.methods =
        format::encode_methods(CheckMethod::kFreemap, CompMethod::kNone);
    leaf.keybits = format::kFreemapLeafRadix;
    leaf.mirror_tid = kTid;
    leaf.data_off = kFreemapLeaf | 15;
    leaf.check.freemap.avail = header().allocator_size;
    seal_freemap();
  }

  bool freemap_ = false;
  std::vector<std::byte> bytes_;
  std::uint64_t next_;
  CheckMethod check_ = CheckMethod::kXxhash64;
  std::unique_ptr<format::VolumeHeader> header_ =
      std::make_unique<format::VolumeHeader>();
};

}  // namespace odo::hammer2::testing
