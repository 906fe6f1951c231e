// SPDX-License-Identifier: BSD-3-Clause
#include "lib/base/calendar.h"

#include <gtest/gtest.h>
#include <time.h>

#include <cstdint>
#include <random>

namespace odo {
namespace {

void expect_same(std::uint64_t seconds) {
  auto when = static_cast<time_t>(seconds);
  tm want{};
  ASSERT_NE(gmtime_r(&when, &want), nullptr);
  Moment got = moment_of(seconds * 1'000'000 + 123'456);
  ASSERT_EQ(got.year, static_cast<std::uint64_t>(want.tm_year) + 1900);
  ASSERT_EQ(got.month, static_cast<unsigned>(want.tm_mon) + 1);
  ASSERT_EQ(got.day, static_cast<unsigned>(want.tm_mday));
  ASSERT_EQ(got.hour, static_cast<unsigned>(want.tm_hour));
  ASSERT_EQ(got.minute, static_cast<unsigned>(want.tm_min));
  ASSERT_EQ(got.second, static_cast<unsigned>(want.tm_sec));
  ASSERT_EQ(got.microsecond, 123'456u);
  ASSERT_EQ(us_of(got), seconds * 1'000'000 + 123'456);
}

TEST(CalendarTest, EveryDayOfEightCenturiesAgreesWithTheCLibrary) {
  for (std::uint64_t day = 0; day < 146'097 * 2; ++day) {
    expect_same(day * 86'400 + day % 86'400);
  }
}

TEST(CalendarTest, AnyMomentAgreesWithTheCLibrary) {
  std::mt19937_64 random(9);
  for (int i = 0; i < 100'000; ++i) {
    expect_same(random() % (~std::uint64_t{0} / 1'000'000));
  }
  Moment last = moment_of(~std::uint64_t{0});
  EXPECT_EQ(last.year, 586'524u);
}

}  // namespace
}  // namespace odo
