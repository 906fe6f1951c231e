// SPDX-License-Identifier: BSD-3-Clause
// Shared arrays against plain ones.
#include "lib/platform/sim/shared_array.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

namespace odo::sim {
namespace {

// Where the order says so, the smaller number is the newer one.
struct Order {
  bool turned = false;
  [[nodiscard]] bool by_size(std::uint32_t block) const {
    return !turned || block % 2 == 0;
  }
  [[nodiscard]] bool is_newer(std::uint32_t at, std::uint32_t theirs,
                              std::uint32_t ours) const {
    if (theirs == 0 || ours == 0) return ours == 0;
    return by_size(at / SharedArray::kBlock) ? theirs > ours : theirs < ours;
  }
};

TEST(SharedArrayTest, IsEmptyAtFirst) {
  SharedArray array;
  EXPECT_TRUE(array.empty());
  EXPECT_EQ(array.of(0), 0u);
  EXPECT_EQ(array.of(1'000'000), 0u);
  array.set(1'000'000, 7);
  EXPECT_FALSE(array.empty());
  EXPECT_EQ(array.of(1'000'000), 7u);
  EXPECT_EQ(array.of(999'999), 0u);
  array.clear();
  EXPECT_TRUE(array.empty());
}

TEST(SharedArrayTest, ACopyKeepsWhatItWas) {
  SharedArray array;
  array.set(3, 1);
  array.set(5000, 2);
  const SharedArray copy = array;
  array.set(3, 4);
  array.set(5001, 5);
  EXPECT_EQ(copy.of(3), 1u);
  EXPECT_EQ(copy.of(5000), 2u);
  EXPECT_EQ(copy.of(5001), 0u);
  EXPECT_EQ(array.of(3), 4u);
}

class SharedArrayJoinTest : public ::testing::TestWithParam<bool> {};

TEST_P(SharedArrayJoinTest, DoesWhatPlainArraysDo) {
  constexpr std::uint32_t kLength = 3000;
  constexpr std::size_t kArrays = 6;
  const Order order{GetParam()};
  std::array<SharedArray, kArrays> shared;
  std::array<std::vector<std::uint32_t>, kArrays> plain;
  for (auto& array : plain) array.resize(kLength);
  std::mt19937 random(1);
  for (int step = 0; step < 20'000; ++step) {
    const std::size_t to = random() % kArrays;
    const std::size_t from = random() % kArrays;
    // Mostly low, so that trees differ in height.
    const std::uint32_t range = random() % 4 == 0 ? kLength : 40;
    switch (random() % 16) {
      case 0:
        shared[to] = shared[from];
        plain[to] = plain[from];
        break;
      case 1:
        std::swap(shared[to], shared[from]);
        std::swap(plain[to], plain[from]);
        break;
      case 2:
        if (random() % 8 != 0) break;
        shared[to].clear();
        plain[to].assign(kLength, 0);
        break;
      case 3:
      case 4:
      case 5:
        shared[to].join(shared[from], order);
        for (std::uint32_t i = 0; i < kLength; ++i) {
          if (plain[from][i] != plain[to][i] &&
              order.is_newer(i, plain[from][i], plain[to][i])) {
            plain[to][i] = plain[from][i];
          }
        }
        break;
      default: {
        const std::uint32_t at = static_cast<std::uint32_t>(random()) % range;
        plain[to][at] = static_cast<std::uint32_t>(random() % 100 + 1);
        shared[to].set(at, plain[to][at]);
        break;
      }
    }
    if (step % 16 != 0) continue;
    for (std::uint32_t i = 0; i < kLength; ++i) {
      ASSERT_EQ(shared[to].of(i), plain[to][i]) << step << " at " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Orders, SharedArrayJoinTest, ::testing::Bool());

}  // namespace
}  // namespace odo::sim
