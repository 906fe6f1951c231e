// SPDX-License-Identifier: BSD-3-Clause
#include "lib/hammer2/testing/model/volume_description.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "gtest/gtest.h"
#include "lib/base/bytes.h"
#include "lib/hammer2/filesystem.h"
#include "lib/hammer2/testing/image_builder.h"
#include "lib/hammer2/testing/model/description.h"
#include "lib/hammer2/testing/model/file_tree.h"
#include "lib/hammer2/testing/model/result.h"
#include "lib/hammer2/testing/mounted.h"

namespace odo::hammer2::testing::model {
namespace {

constexpr std::string_view kLarge = "the end of a large file";
constexpr std::uint64_t kLargeAt = 65536 + 4096;

// A volume with a bit of everything, made by hand.
void build(ImageBuilder& image) {
  Inode device = ImageBuilder::inode(1027, ObjectType::kCharDevice);
  device.meta.rmajor = 3;
  device.meta.rminor = 4;
  Inode linked = ImageBuilder::embedded(1024, "hello");
  linked.meta.nlinks = 2;
  Inode large = ImageBuilder::file(1026, kLargeAt + kLarge.size());
  std::string block(65536, '\0');
  block.replace(kLargeAt - 65536, kLarge.size(), kLarge);
  image.attach(
      large, {image.put(format::BlockType::kData, as_bytes(block), 65536, 16)});
  Inode directory = ImageBuilder::directory(1025);
  image.attach(directory, {image.dirent("again", 1024, ObjectType::kRegular),
                           image.dirent("large", 1026, ObjectType::kRegular)});
  Inode root = ImageBuilder::directory(1);
  image.attach(root, {image.indexed(linked), image.indexed(directory),
                      image.indexed(large), image.indexed(device),
                      image.indexed(ImageBuilder::embedded(
                          1028, "a/target", ObjectType::kSymlink)),
                      image.dirent("hello", 1024, ObjectType::kRegular),
                      image.dirent("d", 1025, ObjectType::kDirectory),
                      image.dirent("null", 1027, ObjectType::kCharDevice),
                      image.dirent("link", 1028, ObjectType::kSymlink)});
  image.finish(root);
}

Bytes text(std::string_view s) { return std::as_bytes(std::span(s)); }

void check(const model::Result<void>& result) {
  ASSERT_EQ(to_string(result), "done");
}

FileTree modelled() {
  FileTree tree;
  check(tree.create("/hello", 0755));
  check(tree.write("/hello", 0, text("hello")));
  check(tree.mkdir("/d", 0755));
  check(tree.link("/hello", "/d/again"));
  check(tree.create("/d/large", 0755));
  check(tree.write("/d/large", kLargeAt, text(kLarge)));
  check(tree.mknod("/null", ObjectType::kCharDevice, 0755, {3, 4}));
  check(tree.symlink("/link", "a/target"));
  check(tree.chmod("/link", 0755));
  return tree;
}

class VolumeDescriptionTest : public ::testing::Test {
 protected:
  VolumeDescriptionTest() : mounted_((build(image_), image_)) {}

  hammer2::Result<Description> describe() {
    Node root;
    ODO_TRY_VOID(mounted_.find("/", root));
    return describe_volume(mounted_.fs(), root);
  }

  ImageBuilder image_;
  Mounted mounted_;
};

TEST_F(VolumeDescriptionTest, IsTheModelsWhereTheTreesAreTheSame) {
  const auto described = describe();
  ASSERT_TRUE(described) << line_of(described.error());
  FileTree tree = modelled();
  EXPECT_EQ(differences(tree.describe(), *described), "");
  EXPECT_EQ(described->text(), tree.describe().text());
  // And not where they aren't.
  check(tree.write("/d/large", 0, text("x")));
  EXPECT_NE(differences(tree.describe(), *described), "");
}

TEST_F(VolumeDescriptionTest, FailsWhereTheReaderDoes) {
  mounted_.device().fail_after(0);
  ASSERT_TRUE(mounted_.opened());
  const auto described = describe();
  ASSERT_FALSE(described);
  EXPECT_EQ(described.error().code, Code::kDeviceError);
}

}  // namespace
}  // namespace odo::hammer2::testing::model
