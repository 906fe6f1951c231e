// SPDX-License-Identifier: BSD-3-Clause
#include "lib/hammer2/read_ahead.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "lib/block/memory_device.h"
#include "lib/hammer2/filesystem.h"
#include "lib/hammer2/testing/image_builder.h"

namespace odo::hammer2::testing {
namespace {

using Range = ReadAhead::Range;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kPiece = std::uint64_t{128} << 10;
constexpr std::uint64_t kWindow = ReadAhead::kWindowBytes;
constexpr Range kNothing = {};

// --- What is decided ---------------------------------------------------------

TEST(ReadAheadTest, TellsOfWhatFollowsTwoReadsEndToEnd) {
  ReadAhead ahead;
  EXPECT_EQ(ahead.on_read(1, 0, kPiece, 100 * kMiB), kNothing);
  EXPECT_EQ(ahead.on_read(1, kPiece, kPiece, 100 * kMiB),
            (Range{2 * kPiece, 2 * kPiece + kWindow}));
}

// Everything behind the second read is told once, in order, never further ahead
// than the window, and never less than half of it.
TEST(ReadAheadTest, KeepsTheQueueFull) {
  ReadAhead ahead;
  constexpr std::uint64_t kSize = 20 * kMiB + 1234;
  std::uint64_t told = 2 * kPiece;
  for (std::uint64_t at = 0; at < kSize; at += kPiece) {
    const std::uint64_t length = std::min(kPiece, kSize - at);
    const Range range = ahead.on_read(7, at, length, kSize);
    if (range != kNothing) {
      EXPECT_EQ(range.begin, told);
      EXPECT_GE(range.end - range.begin, std::min(kWindow / 2, kSize - told));
      told = range.end;
    }
    EXPECT_LE(told, std::max(at + length, std::uint64_t{2} * kPiece) + kWindow);
    if (at != 0) {
      EXPECT_GE(told, std::min(at + length + kWindow / 2, kSize));
    }
  }
  EXPECT_EQ(told, kSize);
}

TEST(ReadAheadTest, RandomReadsHaveNothingTold) {
  ReadAhead ahead;
  std::mt19937_64 random(1);
  unsigned told = 0;
  for (int i = 0; i < 10000; ++i) {
    const std::uint64_t at = random() % (1000 * kMiB);
    if (ahead.on_read(1, at, 4096, 1001 * kMiB) != kNothing) ++told;
  }
  EXPECT_EQ(told, 0U);
  // Nor has a walk from the end.
  for (std::uint64_t at = 100 * kMiB; at != 0; at -= kPiece) {
    EXPECT_EQ(ahead.on_read(2, at, kPiece, 101 * kMiB), kNothing);
  }
  // Nor the same again and again.
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(ahead.on_read(3, 4096, 4096, kMiB), kNothing);
  }
}

// Of the requests of one program a reader may see every second one.
TEST(ReadAheadTest, BearsGapsAndLateReads) {
  ReadAhead ahead;
  EXPECT_EQ(ahead.on_read(1, 0, kPiece, 100 * kMiB), kNothing);
  EXPECT_EQ(ahead.on_read(1, 2 * kPiece, kPiece, 100 * kMiB), kNothing);
  EXPECT_EQ(ahead.on_read(1, kPiece, kPiece, 100 * kMiB), kNothing);
  EXPECT_EQ(ahead.on_read(1, 4 * kPiece, kPiece, 100 * kMiB),
            (Range{5 * kPiece, 5 * kPiece + kWindow}));
  EXPECT_EQ(ahead.on_read(1, 3 * kPiece, kPiece, 100 * kMiB), kNothing);
}

TEST(ReadAheadTest, RemembersSeveralFiles) {
  ReadAhead ahead;
  const auto step = [&](std::uint64_t file, std::uint64_t piece) {
    return ahead.on_read(file, piece * kPiece, kPiece, 100 * kMiB) != kNothing;
  };
  for (std::uint64_t file = 1; file <= ReadAhead::kStreams; ++file) {
    EXPECT_FALSE(step(file, 0));
  }
  for (std::uint64_t file = 1; file <= ReadAhead::kStreams; ++file) {
    EXPECT_TRUE(step(file, 1));
  }
  // One more: the file unused longest is forgotten.
  EXPECT_FALSE(step(100, 0));
  EXPECT_FALSE(step(1, 2));
  EXPECT_TRUE(step(100, 1));
}

TEST(ReadAheadTest, HugeOffsetsDontOverflow) {
  ReadAhead ahead;
  constexpr std::uint64_t kSize = ~std::uint64_t{0};
  EXPECT_EQ(ahead.on_read(1, kSize - 20, 10, kSize), kNothing);
  EXPECT_EQ(ahead.on_read(1, kSize - 10, 5, kSize), (Range{kSize - 5, kSize}));
  EXPECT_EQ(ahead.on_read(1, kSize - 5, 5, kSize), kNothing);
  EXPECT_EQ(ahead.on_read(1, 0, 5, kSize), kNothing);
}

// --- What the device hears ---------------------------------------------------

struct Heard {
  std::uint64_t offset;
  std::uint64_t length;
  std::size_t reads_before;
};

class ListeningDevice {
 public:
  explicit ListeningDevice(Bytes bytes) : inner_(bytes) {}

  [[nodiscard]] std::uint64_t size_bytes() const { return inner_.size_bytes(); }
  [[nodiscard]] std::uint32_t block_bytes() const {
    return inner_.block_bytes();
  }
  [[nodiscard]] block::Result<void> read(std::uint64_t offset,
                                         MutableBytes to) {
    reads.push_back(offset);
    return inner_.read(offset, to);
  }
  void will_read(std::uint64_t offset, std::uint64_t length) {
    EXPECT_LE(offset + length, size_bytes());
    hints.push_back({offset, length, reads.size()});
  }
  [[nodiscard]] bool heard_of(std::uint64_t offset) const {
    return std::any_of(hints.begin(), hints.end(), [&](const Heard& heard) {
      return offset >= heard.offset && offset < heard.offset + heard.length;
    });
  }

  std::vector<std::uint64_t> reads;
  std::vector<Heard> hints;

 private:
  block::MemoryDevice inner_;
};

static_assert(block::PrefetchingDevice<ListeningDevice>);
static_assert(!block::PrefetchingDevice<block::MemoryDevice>);

// A file of 64 KiB blocks, with something between them on media now and then.
struct Opened {
  explicit Opened(std::size_t blocks) : size(blocks * 65536) {
    Inode root = ImageBuilder::directory(1);
    Inode big = ImageBuilder::file(1024, size);
    std::string content(65536, 'x');
    std::vector<Blockref> refs;
    for (std::size_t i = 0; i < blocks; ++i) {
      content[0] = static_cast<char>(i);
      refs.push_back(
          image.put(BlockType::kData, as_bytes(content), i * 65536, 16));
      offsets.push_back(refs.back().offset());
      if (i % 5 == 4) image.put(BlockType::kData, as_bytes(content), 0, 16);
    }
    image.attach(big, refs);
    image.attach(root, {image.indexed(big)});
    image.finish(root);
    ListeningDevice* devices[] = {&device};
    EXPECT_TRUE(fs.open(devices, memory));
    Pfs pfs;
    EXPECT_TRUE(fs.default_pfs(pfs));
    Node top;
    EXPECT_TRUE(fs.root(pfs, top));
    EXPECT_TRUE(fs.node_by_inum(top, 1024, file));
  }

  void read(std::uint64_t offset, std::size_t length) {
    std::vector<std::byte> to(length);
    const auto got = fs.read(file, offset, to);
    ASSERT_TRUE(got);
    ASSERT_EQ(*got, std::min<std::uint64_t>(length, size - offset));
  }

  ImageBuilder image{std::uint64_t{32} << 20};
  std::vector<std::uint64_t> offsets;  // of the file's blocks on media
  std::size_t size;
  ListeningDevice device{image.bytes()};
  std::vector<std::byte> memory = std::vector<std::byte>(std::size_t{4} << 20);
  FileSystem<ListeningDevice> fs;
  Node file;
};

TEST(ReadAheadTest, TheDeviceHearsOfBlocksBeforeTheyAreRead) {
  Opened at(100);
  for (std::uint64_t offset = 0; offset < at.size; offset += kPiece) {
    at.read(offset, kPiece);
  }
  // All but the first two reads' blocks, each before it was read.
  for (std::size_t i = 4; i < at.offsets.size(); ++i) {
    const auto read = std::find(at.device.reads.begin(), at.device.reads.end(),
                                at.offsets[i]);
    ASSERT_NE(read, at.device.reads.end());
    const auto when = static_cast<std::size_t>(read - at.device.reads.begin());
    unsigned times = 0;
    for (const Heard& heard : at.device.hints) {
      if (at.offsets[i] < heard.offset ||
          at.offsets[i] >= heard.offset + heard.length) {
        continue;
      }
      ++times;
      EXPECT_LE(heard.reads_before, when);
      // Within the window: a block a read, and a few of the tree.
      EXPECT_LE(when - heard.reads_before, kWindow / 65536 + 4);
    }
    EXPECT_EQ(times, 1U) << i;
  }
  // Neighbours on media in one word.
  EXPECT_LT(at.device.hints.size(), 40U);
}

TEST(ReadAheadTest, TheDeviceHearsNothingOfRandomReads) {
  Opened at(100);
  for (std::size_t i = 0; i < 100; ++i) {  // each once
    at.read(i * 37 % 100 * 65536, 4096);
  }
  EXPECT_TRUE(at.device.hints.empty());
}

TEST(ReadAheadTest, TheDeviceHearsNothingOfCachedBlocks) {
  constexpr std::uint64_t kHalf = 32768;  // whole blocks aren't cached
  Opened at(40);
  std::size_t before = 0;
  for (int i = 0; i < 2; ++i) {
    before = at.device.hints.size();
    for (std::uint64_t offset = 0; offset < at.size; offset += kHalf) {
      at.read(offset, kHalf);
    }
  }
  EXPECT_GT(before, 0U);
  EXPECT_EQ(at.device.hints.size(), before);
}

}  // namespace
}  // namespace odo::hammer2::testing
