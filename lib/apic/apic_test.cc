// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include "lib/apic/io_apic.h"
#include "lib/apic/local_apic.h"
#include "lib/apic/timer.h"
#include "lib/apic/topology.h"

namespace odo::apic {
namespace {

// --- the local APIC ----------------------------------------------------------

struct FakeLocal {
  bool x2 = false;
  std::map<Register, std::uint32_t> values;
  std::vector<std::pair<Register, std::uint64_t>> writes;
  unsigned busy_looks = 0;  // how often the command register is busy
  unsigned in_service = 0;
  unsigned rests = 0;
};

class LocalRegisters {
 public:
  explicit LocalRegisters(FakeLocal& fake) : fake_(&fake) {}
  [[nodiscard]] bool is_x2apic() const { return fake_->x2; }
  std::uint32_t read(Register reg) {
    if (reg == Register::kCommand && fake_->busy_looks > 0) {
      --fake_->busy_looks;
      return 1u << 12;
    }
    if (reg == Register::kInService) return fake_->in_service > 0 ? 4 : 0;
    return fake_->values[reg];
  }
  void write(Register reg, std::uint32_t value) {
    if (reg == Register::kEndOfInterrupt && fake_->in_service > 0) {
      --fake_->in_service;
    }
    fake_->values[reg] = value;
    fake_->writes.emplace_back(reg, value);
  }
  void write_wide(Register reg, std::uint64_t value) {
    EXPECT_TRUE(fake_->x2);
    fake_->writes.emplace_back(reg, value);
  }
  void relax() { ++fake_->rests; }

 private:
  FakeLocal* fake_;
};

using Writes = std::vector<std::pair<Register, std::uint64_t>>;

TEST(LocalApicTest, CommandsOfAnXapicAreTwoHalvesTheLowOneLast) {
  FakeLocal fake;
  LocalApic apic{LocalRegisters(fake)};
  ASSERT_TRUE(apic.send(7, fixed_command(0xf0)));
  EXPECT_EQ(fake.writes, (Writes{{Register::kCommandHigh, 0x07000000},
                                 {Register::kCommand, 0x40f0}}));
  fake.writes.clear();
  ASSERT_TRUE(apic.send(7, startup_command(0x9a000)));
  EXPECT_EQ(fake.writes.back().second, 0x469au);
  ASSERT_TRUE(apic.send(7, kInitCommand));
  EXPECT_EQ(fake.writes.back().second, 0x4500u);
  ASSERT_TRUE(apic.send(7, kNmiCommand));
  EXPECT_EQ(fake.writes.back().second, 0x4400u);
}

TEST(LocalApicTest, CommandsOfAnX2apicAreOneWord) {
  FakeLocal fake;
  fake.x2 = true;
  LocalApic apic{LocalRegisters(fake)};
  ASSERT_TRUE(apic.send(0x12345, fixed_command(0x31)));
  EXPECT_EQ(fake.writes, (Writes{{Register::kCommand, 0x12345'0000'4031}}));
  EXPECT_EQ(x2apic_msr(Register::kCommand), 0x830u);
  EXPECT_EQ(x2apic_msr(Register::kTimerDivide), 0x83eu);
}

TEST(LocalApicTest, ACpuThatCannotBeNamedIsRefused) {
  FakeLocal fake;
  LocalApic apic{LocalRegisters(fake)};
  EXPECT_TRUE(apic.can_name(254));
  for (const std::uint32_t id : {255u, 256u, 0xffffffffu}) {
    EXPECT_FALSE(apic.send(id, kInitCommand)) << id;
  }
  EXPECT_TRUE(fake.writes.empty());
  fake.x2 = true;
  EXPECT_TRUE(apic.can_name(255));
  EXPECT_FALSE(apic.can_name(0xffffffff));
}

TEST(LocalApicTest, WaitsForTheLastCommandButNotForEver) {
  FakeLocal fake;
  LocalApic apic{LocalRegisters(fake)};
  fake.busy_looks = 5;
  EXPECT_TRUE(apic.send(1, kInitCommand));
  EXPECT_EQ(fake.rests, 5u);
  fake.busy_looks = ~0u;
  fake.writes.clear();
  EXPECT_FALSE(apic.send(1, kInitCommand));
  EXPECT_TRUE(fake.writes.empty());
}

TEST(LocalApicTest, TheIdStandsElsewhereInAnX2apic) {
  FakeLocal fake;
  fake.values[Register::kId] = 0x05000000;
  LocalApic apic{LocalRegisters(fake)};
  EXPECT_EQ(apic.id(), 5u);
  fake.x2 = true;
  EXPECT_EQ(apic.id(), 0x05000000u);
}

TEST(LocalApicTest, StartEndsWhatFirmwareLeftAndMasksItsOwnSources) {
  for (const bool x2 : {false, true}) {
    FakeLocal fake;
    fake.x2 = x2;
    fake.in_service = 3;
    fake.values[Register::kVersion] = 0x50014;
    LocalApic apic{LocalRegisters(fake)};
    apic.start({.spurious = 0xff, .error = 0xfe});
    EXPECT_EQ(fake.in_service, 0u);
    for (const Register reg :
         {Register::kTimer, Register::kLint0, Register::kLint1,
          Register::kPerformance, Register::kThermal}) {
      EXPECT_EQ(fake.values[reg], kMasked);
    }
    EXPECT_EQ(fake.values[Register::kError], 0xfeu);
    EXPECT_EQ(fake.writes.back(),
              (std::pair{Register::kSpurious, std::uint64_t{0x1ff}}));
    // An x2APIC has no such register: to write it would be a fault.
    EXPECT_EQ(fake.values.contains(Register::kDestinationFormat), !x2);
    apic.pass_nmi(1, true);
    EXPECT_EQ(fake.values[Register::kLint1], 0x2400u);
  }
}

TEST(LocalApicTest, AnExternalControllerIsLetThroughAndNothingElseTouched) {
  FakeLocal fake;
  LocalApic apic{LocalRegisters(fake)};
  apic.pass_external(0xff);
  EXPECT_EQ(fake.writes,
            (Writes{{Register::kSpurious, 0x1ff}, {Register::kLint0, 0x700}}));
}

TEST(LocalApicTest, StartTouchesNoVectorThatIsNotThere) {
  FakeLocal fake;
  fake.values[Register::kVersion] = 0x30010;
  // Whatever is in service for ever does not keep us for ever.
  fake.in_service = ~0u;
  LocalApic apic{LocalRegisters(fake)};
  apic.start({.spurious = 0xff, .error = 0xfe});
  EXPECT_FALSE(fake.values.contains(Register::kThermal));
  EXPECT_FALSE(fake.values.contains(Register::kPerformance));
}

// --- the timer ---------------------------------------------------------------

constexpr std::array<std::uint32_t, 16> kDivisorOf{2,  4,  8,   16, 0, 0, 0, 0,
                                                   32, 64, 128, 1,  0, 0, 0, 0};

double ticks_of(const TimerSetting& setting) {
  return static_cast<double>(setting.count) * kDivisorOf[setting.divide];
}

TEST(TimerTest, CountsAsLongAsTheCyclesTake) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 100'000; ++i) {
    // From 24 MHz beside 5 GHz to four times as fast as the counter.
    const double ratio =
        0.0048 * std::exp2(static_cast<double>(random() % 970) / 100);
    const std::uint64_t seen = 1'000'000 + random() % 10'000'000;
    const auto rate = timer_rate(
        static_cast<std::uint32_t>(static_cast<double>(seen) * ratio), seen);
    ASSERT_TRUE(rate);
    const std::uint64_t cycles = random() >> (25 + random() % 39);
    const TimerSetting setting = timer_setting(*rate, cycles);
    ASSERT_GT(kDivisorOf[setting.divide], 0u);
    ASSERT_GT(setting.count, 0u);
    const double want = static_cast<double>(cycles) * ratio;
    const double most = 4294967295.0 * 128;
    const double step = kDivisorOf[setting.divide];
    ASSERT_NEAR(ticks_of(setting), std::min(want, most),
                want * 0.0005 + step + 1)
        << cycles << " cycles at " << ratio;
  }
}

TEST(TimerTest, TheShortestWaitIsATickAndTheLongestEndsEarly) {
  const auto rate = timer_rate(1000, 1000);
  ASSERT_TRUE(rate);
  EXPECT_EQ(timer_setting(*rate, 0).count, 1u);
  EXPECT_EQ(timer_setting(*rate, 0).divide, kDivideBy1);
  EXPECT_EQ(ticks_of(timer_setting(*rate, ~std::uint64_t{0})),
            4294967295.0 * 128);
  const auto fastest = timer_rate(255, 1);
  ASSERT_TRUE(fastest);
  EXPECT_EQ(ticks_of(timer_setting(*fastest, ~std::uint64_t{0})),
            4294967295.0 * 128);
}

TEST(TimerTest, NoRateWithoutCounting) {
  EXPECT_FALSE(timer_rate(0, 1000));
  EXPECT_FALSE(timer_rate(1000, 0));
  EXPECT_FALSE(timer_rate(1000, 1));
  EXPECT_FALSE(timer_rate(1, std::uint64_t{1} << 60));
}

// --- the I/O APIC ------------------------------------------------------------

class IoRegisters {
 public:
  using Log = std::vector<std::pair<unsigned, std::uint32_t>>;
  IoRegisters(std::map<unsigned, std::uint32_t>& values, Log& writes)
      : values_(&values), writes_(&writes) {}
  std::uint32_t read(std::uint8_t index) { return (*values_)[index]; }
  void write(std::uint8_t index, std::uint32_t value) {
    (*values_)[index] = value;
    writes_->emplace_back(index, value);
  }

 private:
  std::map<unsigned, std::uint32_t>* values_;
  Log* writes_;
};

TEST(IoApicTest, AnEntryIsMaskedWhileItsHalvesDiffer) {
  std::map<unsigned, std::uint32_t> values{{1, 0x00170020}};
  IoRegisters::Log writes;
  IoApic io_apic{IoRegisters(values, writes)};
  EXPECT_EQ(io_apic.inputs(), 24u);
  const auto entry = redirection({.number = 4}, 0x34, 9);
  ASSERT_TRUE(entry);
  ASSERT_TRUE(io_apic.route(4, *entry));
  EXPECT_EQ(writes, (IoRegisters::Log{
                        {0x18, 0x10000}, {0x19, 0x09000000}, {0x18, 0x34}}));
  io_apic.mask(4);
  EXPECT_EQ(values[0x18], 0x10034u);
  io_apic.unmask(4);
  EXPECT_EQ(values[0x18], 0x34u);
  EXPECT_FALSE(io_apic.route(24, *entry));
  io_apic.mask_all();
  for (unsigned i = 0; i < 24; ++i) EXPECT_EQ(values[0x10 + 2 * i], 0x10000u);
}

TEST(IoApicTest, AnInputIsAsItsWireSays) {
  const acpi::Interrupt low{.number = 9,
                            .polarity = acpi::Polarity::kLow,
                            .trigger = acpi::Trigger::kLevel};
  EXPECT_EQ(redirection(low, 0x40, 0), std::uint64_t{0xa040});
  EXPECT_EQ(redirection({.number = 1}, 0xef, 254),
            std::uint64_t{0xfe000000'000000ef});
  EXPECT_FALSE(redirection(low, 0x40, 255));
}

TEST(IoApicTest, InputsAreCountedOverAllOfThem) {
  const std::array<InputRange, 2> two{InputRange{0, 24}, InputRange{32, 8}};
  const auto found = find_input(two, 35);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->io_apic, 1u);
  EXPECT_EQ(found->input, 3u);
  EXPECT_FALSE(find_input(two, 24));
  EXPECT_FALSE(find_input(two, 40));
  EXPECT_FALSE(find_input({}, 0));
}

// --- the topology ------------------------------------------------------------

struct FakeCpuid {
  std::map<std::pair<std::uint32_t, std::uint32_t>, CpuidAnswer> leaves;
  CpuidAnswer operator()(std::uint32_t leaf, std::uint32_t sub) const {
    const auto at = leaves.find({leaf, sub});
    return at == leaves.end() ? CpuidAnswer{} : at->second;
  }
};

void expect_place(const IdLayout& layout, std::uint32_t id, Place want) {
  const Place got = place_of(layout, id);
  EXPECT_EQ(got.package, want.package) << id;
  EXPECT_EQ(got.core, want.core) << id;
  EXPECT_EQ(got.thread, want.thread) << id;
}

TEST(TopologyTest, ReadsTheLevelsOfTheNewestLeaf) {
  FakeCpuid cpu;
  cpu.leaves[{0, 0}] = {0x1f, 0, 0, 0};
  // Threads, cores, dies; and an older leaf that knows no dies.
  cpu.leaves[{0x1f, 0}] = {1, 2, 0x100, 0};
  cpu.leaves[{0x1f, 1}] = {4, 16, 0x201, 0};
  cpu.leaves[{0x1f, 2}] = {5, 32, 0x502, 0};
  cpu.leaves[{0xb, 0}] = {1, 2, 0x100, 0};
  cpu.leaves[{0xb, 1}] = {4, 16, 0x201, 0};
  const IdLayout layout = id_layout(cpu);
  expect_place(layout, 0x2b, {1, 5, 1});
  cpu.leaves[{0, 0}].eax = 0xb;
  expect_place(id_layout(cpu), 0x2b, {2, 5, 1});
}

TEST(TopologyTest, WithoutLevelsTheCountsOfAnIntelCpu) {
  FakeCpuid cpu;
  cpu.leaves[{0, 0}] = {4, 0x756e6547, 0x6c65746e, 0x49656e69};
  cpu.leaves[{1, 0}] = {0, 8u << 16, 0, 1u << 28};
  cpu.leaves[{4, 0}] = {3u << 26, 0, 0, 0};  // four cores
  expect_place(id_layout(cpu), 13, {1, 2, 1});
  cpu.leaves[{1, 0}].edx = 0;
  expect_place(id_layout(cpu), 13, {13, 0, 0});
}

TEST(TopologyTest, WithoutLevelsTheCountsOfAnAmdCpu) {
  FakeCpuid cpu;
  cpu.leaves[{0, 0}] = {1, 0x68747541, 0x444d4163, 0x69746e65};
  cpu.leaves[{1, 0}] = {0, 8u << 16, 0, 1u << 28};
  cpu.leaves[{0x80000000, 0}] = {0x8000001e, 0, 0, 0};
  cpu.leaves[{0x80000008, 0}] = {0, 0, 0x4007, 0};
  cpu.leaves[{0x80000001, 0}] = {0, 0, 1u << 22, 0};
  cpu.leaves[{0x8000001e, 0}] = {0, 0x100, 0, 0};
  expect_place(id_layout(cpu), 0x1b, {1, 5, 1});
  cpu.leaves[{0x80000008, 0}].ecx = 7;  // counted, as nothing is told
  expect_place(id_layout(cpu), 0x1b, {3, 1, 1});
  cpu.leaves[{0x80000001, 0}].ecx = 0;
  expect_place(id_layout(cpu), 0x1b, {3, 3, 0});
}

TEST(TopologyTest, AnyAnswersGivePlacesThatMakeUpTheId) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const auto some = [&](std::uint32_t, std::uint32_t) {
      const auto word = [&] { return static_cast<std::uint32_t>(random()); };
      return CpuidAnswer{word(), word(), word(), word()};
    };
    const IdLayout layout = id_layout(some);
    ASSERT_LE(layout.thread_bits, layout.package_bits);
    ASSERT_LE(layout.package_bits, 31u);
    const auto id = static_cast<std::uint32_t>(random());
    const Place place = place_of(layout, id);
    ASSERT_EQ((place.package << layout.package_bits) |
                  (place.core << layout.thread_bits) | place.thread,
              id);
  }
}

}  // namespace
}  // namespace odo::apic
