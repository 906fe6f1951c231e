// SPDX-License-Identifier: BSD-3-Clause
#include "lib/frames/ranges.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

namespace odo::frames {
namespace {

constexpr std::uint64_t kMax = ~std::uint64_t{0};

std::vector<Range> normal(const std::vector<Range>& usable,
                          const std::vector<Range>& reserved = {}) {
  std::vector<Range> out(usable.size() + reserved.size());
  auto count = normalize(usable, reserved, out);
  EXPECT_TRUE(count);
  out.resize(*count);
  return out;
}

TEST(RangesTest, SortsAndJoins) {
  EXPECT_EQ(normal({{0x5000, 0x1000}, {0x1000, 0x2000}, {0x3000, 0x1000}}),
            (std::vector<Range>{{0x1000, 0x3000}, {0x5000, 0x1000}}));
}

TEST(RangesTest, OverlapCountsOnce) {
  EXPECT_EQ(normal({{0x1000, 0x5000}, {0x2000, 0x1000}, {0x4000, 0x4000}}),
            (std::vector<Range>{{0x1000, 0x7000}}));
}

TEST(RangesTest, UsableShrinksAndReservedGrowsToWholeFrames) {
  EXPECT_EQ(normal({{0x0fff, 0x3002}}), (std::vector<Range>{{0x1000, 0x3000}}));
  EXPECT_EQ(normal({{0x1001, 0xffe}}), (std::vector<Range>{}));
  EXPECT_EQ(normal({{0x1000, 0x4000}}, {{0x2fff, 2}}),
            (std::vector<Range>{{0x1000, 0x1000}, {0x4000, 0x1000}}));
}

TEST(RangesTest, ReservedWins) {
  EXPECT_EQ(normal({{0, 0xa000}}, {{0x2000, 0x1000}, {0x2000, 0x3000}, {0, 1}}),
            (std::vector<Range>{{0x1000, 0x1000}, {0x5000, 0x5000}}));
  EXPECT_EQ(normal({{0x1000, 0x1000}}, {{0, kMax}}), (std::vector<Range>{}));
}

TEST(RangesTest, EmptyAndImpossibleSizes) {
  EXPECT_EQ(normal({}), (std::vector<Range>{}));
  EXPECT_EQ(normal({{0x1000, 0}}), (std::vector<Range>{}));
  EXPECT_EQ(normal({{0x1000, 0x1000}}, {{0x1800, 0}}),
            (std::vector<Range>{{0x1000, 0x1000}}));
  // Past the end of the address space: cut, the last frame given up.
  EXPECT_EQ(normal({{kMax - 0x3fff, kMax}}),
            (std::vector<Range>{{kMax - 0x3fff, 0x3000}}));
  EXPECT_EQ(normal({{kMax, kMax}}), (std::vector<Range>{}));
  EXPECT_EQ(normal({{kMax - 100, 50}}), (std::vector<Range>{}));
  EXPECT_EQ(normal({{0x1000, 0x1000}}, {{kMax - 5, kMax}}),
            (std::vector<Range>{{0x1000, 0x1000}}));
  EXPECT_EQ(normal({{0, kMax}}),
            (std::vector<Range>{{0, kMax - kFrameBytes + 1}}));
}

TEST(RangesTest, TooShortAnOutputIsTold) {
  std::array<Range, 2> usable{Range{0, 0x1000}, Range{0x2000, 0x1000}};
  std::array<Range, 1> out{};
  EXPECT_EQ(normalize(usable, {}, out), fail(Error::kTooManyRanges));
}

TEST(RangesTest, RandomMapsAgreeWithAFramewiseModel) {
  constexpr std::uint64_t kFrames = 64;
  std::mt19937 random(1);
  for (int round = 0; round < 3000; ++round) {
    auto some = [&] {
      std::vector<Range> ranges(random() % 8);
      for (Range& range : ranges) {
        range = {random() % (kFrames * kFrameBytes),
                 random() % (12 * kFrameBytes)};
        if (random() % 2) range.base_bytes &= ~(kFrameBytes - 1);
        if (random() % 2) range.size_bytes &= ~(kFrameBytes - 1);
      }
      return ranges;
    };
    std::vector<Range> usable = some();
    std::vector<Range> reserved = some();
    std::vector<Range> got = normal(usable, reserved);
    for (std::size_t i = 0; i < got.size(); ++i) {
      ASSERT_GT(got[i].size_bytes, 0u);
      ASSERT_EQ((got[i].base_bytes | got[i].size_bytes) % kFrameBytes, 0u);
      if (i > 0) {
        ASSERT_GT(got[i].base_bytes,
                  got[i - 1].base_bytes + got[i - 1].size_bytes);
      }
    }
    for (std::uint64_t f = 0; f < kFrames + 13; ++f) {
      std::uint64_t low = f * kFrameBytes;
      std::uint64_t high = low + kFrameBytes;
      bool want = false;
      for (const Range& r : usable) {
        want |= r.base_bytes <= low && high <= r.base_bytes + r.size_bytes;
      }
      for (const Range& r : reserved) {
        want &= r.size_bytes == 0 || r.base_bytes + r.size_bytes <= low ||
                high <= r.base_bytes;
      }
      bool have = false;
      for (const Range& r : got) {
        have |= r.base_bytes <= low && high <= r.base_bytes + r.size_bytes;
      }
      ASSERT_EQ(have, want) << "frame " << f << " round " << round;
    }
  }
}

}  // namespace
}  // namespace odo::frames
