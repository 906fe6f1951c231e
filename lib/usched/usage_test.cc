// SPDX-License-Identifier: BSD-3-Clause
#include "lib/usched/usage.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <random>

namespace odo::usched {
namespace {

TEST(UsageTest, TableIsThePowersOfTheRoot) {
  for (unsigned k = 0; k < kStepsPerHalfLife; ++k) {
    const double exact = std::exp2(32.0 - k / 64.0);
    EXPECT_NEAR(static_cast<double>(detail::kDecay[k]), exact, 64.0) << k;
  }
}

TEST(UsageTest, HalvesEveryHalfLife) {
  for (unsigned halvings = 0; halvings < 40; ++halvings) {
    const std::uint64_t left =
        decayed(1'000'000'000, std::uint64_t{halvings} * kStepsPerHalfLife);
    EXPECT_EQ(left, halvings < 32 ? 1'000'000'000ULL >> halvings : 0ULL);
  }
  EXPECT_EQ(decayed(kFullNs, ~std::uint64_t{0}), 0U);
}

TEST(UsageTest, NeverRisesByWaiting) {
  std::uint64_t before = kFullNs;
  for (std::uint64_t steps = 0; steps < 3000; ++steps) {
    const std::uint64_t now = decayed(kFullNs, steps);
    ASSERT_LE(now, before) << steps;
    before = now;
  }
}

TEST(UsageTest, ConvergesToTheShareThatRuns) {
  for (const std::uint64_t tenths : {1U, 3U, 5U, 10U}) {
    Usage usage;
    std::uint64_t now_ns = 0;
    for (int ms = 0; ms < 10'000; ++ms) {
      now_ns += 1'000'000;
      usage.add(now_ns, tenths * 100'000);
    }
    EXPECT_NEAR(static_cast<double>(usage.share()) / kOne,
                static_cast<double>(tenths) / 10, 0.012);
  }
}

TEST(UsageTest, StaysBelowFullWhateverIsCharged) {
  Usage usage;
  usage.add(0, ~std::uint64_t{0});
  EXPECT_EQ(usage.decayed_ns(), kFullNs);
  usage.add(0, ~std::uint64_t{0});
  EXPECT_EQ(usage.share(), kOne);
}

// U2: only the moment counts, not how often somebody looked.
TEST(UsageTest, LookingOftenChangesLittle) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 200; ++round) {
    Usage seldom;
    seldom.add(0, kFullNs);
    Usage often = seldom;
    std::uint64_t now_ns = 0;
    while (now_ns < 3 * kHalfLifeNs) {
      now_ns += random() % (kHalfLifeNs / 4);
      often.settle(now_ns);
    }
    seldom.settle(now_ns);
    // Each look may round down once.
    EXPECT_NEAR(static_cast<double>(often.decayed_ns()),
                static_cast<double>(seldom.decayed_ns()), 200.0);
  }
}

TEST(UsageTest, AClockThatGoesBackDecaysNothing) {
  Usage usage;
  usage.add(10 * kHalfLifeNs, 1000);
  usage.settle(9 * kHalfLifeNs);
  usage.settle(0);
  EXPECT_EQ(usage.decayed_ns(), 1000U);
  usage.settle(11 * kHalfLifeNs);
  EXPECT_EQ(usage.decayed_ns(), 500U);
}

TEST(UsageTest, AbsorbTakesTheHigherAsOfNow) {
  Usage parent;
  parent.add(0, 100'000);
  Usage child;
  child.add(0, 400'000);
  parent.absorb(kHalfLifeNs, child);
  EXPECT_EQ(parent.decayed_ns(), 200'000U);
  Usage idle;
  parent.absorb(kHalfLifeNs, idle);
  EXPECT_EQ(parent.decayed_ns(), 200'000U);
}

TEST(WeightTest, EightStepsAreATwofold) {
  EXPECT_EQ(weight_of(0), kNiceZeroWeight);
  for (int nice = kMinNice; nice + 8 <= kMaxNice; ++nice) {
    EXPECT_NEAR(weight_of(nice), 2.0 * weight_of(nice + 8), 1.0) << nice;
  }
  for (int nice = kMinNice; nice < kMaxNice; ++nice) {
    EXPECT_GT(weight_of(nice), weight_of(nice + 1)) << nice;
  }
}

TEST(WeightTest, InverseIsTheInverse) {
  for (int nice = kMinNice; nice <= kMaxNice; ++nice) {
    const double product =
        static_cast<double>(weight_of(nice)) * inverse_weight_of(nice);
    EXPECT_NEAR(product / (1024.0 * 1024.0), 1.0, 0.006) << nice;
  }
}

TEST(WeightTest, FairShareIsOne) {
  // Four of nice 0 on one CPU, each with a quarter.
  EXPECT_EQ(relative_share(kOne / 4, 0, std::uint64_t{4} * kNiceZeroWeight),
            kOne);
  // Nice 8 is due a third beside one of nice 0.
  const std::uint64_t load = weight_of(0) + weight_of(8);
  EXPECT_NEAR(static_cast<double>(relative_share(kOne / 3, 8, load)), kOne,
              10.0);
}

TEST(WeightTest, RelativeShareIsCappedWithoutOverflow) {
  EXPECT_EQ(relative_share(kOne, kMaxNice, std::uint64_t{1} << 32), 256 * kOne);
}

}  // namespace
}  // namespace odo::usched
