// SPDX-License-Identifier: BSD-3-Clause
#include "lib/base/mix.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>

namespace odo {
namespace {

// The generator's published first numbers, from 0.
TEST(MixTest, StepsAsSplitMix64Does) {
  std::uint64_t state = 0;
  EXPECT_EQ(mix(state += kMixStep), 0xe220a8397b1dcdafU);
  EXPECT_EQ(mix(state += kMixStep), 0x6e789e6aa1b965f4U);
  EXPECT_EQ(mix(state += kMixStep), 0x06c45d188009454fU);
}

TEST(MixTest, ImagesDiffer) {
  std::set<std::uint64_t> images;
  for (std::uint64_t i = 0; i < 10'000; ++i) images.insert(mix(i));
  EXPECT_EQ(images.size(), 10'000U);
}

}  // namespace
}  // namespace odo
