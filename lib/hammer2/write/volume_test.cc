// SPDX-License-Identifier: BSD-3-Clause
#include "lib/hammer2/write/volume.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "lib/block/memory_device.h"
#include "lib/hammer2/filesystem.h"
#include "lib/hammer2/seal.h"
#include "lib/hammer2/testing/image_builder.h"
#include "lib/hammer2/testing/run_check.h"
#include "lib/hammer2/write/format_volume.h"
#include "lib/hammer2/write/host/ground.h"

namespace odo::hammer2::write {
namespace {

using Disk = block::WritableMemoryDevice;
using TestGround = HostGround<Disk>;
using TestVolume = Volume<TestGround>;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

std::string text_of(const Error& error) {
  std::array<char, 512> buffer;
  return std::string(error_text(error, buffer));
}
template <class T>
::testing::AssertionResult ok(const Result<T>& result) {
  if (result) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << text_of(result.error());
}
Bytes bytes_of_text(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

class VolumeTest : public ::testing::Test {
 protected:
  void format(std::uint64_t bytes) {
    storage_.assign(bytes, std::byte{0});
    disk_ = std::make_unique<Disk>(storage_);
    const std::array<std::string_view, 1> labels = {"DATA"};
    std::vector<std::byte> memory(format::kVolumeHeaderBytes);
    FormatOptions options;
    options.labels = labels;
    options.now_us = 1;
    for (std::size_t i = 0; i < options.ids.size(); ++i) {
      options.ids[i].time_low = static_cast<std::uint32_t>(i + 1);
    }
    Disk* disks[] = {disk_.get()};
    ASSERT_TRUE(ok(format_volume<Disk>(disks, options, memory, {})));
  }
  void open() {
    Disk* disks[] = {disk_.get()};
    ASSERT_TRUE(ok(volume_.open(disks, limits_)));
    const auto root = volume_.open_pfs("DATA");
    ASSERT_TRUE(ok(root));
    root_ = *root;
  }
  void close() {
    volume_.release(*root_);
    root_ = nullptr;
    ASSERT_TRUE(ok(volume_.close()));
  }
  void expect_clean() {
    Disk* disks[] = {disk_.get()};
    const hammer2::testing::CheckResult result =
        hammer2::testing::run_check<Disk>(disks, audit::Limits{});
    for (const auto& found : result.findings) {
      ADD_FAILURE() << found.text << " " << found.path;
    }
  }
  void put(OpenInode& directory, std::string_view name, Bytes content) {
    const auto file = volume_.make(directory, name, {.mode = 0644});
    ASSERT_TRUE(ok(file)) << name;
    ASSERT_TRUE(ok(volume_.write(**file, 0, content))) << name;
    volume_.release(**file);
  }
  std::string get(std::string_view path) {
    Disk* disks[] = {disk_.get()};
    auto fs = std::make_unique<FileSystem<Disk>>();
    std::vector<std::byte> memory(4 * kMiB);
    if (!fs->open(disks, memory)) return "<no open>";
    Pfs pfs;
    if (!fs->find_pfs("DATA", pfs)) return "<no pfs>";
    Node root;
    Node node;
    if (!fs->root(pfs, root)) return "<no root>";
    const auto found = fs->resolve(root, path, FollowLast::kNo, node);
    if (!found) return "<" + text_of(found.error()) + ">";
    std::string content(node.attributes.size, '\0');
    const auto read =
        fs->read(node, 0, std::as_writable_bytes(std::span(content)));
    if (!read) return "<" + text_of(read.error()) + ">";
    return content;
  }

  std::vector<std::byte> storage_;
  std::unique_ptr<Disk> disk_;
  TestGround ground_;
  TestVolume volume_{ground_};
  Limits limits_;
  OpenInode* root_ = nullptr;
};

TEST_F(VolumeTest, AFormattedVolumeIsCleanAndOpens) {
  format(64 * kMiB);
  expect_clean();
  open();
  close();
  expect_clean();
}

// The header's word for where the allocator begins may be any number.
TEST_F(VolumeTest, AllocatorThatBeginsBehindTheEnd) {
  constexpr std::uint64_t kBytes = 64 * kMiB;
  for (const std::uint64_t begin :
       {kBytes, std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
    format(kBytes);
    open();
    put(*root_, "small", bytes_of_text("hello"));
    close();
    const auto header =
        MutableBytes(storage_).first(format::kVolumeHeaderBytes);
    store_le(header.data() + offsetof(format::VolumeHeader, allocator_beg),
             begin);
    seal_header(header, check::Checks{});
    open();
    put(*root_, "more", bytes_of_text(std::string(300000, 'x')));
    close();
    EXPECT_EQ(get("small"), "hello");
    EXPECT_EQ(get("more"), std::string(300000, 'x'));
  }
}

// What refers to data is proven where the data are not read too: as the freemap
// of these images is older than they are, all blocks are marked to open them.
TEST_F(VolumeTest, MarksNoBlocksThatCannotBe) {
  const auto code_with = [&](auto change) {
    hammer2::testing::ImageBuilder image(64 * kMiB);
    format::Inode file = hammer2::testing::ImageBuilder::file(7, 65536);
    format::Blockref data =
        image.put(format::BlockType::kData, bytes_of_text("x"), 0, 16);
    change(data);
    image.attach(file, {data});
    format::Inode root = hammer2::testing::ImageBuilder::directory(1);
    image.attach(root, {image.indexed(file)});
    image.finish(root);
    storage_.assign(image.bytes().begin(), image.bytes().end());
    disk_ = std::make_unique<Disk>(storage_);
    Disk* disks[] = {disk_.get()};
    if (const auto opened = volume_.open(disks, limits_); !opened) {
      return std::optional(opened.error().code);
    }
    EXPECT_TRUE(ok(volume_.bulkfree()));
    volume_.forget();
    return std::optional<Code>();
  };
  EXPECT_EQ(code_with([](format::Blockref&) {}), std::nullopt);
  for (const unsigned radix : {9U, 17U, 40U, 63U}) {
    EXPECT_EQ(code_with([&](format::Blockref& data) {
                data.data_off = (data.data_off & ~std::uint64_t{63}) | radix;
              }),
              Code::kBadBlockSize)
        << radix;
  }
  EXPECT_EQ(code_with([](format::Blockref& data) {
              data.data_off |= std::uint64_t{1} << 60;
            }),
            Code::kBadBlockOffset);
}

// What says that it was written by the transaction that begins now would be
// freed with what that gives up, and written over, though a header refers to
// it.
TEST_F(VolumeTest, BlocksOfATransactionToCome) {
  std::mt19937 random(1);
  const auto noise = [&](std::size_t size) {
    std::string made(size, '\0');
    for (char& c : made) c = static_cast<char>(random());
    return made;
  };
  const std::string content = noise(1'000'000);
  format(64 * kMiB);
  open();
  put(*root_, "file", bytes_of_text(content));
  close();
  // As if the header were older than all that it refers to.
  const MutableBytes header =
      MutableBytes(storage_).first(format::kVolumeHeaderBytes);
  std::byte* const tid =
      header.data() + offsetof(format::VolumeHeader, mirror_tid);
  store_le(tid, load_le<std::uint64_t>(tid) - 1);
  store_le(header.data() + offsetof(format::VolumeHeader, freemap_tid),
           load_le<std::uint64_t>(tid));
  seal_header(header, check::Checks{});
  const std::vector<std::byte> old(header.begin(), header.end());
  open();
  const auto file = volume_.lookup(*root_, "file");
  ASSERT_TRUE(ok(file));
  ASSERT_TRUE(ok(volume_.truncate(**file, 0)));
  volume_.release(**file);
  put(*root_, "new", bytes_of_text(noise(5'000'000)));
  close();
  // The power went before the new header was there.
  std::copy(old.begin(), old.end(), header.begin());
  const std::string got = get("file");
  EXPECT_TRUE(got == content) << got.substr(0, 100);
}

TEST_F(VolumeTest, LastTransactionOfAll) {
  format(64 * kMiB);
  const auto header = MutableBytes(storage_).first(format::kVolumeHeaderBytes);
  store_le(header.data() + offsetof(format::VolumeHeader, mirror_tid),
           ~std::uint64_t{0});
  seal_header(header, check::Checks{});
  Disk* disks[] = {disk_.get()};
  const auto opened = volume_.open(disks, limits_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::kBadVolumeHeader);
}

TEST_F(VolumeTest, WhatIsWrittenIsThereAfterwards) {
  format(64 * kMiB);
  open();
  put(*root_, "small", bytes_of_text("hello"));
  std::string large(300000, 'x');
  for (std::size_t i = 0; i < large.size(); ++i) {
    large[i] = static_cast<char>(i * 2654435761U >> 13);
  }
  put(*root_, "large", bytes_of_text(large));
  close();
  expect_clean();
  EXPECT_EQ(get("small"), "hello");
  EXPECT_EQ(get("large"), large);
}

TEST_F(VolumeTest, ThousandsOfFiles) {
  format(256 * kMiB);
  open();
  const auto folder = volume_.make(
      *root_, "folder", {.type = ObjectType::kDirectory, .mode = 0755});
  ASSERT_TRUE(ok(folder));
  for (int i = 0; i < 20000; ++i) {
    put(**folder, "file" + std::to_string(i),
        bytes_of_text(std::string(static_cast<std::size_t>(i % 3000), 'a')));
  }
  volume_.release(**folder);
  close();
  expect_clean();
  EXPECT_EQ(get("folder/file2999"), std::string(2999, 'a'));
  open();
  const auto again = volume_.lookup(*root_, "folder");
  ASSERT_TRUE(ok(again));
  for (int i = 0; i < 20000; ++i) {
    if (i % 7 == 0) continue;
    ASSERT_TRUE(ok(volume_.unlink(**again, "file" + std::to_string(i))));
  }
  volume_.release(**again);
  close();
  expect_clean();
}

TEST_F(VolumeTest, EqualBlocksAreStoredOnce) {
  format(64 * kMiB);
  open();
  std::mt19937_64 random(7);
  std::string noise(65536, '\0');
  for (char& c : noise) c = static_cast<char>(random());
  const std::uint64_t before = volume_.space(*root_).free_bytes;
  // Fresh ones, of which some go before the sync.
  for (int i = 0; i < 100; ++i) {
    put(*root_, "file" + std::to_string(i), bytes_of_text(noise));
    if (i % 10 == 9) ASSERT_TRUE(ok(volume_.sync()));
    if (i % 3 == 1) {
      ASSERT_TRUE(ok(volume_.unlink(*root_, "file" + std::to_string(i))));
    }
  }
  ASSERT_TRUE(ok(volume_.sync()));
  EXPECT_LT(before - volume_.space(*root_).free_bytes, 2 * kMiB);
  close();
  expect_clean();
  for (int i = 0; i < 100; ++i) {
    if (i % 3 == 1) continue;
    EXPECT_EQ(get("file" + std::to_string(i)), noise) << i;
  }
}

TEST_F(VolumeTest, SharedBlocksOutliveTheFirstFileThatHadThem) {
  format(64 * kMiB);
  // All in one transaction, with data on their way to the medium in between.
  limits_.data_bytes = 0;
  open();
  std::mt19937_64 random(7);
  std::string noise(65536, '\0');
  for (char& c : noise) c = static_cast<char>(random());
  put(*root_, "first", bytes_of_text(noise));
  put(*root_, "second", bytes_of_text(noise));
  put(*root_, "third", bytes_of_text(noise));
  ASSERT_TRUE(ok(volume_.unlink(*root_, "first")));
  std::string other(65536, '\0');
  for (char& c : other) c = static_cast<char>(random());
  for (int i = 0; i < 200; ++i) {
    other[static_cast<std::size_t>(i)] ^= 1;
    put(*root_, "other" + std::to_string(i), bytes_of_text(other));
  }
  close();
  expect_clean();
  EXPECT_EQ(get("second"), noise);
  EXPECT_EQ(get("third"), noise);
}

// A block may get the place of one that was read before. Where codes don't tell
// the two apart, the cache mustn't take the one for the other.
TEST_F(VolumeTest, ReadsWhatWasWrittenLastWithoutCodes) {
  format(64 * kMiB);
  limits_.data_bytes = 128 << 10;
  open();
  std::mt19937 random(1);
  for (const CheckMethod check :
       {CheckMethod::kNone, CheckMethod::kDisabled, CheckMethod::kIscsi32}) {
    const auto file = volume_.make(*root_, "file", {.mode = 0644});
    ASSERT_TRUE(ok(file));
    ASSERT_TRUE(ok(volume_.set_attributes(
        **file, {.comp = CompMethod::kNone, .check = check})));
    std::vector<std::byte> written(std::size_t{512} << 10);
    for (int round = 0; round < 8; ++round) {
      for (std::byte& byte : written) byte = static_cast<std::byte>(random());
      ASSERT_TRUE(ok(volume_.write(**file, 0, written)));
      std::vector<std::byte> found(written.size());
      ASSERT_TRUE(ok(volume_.read(**file, 0, found)));
      ASSERT_TRUE(found == written) << round;
    }
    volume_.release(**file);
    ASSERT_TRUE(ok(volume_.unlink(*root_, "file")));
  }
  close();
  expect_clean();
}

TEST_F(VolumeTest, ReadsBackWhileNothingIsSynced) {
  format(64 * kMiB);
  limits_.data_bytes = 128 << 10;
  limits_.chain_bytes = 64 << 10;
  open();
  std::map<int, std::string> files;
  std::mt19937_64 random(3);
  for (int i = 0; i < 300; ++i) {
    std::string text(random() % 20000, '\0');
    for (char& c : text) c = static_cast<char>(random());
    put(*root_, "file" + std::to_string(i), bytes_of_text(text));
    files[i] = text;
  }
  for (const auto& [i, text] : files) {
    const auto file = volume_.lookup(*root_, "file" + std::to_string(i));
    ASSERT_TRUE(ok(file));
    std::string got(text.size() + 10, '\0');
    const auto read =
        volume_.read(**file, 0, std::as_writable_bytes(std::span(got)));
    ASSERT_TRUE(ok(read));
    got.resize(*read);
    EXPECT_EQ(got, text) << i;
    volume_.release(**file);
  }
  close();
  expect_clean();
}

}  // namespace
}  // namespace odo::hammer2::write
