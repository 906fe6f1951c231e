// SPDX-License-Identifier: BSD-3-Clause
#include "lib/hammer2/inspect/topology.h"

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "lib/block/faulty_device.h"
#include "lib/block/memory_device.h"
#include "lib/hammer2/inspect/medium.h"
#include "lib/hammer2/testing/image_builder.h"
#include "lib/hammer2/testing/run_check.h"

namespace odo::hammer2::inspect {
namespace {

using format::BlockType;
using format::ObjectType;
using testing::ImageBuilder;
using TestMedium = Medium<block::MemoryDevice>;

// What a walk has told, a line for each reference.
struct Recorder {
  std::vector<std::string> lines;
  std::vector<Visit> visits;  // but for what they refer to
  std::vector<format::Blockref> refs;
  std::size_t open = 0;
  std::size_t limit = ~std::size_t{0};
  BlockType stop_at = BlockType::kInvalid;

  Follow enter(const Visit& visit) {
    ++open;
    std::string line(visit.depth * 2, ' ');
    line += hammer2::to_string(visit.ref.type);
    line += " " + std::to_string(visit.slot);
    if (!visit.pfs.empty()) line += " @" + std::string(visit.pfs);
    if (visit.inum != Error::kUnknown)
      line += " #" + std::to_string(visit.inum);
    const std::string_view name = visit.entry_name();
    if (!name.empty()) line += " " + std::string(name);
    line += ": " + std::string(to_string(visit.state));
    if (visit.reach != Reach::kUnknown) {
      line += ", " + std::string(to_string(visit.reach));
    }
    if (visit.error) {
      line += ", " + std::string(hammer2::to_string(visit.error->code));
    }
    if (lines.size() < limit) lines.push_back(std::move(line));
    refs.push_back(visit.ref);
    return visit.ref.type == stop_at ? Follow::kNo : Follow::kYes;
  }
  void leave(const format::Blockref&, unsigned) {
    ASSERT_GT(open, 0U);
    --open;
  }

  [[nodiscard]] std::size_t count(std::string_view part) const {
    return static_cast<std::size_t>(
        std::count_if(lines.begin(), lines.end(), [&](const std::string& line) {
          return line.find(part) != std::string::npos;
        }));
  }
};

// A walk over all headers' memory, and what it needs.
class Walked {
 public:
  explicit Walked(Bytes image, TopologyLimits limits = {},
                  BlockType stop_at = BlockType::kInvalid)
      : device_(image), arena_(testing::check_memory()) {
    record.stop_at = stop_at;
    block::MemoryDevice* devices[] = {&device_};
    opened = medium->open(devices, arena_).has_value();
    if (!opened) return;
    audit::SpaceMap space;
    EXPECT_TRUE(space.init(arena_, medium->volumes().info().total_bytes));
    TopologyWalk walk(medium->volumes(), medium->reader(), space);
    EXPECT_TRUE(walk.init(arena_));
    walk.limit(limits);
    std::vector<std::byte> header(format::kVolumeHeaderBytes);
    const auto got = medium->header(medium->volumes().info().header);
    if (!got) return;
    copy_bytes(header, *got);
    walk.run(header, record);
    EXPECT_EQ(record.open, 0U);
  }

  std::unique_ptr<TestMedium> medium = std::make_unique<TestMedium>();
  Recorder record;
  bool opened = false;

 private:
  block::MemoryDevice device_;
  audit::Arena arena_;
};

// A directory with a file of two blocks, a small one and a long name.
struct Sample {
  ImageBuilder image;
  format::Blockref data;
  format::Blockref file;

  explicit Sample(bool freemap = false) {
    if (freemap) image.make_freemap();
    const std::string text(70000, 'x');
    data = image.put(BlockType::kData, testing::as_bytes(text).first(65536), 0,
                     16);
    const format::Blockref tail = image.put(
        BlockType::kData, testing::as_bytes(text).subspan(65536), 65536, 16);
    format::Inode big = ImageBuilder::file(1024, text.size());
    image.attach(big, {data, tail});
    file = image.indexed(big);
    format::Inode root = ImageBuilder::directory(1);
    image.attach(
        root,
        {file, image.indexed(ImageBuilder::embedded(1025, "small")),
         image.dirent("big", 1024, ObjectType::kRegular),
         image.dirent("small", 1025, ObjectType::kRegular),
         image.dirent(std::string(100, 'n'), 1025, ObjectType::kRegular)});
    image.finish(root);
  }
};

TEST(TopologyWalk, TellsOfEveryReferenceInItsPlace) {
  Sample sample(true);
  Walked walked(sample.image.bytes());
  ASSERT_TRUE(walked.opened);
  EXPECT_FALSE(walked.medium->mended());
  const std::vector<std::string> expected = {
      "inode 0: good, first",
      "  inode 0 @DATA #0: good, first",
      "    indirect block 0 @DATA #1: good, first",
      "      inode 0 @DATA #1: good, first",
      "        data block 0 @DATA #1024: good, first",
      "        data block 1 @DATA #1024: good, first",
      "      inode 1 @DATA #1: good, first",
      "    indirect block 1 @DATA #1: good, first",
  };
  ASSERT_GE(walked.record.lines.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(walked.record.lines[i], expected[i]);
  }
  EXPECT_EQ(walked.record.count("@DATA #1 big: no block"), 1U);
  EXPECT_EQ(walked.record.count(std::string(100, 'n') + ": good, first"), 1U);
  EXPECT_EQ(walked.record.lines.back(), "freemap leaf 0: good");
  EXPECT_EQ(walked.record.lines.size(), expected.size() + 4);
}

TEST(TopologyWalk, LeavesOutWhatTheVisitorDoesNotWant) {
  Sample sample;
  Walked walked(sample.image.bytes(), {}, BlockType::kIndirect);
  EXPECT_EQ(walked.record.lines.size(), 4U);
}

TEST(TopologyWalk, NamesADamagedBlockAndTellsTheRest) {
  Sample sample;
  sample.image.bytes()[sample.data.offset() + 5] ^= std::byte{1};
  Walked walked(sample.image.bytes());
  EXPECT_EQ(walked.record.count("bad"), 1U);
  EXPECT_EQ(walked.record.count("data block 0 @DATA #1024: bad, first, check "
                                "code mismatch"),
            1U);
  EXPECT_EQ(walked.record.lines.size(), 11U);
}

TEST(TopologyWalk, LeavesDataUnreadWhereOnlyTheTopologyIsAskedFor) {
  Sample sample;
  sample.image.bytes()[sample.data.offset() + 5] ^= std::byte{1};
  Walked walked(sample.image.bytes(), {.read_data = false});
  EXPECT_EQ(walked.record.count("bad"), 0U);
  EXPECT_EQ(walked.record.count("not read, first"), 2U);
}

TEST(TopologyWalk, TellsWhatHasNoCheckCode) {
  ImageBuilder image;
  image.use(format::CheckMethod::kDisabled);
  format::Inode root = ImageBuilder::directory(1);
  image.attach(root, {image.indexed(ImageBuilder::embedded(1024, "x"))});
  image.finish(root);
  EXPECT_EQ(Walked(image.bytes()).record.count("unchecked, first"), 3U);
}

TEST(TopologyWalk, DoesNotFollowALoop) {
  ImageBuilder image;
  // A directory in the index whose own tree holds itself, unproven.
  image.use(format::CheckMethod::kNone);
  format::Inode loop = ImageBuilder::directory(1024);
  format::Blockref ref = image.indexed(loop);
  loop.payload.blockset.refs[0] = ref;
  copy_bytes(image.bytes().subspan(ref.offset()), bytes_of(loop));
  format::Inode root = ImageBuilder::directory(1);
  image.attach(root, {ref});
  image.finish(root);
  Walked walked(image.bytes());
  EXPECT_EQ(walked.record.count("again"), 1U);
  EXPECT_EQ(walked.record.lines.size(), 4U);
}

TEST(TopologyWalk, TellsSharedBlocksAndOverlaps) {
  ImageBuilder image;
  (void)image.put(BlockType::kData, testing::as_bytes("before"));
  const format::Blockref file =
      image.indexed(ImageBuilder::embedded(1024, "shared"));
  format::Inode one = ImageBuilder::directory(1);
  image.attach(one, {file});
  format::Blockref wide = file;  // the same place, as a larger block
  wide.type = BlockType::kIndirect;
  wide.keybits = 11;
  wide.key = 2048;
  wide.data_off = align_down(file.offset(), std::uint64_t{4096}) | 12;
  image.seal(wide);
  format::Inode two = ImageBuilder::directory(1);
  image.attach(two, {file, wide});
  image.finish_pfs({image.pfs(one, "ONE"), image.pfs(two, "TWO")});
  Walked walked(image.bytes());
  EXPECT_EQ(walked.record.count("good, shared"), 1U);
  EXPECT_GE(walked.record.count("overlap"), 1U);
}

TEST(TopologyWalk, StopsRepeatingAtItsLimit) {
  ImageBuilder image;
  format::Inode root = ImageBuilder::directory(1);
  image.attach(root, {image.indexed(ImageBuilder::embedded(1024, "x"))});
  image.finish_pfs(
      {image.pfs(root, "A"), image.pfs(root, "B"), image.pfs(root, "C")});
  EXPECT_EQ(Walked(image.bytes()).record.count("good, shared"), 2U);
  EXPECT_EQ(Walked(image.bytes(), {.repeats = 1}).record.count("good, shared"),
            1U);
}

// Without a usable header the volume is opened by what a damaged one says.
TEST(Medium, MendsADamagedHeader) {
  Sample sample;
  sample.image.bytes()[3000] ^= std::byte{1};
  Walked walked(sample.image.bytes());
  ASSERT_TRUE(walked.opened);
  EXPECT_TRUE(walked.medium->mended());
  EXPECT_EQ(walked.record.lines.size(), 11U);
}

// By the copy of the only header, not by what is left of the header itself.
TEST(Medium, ShowsTheCopyOfADamagedHeader) {
  Sample sample;
  sample.image.store_header(format::kShadowHeaderOffset);
  sample.image.bytes()[offsetof(format::VolumeHeader, sroot_blockset)] ^=
      std::byte{1};
  Walked walked(sample.image.bytes());
  ASSERT_TRUE(walked.opened);
  EXPECT_FALSE(walked.medium->mended());
  EXPECT_TRUE(walked.medium->header(0));
  EXPECT_EQ(walked.record.lines.size(), 11U);
}

TEST(Medium, SaysThatItHasTooLittleMemory) {
  ImageBuilder image;
  image.finish(ImageBuilder::directory(1));
  image.bytes()[3000] ^= std::byte{1};
  block::MemoryDevice device(image.bytes());
  block::MemoryDevice* devices[] = {&device};
  const auto medium = std::make_unique<TestMedium>();
  // What opening takes, all of it but for the last header, and too little to
  // begin.
  audit::Arena arena(testing::check_memory());
  const std::size_t before = arena.left();
  ASSERT_TRUE(medium->open(devices, arena));
  const std::size_t taken = before - arena.left();
  for (const std::size_t bytes : {taken - 1, std::size_t{1000}}) {
    audit::Arena few(testing::check_memory().first(bytes));
    const auto opened = medium->open(devices, few);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Code::kNoMemory);
  }
}

TEST(Medium, TakesALoneDeviceWithoutAHeaderForAVolume) {
  Sample sample;
  zero_bytes(sample.image.bytes().first(65536));
  Walked walked(sample.image.bytes());
  ASSERT_TRUE(walked.opened);
  EXPECT_TRUE(walked.medium->mended());
  EXPECT_EQ(walked.medium->volumes().info().total_bytes,
            sample.image.bytes().size());
  ASSERT_EQ(walked.record.lines.size(), 1U);
  EXPECT_EQ(walked.record.count("bad"), 1U);
}

TEST(Medium, ReadsWhatIsLeftOfAShortDevice) {
  Sample sample;
  Walked walked(Bytes(sample.image.bytes())
                    .first(sample.file.offset() + format::kInodeBytes));
  ASSERT_TRUE(walked.opened);
  EXPECT_FALSE(walked.medium->mended());
  EXPECT_EQ(walked.record.count("device error"), 1U);
}

TEST(Medium, HasNoHeaderThatIsNotThere) {
  Sample sample;
  Walked walked(sample.image.bytes());
  EXPECT_TRUE(walked.medium->header(0));
  EXPECT_EQ(walked.medium->header(1).error().code, Code::kNotFound);
  EXPECT_EQ(walked.medium->header(17).error().code, Code::kNotFound);
}

// Bytes of headers, inodes and references at random: no crash, no endless walk,
// every enter() with its leave().
TEST(TopologyWalk, IsTotalOnDamagedImages) {
  std::mt19937_64 random(20);  // NOLINT(bugprone-random-generator-seed)
  Sample sample(true);
  const std::size_t used = 5U << 20;
  for (int round = 0; round < 60; ++round) {
    std::vector<std::byte> image(sample.image.storage());
    for (int i = 0; i < 20; ++i) {
      const std::size_t at =
          round % 2 == 0 ? random() % 65536
                         : format::kZoneReserveBytes + random() % (used / 16);
      image[at] = static_cast<std::byte>(random());
    }
    // Without codes all is believed.
    for (std::size_t at = format::kZoneReserveBytes;
         round % 3 == 0 && at < used; at += 128) {
      image[at + 1] = std::byte{0};
    }
    Walked walked(image);
    EXPECT_LT(walked.record.refs.size(), 100000U);
  }
}

}  // namespace
}  // namespace odo::hammer2::inspect
