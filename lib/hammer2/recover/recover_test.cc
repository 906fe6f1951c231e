// SPDX-License-Identifier: BSD-3-Clause
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "lib/block/memory_device.h"
#include "lib/hammer2/block_store.h"
#include "lib/hammer2/inspect/medium.h"
#include "lib/hammer2/recover/catalogue.h"
#include "lib/hammer2/recover/content.h"
#include "lib/hammer2/testing/image_builder.h"
#include "lib/hammer2/testing/run_check.h"

namespace odo::hammer2::recover {
namespace {

using format::BlockType;
using testing::as_bytes;
using testing::ImageBuilder;
using TestMedium = inspect::Medium<block::MemoryDevice>;
using TestCatalogue = Catalogue<TestMedium>;

struct Listener {
  std::vector<Code> codes;
  std::uint64_t done = 0;
  std::uint64_t total = 0;

  void lost(const Error& error, std::string_view) {
    codes.push_back(error.code);
  }
  void progress(std::uint64_t now, std::uint64_t all) {
    EXPECT_GE(now, done);
    done = now;
    total = all;
  }
};

// What is recovered of an image: "fate source path", and the content.
struct Recovered {
  std::map<std::string, std::string> files;
  std::vector<Code> lost;
  ScanTotals scanned;
  std::size_t names = 0;  // of anything
  bool opened = false;
  bool ready = false;  // the memory suffices
  bool full = false;

  explicit Recovered(Bytes image, bool scan = true,
                     MutableBytes memory = testing::check_memory()) {
    block::MemoryDevice device(image);
    block::MemoryDevice* devices[] = {&device};
    audit::Arena maps(memory.first(16 << 20));
    audit::Arena arena(memory.subspan(16 << 20));
    auto medium = std::make_unique<TestMedium>();
    opened = medium->open(devices, maps).has_value();
    if (!opened) return;
    const std::uint64_t bytes = medium->volumes().info().total_bytes;
    audit::SpaceMap newest;
    audit::SpaceMap older;
    EXPECT_TRUE(newest.init(maps, bytes) && older.init(maps, bytes));
    auto catalogue = std::make_unique<TestCatalogue>(*medium, newest, older);
    ready = catalogue->init(arena);
    if (!ready) return;
    Listener listener;
    catalogue->walk_headers(listener);
    if (scan) {
      catalogue->scan(listener);
      EXPECT_EQ(listener.done, bytes);
      EXPECT_EQ(listener.total, bytes);
    }
    catalogue->finish();
    lost = listener.codes;
    scanned = catalogue->scanned();
    names = catalogue->names().size();
    full = catalogue->full();
    std::vector<std::byte> store_memory(8 << 20);
    BlockStore<TestMedium::Device, VerifyChecks> store{VerifyChecks()};
    EXPECT_TRUE(store.open(medium->devices(), store_memory));
    for (const Version& version : catalogue->versions()) {
      if (version.type != ObjectType::kRegular) continue;
      Content content;
      const auto read = read_content(
          store, inode_at(version.offset, version.inum), version.inum, content);
      if (!read) content.text = "(unreadable)";
      files[describe(*catalogue, version)] = content.text;
    }
  }

  [[nodiscard]] std::string content(const std::string& file) const {
    const auto it = files.find(file);
    if (it != files.end()) return it->second;
    std::string all = "(not there)";
    for (const auto& [name, text] : files) all += " " + name;
    return all;
  }

 private:
  struct Content {
    std::string text;

    bool data(std::uint64_t offset, Bytes bytes) {
      if (offset > (1U << 20)) return false;
      if (text.size() < offset) text.resize(offset, '0');
      text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      return true;
    }
    void gap(std::uint64_t offset, std::uint64_t length, const Error&) {
      text +=
          "(gap " + std::to_string(offset) + "+" + std::to_string(length) + ")";
    }
  };

  static std::string describe(const TestCatalogue& catalogue,
                              const Version& version) {
    std::string text(to_string(catalogue.fate(version)));
    text += " " + std::string(to_string(version.source));
    text += " @" + std::string(catalogue.label(version.pfs));
    std::array<const Name*, 16> chain = {};
    std::uint64_t top = 0;
    const std::size_t count = catalogue.chain(
        version, catalogue.best_name(version.pfs, version.inum), chain, top);
    if (top > format::kRootInum) text += "/#" + std::to_string(top);
    for (std::size_t i = count; i-- > 0;) {
      text += "/" + std::string(chain[i]->view());
    }
    if (count == 0) text += "/#" + std::to_string(version.inum);
    return text;
  }
};

// A file of that number and name, put on the medium.
format::Blockref file(ImageBuilder& image, std::uint64_t inum,
                      std::string_view text) {
  return image.indexed(ImageBuilder::embedded(inum, text));
}

// An older tree with a directory and three files, of which the newer one has a
// changed one, one as it was, and none of the last.
struct Sample {
  ImageBuilder image;
  format::Blockref old_root;
  format::Blockref kept;

  Sample() {
    kept = file(image, 1024, "kept");
    const format::Blockref before = file(image, 1025, "before");
    format::Inode folder = ImageBuilder::directory(1027);
    image.attach(folder, {image.dirent("gone", 1026, ObjectType::kRegular)});
    format::Inode old = ImageBuilder::directory(1);
    image.attach(
        old, {kept, before, file(image, 1026, "deleted"), image.indexed(folder),
              image.dirent("kept", 1024, ObjectType::kRegular),
              image.dirent("changed", 1025, ObjectType::kRegular),
              image.dirent("folder", 1027, ObjectType::kDirectory)});
    ImageBuilder::rename(old, "DATA");
    old.meta.name_key = format::dirhash("DATA");
    old_root = image.pfs(old, "DATA");
    format::Inode now = ImageBuilder::directory(1);
    image.attach(now, {kept, file(image, 1025, "after"),
                       image.dirent("kept", 1024, ObjectType::kRegular),
                       image.dirent("changed", 1025, ObjectType::kRegular)});
    image.finish(now);
  }
};

TEST(Catalogue, FindsWhatAnOlderRootLeadsTo) {
  Sample sample;
  const Recovered recovered(sample.image.bytes());
  EXPECT_EQ(recovered.content("current newest @DATA/kept"), "kept");
  EXPECT_EQ(recovered.content("current newest @DATA/changed"), "after");
  EXPECT_EQ(recovered.content("older older @DATA/changed"), "before");
  EXPECT_EQ(recovered.content("deleted older @DATA/folder/gone"), "deleted");
  EXPECT_EQ(recovered.files.size(), 4U);
  EXPECT_TRUE(recovered.lost.empty());
  EXPECT_FALSE(recovered.full);
}

TEST(Catalogue, TellsJustTheNewestTreeWithoutAScan) {
  Sample sample;
  const Recovered recovered(sample.image.bytes(), false);
  EXPECT_EQ(recovered.files.size(), 2U);
  EXPECT_EQ(recovered.scanned.bytes, 0U);
}

// Without its root each part still proves itself.
TEST(Catalogue, FindsInodesAndEntriesThatLieAlone) {
  Sample sample;
  zero_bytes(sample.image.bytes().subspan(sample.old_root.offset(), 1024));
  const Recovered recovered(sample.image.bytes());
  EXPECT_EQ(recovered.content("deleted alone @/folder/gone"), "deleted");
  EXPECT_EQ(recovered.content("older alone @/changed"), "before");
}

TEST(Catalogue, TellsDataOfAnOverwrittenBlockAsAGap) {
  ImageBuilder image;
  const std::string text(65536, 'x');
  const format::Blockref first =
      image.put(BlockType::kData, as_bytes(text), 0, 16);
  const format::Blockref second =
      image.put(BlockType::kData, as_bytes("the end"), 65536, 16);
  format::Inode two = ImageBuilder::file(1024, 65543);
  image.attach(two, {first, second});
  (void)image.indexed(two);
  image.finish(ImageBuilder::directory(1));
  image.bytes()[first.offset()] ^= std::byte{1};
  const Recovered recovered(image.bytes());
  const std::string got = recovered.content("deleted alone @/#1024");
  EXPECT_TRUE(got.starts_with("(gap 0+65536)")) << got.substr(0, 80);
  EXPECT_TRUE(got.ends_with("the end"));
}

TEST(Catalogue, FindsTheInodesBehindADamagedIndex) {
  ImageBuilder image;
  std::vector<format::Blockref> refs;
  for (std::uint64_t i = 0; i < 6; ++i) {
    refs.push_back(file(image, 1024 + i, "file " + std::to_string(i)));
    refs.push_back(
        image.dirent("f" + std::to_string(i), 1024 + i, ObjectType::kRegular));
  }
  format::Inode root = ImageBuilder::directory(1);
  image.attach(root, refs);
  image.finish(root);
  // The first reference is to the block of the index.
  image.bytes()[root.payload.blockset.refs[0].offset() + 64] ^= std::byte{1};
  const Recovered recovered(image.bytes());
  EXPECT_EQ(recovered.lost, std::vector{Code::kCheckMismatch});
  for (int i = 0; i < 6; ++i) {
    const std::string n = std::to_string(i);
    EXPECT_EQ(recovered.content("current alone @/f" + n), "file " + n);
  }
}

// An inode in the place of a directory entry that calls itself nothing at all.
TEST(Catalogue, TakesNoEmptyName) {
  ImageBuilder image;
  format::Inode nameless = ImageBuilder::embedded(1024, "text");
  const format::Blockref ref =
      image.put(BlockType::kInode, bytes_of(nameless), format::dirhash("name"));
  format::Inode root = ImageBuilder::directory(1);
  image.attach(root, {ref});
  image.finish(root);
  EXPECT_EQ(Recovered(image.bytes()).names, 0U);
}

TEST(Catalogue, WorksWithoutAnyHeader) {
  Sample sample;
  zero_bytes(sample.image.bytes().first(65536));
  const Recovered recovered(sample.image.bytes());
  ASSERT_TRUE(recovered.opened);
  EXPECT_EQ(recovered.content("deleted older @DATA/kept"), "kept");
  EXPECT_EQ(recovered.content("deleted older @DATA/folder/gone"), "deleted");
}

// With the least memory that it begins with it finds a part, and says so.
TEST(Catalogue, SaysWhenItIsFull) {
  Sample sample;
  std::size_t least = std::size_t{16} << 20;
  std::size_t enough = std::size_t{48} << 20;
  while (enough - least > 256) {
    const std::size_t middle = least + (enough - least) / 2;
    const Recovered tried(sample.image.bytes(), false,
                          testing::check_memory().first(middle));
    (tried.ready ? enough : least) = middle;
  }
  const Recovered recovered(sample.image.bytes(), true,
                            testing::check_memory().first(enough));
  EXPECT_TRUE(recovered.ready);
  EXPECT_TRUE(recovered.full);
  EXPECT_LT(recovered.files.size(), 4U);
}

TEST(Candidate, KnowsAnInodeByItsName) {
  ImageBuilder image;
  const format::Blockref ref = file(image, 1024, "x");
  std::vector<std::byte> inode(
      image.bytes().begin() + static_cast<std::ptrdiff_t>(ref.offset()),
      image.bytes().begin() + static_cast<std::ptrdiff_t>(ref.offset() + 1024));
  EXPECT_EQ(inode_in(inode), InodeSort::kIndexed);
  inode[offsetof(format::InodeMeta, inum)] ^= std::byte{1};
  EXPECT_FALSE(inode_in(inode));
  EXPECT_FALSE(inode_in(Bytes(inode).first(512)));
  EXPECT_FALSE(inode_in(std::vector<std::byte>(1024)));
}

TEST(Candidate, KnowsAnEntryByTheHashOfItsName) {
  ImageBuilder image;
  format::Blockref ref = image.dirent("name", 1024, ObjectType::kRegular);
  EXPECT_TRUE(entry_in(bytes_of(ref)));
  ref.check.name[0] = 'm';
  EXPECT_FALSE(entry_in(bytes_of(ref)));
  // No name that leads elsewhere, whatever its key.
  ref = image.dirent("a/b", 1024, ObjectType::kRegular);
  EXPECT_FALSE(entry_in(bytes_of(ref)));
  EXPECT_FALSE(entry_in(bytes_of(ref).first(64)));
}

TEST(Scan, FindsAHeaderThatLiesElsewhere) {
  Sample sample;
  copy_bytes(sample.image.bytes().subspan(6 << 20),
             Bytes(sample.image.bytes()).first(65536));
  EXPECT_EQ(Recovered(sample.image.bytes()).scanned.headers, 1U);
}

// A file that claims to be endless costs no more than its blocks.
TEST(Content, IsNotMisledByAHugeSize) {
  ImageBuilder image;
  format::Inode huge = ImageBuilder::file(1024, ~std::uint64_t{0} >> 1);
  image.attach(huge, {image.put(BlockType::kData, as_bytes("x"), 0, 16)});
  (void)image.indexed(huge);
  image.finish(ImageBuilder::directory(1));
  EXPECT_TRUE(Recovered(image.bytes())
                  .content("deleted alone @/#1024")
                  .starts_with("x"));
}

TEST(Catalogue, IsTotalOnDamagedImages) {
  std::mt19937_64 random(11);  // NOLINT(bugprone-random-generator-seed)
  const Sample sample;
  for (int round = 0; round < 40; ++round) {
    Sample copy;
    for (int i = 0; i < 200; ++i) {
      const std::size_t at =
          round % 4 == 0 ? random() % 65536 : (4U << 20) + random() % 32768;
      copy.image.bytes()[at] = static_cast<std::byte>(random());
    }
    // Codes that prove nothing have all be followed.
    for (std::size_t at = 4U << 20; round % 2 == 0 && at < (4U << 20) + 32768;
         at += 128) {
      copy.image.bytes()[at + 1] = std::byte{0};
    }
    (void)Recovered(copy.image.bytes());
  }
}

}  // namespace
}  // namespace odo::hammer2::recover
