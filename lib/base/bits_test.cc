// SPDX-License-Identifier: BSD-3-Clause
#include "lib/base/bits.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace odo {
namespace {

constexpr std::uint64_t kMax64 = std::numeric_limits<std::uint64_t>::max();

TEST(BitsTest, PowersOfTwo) {
  EXPECT_FALSE(is_power_of_two(0u));
  for (unsigned bit = 0; bit < 64; ++bit) {
    std::uint64_t power = std::uint64_t{1} << bit;
    EXPECT_TRUE(is_power_of_two(power));
    if (bit > 0) EXPECT_FALSE(is_power_of_two(power + 1));
    if (bit > 1) EXPECT_FALSE(is_power_of_two(power - 1));
  }
}

TEST(BitsTest, AlignmentAgreesWithDivision) {
  for (unsigned v = 0; v <= 255; ++v) {
    auto value = static_cast<std::uint8_t>(v);
    for (unsigned a = 1; a <= 128; a *= 2) {
      auto alignment = static_cast<std::uint8_t>(a);
      EXPECT_EQ(align_down(value, alignment), v / a * a);
      EXPECT_EQ(is_aligned(value, alignment), v % a == 0);
      if ((v + a - 1) / a * a <= 255) {
        EXPECT_EQ(align_up(value, alignment), (v + a - 1) / a * a);
      }
    }
  }
  EXPECT_EQ(align_up(kMax64 - 4095, 4096u), kMax64 - 4095);
  EXPECT_EQ(align_down(kMax64, std::uint64_t{1} << 63), std::uint64_t{1} << 63);
}

TEST(BitsTest, CheckedSumsAndProductsAgreeWithWiderOnes) {
  for (unsigned a = 0; a <= 255; ++a) {
    for (unsigned b = 0; b <= 255; ++b) {
      auto x = static_cast<std::uint8_t>(a);
      auto y = static_cast<std::uint8_t>(b);
      auto sum = checked_add(x, y);
      ASSERT_EQ(sum.has_value(), a + b <= 255);
      if (sum) ASSERT_EQ(*sum, a + b);
      auto product = checked_mul(x, y);
      ASSERT_EQ(product.has_value(), a * b <= 255);
      if (product) ASSERT_EQ(*product, a * b);
    }
  }
  EXPECT_EQ(checked_add(kMax64, 1u), std::nullopt);
  EXPECT_EQ(checked_add(kMax64, 0u), kMax64);
  EXPECT_EQ(checked_mul(std::uint64_t{1} << 32, std::uint64_t{1} << 32),
            std::nullopt);
}

TEST(BitsTest, RangeInsideNeverOverflows) {
  for (std::uint64_t offset = 0; offset < 12; ++offset) {
    for (std::uint64_t length = 0; length < 12; ++length) {
      for (std::uint64_t size = 0; size < 12; ++size) {
        EXPECT_EQ(range_inside(offset, length, size), offset + length <= size);
      }
    }
  }
  EXPECT_FALSE(range_inside(kMax64, 2, 10));
  EXPECT_FALSE(range_inside(2, kMax64, 10));
  EXPECT_FALSE(range_inside(kMax64, kMax64, kMax64));
  EXPECT_TRUE(range_inside(kMax64, 0, kMax64));
  EXPECT_TRUE(range_inside(0, kMax64, kMax64));
}

#if !defined(NDEBUG)
TEST(BitsDeathTest, ImpossibleAlignmentsStopInDebugBuilds) {
  EXPECT_DEATH((void)align_down(5u, 3), "");
  EXPECT_DEATH((void)align_up(kMax64, 4096), "");
}
#endif

}  // namespace
}  // namespace odo
