// SPDX-License-Identifier: BSD-3-Clause
#include "lib/rtc/mc146818.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <random>

namespace odo::rtc {
namespace {

// A clock with modes of its own, which may count on while it is read.
class SimClock {
 public:
  SimClock(Moment at, bool is_binary, bool is_24) : at_(at) {
    modes_ = static_cast<std::uint8_t>((is_binary ? 4 : 0) | (is_24 ? 2 : 0));
  }

  std::uint8_t read(std::uint8_t index) {
    if (ticks_in != 0 && --ticks_in == 0) tick();
    switch (index) {
      case 0x00:
        return shown(at_.second);
      case 0x02:
        return shown(at_.minute);
      case 0x04: {
        if ((modes_ & 2) != 0) return shown(at_.hour);
        const std::uint32_t hour = at_.hour % 12 == 0 ? 12 : at_.hour % 12;
        return static_cast<std::uint8_t>(shown(hour) |
                                         (at_.hour >= 12 ? 0x80 : 0));
      }
      case 0x07:
        return shown(at_.day);
      case 0x08:
        return shown(at_.month);
      case 0x09:
        return shown(static_cast<std::uint32_t>(at_.year % 100));
      case 0x0a:
        if (updating != 0) --updating;
        return updating != 0 ? 0x80 : 0x26;
      case 0x0b:
        return modes_;
      default:
        return 0xff;
    }
  }

  unsigned ticks_in = 0;  // reads until it counts on
  unsigned updating = 0;  // looks at register A until it is at rest

 private:
  void tick() { at_ = moment_of(us_of(at_) + 1'000'000); }
  [[nodiscard]] std::uint8_t shown(std::uint32_t number) const {
    if ((modes_ & 4) != 0) return static_cast<std::uint8_t>(number);
    return static_cast<std::uint8_t>(number / 10 << 4 | number % 10);
  }

  Moment at_;
  std::uint8_t modes_;
};

TEST(RtcTest, EveryModeShowsTheSameTime) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t seconds = random() % 3'155'760'000;  // to 2069
    for (unsigned modes = 0; modes < 4; ++modes) {
      SimClock clock(moment_of(seconds * 1'000'000), (modes & 1) != 0,
                     (modes & 2) != 0);
      ASSERT_EQ(read_clock(clock), seconds * 1'000'000);
    }
  }
}

TEST(RtcTest, AClockThatCountsOnMeanwhileIsReadWhole) {
  // From 23:59:59 every number changes.
  const Moment eve = {1999, 12, 31, 23, 59, 59, 0};
  for (unsigned at = 1; at < 40; ++at) {
    SimClock clock(eve, false, true);
    clock.ticks_in = at;
    const auto read = read_clock(clock);
    ASSERT_TRUE(read);
    EXPECT_TRUE(*read == us_of(eve) || *read == us_of(eve) + 1'000'000) << at;
  }
}

TEST(RtcTest, WaitsWhileItIsUpdated) {
  SimClock clock({2024, 2, 29, 12, 0, 1, 0}, false, false);
  clock.updating = 500;
  EXPECT_EQ(read_clock(clock), us_of({2024, 2, 29, 12, 0, 1, 0}));
  clock.updating = 1'000'000;
  EXPECT_EQ(read_clock(clock).error(), Error::kNeverAtRest);
}

struct Registers {
  std::uint8_t read(std::uint8_t index) const { return values[index & 15U]; }
  std::array<std::uint8_t, 16> values{};
};

TEST(RtcTest, ImpossibleTimesAreErrors) {
  const auto read = [](std::uint8_t index, std::uint8_t value) {
    // 2026-02-28 23:59:59, in digits.
    Registers clock{{0x59, 0, 0x59, 0, 0x23, 0, 0, 0x28, 0x02, 0x26, 0, 0x02}};
    clock.values[index] = value;
    return read_clock(clock);
  };
  EXPECT_TRUE(read(0, 0x58));
  for (const auto& [index, value] : {std::pair{0x00, 0x60},
                                     {0x00, 0x5a},
                                     {0x02, 0x60},
                                     {0x04, 0x24},
                                     {0x07, 0x29},
                                     {0x07, 0x00},
                                     {0x07, 0xf0},
                                     {0x08, 0x13},
                                     {0x08, 0x00},
                                     {0x09, 0xaa},
                                     {0x0b, 0x00},
                                     {0x0b, 0x06}}) {
    EXPECT_EQ(
        read(static_cast<std::uint8_t>(index), static_cast<std::uint8_t>(value))
            .error(),
        Error::kImpossible)
        << index << " " << value;
  }
  EXPECT_TRUE(read(0x08, 0x03));
}

TEST(RtcTest, AnyRegistersHaveAnAnswer) {
  std::mt19937 random(4);
  Registers none;
  none.values.fill(0xff);
  EXPECT_EQ(read_clock(none).error(), Error::kNeverAtRest);
  for (int i = 0; i < 20'000; ++i) {
    Registers clock;
    for (auto& value : clock.values)
      value = static_cast<std::uint8_t>(random());
    clock.values[0x0a] = 0;
    const auto read = read_clock(clock);
    if (read) EXPECT_LT(*read, us_of({2070, 1, 1, 0, 0, 0, 0}));
  }
}

}  // namespace
}  // namespace odo::rtc
