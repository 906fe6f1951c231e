// SPDX-License-Identifier: BSD-3-Clause
// The structures against bytes that other people's tools wrote: the image in
// testdata/, whose fields `hammer2 volhdr`, `show` and `freemap` have printed.
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "lib/block/host/image_file.h"
#include "lib/check/checks.h"
#include "lib/hammer2/format/blockref.h"
#include "lib/hammer2/format/dirhash.h"
#include "lib/hammer2/format/freemap.h"
#include "lib/hammer2/format/inode.h"
#include "lib/hammer2/format/volume_header.h"

namespace odo::hammer2::format {
namespace {

class FormatTest : public ::testing::Test {
 protected:
  FormatTest() { read(0, *header_); }

  // Unpacked once for all tests.
  static block::FileDevice& image() {
    static block::FileDevice device = [] {
      auto opened = block::open_image("testdata/links.img.zst");
      if (!opened) throw std::runtime_error(opened.error());
      return std::move(*opened);
    }();
    return device;
  }

  template <class T>
  void read(std::uint64_t offset, T& to) {
    // A device reads whole blocks, and the smallest structure is no block.
    std::vector<std::byte> cover(
        align_up(offset % 512 + sizeof(T), std::size_t{512}));
    ASSERT_TRUE(image().read(align_down(offset, 512), cover));
    to = *read_struct<T>(cover, offset % 512);
  }

  static std::string text(const Uuid& uuid) {
    const auto chars = uuid_text(uuid);
    return std::string(chars.data(), chars.size());
  }

  std::unique_ptr<VolumeHeader> header_ = std::make_unique<VolumeHeader>();
};

TEST_F(FormatTest, VolumeHeader) {
  const VolumeHeader& h = *header_;
  EXPECT_EQ(h.magic, kVolumeMagic);
  EXPECT_EQ(h.boot_beg, 0x400000U);
  EXPECT_EQ(h.boot_end, 0x4400000U);
  EXPECT_EQ(h.aux_beg, 0x4400000U);
  EXPECT_EQ(h.aux_end, 0x8400000U);
  EXPECT_EQ(h.volu_size, 0x80000000U);
  EXPECT_EQ(h.version, 2U);
  EXPECT_EQ(h.flags, 0U);
  EXPECT_EQ(h.copyid, 0U);
  EXPECT_EQ(h.freemap_version, 0U);
  EXPECT_EQ(h.peer_type, 3U);
  EXPECT_EQ(h.volu_id, 0U);
  EXPECT_EQ(h.nvolumes, 1U);
  EXPECT_EQ(text(h.fsid), "4a8c2ec8-c9d5-9843-8106-9fdc86f5110d");
  EXPECT_EQ(text(h.fstype), "5cbb9ad1-862d-11dc-a94d-01301bb8a9f5");
  EXPECT_EQ(h.fstype, kHammer2FsType);
  EXPECT_EQ(h.allocator_size, 0x77800000U);
  EXPECT_EQ(h.allocator_free, 0x777d0000U);
  EXPECT_EQ(h.allocator_beg, 0x8400c00U);
  EXPECT_EQ(h.mirror_tid, 0x11U);
  EXPECT_EQ(h.freemap_tid, 0x11U);
  EXPECT_EQ(h.bulkfree_tid, 0U);
  EXPECT_EQ(h.total_size, 0x80000000U);
  EXPECT_EQ(h.icrc_sects[5], 0U);
  EXPECT_EQ(h.icrc_sects[6], 0xd3b3431aU);
  EXPECT_EQ(h.icrc_sects[7], 0xf05c8866U);
  EXPECT_EQ(h.icrc_volheader, 0x6609f12cU);
  EXPECT_EQ(h.volu_loff[0], 0U);
  for (unsigned i = 1; i < kMaxVolumes; ++i) {
    EXPECT_EQ(h.volu_loff[i], kUnusedVolumeOffset);
  }
}

TEST_F(FormatTest, HeaderCrcs) {
  const check::Checks checks;
  for (const HeaderCrc& crc : kHeaderCrcs) {
    const Bytes covered = bytes_of(*header_).subspan(crc.begin, crc.length);
    EXPECT_EQ(
        checks.crc32c(covered),
        load_le<std::uint32_t>(bytes_of(*header_).data() + crc.stored_at));
  }
}

TEST_F(FormatTest, SuperRootReference) {
  const Blockref& ref = header_->sroot_blockset.refs[0];
  EXPECT_EQ(ref.type, BlockType::kInode);
  EXPECT_EQ(check_method(ref.methods), CheckMethod::kXxhash64);
  EXPECT_EQ(comp_method(ref.methods), CompMethod::kAutozero);
  EXPECT_EQ(encode_methods(CheckMethod::kXxhash64, CompMethod::kAutozero),
            ref.methods);
  EXPECT_EQ(ref.copyid, 0xffU);
  EXPECT_EQ(ref.keybits, 0U);
  EXPECT_EQ(ref.vradix, 10U);
  EXPECT_EQ(ref.flags, 0U);
  EXPECT_EQ(ref.leaf_count, 1U);
  EXPECT_EQ(ref.key, kSuperRootKey);
  EXPECT_EQ(ref.mirror_tid, 0x11U);
  EXPECT_EQ(ref.modify_tid, 0x117U);
  EXPECT_EQ(ref.data_off, 0x880740aU);
  EXPECT_EQ(ref.offset(), 0x8807400U);
  EXPECT_EQ(ref.radix(), 10U);
  EXPECT_EQ(ref.update_tid, 0U);
  EXPECT_EQ(ref.embed.stats.data_count, 162816U);
  EXPECT_EQ(ref.embed.stats.inode_count, 27U);
  EXPECT_EQ(ref.check.xxhash64.value, 0xffd426227ecbbc86U);
  EXPECT_EQ(header_->sroot_blockset.refs[1].type, BlockType::kEmpty);
}

TEST_F(FormatTest, SuperRootInode) {
  Inode inode = {};
  read(header_->sroot_blockset.refs[0].offset(), inode);
  const InodeMeta& meta = inode.meta;
  EXPECT_EQ(std::string_view(inode.filename.data(), meta.name_len), "SUPROOT");
  EXPECT_EQ(meta.version, kInodeVersion);
  EXPECT_EQ(meta.pfs_subtype, PfsSubtype::kNone);
  EXPECT_EQ(meta.ctime_us, 0x660d34418c244U);
  EXPECT_EQ(meta.mtime_us, meta.ctime_us);
  EXPECT_EQ(meta.atime_us, 0U);
  EXPECT_EQ(meta.btime_us, meta.ctime_us);
  EXPECT_EQ(meta.type, ObjectType::kDirectory);
  EXPECT_EQ(meta.op_flags, 0U);
  EXPECT_EQ(meta.mode, 0700U);
  EXPECT_EQ(meta.inum, 0U);
  EXPECT_EQ(meta.size, 0U);
  EXPECT_EQ(meta.nlinks, 2U);
  EXPECT_EQ(meta.comp_algo, 1U);
  EXPECT_EQ(meta.check_algo, 3U);
  EXPECT_EQ(meta.pfs_type, PfsType::kSuperRoot);
  EXPECT_EQ(text(meta.pfs_clid), "1f8b4523-632d-4e4d-b1bd-a77552e74687");
  EXPECT_EQ(text(meta.pfs_fsid), "266baaf6-3862-b243-b4c2-fe359aab5cc2");
}

TEST_F(FormatTest, PfsRoots) {
  Inode super = {};
  read(header_->sroot_blockset.refs[0].offset(), super);
  const Blockref& data = super.payload.blockset.refs[0];
  EXPECT_EQ(data.key, dirhash("DATA"));
  EXPECT_EQ(data.key, 0xc78fff92381d8000U);
  EXPECT_EQ(data.flags, kRefPfsRoot);
  EXPECT_EQ(data.leaf_count, 41U);
  EXPECT_EQ(super.payload.blockset.refs[1].key, dirhash("LOCAL"));
  Inode inode = {};
  read(data.offset(), inode);
  const InodeMeta& meta = inode.meta;
  EXPECT_EQ(std::string_view(inode.filename.data(), meta.name_len), "DATA");
  EXPECT_EQ(meta.mtime_us, 1700000000000000U);
  EXPECT_EQ(meta.op_flags, kInodePfsRoot);
  EXPECT_EQ(meta.mode, 0755U);
  EXPECT_EQ(meta.inum, kRootInum);
  EXPECT_EQ(meta.nlinks, 1U);
  EXPECT_EQ(meta.name_key, data.key);
  EXPECT_EQ(meta.pfs_type, PfsType::kMaster);
  EXPECT_EQ(meta.pfs_inum, 0x41bU);
  EXPECT_EQ(text(meta.pfs_clid), "e30dbc3a-dc21-784e-80b7-d9fb34f64629");
}

TEST_F(FormatTest, Freemap) {
  const Blockref& ref = header_->freemap_blockset.refs[0];
  EXPECT_EQ(ref.type, BlockType::kFreemapLeaf);
  EXPECT_EQ(check_method(ref.methods), CheckMethod::kFreemap);
  EXPECT_EQ(ref.keybits, kFreemapLeafRadix);
  EXPECT_EQ(ref.data_off, 0x1000fU);
  EXPECT_EQ(ref.check.freemap.icrc32, 0x869dee00U);
  EXPECT_EQ(ref.check.freemap.bigmask, 0xffffffffU);
  EXPECT_EQ(ref.check.freemap.avail, 931135488U);

  std::vector<std::byte> block(kFreemapBlockBytes);
  ASSERT_TRUE(image().read(ref.offset(), block));
  EXPECT_EQ(check::Checks().crc32c(block), ref.check.freemap.icrc32);
  const auto entry = [&](unsigned i) {
    return *read_struct<BmapData>(block, i * sizeof(BmapData));
  };
  EXPECT_EQ(entry(0).linear, 0x400000);
  EXPECT_EQ(entry(0).avail, 0U);
  EXPECT_EQ(unit_state(entry(0), 255), FreemapState::kAllocated);
  EXPECT_EQ(entry(34).linear, 0x7800);
  EXPECT_EQ(entry(34).alloc_class, 0x110U);
  EXPECT_EQ(entry(34).avail, 0x3f8000U);
  EXPECT_EQ(entry(36).alloc_class, 0x310U);
  EXPECT_EQ(entry(36).bitmap[0], 0xf0ff3U);
  EXPECT_EQ(unit_state(entry(36), 0), FreemapState::kAllocated);
  EXPECT_EQ(unit_state(entry(36), 1), FreemapState::kFree);
  EXPECT_EQ(unit_state(entry(36), 2), FreemapState::kAllocated);
  EXPECT_EQ(unit_state(entry(36), 9), FreemapState::kAllocated);
  EXPECT_EQ(unit_state(entry(36), 32), FreemapState::kFree);
}

TEST(DirhashTest, KeysThatOthersComputed) {
  EXPECT_EQ(dirhash("DATA"), 0xc78fff92381d8000U);
  EXPECT_EQ(dirhash("LOCAL"), 0xde25e1c43fe18000U);
  EXPECT_EQ(dirhash("BOOT"), kBootKey);
  EXPECT_EQ(dirhash("ember"), 0xb9261a86a3a08000U);
  EXPECT_EQ(dirhash("xenon-walnut-harbor.0"), 0x802b2a113b208000U);
}

TEST(DirhashTest, FieldsAreSummed) {
  // Exchanged fields share the high part and differ in the low one.
  EXPECT_EQ(dirhash("ab.cd") >> 32, dirhash("cd.ab") >> 32);
  EXPECT_NE(dirhash("ab.cd"), dirhash("cd.ab"));
  // Empty fields add nothing; every separator separates.
  EXPECT_EQ(dirhash("ab..cd~") >> 32, dirhash("ab-cd_") >> 32);
  EXPECT_EQ(dirhash("") >> 32, kDirhashVisible >> 32);
  EXPECT_EQ(dirhash("...") >> 32, kDirhashVisible >> 32);
}

TEST(DirhashTest, BitsThatAreFixed) {
  for (const std::string_view name : {"", "a", "b.c", "\xff\xfe", "..."}) {
    EXPECT_NE(dirhash(name) & kDirhashVisible, 0U);
    EXPECT_EQ(dirhash(name) & 0xffff, 0x8000U);
  }
}

TEST(UuidTest, UnixIds) {
  const Uuid uuid = {1, 2, 3, 4, 5, {6, 7, 0x78, 0x56, 0x34, 0x12}};
  EXPECT_EQ(unix_id(uuid), 0x12345678U);
}

}  // namespace
}  // namespace odo::hammer2::format
