// SPDX-License-Identifier: BSD-3-Clause
#include "lib/kmalloc/size_class.h"

#include <gtest/gtest.h>

#include "lib/base/bits.h"
#include "lib/kmalloc/run_mask.h"

namespace odo::kmalloc {
namespace {

TEST(SizeClassTest, EachSizeIsInTheSmallestClassThatHoldsIt) {
  for (std::size_t bytes = 0; bytes <= kMaxSmallBytes; ++bytes) {
    const std::uint32_t cls = class_of(bytes);
    ASSERT_LT(cls, kClasses);
    ASSERT_GE(class_bytes(cls), bytes);
    if (cls != 0) {
      ASSERT_LT(class_bytes(cls - 1), bytes);
    }
    const std::size_t asked = align_up(bytes == 0 ? 1 : bytes, 8);
    ASSERT_LE(class_bytes(cls) - asked, class_bytes(cls) / 8) << bytes;
  }
}

TEST(SizeClassTest, AlignedSizesAreInClassesThatKeepTheAlignment) {
  for (std::size_t alignment = 1; alignment <= kMaxSmallBytes; alignment *= 2) {
    for (std::size_t bytes = 0; bytes <= kMaxSmallBytes; ++bytes) {
      const std::size_t rounded = aligned_bytes(bytes, alignment);
      ASSERT_GE(rounded, bytes);
      if (rounded > kMaxSmallBytes) continue;
      const ClassInfo& info = kClassInfo[class_of(rounded)];
      if (alignment <= 8) continue;
      ASSERT_EQ(info.bytes % alignment, 0) << bytes << " at " << alignment;
      ASSERT_EQ(info.first_bytes % alignment, 0);
    }
  }
}

TEST(SizeClassTest, SlabsWasteLittle) {
  for (const ClassInfo& info : kClassInfo) {
    const std::size_t slab = info.units * kUnitBytes;
    const std::size_t used = std::size_t{info.objects} * info.bytes;
    EXPECT_LE(used + info.first_bytes, slab);
    EXPECT_LE(slab - used, slab / 8) << info.bytes;
    const std::size_t words =
        info.first_bytes == 0 ? kBitWords : kBitWordsInFront;
    EXPECT_LE(info.objects, words * 64) << info.bytes;
    // Every object is found by its address.
    for (std::uint64_t i = 0; i < info.objects; ++i) {
      ASSERT_EQ(i * info.bytes * info.reciprocal >> 32, i);
    }
  }
}

// The last page is no object's, and nothing else is different.
TEST(SizeClassTest, GuardedSlabsEndAPageEarlier) {
  for (std::size_t cls = 0; cls < kClasses; ++cls) {
    const ClassInfo& info = kGuardedClassInfo[cls];
    const ClassInfo& plain = kClassInfo[cls];
    const std::size_t used =
        info.first_bytes + std::size_t{info.objects} * info.bytes;
    EXPECT_LE(used + kPageBytes, info.units * kUnitBytes) << info.bytes;
    EXPECT_GT(used + kPageBytes + info.bytes, info.units * kUnitBytes);
    EXPECT_EQ(info.units, plain.units);
    EXPECT_EQ(info.first_bytes, plain.first_bytes);
    EXPECT_EQ(info.most_entries, plain.most_entries);
  }
}

TEST(RunMaskTest, FindsRunsAcrossWords) {
  RunMask<256> mask;
  EXPECT_TRUE(mask.empty());
  EXPECT_EQ(mask.find(1, 1), 256);
  mask.set(60, 70);
  EXPECT_EQ(mask.count(0, 256), 70);
  EXPECT_EQ(mask.find(70, 1), 60);
  EXPECT_EQ(mask.find(71, 1), 256);
  EXPECT_EQ(mask.find(66, 64), 64);
  EXPECT_EQ(mask.find(67, 64), 256);
  EXPECT_EQ(mask.length(100), 30);
  EXPECT_TRUE(mask.has_all(60, 70));
  EXPECT_FALSE(mask.has_all(60, 71));
  EXPECT_FALSE(mask.has_all(59, 2));
  EXPECT_TRUE(mask.has_all(255, 0));
  mask.clear(64, 64);
  EXPECT_EQ(mask.count(0, 256), 6);
  EXPECT_EQ(mask.find(3, 1), 60);
  EXPECT_TRUE(mask.test(129));
  EXPECT_FALSE(mask.test(130));
  mask.set(0, 256);
  EXPECT_EQ(mask.find(256, 256), 0);
}

}  // namespace
}  // namespace odo::kmalloc
