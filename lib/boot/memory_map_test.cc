// SPDX-License-Identifier: BSD-3-Clause
#include "lib/boot/memory_map.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace odo::boot {
namespace {

constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 52;

std::vector<MemoryRange> ranges_of(const MemoryMap& map) {
  return {map.ranges().begin(), map.ranges().end()};
}

TEST(MemoryMapTest, SortsAndMergesNeighboursOfOneKind) {
  MemoryMap map;
  ASSERT_TRUE(map.add(0x3000, 0x1000, MemoryKind::kUsable));
  ASSERT_TRUE(map.add(0x1000, 0x1000, MemoryKind::kUsable));
  ASSERT_TRUE(map.add(0x2000, 0x1000, MemoryKind::kUsable));
  ASSERT_TRUE(map.add(0x4000, 0x1000, MemoryKind::kReserved));
  ASSERT_TRUE(map.normalise(kNoLimit));
  EXPECT_EQ(ranges_of(map), (std::vector<MemoryRange>{
                                {0x1000, 0x4000, MemoryKind::kUsable},
                                {0x4000, 0x5000, MemoryKind::kReserved}}));
  EXPECT_EQ(map.usable_bytes(), 0x3000u);
}

TEST(MemoryMapTest, StrongerClaimWinsWhereRangesOverlap) {
  MemoryMap map;
  ASSERT_TRUE(map.add(0x1000, 0x9000, MemoryKind::kUsable));
  ASSERT_TRUE(map.add(0x3000, 0x2000, MemoryKind::kReserved));
  ASSERT_TRUE(map.add(0x4000, 0x3000, MemoryKind::kAcpiNvs));
  ASSERT_TRUE(map.normalise(kNoLimit));
  EXPECT_EQ(ranges_of(map),
            (std::vector<MemoryRange>{{0x1000, 0x3000, MemoryKind::kUsable},
                                      {0x3000, 0x5000, MemoryKind::kReserved},
                                      {0x5000, 0x7000, MemoryKind::kAcpiNvs},
                                      {0x7000, 0xa000, MemoryKind::kUsable}}));
}

TEST(MemoryMapTest, UsableShrinksAndReservedGrowsToPages) {
  MemoryMap map;
  ASSERT_TRUE(map.add(0x1001, 0x3fff, MemoryKind::kUsable));  // to 0x5000
  ASSERT_TRUE(map.add(0x3fff, 2, MemoryKind::kReserved));     // two pages
  ASSERT_TRUE(map.add(0x9001, 0xffe, MemoryKind::kUsable));   // no whole page
  ASSERT_TRUE(map.normalise(kNoLimit));
  EXPECT_EQ(ranges_of(map), (std::vector<MemoryRange>{
                                {0x2000, 0x3000, MemoryKind::kUsable},
                                {0x3000, 0x5000, MemoryKind::kReserved}}));
}

TEST(MemoryMapTest, ClipsAtTheLimitAndAtTheEndOfAddresses) {
  MemoryMap map;
  ASSERT_TRUE(map.add(0, std::numeric_limits<std::uint64_t>::max(),
                      MemoryKind::kUsable));
  ASSERT_TRUE(map.add(0xfffffffffffff000, 0x2000, MemoryKind::kReserved));
  ASSERT_TRUE(map.normalise(0x100000));
  EXPECT_EQ(ranges_of(map),
            (std::vector<MemoryRange>{{0, 0x100000, MemoryKind::kUsable}}));
}

TEST(MemoryMapTest, RefusesMoreRangesThanItHolds) {
  MemoryMap map;
  for (std::size_t i = 0; i < MemoryMap::kMaxRanges; ++i) {
    ASSERT_TRUE(map.add(i * 0x2000, 0x1000, MemoryKind::kUsable));
  }
  EXPECT_TRUE(map.add(0, 0, MemoryKind::kUsable)) << "empty ranges are free";
  EXPECT_FALSE(map.add(0, 1, MemoryKind::kUsable));
  EXPECT_TRUE(map.normalise(kNoLimit));
  EXPECT_EQ(map.ranges().size(), MemoryMap::kMaxRanges);
}

TEST(MemoryMapTest, PiecesThatDoNotFitGiveAnEmptyMap) {
  MemoryMap map;
  ASSERT_TRUE(map.add(0, 0x10000000, MemoryKind::kUsable));
  for (std::size_t i = 1; i < MemoryMap::kMaxRanges; ++i) {
    ASSERT_TRUE(map.add(i * 0x2000, 0x1000, MemoryKind::kReserved));
  }
  EXPECT_FALSE(map.normalise(kNoLimit));
  EXPECT_TRUE(map.ranges().empty());
}

// Against a model that decides page by page.
TEST(MemoryMapTest, AgreesWithAPageByPageModel) {
  constexpr std::uint64_t kPages = 64;
  for (unsigned seed = 0; seed < 2000; ++seed) {
    std::mt19937_64 random(seed);
    MemoryMap map;
    std::vector<int> model(kPages, -1);
    std::vector<bool> touched(kPages, false);
    const unsigned count = 1 + random() % 12;
    std::vector<MemoryRange> raw;
    for (unsigned i = 0; i < count; ++i) {
      const std::uint64_t base = random() % (kPages * 4096);
      const std::uint64_t length = random() % (16 * 4096);
      const auto kind = static_cast<MemoryKind>(random() % 5);
      ASSERT_TRUE(map.add(base, length, kind));
      if (length != 0) raw.push_back({base, base + length, kind});
    }
    for (std::uint64_t page = 0; page < kPages; ++page) {
      const std::uint64_t from = page * 4096;
      const std::uint64_t to = from + 4096;
      for (const MemoryRange& range : raw) {
        const bool claims = range.kind == MemoryKind::kUsable
                                ? range.base <= from && to <= range.end
                                : range.base < to && from < range.end;
        if (claims) {
          model[page] = std::max(model[page], static_cast<int>(range.kind));
        }
      }
    }
    ASSERT_TRUE(map.normalise(kPages * 4096));
    std::vector<int> result(kPages, -1);
    std::uint64_t last_end = 0;
    MemoryKind last_kind = MemoryKind::kBad;
    for (const MemoryRange& range : map.ranges()) {
      ASSERT_LT(range.base, range.end);
      ASSERT_GE(range.base, last_end);
      ASSERT_TRUE(range.base != last_end || range.kind != last_kind ||
                  last_end == 0)
          << "neighbours of one kind are merged";
      for (std::uint64_t p = range.base / 4096; p < range.end / 4096; ++p) {
        result[p] = static_cast<int>(range.kind);
      }
      last_end = range.end;
      last_kind = range.kind;
    }
    ASSERT_EQ(result, model) << "seed " << seed;
  }
}

}  // namespace
}  // namespace odo::boot
