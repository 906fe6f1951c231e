// SPDX-License-Identifier: BSD-3-Clause
#include "lib/hammer2/inspect/decode.h"

#include <map>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "lib/hammer2/testing/image_builder.h"

namespace odo::hammer2::inspect {
namespace {

using testing::ImageBuilder;

std::string full_name(const FieldView& view) {
  std::string name;
  if (!view.group.empty()) {
    name =
        std::string(view.group) + "[" + std::to_string(view.group_index) + "].";
  }
  name += view.field->name;
  if (view.field->count > 1) {
    name += "[" + std::to_string(view.element) + "]";
  }
  return name;
}

std::map<std::string, std::string> decode(Layout layout, Bytes block) {
  std::map<std::string, std::string> fields;
  std::uint32_t end = 0;
  for_each_field(layout, block, [&](const FieldView& view) {
    std::array<char, kValueTextBytes> buffer;
    EXPECT_TRUE(
        fields.emplace(full_name(view), value_text(view, buffer)).second)
        << full_name(view) << " is told of twice";
    EXPECT_GE(view.offset, end) << full_name(view);
    end = view.offset + static_cast<std::uint32_t>(view.bytes.size());
    EXPECT_LE(end, block.size());
    EXPECT_EQ(view.bytes.data(), block.data() + view.offset);
  });
  return fields;
}

TEST(Decode, TellsAnInodesFields) {
  format::Inode inode = ImageBuilder::embedded(1030, "hello");
  ImageBuilder::rename(inode, "a\"b\n");
  inode.meta.mode = 04755;
  inode.meta.comp_algo = 0x62;
  inode.meta.check_algo = 3;
  inode.meta.mtime_us = 1700000000000001;
  auto fields = decode(Layout::kInode, bytes_of(inode));
  EXPECT_EQ(fields["inum"], "0x406");
  EXPECT_EQ(fields["type"], "2 (file)");
  EXPECT_EQ(fields["mode"], "00004755");
  EXPECT_EQ(fields["comp_algo"], "98 (lz4)");
  EXPECT_EQ(fields["check_algo"], "3 (xxhash64)");
  EXPECT_EQ(fields["mtime_us"], "1700000000000001");
  EXPECT_EQ(fields["uid"], "00000000-0000-0000-0000-000000000000");
  EXPECT_EQ(fields["filename"], "\"a\\x22b\\x0a\"");
  EXPECT_TRUE(fields["data"].starts_with("68656c6c6f0000")) << fields["data"];
  EXPECT_EQ(fields.size(), format::kInodeMetaFields.size() + 2);
}

TEST(Decode, ReadsAReferenceByItsTypeAndMethods) {
  ImageBuilder image;
  format::Inode root = ImageBuilder::directory(1);
  format::Blockref data =
      image.put(format::BlockType::kInode, testing::as_bytes("x"), 1024);
  data.embed.stats.data_count = 77;
  format::Blockref named =
      image.dirent("greeting", 1024, format::ObjectType::kRegular);
  image.attach(root, {data, named});
  auto fields = decode(Layout::kInode, bytes_of(root));
  EXPECT_EQ(fields["blockset[0].type"], "1 (inode)");
  EXPECT_EQ(fields["blockset[0].methods"], "0x30 (xxhash64, none)");
  EXPECT_EQ(fields["blockset[0].data_off"], "0x400000 of 1 KiB");
  EXPECT_EQ(fields["blockset[0].embed.data_count"], "77");
  EXPECT_TRUE(fields.contains("blockset[0].check.value"));
  EXPECT_EQ(fields["blockset[1].type"], "4 (directory entry)");
  EXPECT_EQ(fields["blockset[1].check.name"], "\"greeting\"");
  EXPECT_EQ(fields["blockset[1].embed.inum"], "0x400");
  EXPECT_FALSE(fields.contains("blockset[2].type"));
}

TEST(Decode, TellsAVolumeHeaderAndAFreemapLeaf) {
  ImageBuilder image;
  image.make_freemap();
  image.finish(ImageBuilder::directory(1));
  auto header = decode(Layout::kVolumeHeader,
                       Bytes(image.bytes()).first(format::kVolumeHeaderBytes));
  EXPECT_EQ(header["magic"], "0x48414d3205172011");
  EXPECT_EQ(header["volu_loff[1]"], "0xffffffffffffffff");
  EXPECT_EQ(header["fstype"], "5cbb9ad1-862d-11dc-a94d-01301bb8a9f5");
  EXPECT_EQ(header["freemap_blockset[0].check.bigmask"], "0xffffffff");
  EXPECT_EQ(header["sector2"], "zeros");
  auto leaf = decode(
      Layout::kFreemapLeaf,
      Bytes(image.bytes())
          .subspan(ImageBuilder::kFreemapLeaf, format::kFreemapBlockBytes));
  EXPECT_EQ(leaf["bmap[0].linear"], "0x400000");
  EXPECT_EQ(leaf["bmap[0].bitmap[7]"], "0xffffffffffffffff");
}

TEST(Decode, IsTotalOnAnyBytesOfAnyLength) {
  std::mt19937_64 random(7);  // NOLINT(bugprone-random-generator-seed)
  for (const Layout layout :
       {Layout::kVolumeHeader, Layout::kInode, Layout::kBlockrefs,
        Layout::kFreemapLeaf, Layout::kName, Layout::kData}) {
    for (const std::size_t size : {0U, 1U, 127U, 128U, 129U, 255U, 256U, 600U,
                                   1024U, 4096U, 65535U, 65536U}) {
      std::vector<std::byte> block(size);
      for (std::byte& b : block) b = static_cast<std::byte>(random());
      (void)decode(layout, block);
    }
  }
}

// A buffer that is too short cuts the text.
TEST(Decode, CutsWhatDoesNotFit) {
  const format::Inode inode = ImageBuilder::directory(1);
  for_each_field(Layout::kInode, bytes_of(inode), [&](const FieldView& view) {
    std::array<char, 3> buffer;
    EXPECT_LE(value_text(view, buffer).size(), 3U);
    EXPECT_EQ(value_text(view, {}).size(), 0U);
  });
}

}  // namespace
}  // namespace odo::hammer2::inspect
