// SPDX-License-Identifier: BSD-3-Clause
#include "lib/hammer2/filesystem.h"

#include <lz4.h>
#include <zlib.h>

#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "lib/block/archetype.h"
#include "lib/hammer2/testing/mounted.h"

// Every member compiles over the least device there can be.
template class odo::hammer2::FileSystem<odo::block::ArchetypeDevice>;

namespace odo::hammer2::testing {
namespace {

std::string noise(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

// A volume with a little of everything.
struct Sample {
  Sample() {
    Inode root = ImageBuilder::directory(1);
    Inode deep = ImageBuilder::directory(1025);
    Inode deeper = ImageBuilder::directory(1026);
    deeper.meta.iparent = 1025;
    image.attach(deeper, {image.dirent("leaf", 1024, ObjectType::kRegular)});
    image.attach(deep, {image.dirent("deeper", 1026, ObjectType::kDirectory),
                        image.dirent("up", 1028, ObjectType::kSymlink)});
    Inode big = ImageBuilder::file(1027, content.size());
    std::vector<Blockref> blocks;
    for (std::size_t at = 0; at < content.size(); at += 65536) {
      if (at == 2 * 65536) continue;  // a hole
      blocks.push_back(image.put(
          BlockType::kData,
          as_bytes(std::string_view(content).substr(at, 65536)), at, 16));
    }
    image.attach(big, blocks);
    std::fill_n(content.begin() + 2 * 65536, 65536, '\0');
    image.attach(
        root,
        {image.indexed(ImageBuilder::embedded(1024, "hello")),
         image.indexed(deep), image.indexed(deeper), image.indexed(big),
         image.indexed(ImageBuilder::embedded(1028, "../deep/deeper/leaf",
                                              ObjectType::kSymlink)),
         image.indexed(
             ImageBuilder::embedded(1029, "/deep/up", ObjectType::kSymlink)),
         image.indexed(
             ImageBuilder::embedded(1030, "loop", ObjectType::kSymlink)),
         image.indexed(
             ImageBuilder::embedded(1031, "deep/", ObjectType::kSymlink)),
         image.indexed(ImageBuilder::embedded(1032, "", ObjectType::kSymlink)),
         image.dirent("greeting", 1024, ObjectType::kRegular),
         image.dirent("deep", 1025, ObjectType::kDirectory),
         image.dirent("big", 1027, ObjectType::kRegular),
         image.dirent("to-up", 1029, ObjectType::kSymlink),
         image.dirent("loop", 1030, ObjectType::kSymlink),
         image.dirent("to-deep", 1031, ObjectType::kSymlink),
         image.dirent("nowhere", 1032, ObjectType::kSymlink),
         image.dirent(std::string(255, 'n'), 1024, ObjectType::kRegular),
         image.dirent(std::string(64, 'm'), 1024, ObjectType::kRegular),
         image.dirent(std::string(65, 'o'), 1024, ObjectType::kRegular)});
    image.finish(root);
  }

  ImageBuilder image;
  std::string content = noise(5 * 65536 + 1234, 1);
};

TEST(FileSystemTest, WalksPaths) {
  Sample sample;
  Mounted at(sample.image);
  ASSERT_TRUE(at.opened()) << line_of(at.opened().error());
  EXPECT_EQ(at.content("/greeting"), "hello");
  EXPECT_EQ(at.content("greeting"), "hello");
  EXPECT_EQ(at.content("//.//greeting"), "hello");
  EXPECT_EQ(at.content("/deep/deeper/leaf"), "hello");
  EXPECT_EQ(at.content("/deep/deeper/../../greeting"), "hello");
  EXPECT_EQ(at.content("/../../greeting"), "hello");
  EXPECT_EQ(at.content("/deep/up"), "hello");
  EXPECT_EQ(at.content("to-up"), "hello");
  EXPECT_EQ(at.content("/to-deep/up"), "hello");
  EXPECT_EQ(at.content(std::string(255, 'n')), "hello");
  EXPECT_EQ(at.content(std::string(64, 'm')), "hello");
  EXPECT_EQ(at.content(std::string(65, 'o')), "hello");
  EXPECT_EQ(at.code(""), Code::kNotFound);
  EXPECT_EQ(at.code("/nothing"), Code::kNotFound);
  EXPECT_EQ(at.code("/nowhere"), Code::kNotFound);
  EXPECT_EQ(at.code("/greeting/x"), Code::kNotDirectory);
  EXPECT_EQ(at.code("/greeting/"), Code::kNotDirectory);
  EXPECT_EQ(at.code("/greeting/.."), Code::kNotDirectory);
  EXPECT_EQ(at.code("/to-up/"), Code::kNotDirectory);
  EXPECT_EQ(at.code("/loop"), Code::kSymlinkLoop);
  EXPECT_EQ(at.code(std::string(256, 'n')), Code::kNameTooLong);
}

TEST(FileSystemTest, LeavesTheLastSymlinkAlone) {
  Sample sample;
  Mounted at(sample.image);
  Node node;
  ASSERT_TRUE(at.find("/loop", node, FollowLast::kNo));
  EXPECT_TRUE(node.is(ObjectType::kSymlink));
  std::array<std::byte, 3> cut = {};
  const auto got = at.fs().read_link(node, cut);
  ASSERT_TRUE(got);
  EXPECT_EQ(*got, 3U);
  EXPECT_EQ(at.fs().read(node, 0, cut).error().code, Code::kNotRegular);
  // A '/' behind it asks for what it leads to.
  ASSERT_TRUE(at.find("/to-deep/", node, FollowLast::kNo));
  EXPECT_TRUE(node.is(ObjectType::kDirectory));
  EXPECT_EQ(at.fs().read_link(node, cut).error().code, Code::kNotSymlink);
  EXPECT_EQ(at.fs().read(node, 0, cut).error().code, Code::kIsDirectory);
}

TEST(FileSystemTest, BoundsThePathLeftBehindASymlink) {
  Sample sample;
  Mounted at(sample.image);
  std::string path = "/to-deep";
  while (path.size() < TestFileSystem::kMaxPathBytes + 100) path += "/.";
  EXPECT_EQ(at.code(path), Code::kNameTooLong);
  std::string without = "/deep";
  for (int i = 0; i < 5000; ++i) without += "/.";
  Node node;
  EXPECT_TRUE(at.find(without, node));
}

TEST(FileSystemTest, ReadsAnyRangeOfAFile) {
  Sample sample;
  for (const std::uint32_t block_bytes : {512U, 1024U, 2048U, 4096U}) {
    Mounted at(sample.image, block_bytes);
    ASSERT_TRUE(at.opened()) << line_of(at.opened().error());
    Node big;
    ASSERT_TRUE(at.find("/big", big));
    std::mt19937 random(block_bytes);
    const std::string& content = sample.content;
    for (int i = 0; i < 400; ++i) {
      const std::uint64_t offset = random() % (content.size() + 10);
      std::string got(random() % 200000, '?');
      const auto n =
          at.fs().read(big, offset, std::as_writable_bytes(std::span(got)));
      ASSERT_TRUE(n) << line_of(n.error());
      const std::string expected = offset < content.size()
                                       ? content.substr(offset, got.size())
                                       : std::string();
      got.resize(*n);
      ASSERT_EQ(got == expected, true) << offset;
    }
    const auto past = at.fs().read(big, ~std::uint64_t{0}, {});
    ASSERT_TRUE(past);
    EXPECT_EQ(*past, 0U);
  }
}

// One 64 KiB block per step and nothing else again and again: the tree above
// stays in a cache of the smallest size.
TEST(FileSystemTest, ReadsLongFilesOnceThroughASmallCache) {
  ImageBuilder image(std::uint64_t{32} << 20);
  const std::string content = noise(300 * 65536, 7);
  std::vector<Blockref> blocks;
  for (std::size_t at = 0; at < content.size(); at += 65536) {
    blocks.push_back(image.put(
        BlockType::kData, as_bytes(std::string_view(content).substr(at, 65536)),
        at, 16));
  }
  Inode big = ImageBuilder::file(1024, content.size());
  image.attach(big, blocks);
  Inode root = ImageBuilder::directory(1);
  image.attach(root, {image.indexed(big),
                      image.dirent("big", 1024, ObjectType::kRegular)});
  image.finish(root);
  Mounted at(image);
  Node node;
  ASSERT_TRUE(at.find("/big", node));
  const std::uint64_t before = at.device().read_bytes();
  std::string got;
  std::string piece(4096, '\0');
  while (got.size() < content.size()) {
    const auto n = at.fs().read(node, got.size(),
                                std::as_writable_bytes(std::span(piece)));
    ASSERT_TRUE(n) << line_of(n.error());
    got.append(piece, 0, *n);
  }
  EXPECT_EQ(got == content, true);
  EXPECT_LT(at.device().read_bytes() - before,
            content.size() + content.size() / 50);
}

TEST(FileSystemTest, ReadsCompressedBlocks) {
  ImageBuilder image;
  std::string content = noise(100, 3);
  while (content.size() < 65536)
    content += content.substr(0, 65536 - content.size());
  const std::string tail(700, 't');  // shorter than a block when decompressed
  const auto lz4 = [&](const std::string& text, std::uint64_t key) {
    std::string packed(4 + 70000, '\0');
    const int size = LZ4_compress_default(text.data(), packed.data() + 4,
                                          static_cast<int>(text.size()), 70000);
    std::memcpy(packed.data(), &size, 4);
    packed.resize(4 + static_cast<std::size_t>(size));
    return image.put(BlockType::kData, as_bytes(packed), key, 16,
                     CompMethod::kLz4);
  };
  const auto zlib = [&](const std::string& text, std::uint64_t key) {
    std::string packed(70000, '\0');
    uLongf size = packed.size();
    compress2(reinterpret_cast<Bytef*>(packed.data()), &size,
              reinterpret_cast<const Bytef*>(text.data()), text.size(), 6);
    packed.resize(size);
    return image.put(BlockType::kData, as_bytes(packed), key, 16,
                     CompMethod::kZlib);
  };
  Inode file = ImageBuilder::file(1024, 3 * 65536 + 1000);
  // The last key is beyond 4 GiB in a file of its own.
  image.attach(file, {lz4(content, 0), zlib(content, 65536),
                      image.put(BlockType::kData, as_bytes(content), 131072, 16,
                                CompMethod::kAutozero),
                      zlib(tail, 196608)});
  constexpr std::uint64_t kFar = std::uint64_t{5} << 40;
  Inode sparse = ImageBuilder::file(1025, kFar + 65536);
  image.attach(sparse, {lz4(content, kFar)});
  Inode root = ImageBuilder::directory(1);
  image.attach(root, {image.indexed(file), image.indexed(sparse),
                      image.dirent("f", 1024, ObjectType::kRegular),
                      image.dirent("s", 1025, ObjectType::kRegular)});
  image.finish(root);
  Mounted at(image);
  EXPECT_EQ(at.content("/f") ==
                content + content + content + tail + std::string(300, '\0'),
            true);
  Node node;
  ASSERT_TRUE(at.find("/s", node));
  std::string got(65536 + 10, '?');
  ASSERT_TRUE(
      at.fs().read(node, kFar - 10, std::as_writable_bytes(std::span(got))));
  EXPECT_EQ(got == std::string(10, '\0') + content, true);
  EXPECT_TRUE(at.verify().empty());
}

TEST(FileSystemTest, VerifiesEveryCheckMethod) {
  for (const CheckMethod method :
       {CheckMethod::kNone, CheckMethod::kDisabled, CheckMethod::kIscsi32,
        CheckMethod::kXxhash64, CheckMethod::kSha192, CheckMethod::kFreemap}) {
    ImageBuilder image;
    image.use(method);
    Inode file = ImageBuilder::file(1024, 1000);
    const Blockref data =
        image.put(BlockType::kData, as_bytes(std::string(1000, 'x')), 0, 16);
    image.attach(file, {data});
    Inode root = ImageBuilder::directory(1);
    image.attach(root, {image.indexed(file),
                        image.dirent("f", 1024, ObjectType::kRegular)});
    image.finish(root);
    Mounted good(image);
    EXPECT_EQ(good.content("/f"), std::string(1000, 'x'));
    // The check code covers the padding behind the data as well.
    image.bytes()[data.offset() + 1010] ^= std::byte{1};
    Mounted bad(image);
    if (method <= CheckMethod::kDisabled) {
      EXPECT_EQ(bad.content("/f"), std::string(1000, 'x'));
    } else {
      EXPECT_EQ(bad.code("/f"), Code::kCheckMismatch);
    }
  }
}

TEST(FileSystemTest, DirectoryCursorsSurvive) {
  ImageBuilder image;
  Inode root = ImageBuilder::directory(1);
  std::vector<Blockref> refs = {
      image.indexed(ImageBuilder::embedded(1024, "x"))};
  std::set<std::string> expected;
  for (int i = 0; i < 400; ++i) {
    const std::string name = "name-" + std::to_string(i);
    expected.insert(name);
    refs.push_back(image.dirent(name, 1024, ObjectType::kRegular));
  }
  image.attach(root, refs);
  image.finish(root);
  Mounted at(image);
  const auto all = at.names("/");
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()), expected);
  EXPECT_EQ(all.size(), expected.size());
  Node node;
  ASSERT_TRUE(at.find("/", node));
  // A cursor kept as two numbers continues, even after reopening.
  DirCursor cursor;
  DirEntry entry;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const DirCursor kept{.next_key = cursor.next_key, .at_end = cursor.at_end};
    if (i % 100 == 50) ASSERT_TRUE(at.open());
    cursor = kept;
    const auto more = at.fs().read_directory(node, cursor, entry);
    ASSERT_TRUE(more && *more);
    EXPECT_EQ(entry.name(), all[i]);
  }
  EXPECT_FALSE(*at.fs().read_directory(node, cursor, entry));
  EXPECT_FALSE(*at.fs().read_directory(node, cursor, entry));
}

// Files with every third number of a hundred, two levels of indirect blocks
// above them, the lower of 16 numbers each.
Inode sparse_index(ImageBuilder& image, std::uint64_t inum,
                   std::string_view data) {
  constexpr std::uint64_t kFirst = 1024;
  std::vector<Blockref> middle;
  for (std::uint64_t key = kFirst; key < kFirst + 96; key += 16) {
    std::vector<Blockref> leaves;
    for (std::uint64_t i = key; i < key + 16; ++i) {
      if (i % 3 == 0) {
        leaves.push_back(image.indexed(ImageBuilder::embedded(i, data)));
      }
    }
    middle.push_back(image.indirect(leaves, key, 4));
  }
  Inode root = ImageBuilder::directory(inum);
  ImageBuilder::set_refs(root, {image.indirect(middle, kFirst, 7)});
  return root;
}

// One finger for two trees, asked for anything in any order.
TEST(FileSystemTest, FingersPointWhereASearchFromTheTopGoes) {
  ImageBuilder image;
  const Blockref roots[] = {image.indexed(sparse_index(image, 2000, "one")),
                            image.indexed(sparse_index(image, 2001, "other"))};
  Inode root = ImageBuilder::directory(1);
  image.attach(root, {roots[0], roots[1]});
  image.finish(root);
  Mounted at(image);
  auto& store = at.fs().blocks();
  Finger<TestFileSystem::Store> finger;
  std::mt19937 random(7);
  unsigned held = 0;
  for (int i = 0; i < 5000; ++i) {
    const Blockref& tree = roots[random() % 2];
    const std::uint64_t first = 1000 + random() % 150;
    const std::uint64_t last = first + random() % 40;
    Blockref leaf;
    held +=
        finger.find(store.identify(tree, Tree::kDirectory), first, last, leaf)
            ? 1
            : 0;
    const auto pointed = first_leaf(store, tree, Tree::kDirectory, 0, first,
                                    last, leaf, &finger);
    Blockref expected;
    const auto searched =
        first_leaf(store, tree, Tree::kDirectory, 0, first, last, expected);
    ASSERT_TRUE(pointed && searched);
    ASSERT_EQ(*pointed, *searched);
    if (!*searched) continue;
    ASSERT_EQ(leaf.key, expected.key);
    ASSERT_EQ(leaf.data_off, expected.data_off);
  }
  EXPECT_GT(held, 100U);
}

// A caller's scope may end its memory before the filesystem that used it.
TEST(FileSystemTest, GoesAfterItsMemory) {
  Sample sample;
  block::MemoryDevice device(sample.image.bytes(), 512);
  block::MemoryDevice* devices[] = {&device};
  FileSystem<block::MemoryDevice> fs;
  for (int i = 0; i < 2; ++i) {
    std::vector<std::byte> memory(decltype(fs)::kMinMemoryBytes);
    ASSERT_TRUE(fs.open(devices, memory));
    Pfs pfs;
    Node root;
    ASSERT_TRUE(fs.default_pfs(pfs));
    ASSERT_TRUE(fs.root(pfs, root));
    DirCursor cursor;
    DirEntry entry;
    ASSERT_TRUE(*fs.read_directory(root, cursor, entry));
    Node node;
    ASSERT_TRUE(fs.node_by_inum(root, entry.inum, node));
  }
}

TEST(FileSystemTest, FindsNamesOfEqualHash) {
  // Exchanging fields keeps the high part; the counters differ on media.
  ImageBuilder image;
  Inode root = ImageBuilder::directory(1);
  std::vector<Blockref> refs;
  for (unsigned i = 0; i < 6; ++i) {
    refs.push_back(
        image.indexed(ImageBuilder::embedded(1024 + i, std::to_string(i))));
    Blockref ref = image.dirent("name" + std::to_string(i), 1024 + i,
                                ObjectType::kRegular);
    ref.key = format::dirhash("name3") + (i == 3 ? 5 : i == 5 ? 3 : i);
    refs.push_back(ref);
  }
  image.attach(root, refs);
  image.finish(root);
  Mounted at(image);
  // Only name3 belongs there: it is found behind the others; they are shown
  // in the directory and not found under keys that aren't theirs.
  EXPECT_EQ(at.content("/name3"), "3");
  EXPECT_EQ(at.names("/").size(), 6U);
  EXPECT_EQ(at.code("/name4"), Code::kNotFound);
}

TEST(FileSystemTest, AcceptsInodesThatStandInDirectories) {
  ImageBuilder image;
  Inode inner = ImageBuilder::embedded(1030, "inner");
  ImageBuilder::rename(inner, "file-inode");
  Inode folder = ImageBuilder::directory(1031);
  ImageBuilder::rename(folder, "folder-inode");
  image.attach(folder, {image.put(BlockType::kInode, bytes_of(inner),
                                  format::dirhash("file-inode"))});
  Inode root = ImageBuilder::directory(1);
  image.attach(root, {image.put(BlockType::kInode, bytes_of(folder),
                                format::dirhash("folder-inode"))});
  image.finish(root);
  Mounted at(image);
  EXPECT_EQ(at.names("/"), std::vector<std::string>{"folder-inode"});
  EXPECT_EQ(at.content("/folder-inode/file-inode"), "inner");
  EXPECT_TRUE(at.verify().empty());
}

TEST(FileSystemTest, ChoosesTheDefaultPfs) {
  const auto chosen = [](const std::vector<std::string>& labels) {
    ImageBuilder image;
    std::vector<Blockref> list;
    for (const std::string& label : labels) {
      Inode root = ImageBuilder::directory(1);
      if (label.starts_with("snap")) {
        root.meta.pfs_subtype = format::PfsSubtype::kSnapshot;
      }
      list.push_back(image.pfs(root, label));
    }
    image.finish_pfs(list);
    Mounted at(image);
    EXPECT_TRUE(at.opened());
    Pfs pfs;
    const auto found = at.fs().default_pfs(pfs);
    return found ? std::string(pfs.label()) : line_of(found.error());
  };
  EXPECT_EQ(chosen({"LOCAL"}), "LOCAL");
  EXPECT_EQ(chosen({"LOCAL", "anything"}), "anything");
  EXPECT_EQ(chosen({"LOCAL", "snap1", "snap2", "home"}), "home");
  EXPECT_EQ(chosen({"LOCAL", "DATA", "home"}), "DATA");
  EXPECT_EQ(chosen({"BOOT", "DATA", "ROOT", "LOCAL"}), "ROOT");
  EXPECT_EQ(chosen({"home", "var", "LOCAL"}),
            line_of(Error{.code = Code::kNoDefaultPfs}));
}

TEST(FileSystemTest, SurvivesEveryFailingRead) {
  Sample sample;
  std::string all;
  {
    Mounted at(sample.image);
    all = at.content("/big");
  }
  for (std::uint64_t n = 0;; ++n) {
    Mounted at(sample.image);
    at.device().fail_after(n);
    const auto opened = at.open();
    const std::string got = opened ? at.content("/big") : std::string();
    const bool done = got == all;
    if (!opened) {
      EXPECT_EQ(opened.error().code, Code::kDeviceError);
    } else if (!done) {
      EXPECT_NE(got.find("device error"), std::string::npos) << got;
    }
    // Once the device answers again, so does the reader.
    at.device().fail_after(~std::uint64_t{0});
    if (!opened) ASSERT_TRUE(at.open());
    EXPECT_EQ(at.content("/big") == all, true);
    if (done) break;
    ASSERT_LT(n, 1000U);
  }
}

TEST(FileSystemTest, ReadsAroundABadNeighbour) {
  ImageBuilder image;
  Inode root = ImageBuilder::directory(1);
  // Two inodes of one 16 KiB cluster, the second unreadable.
  const Blockref good = image.indexed(ImageBuilder::embedded(1024, "good"));
  const Blockref bad = image.indexed(ImageBuilder::embedded(1025, "bad"));
  image.attach(root,
               {good, bad, image.dirent("good", 1024, ObjectType::kRegular),
                image.dirent("bad", 1025, ObjectType::kRegular)});
  image.finish(root);
  Mounted at(image);
  at.device().break_range(bad.offset() + 512, 1);
  EXPECT_EQ(at.content("/good"), "good");
  Node node;
  const auto found = at.find("/bad", node);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::kDeviceError);
  EXPECT_EQ(found.error().offset, bad.offset());
  EXPECT_EQ(found.error().inum, 1025U);
}

TEST(FileSystemTest, WantsEnoughMemory) {
  Sample sample;
  const std::size_t least = TestFileSystem::kMinMemoryBytes;
  Mounted at(sample.image, 512, least);
  EXPECT_TRUE(at.opened());
  Mounted poor(sample.image, 512, least - 1);
  ASSERT_FALSE(poor.opened());
  EXPECT_EQ(poor.opened().error().code, Code::kNoMemory);
  Mounted none(sample.image, 512, 0);
  EXPECT_EQ(none.opened().error().code, Code::kNoMemory);
  EXPECT_LT(least, std::size_t{1} << 20);
}

TEST(FileSystemTest, ShowsAttributes) {
  ImageBuilder image;
  Inode node = ImageBuilder::inode(1024, ObjectType::kBlockDevice);
  node.meta.mode = 0104755;
  node.meta.uid.node = {0, 0, 0x01, 0x02, 0x03, 0x04};
  node.meta.gid.node = {9, 9, 0xff, 0, 0, 0};
  node.meta.rmajor = 8;
  node.meta.rminor = 17;
  node.meta.ctime_us = 1;
  node.meta.mtime_us = 2;
  node.meta.atime_us = 3;
  node.meta.btime_us = 4;
  node.meta.nlinks = 5;
  node.meta.uflags = 6;
  node.meta.comp_algo = 0x63;
  node.meta.check_algo = 4;
  Inode root = ImageBuilder::directory(1);
  image.attach(root, {image.indexed(node),
                      image.dirent("d", 1024, ObjectType::kBlockDevice)});
  image.finish(root);
  Mounted at(image);
  Node found;
  ASSERT_TRUE(at.find("/d", found));
  const Attributes& of = found.attributes;
  EXPECT_EQ(of.type, ObjectType::kBlockDevice);
  EXPECT_EQ(of.mode, 04755U);
  EXPECT_EQ(of.uid, 0x04030201U);
  EXPECT_EQ(of.gid, 0xffU);
  EXPECT_EQ(of.rmajor, 8U);
  EXPECT_EQ(of.rminor, 17U);
  EXPECT_EQ(of.ctime_us, 1U);
  EXPECT_EQ(of.mtime_us, 2U);
  EXPECT_EQ(of.atime_us, 3U);
  EXPECT_EQ(of.btime_us, 4U);
  EXPECT_EQ(of.nlinks, 5U);
  EXPECT_EQ(of.uflags, 6U);
  EXPECT_EQ(of.inum, 1024U);
  EXPECT_EQ(of.parent_inum, 1U);
  EXPECT_EQ(of.comp, CompMethod::kZlib);
  EXPECT_EQ(of.comp_level, 6U);
  EXPECT_EQ(of.check, CheckMethod::kSha192);
  std::array<std::byte, 1> one = {};
  EXPECT_EQ(at.fs().read(found, 0, one).error().code, Code::kNotRegular);
}

}  // namespace
}  // namespace odo::hammer2::testing
