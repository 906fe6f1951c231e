// SPDX-License-Identifier: BSD-3-Clause
#include "lib/hpet/hpet.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace odo::hpet {
namespace {

// A counter that goes on by `step` with every look, once it is enabled.
struct Chip {
  std::uint32_t capabilities = 0x8086a201;
  std::uint32_t period_fs = 69'841'279;  // 14.318180 MHz
  std::uint32_t configuration = 0;
  std::uint32_t counter = 0xfffffff0;
  std::uint32_t step = 3;
  unsigned writes = 0;
};

struct ChipRegisters {
  Chip* chip;

  [[nodiscard]] std::uint32_t read32(std::uint32_t offset) const {
    switch (offset) {
      case 0x00:
        return chip->capabilities;
      case 0x04:
        return chip->period_fs;
      case 0x10:
        return chip->configuration;
      case 0xf0:
        if ((chip->configuration & 1) != 0) chip->counter += chip->step;
        return chip->counter;
      default:
        ADD_FAILURE() << "read at " << offset;
        return 0;
    }
  }
  void write32(std::uint32_t offset, std::uint32_t value) const {
    EXPECT_EQ(offset, 0x10U);
    chip->configuration = value;
    ++chip->writes;
  }
  [[nodiscard]] static std::uint64_t size_bytes() { return 1024; }
};

TEST(HpetTest, StartsTheCounterAndKnowsItsSpeed) {
  Chip chip;
  chip.configuration = 2;  // somebody's, to be kept
  auto hpet = Hpet<ChipRegisters>::open({&chip});
  ASSERT_TRUE(hpet);
  EXPECT_EQ(chip.configuration, 3U);
  EXPECT_EQ(hpet->hz(), 14'318'179U);
  const std::uint32_t before = hpet->ticks();
  EXPECT_EQ(hpet->ticks() - before, 3U);
}

TEST(HpetTest, GoesRound) {
  Chip chip;
  auto hpet = Hpet<ChipRegisters>::open({&chip});
  ASSERT_TRUE(hpet);
  const std::uint32_t before = hpet->ticks();
  for (int i = 0; i < 9; ++i) (void)hpet->ticks();
  EXPECT_EQ(hpet->ticks() - before, 30U);
}

TEST(HpetTest, LeavesOneThatRunsAlone) {
  Chip chip;
  chip.configuration = 1;
  ASSERT_TRUE(Hpet<ChipRegisters>::open({&chip}));
  EXPECT_EQ(chip.writes, 0U);
}

TEST(HpetTest, RefusesWhatIsNone) {
  Chip gone;
  gone.capabilities = gone.period_fs = driver::kGone;
  EXPECT_EQ(Hpet<ChipRegisters>::open({&gone}).error(), Error::kGone);
  for (const std::uint32_t period_fs : {0U, 1U, 999'999U, 100'000'001U}) {
    Chip odd;
    odd.period_fs = period_fs;
    EXPECT_EQ(Hpet<ChipRegisters>::open({&odd}).error(), Error::kImpossible);
    EXPECT_EQ(odd.writes, 0U);
  }
  Chip stuck;
  stuck.step = 0;
  EXPECT_EQ(Hpet<ChipRegisters>::open({&stuck}).error(), Error::kStuck);
  for (const Error error : {Error::kGone, Error::kImpossible, Error::kStuck}) {
    EXPECT_FALSE(describe(error).empty());
  }
}

}  // namespace
}  // namespace odo::hpet
