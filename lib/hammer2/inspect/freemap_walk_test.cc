// SPDX-License-Identifier: BSD-3-Clause
#include "lib/hammer2/inspect/freemap_walk.h"

#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "lib/block/memory_device.h"
#include "lib/hammer2/inspect/medium.h"
#include "lib/hammer2/testing/image_builder.h"
#include "lib/hammer2/testing/run_check.h"

namespace odo::hammer2::inspect {
namespace {

using format::FreemapState;
using testing::ImageBuilder;

struct Surveyed {
  FreemapTotals totals;
  std::vector<FreemapSpan> spans;

  explicit Surveyed(Bytes image) {
    block::MemoryDevice device(image);
    block::MemoryDevice* devices[] = {&device};
    audit::Arena arena(testing::check_memory());
    auto medium = std::make_unique<Medium<block::MemoryDevice>>();
    if (!medium->open(devices, arena)) return;
    FreemapWalk walk(medium->volumes(), medium->reader());
    EXPECT_TRUE(walk.init(arena));
    const auto header = medium->header(0);
    if (!header) return;
    totals = walk.run(*header,
                      [&](const FreemapSpan& span) { spans.push_back(span); });
    // Every byte is of one kind.
    std::uint64_t sum = totals.fixed_bytes + totals.unknown_bytes;
    for (const std::uint64_t bytes : totals.bytes) sum += bytes;
    EXPECT_EQ(sum, spans.size() * FreemapSpan::kBytes);
    EXPECT_EQ(sum, medium->volumes().info().total_bytes);
  }
};

constexpr std::uint64_t kMib = std::uint64_t{1} << 20;

TEST(FreemapWalk, TellsEverySpanAndCounts) {
  ImageBuilder image(16 * kMib);
  image.make_freemap();
  image.finish(ImageBuilder::directory(1));  // two blocks: one unit
  const Surveyed surveyed(image.bytes());
  ASSERT_EQ(surveyed.spans.size(), 4U);
  EXPECT_EQ(surveyed.spans[0].kind, SpanKind::kFixed);
  EXPECT_EQ(surveyed.spans[1].kind, SpanKind::kSpoken);
  EXPECT_EQ(surveyed.spans[1].offset, 4 * kMib);
  EXPECT_EQ(surveyed.spans[1].in(FreemapState::kAllocated), 1U);
  EXPECT_EQ(surveyed.spans[1].in(FreemapState::kFree), 255U);
  const FreemapTotals& totals = surveyed.totals;
  EXPECT_EQ(totals.fixed_bytes, 4 * kMib);
  EXPECT_EQ(totals.bytes[3], 16384U);
  EXPECT_EQ(totals.bytes[0], 12 * kMib - 16384);
  EXPECT_EQ(totals.longest_run_bytes, 12 * kMib - 16384);
  EXPECT_EQ(totals.runs[23], 1U);
  EXPECT_EQ(std::accumulate(totals.runs.begin(), totals.runs.end(), 0U), 1U);
  EXPECT_EQ(totals.fill[0], 3U);
  EXPECT_EQ(totals.leaves, 1U);
  EXPECT_EQ(totals.bad_blocks, 0U);
}

TEST(FreemapWalk, TellsStatesAndRunsOfFreeSpace) {
  ImageBuilder image;
  image.make_freemap();
  image.finish(ImageBuilder::directory(1));
  // Used, perhaps free, free, reserved, and free to the end.
  format::BmapData entry = {};
  entry.bitmap[0] = 0b01'00'10'11;
  entry.alloc_class = 0x0110;
  copy_bytes(image.bytes().subspan(ImageBuilder::kFreemapLeaf + sizeof entry,
                                   sizeof entry),
             bytes_of(entry));
  image.seal_freemap();
  const Surveyed surveyed(image.bytes());
  ASSERT_EQ(surveyed.spans.size(), 2U);
  for (const FreemapState state :
       {FreemapState::kReserved, FreemapState::kMaybeFree,
        FreemapState::kAllocated}) {
    EXPECT_EQ(surveyed.spans[1].in(state), 1U);
  }
  EXPECT_EQ(surveyed.spans[1].given_to(), format::BlockType::kInode);
  EXPECT_EQ(surveyed.totals.runs[14], 1U);  // 16 KiB
  EXPECT_EQ(surveyed.totals.runs[21], 1U);  // 252 units
  EXPECT_EQ(surveyed.totals.classes[1], 1U);
}

TEST(FreemapWalk, TakesSpaceWithoutALeafForFree) {
  ImageBuilder image(16 * kMib);
  image.finish(ImageBuilder::directory(1));
  const Surveyed surveyed(image.bytes());
  EXPECT_EQ(surveyed.totals.unmade_bytes, 12 * kMib);
  EXPECT_EQ(surveyed.totals.bytes[0], 12 * kMib);
}

TEST(FreemapWalk, SaysThatABadLeafsSpaceIsUnknown) {
  ImageBuilder image(16 * kMib);
  image.make_freemap();
  image.finish(ImageBuilder::directory(1));
  image.bytes()[ImageBuilder::kFreemapLeaf] ^= std::byte{1};
  const Surveyed surveyed(image.bytes());
  EXPECT_EQ(surveyed.totals.unknown_bytes, 12 * kMib);
  EXPECT_EQ(surveyed.totals.bad_blocks, 1U);
  ASSERT_TRUE(surveyed.totals.first_bad);
  EXPECT_EQ(surveyed.totals.first_bad->code, Code::kCheckMismatch);
}

TEST(FreemapWalk, IsTotalOnDamagedFreemaps) {
  std::mt19937_64 random(3);  // NOLINT(bugprone-random-generator-seed)
  for (int round = 0; round < 60; ++round) {
    ImageBuilder image(16 * kMib);
    image.make_freemap();
    image.finish(ImageBuilder::directory(1));
    for (int i = 0; i < 3; ++i) {
      auto& ref = image.header().freemap_blockset.refs[random() % 4];
      reinterpret_cast<std::byte*>(&ref)[random() % 48] =
          static_cast<std::byte>(random());
      image.bytes()[ImageBuilder::kFreemapLeaf + random() % 32768] =
          static_cast<std::byte>(random());
    }
    image.header().freemap_blockset.refs[0].methods = 0;
    image.store_header(0);
    (void)Surveyed(image.bytes());
  }
}

}  // namespace
}  // namespace odo::hammer2::inspect
