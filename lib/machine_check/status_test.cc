// SPDX-License-Identifier: BSD-3-Clause
#include "lib/machine_check/status.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>

namespace odo::machine_check {
namespace {

constexpr Capabilities kOld(0x5);                       // five banks, no more
constexpr Capabilities kNew(0x5 | 1u << 24 | 1 << 10);  // classes and counts

[[nodiscard]] constexpr std::uint64_t bits(auto... numbers) {
  return (... | (std::uint64_t{1} << numbers));
}

[[nodiscard]] std::string name_of(std::uint64_t word) {
  const ErrorName name = BankStatus(word, kNew).name();
  std::string text;
  for (const std::string_view part : name.parts) text += part;
  if (name.channel) text += ", channel " + std::to_string(*name.channel);
  return text;
}

TEST(MachineCheckTest, SimpleCodesHaveTheirNames) {
  EXPECT_EQ(name_of(0x0000), "no error");
  EXPECT_EQ(name_of(0x0001), "unclassified");
  EXPECT_EQ(name_of(0x0003), "external, from another processor");
  EXPECT_EQ(name_of(0x0005), "internal parity");
  EXPECT_EQ(name_of(0x0400), "internal timer");
  EXPECT_EQ(name_of(0x0401), "internal, unclassified");
  EXPECT_EQ(name_of(0x07ff), "internal, unclassified");
  EXPECT_EQ(name_of(0x0e0b), "I/O");
}

TEST(MachineCheckTest, CompoundCodesArePutTogether) {
  EXPECT_EQ(name_of(0x000e), "cache, level 2");
  EXPECT_EQ(name_of(0x0010), "TLB, of instructions, level 0");
  EXPECT_EQ(name_of(0x001b), "TLB");
  EXPECT_EQ(name_of(0x0135), "cache, data read, of data, level 1");
  EXPECT_EQ(name_of(0x0152),
            "cache, instruction fetch, of instructions, "
            "level 2");
  EXPECT_EQ(name_of(0x017a), "cache, eviction, level 2");
  EXPECT_EQ(name_of(0x009f), "memory controller, read");
  EXPECT_EQ(name_of(0x00a2), "memory controller, write, channel 2");
  EXPECT_EQ(name_of(0x00c0), "memory controller, scrubbing, channel 0");
  EXPECT_EQ(name_of(0x02b1), "extended memory, address or command, channel 1");
  EXPECT_EQ(name_of(0x0810),
            "bus or interconnect, read, memory, this processor asked, "
            "level 0");
  EXPECT_EQ(name_of(0x0f2b), "bus or interconnect, write, I/O, timed out");
  EXPECT_EQ(name_of(0x0a82 | 1 << 8),
            "bus or interconnect, snoop, memory, this processor responded, "
            "timed out, level 2");
}

TEST(MachineCheckTest, FilteringChangesNoName) {
  for (const unsigned code : {0x000eu, 0x0135u, 0x009fu, 0x0810u, 0x001bu}) {
    EXPECT_EQ(name_of(code), name_of(code | 0x1000)) << code;
  }
}

TEST(MachineCheckTest, WhatNoTableHasIsSaid) {
  EXPECT_EQ(name_of(0x2000), "of a kind that the architecture does not name");
  EXPECT_EQ(name_of(0x0200), "of a kind that the architecture does not name");
  EXPECT_EQ(name_of(0x01f0), "cache, reserved code, of instructions, level 0");
  EXPECT_EQ(name_of(0x00f1), "memory controller, reserved code, channel 1");
}

TEST(MachineCheckTest, SeverityGoesByTheClassesThatThereAre) {
  const auto of = [](std::uint64_t word, Capabilities capabilities) {
    return BankStatus(word, capabilities).severity();
  };
  EXPECT_EQ(of(bits(63), kNew), Severity::kCorrected);
  EXPECT_EQ(of(bits(63, 57), kNew), Severity::kCorrected);
  EXPECT_EQ(of(bits(63, 61), kNew), Severity::kNoActionNeeded);
  EXPECT_EQ(of(bits(63, 61, 56), kNew), Severity::kActionOptional);
  EXPECT_EQ(of(bits(63, 61, 56, 55), kNew), Severity::kActionRequired);
  EXPECT_EQ(of(bits(63, 61, 57, 56, 55), kNew), Severity::kContextCorrupt);
  EXPECT_EQ(of(bits(63, 61, 56, 55), kOld), Severity::kUncorrected);
  EXPECT_EQ(of(bits(63, 61, 57), kOld), Severity::kContextCorrupt);
}

TEST(MachineCheckTest, FieldsAreWhereTheManualHasThem) {
  const BankStatus status(
      bits(63, 62, 59, 58) | std::uint64_t{3} << 38 | 0xabcd0000 | 0x0135,
      kNew);
  EXPECT_TRUE(status.is_valid());
  EXPECT_TRUE(status.has_lost_others());
  EXPECT_TRUE(status.has_misc());
  EXPECT_TRUE(status.has_address());
  EXPECT_EQ(status.code(), 0x0135);
  EXPECT_EQ(status.model_code(), 0xabcd);
  EXPECT_EQ(status.corrected_count(), 3U);
  EXPECT_FALSE(BankStatus(bits(38), kOld).corrected_count());
  EXPECT_EQ(kNew.banks(), 5U);
  EXPECT_FALSE(kNew.has_control());
  EXPECT_TRUE(Capabilities(0x100).has_control());
  EXPECT_TRUE(GlobalStatus(1).can_go_on());
  EXPECT_TRUE(GlobalStatus(2).is_at_instruction());
  EXPECT_TRUE(GlobalStatus(8).is_local());
  EXPECT_FALSE(GlobalStatus(4).can_go_on());
  EXPECT_EQ(AddressKind(2 << 6 | 12).name(), "physical");
  EXPECT_EQ(AddressKind(2 << 6 | 12).unknown_bits(), 12U);
  EXPECT_EQ(AddressKind(7 << 6).name(), "generic");
}

TEST(MachineCheckTest, EveryWordHasANameAndASeverity) {
  std::mt19937_64 random(1);
  for (unsigned code = 0; code < 0x10000; ++code) {
    const std::uint64_t word = (random() & ~std::uint64_t{0xffff}) | code;
    EXPECT_FALSE(name_of(word).empty());
    EXPECT_NE(to_string(BankStatus(word, kNew).severity()), "?");
    EXPECT_FALSE(AddressKind(word).name().empty());
  }
}

}  // namespace
}  // namespace odo::machine_check
