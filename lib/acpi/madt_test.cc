// SPDX-License-Identifier: BSD-3-Clause
#include "lib/acpi/madt.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "lib/boot/testing.h"

namespace odo::acpi {
namespace {

using boot::Builder;

// A table up to its first entry. What find_table() has verified isn't looked at
// again.
Builder begin(std::uint32_t flags = 1) {
  Builder b;
  b.text("APIC");
  while (b.bytes().size() < 36) b.le(std::uint8_t{0});
  b.le(0xfee00000u).le(flags);
  return b;
}
void local_apic(Builder& b, std::uint8_t uid, std::uint8_t id,
                std::uint32_t flags) {
  b.le(std::uint8_t{0}).le(std::uint8_t{8}).le(uid).le(id).le(flags);
}
void x2apic(Builder& b, std::uint32_t uid, std::uint32_t id) {
  b.le(std::uint8_t{9}).le(std::uint8_t{16}).le(std::uint16_t{0});
  b.le(id).le(1u).le(uid);
}
void io_apic(Builder& b, std::uint8_t id, std::uint32_t address,
             std::uint32_t first) {
  b.le(std::uint8_t{1}).le(std::uint8_t{12}).le(id).le(std::uint8_t{0});
  b.le(address).le(first);
}
void redirect(Builder& b, std::uint8_t bus, std::uint8_t source,
              std::uint32_t number, std::uint16_t flags) {
  b.le(std::uint8_t{2}).le(std::uint8_t{10}).le(bus).le(source);
  b.le(number).le(flags);
}

TEST(MadtTest, NamesProcessorsThatAreThereOrMayCome) {
  Builder b = begin();
  local_apic(b, 0, 0, 1);
  local_apic(b, 1, 2, 0);  // an empty socket
  local_apic(b, 2, 4, 2);
  x2apic(b, 300, 0x1234);
  const Madt madt(b.bytes());
  ASSERT_EQ(madt.processors().size(), 3u);
  EXPECT_TRUE(madt.processors()[0].enabled);
  EXPECT_EQ(madt.processors()[1].apic_id, 4u);
  EXPECT_FALSE(madt.processors()[1].enabled);
  EXPECT_EQ(madt.processors()[2].apic_id, 0x1234u);
  EXPECT_EQ(madt.processors()[2].uid, 300u);
  EXPECT_TRUE(madt.processors()[2].is_x2apic);
  EXPECT_EQ(madt.local_apic_address(), 0xfee00000u);
  EXPECT_TRUE(madt.has_pics());
  EXPECT_FALSE(madt.is_damaged());
}

TEST(MadtTest, InterruptsAreWhatIsaHadUnlessRedirected) {
  Builder b = begin(0);
  io_apic(b, 0, 0xfec00000, 0);
  io_apic(b, 1, 0xfec10000, 24);
  redirect(b, 0, 0, 2, 0);
  redirect(b, 0, 9, 9, 0xd);
  redirect(b, 0, 11, 11, 0xf);
  const Madt madt(b.bytes());
  ASSERT_EQ(madt.io_apics().size(), 2u);
  EXPECT_EQ(madt.io_apics()[1].first_interrupt, 24u);
  EXPECT_EQ(madt.isa_interrupt(0).number, 2u);
  EXPECT_EQ(madt.isa_interrupt(4).number, 4u);
  EXPECT_EQ(madt.isa_interrupt(4).trigger, Trigger::kEdge);
  EXPECT_EQ(madt.isa_interrupt(9).trigger, Trigger::kLevel);
  EXPECT_EQ(madt.isa_interrupt(9).polarity, Polarity::kHigh);
  EXPECT_EQ(madt.isa_interrupt(11).polarity, Polarity::kLow);
  EXPECT_FALSE(madt.has_pics());
  EXPECT_FALSE(madt.is_damaged());
}

TEST(MadtTest, NmisOfBothKindsAndAMovedLocalApic) {
  Builder b = begin();
  b.le(std::uint8_t{3}).le(std::uint8_t{8}).le(std::uint16_t{0xf}).le(20u);
  b.le(std::uint8_t{4}).le(std::uint8_t{6}).le(std::uint8_t{0xff});
  b.le(std::uint16_t{5}).le(std::uint8_t{1});
  b.le(std::uint8_t{10}).le(std::uint8_t{12}).le(std::uint16_t{0}).le(700u);
  b.le(std::uint8_t{0}).le(std::uint8_t{0}).le(std::uint16_t{0});
  b.le(std::uint8_t{5}).le(std::uint8_t{12}).le(std::uint16_t{0});
  b.le(std::uint64_t{0x1'fee0'0000});
  // Of a type that is to come.
  b.le(std::uint8_t{0x7f}).le(std::uint8_t{3}).le(std::uint8_t{0});
  const Madt madt(b.bytes());
  ASSERT_EQ(madt.nmis().size(), 1u);
  EXPECT_EQ(madt.nmis()[0].number, 20u);
  EXPECT_EQ(madt.nmis()[0].trigger, Trigger::kLevel);
  ASSERT_EQ(madt.local_nmis().size(), 2u);
  EXPECT_EQ(madt.local_nmis()[0].uid, Madt::kAllProcessors);
  EXPECT_EQ(madt.local_nmis()[0].pin, 1);
  EXPECT_EQ(madt.local_nmis()[1].uid, 700u);
  EXPECT_EQ(madt.local_apic_address(), 0x1'fee0'0000u);
  EXPECT_FALSE(madt.is_damaged());
}

TEST(MadtTest, WhatCannotBeIsLeftOut) {
  Builder b = begin();
  local_apic(b, 0, 7, 1);
  local_apic(b, 1, 7, 1);  // the same again
  io_apic(b, 0, 0, 0);     // nowhere
  io_apic(b, 1, 0xfec00000, 0);
  io_apic(b, 2, 0xfec10000, 0);  // the same inputs
  redirect(b, 1, 3, 3, 0);       // of another bus
  redirect(b, 0, 16, 16, 0);
  b.le(std::uint8_t{1}).le(std::uint8_t{4}).le(std::uint16_t{0});  // too short
  local_apic(b, 2, 8, 1);
  const Madt madt(b.bytes());
  EXPECT_EQ(madt.processors().size(), 2u);
  EXPECT_EQ(madt.io_apics().size(), 1u);
  EXPECT_EQ(madt.isa_interrupt(3).number, 3u);
  EXPECT_TRUE(madt.is_damaged());
}

TEST(MadtTest, ALengthThatCannotBeEndsTheList) {
  for (const int length : {0, 1, 200}) {
    Builder b = begin();
    local_apic(b, 0, 0, 1);
    b.le(std::uint8_t{0}).le(static_cast<std::uint8_t>(length));
    b.le(std::uint16_t{0});
    local_apic(b, 1, 1, 1);
    const Madt madt(b.bytes());
    EXPECT_EQ(madt.processors().size(), 1u) << length;
    EXPECT_TRUE(madt.is_damaged());
  }
  EXPECT_TRUE(Madt(Bytes(begin().bytes()).first(43)).is_damaged());
}

TEST(MadtTest, MoreThanThereIsRoomForIsCounted) {
  Builder b = begin();
  for (std::uint32_t i = 0; i < 300; ++i) x2apic(b, i, i);
  const Madt madt(b.bytes());
  EXPECT_EQ(madt.processors().size(), Madt::kMaxProcessors);
  EXPECT_EQ(madt.left_out(), 44u);
  EXPECT_FALSE(madt.is_damaged());
}

TEST(MadtTest, AnyBytesGiveAnAnswer) {
  std::mt19937 random(1);
  Builder whole = begin();
  local_apic(whole, 0, 0, 1);
  io_apic(whole, 0, 0xfec00000, 0);
  redirect(whole, 0, 0, 2, 0);
  x2apic(whole, 1, 1);
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::byte> bytes = whole.bytes();
    for (unsigned i = random() % 8; i > 0; --i) {
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    }
    bytes.resize(random() % (bytes.size() + 1));
    const Madt madt(bytes);
    // Each entry may have become one.
    EXPECT_LE(madt.processors().size(), 4u);
  }
}

}  // namespace
}  // namespace odo::acpi
