// SPDX-License-Identifier: BSD-3-Clause
#include "lib/acpi/tables.h"

#include <gtest/gtest.h>

#include <random>
#include <string_view>
#include <vector>

#include "lib/acpi/fadt.h"
#include "lib/acpi/hpet.h"
#include "lib/acpi/mcfg.h"
#include "lib/acpi/sleep.h"
#include "lib/acpi/testing/checksum.h"
#include "lib/boot/testing.h"

namespace odo::acpi {
namespace {

using boot::Builder;
using boot::IslandMemory;

std::vector<std::byte> table(std::string_view signature,
                             const std::vector<std::byte>& body) {
  Builder b;
  b.text(signature).le(static_cast<std::uint32_t>(36 + body.size()));
  while (b.bytes().size() < 36) b.le(std::uint8_t{0});
  b.bytes().insert(b.bytes().end(), body.begin(), body.end());
  fix_checksum(b.bytes(), 9);
  return b.bytes();
}

std::vector<std::byte> root_pointer(std::uint8_t revision, std::uint32_t rsdt,
                                    std::uint64_t xsdt) {
  Builder b;
  b.text("RSD PTR ").le(std::uint8_t{0}).text("ODOTST").le(revision).le(rsdt);
  b.le(36u).le(xsdt).le(0u);
  fix_checksum(MutableBytes(b.bytes()).first(kRsdpV1Bytes), 8);
  fix_checksum(b.bytes(), 32);
  return b.bytes();
}

constexpr std::uint64_t kRoot = 0x7fe0000;
constexpr std::uint64_t kFirst = 0x7fe1000;
constexpr std::uint64_t kSecond = 0x7fe2000;

IslandMemory machine(std::size_t entry_bytes) {
  IslandMemory memory;
  Builder list;
  for (std::uint64_t address : {kFirst, kSecond}) {
    if (entry_bytes == 8) {
      list.le(address);
    } else {
      list.le(static_cast<std::uint32_t>(address));
    }
  }
  memory.put(kRoot, table(entry_bytes == 8 ? "XSDT" : "RSDT", list.bytes()));
  memory.put(kFirst, table("FACP", std::vector<std::byte>(80)));
  memory.put(kSecond, table("MCFG", std::vector<std::byte>(24)));
  return memory;
}

TEST(RootPointerTest, ChoosesTheRootTableByRevision) {
  const auto old = parse_root_pointer(root_pointer(0, 0x1000, 0x2000));
  ASSERT_TRUE(old);
  EXPECT_EQ(old->address, 0x1000u);
  EXPECT_EQ(old->entry_bytes, 4u);
  const auto modern = parse_root_pointer(root_pointer(2, 0x1000, 0x2000));
  ASSERT_TRUE(modern);
  EXPECT_EQ(modern->address, 0x2000u);
  EXPECT_EQ(modern->entry_bytes, 8u);
  const auto no_xsdt = parse_root_pointer(root_pointer(2, 0x1000, 0));
  EXPECT_EQ(no_xsdt->entry_bytes, 4u);
}

TEST(RootPointerTest, NamesWhatIsWrong) {
  std::vector<std::byte> bytes = root_pointer(2, 1, 2);
  EXPECT_EQ(parse_root_pointer(Bytes(bytes).first(19)).error(),
            Error::kBadLength);
  EXPECT_EQ(parse_root_pointer(Bytes(bytes).first(35)).error(),
            Error::kBadLength);
  for (std::size_t at : {std::size_t{10}, std::size_t{30}}) {
    bytes = root_pointer(2, 1, 2);
    bytes[at] ^= std::byte{1};
    EXPECT_EQ(parse_root_pointer(bytes).error(), Error::kBadChecksum) << at;
  }
  bytes[0] = std::byte{'X'};
  EXPECT_EQ(parse_root_pointer(bytes).error(), Error::kBadSignature);
}

TEST(FindTableTest, WalksBothKindsOfRoot) {
  for (std::size_t entry_bytes : {std::size_t{4}, std::size_t{8}}) {
    IslandMemory memory = machine(entry_bytes);
    const Root root{kRoot, entry_bytes};
    const auto found = find_table(memory, root, "MCFG");
    ASSERT_TRUE(found);
    EXPECT_EQ(found->size(), 60u);
    EXPECT_EQ(find_table(memory, root, "APIC").error(), Error::kNotFound);
  }
}

TEST(FindTableTest, VerifiesTheRootAndTheTable) {
  const Root root{kRoot, 8};
  IslandMemory memory = machine(8);
  memory.put(kSecond, [&] {
    auto bytes = table("MCFG", std::vector<std::byte>(24));
    bytes[50] = std::byte{1};
    return bytes;
  }());
  EXPECT_EQ(find_table(memory, root, "MCFG").error(), Error::kBadChecksum);
  EXPECT_TRUE(find_table(memory, root, "FACP"));

  auto cut = table("MCFG", std::vector<std::byte>(24));
  cut.resize(50);
  memory.put(kSecond, cut);
  EXPECT_EQ(find_table(memory, root, "MCFG").error(), Error::kUnreadable);

  auto short_length = table("MCFG", {});
  store_le(short_length.data() + 4, 35u);
  memory.put(kSecond, short_length);
  EXPECT_EQ(find_table(memory, root, "MCFG").error(), Error::kBadLength);

  EXPECT_EQ(find_table(memory, Root{kRoot, 4}, "MCFG").error(),
            Error::kBadSignature);
  EXPECT_EQ(find_table(memory, Root{0x10, 8}, "MCFG").error(),
            Error::kUnreadable);
}

// Layout as in ACPI 6.5 table 5.9, which the parser's offsets come from.
std::vector<std::byte> fadt_bytes(std::size_t size) {
  std::vector<std::byte> body(244 - 36);
  auto at = [&](std::size_t offset) { return body.data() + offset - 36; };
  store_le(at(40), 0x7fe0040u);
  store_le(at(64), 0x604u);
  store_le(at(76), 0x608u);
  store_le(at(112), 1u << 10 | 1u << 8);
  store_le(at(116), std::uint8_t{1});
  store_le(at(120), std::uint64_t{0xcf9});
  store_le(at(128), std::uint8_t{0x0f});
  body.resize(size - 36);
  return table("FACP", body);
}

TEST(FadtTest, ReadsTheOldFields) {
  const Fadt fadt = parse_fadt(fadt_bytes(244));
  EXPECT_EQ(fadt.power.pm1a_control.space, Space::kPort);
  EXPECT_EQ(fadt.power.pm1a_control.address, 0x604u);
  EXPECT_EQ(fadt.power.pm1b_control.space, Space::kNone);
  EXPECT_EQ(fadt.timer.address, 0x608u);
  EXPECT_TRUE(fadt.timer_is_32_bit);
  EXPECT_EQ(fadt.power.reset.address, 0xcf9u);
  EXPECT_EQ(fadt.power.reset_value, 0x0f);
  EXPECT_EQ(fadt.dsdt_address, 0x7fe0040u);
}

TEST(FadtTest, ExtendedFieldsWin) {
  std::vector<std::byte> bytes = fadt_bytes(244);
  store_le(bytes.data() + 140, std::uint64_t{0x123456789000});
  store_le(bytes.data() + 172, std::uint8_t{1});
  store_le(bytes.data() + 176, std::uint64_t{0x804});
  const Fadt fadt = parse_fadt(bytes);
  EXPECT_EQ(fadt.dsdt_address, 0x123456789000u);
  EXPECT_EQ(fadt.power.pm1a_control.address, 0x804u);
}

TEST(FadtTest, AShortTableLacksFieldsWithoutGuessing) {
  for (std::size_t size = 36; size <= 244; ++size) {
    const Fadt fadt = parse_fadt(fadt_bytes(size));
    EXPECT_EQ(fadt.power.reset.space, size > 128 ? Space::kPort : Space::kNone)
        << size;
    EXPECT_EQ(fadt.dsdt_address != 0, size >= 44) << size;
  }
}

TEST(McfgTest, ListsRegionsThatMakeSense) {
  Builder body;
  body.le(std::uint64_t{0});
  const auto entry = [&](std::uint64_t base, std::uint16_t segment,
                         std::uint8_t first, std::uint8_t last) {
    body.le(base).le(segment).le(first).le(last).le(0u);
  };
  entry(0xb0000000, 0, 0, 255);
  entry(0, 1, 0, 255);                   // no address
  entry(0xb0000000, 2, 9, 8);            // no bus
  entry(0xfffffffffff00000, 3, 0, 255);  // wraps
  entry(0x12345, 4, 0, 1);               // not on a bus boundary
  entry(0xe0000000, 5, 64, 127);
  body.le(0u);  // a piece of an entry
  const EcamRegions regions(table("MCFG", body.bytes()));
  ASSERT_EQ(regions.all().size(), 2u);
  EXPECT_EQ(regions.all()[0].base, 0xb0000000u);
  EXPECT_EQ(regions.all()[0].last_bus, 255);
  EXPECT_EQ(regions.all()[1].segment, 5);
  EXPECT_EQ(regions.all()[1].first_bus, 64);
}

TEST(McfgTest, AHeaderAloneHasNone) {
  EXPECT_TRUE(EcamRegions(table("MCFG", {})).all().empty());
}

TEST(HpetTableTest, TellsWhereRegistersAre) {
  const auto hpet = [](std::uint8_t space, std::uint64_t address) {
    Builder body;
    body.le(0x8086a201U).le(space).le(std::uint8_t{64}).le(std::uint16_t{0});
    body.le(address).le(std::uint8_t{0}).le(std::uint16_t{128});
    body.le(std::uint8_t{0});
    return hpet_address(table("HPET", body.bytes()));
  };
  EXPECT_EQ(hpet(0, 0xfed00000), 0xfed00000U);
  EXPECT_FALSE(hpet(1, 0xfed00000));  // ports
  EXPECT_FALSE(hpet(0, 0));
  EXPECT_FALSE(hpet(0, 0xfed00004));
  EXPECT_FALSE(hpet(0, ~std::uint64_t{1023}));  // would wrap
  EXPECT_FALSE(hpet_address(table("HPET", {})));
}

std::vector<std::byte> dsdt(std::initializer_list<unsigned> code) {
  std::vector<std::byte> body;
  for (unsigned b : code) body.push_back(static_cast<std::byte>(b));
  return table("DSDT", body);
}

TEST(SleepTest, DecodesThePackage) {
  // Name (_S5, Package (4) {0x05, 0x03, Zero, Zero})
  auto type =
      find_power_off_type(dsdt({0x10, 0x08, '_', 'S', '5', '_', 0x12, 0x08,
                                0x04, 0x0a, 0x05, 0x0a, 0x03, 0x00, 0x00}));
  ASSERT_TRUE(type);
  EXPECT_EQ(type->pm1a, 5);
  EXPECT_EQ(type->pm1b, 3);
  EXPECT_EQ(sleep_control(type->pm1a), 0x3400);
  // With a root prefix, a two-byte length and constants of other widths.
  type = find_power_off_type(dsdt({0x08, '\\', '_', 'S', '5', '_', 0x12, 0x46,
                                   0x00, 0x02, 0x0b, 0x07, 0x00, 0x01}));
  ASSERT_TRUE(type);
  EXPECT_EQ(type->pm1a, 7);
  EXPECT_EQ(type->pm1b, 1);
}

TEST(SleepTest, AUseOfTheNameIsNotItsDefinition) {
  const auto type = find_power_off_type(
      dsdt({0x70, '_', 'S', '5', '_',  0x12, 0x04, 0x02, 0x0a, 0x01, 0x08,
            '_',  'S', '5', '_', 0x12, 0x05, 0x02, 0x0a, 0x02, 0x00}));
  ASSERT_TRUE(type);
  EXPECT_EQ(type->pm1a, 2);
}

TEST(SleepTest, WhatIsNoPackageOfSmallConstantsIsNotFound) {
  EXPECT_FALSE(find_power_off_type(dsdt({})));
  EXPECT_FALSE(find_power_off_type(
      dsdt({0x08, '_', 'S', '5', '_', 0x0a, 0x05, 0, 0, 0})));
  EXPECT_FALSE(find_power_off_type(
      dsdt({0x08, '_', 'S', '5', '_', 0x12, 0x05, 0x01, 0x0a, 0x08, 0})));
  EXPECT_FALSE(find_power_off_type(
      dsdt({0x08, '_', 'S', '5', '_', 0x12, 0x05, 0x00, 0x0a, 0x01, 0})));
}

TEST(SleepTest, EveryCutOfAGoodTableIsHandled) {
  const std::vector<std::byte> good = dsdt(
      {0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x02, 0x0a, 0x05, 0x0a, 0x05});
  for (std::size_t size = kTableHeaderBytes; size < good.size(); ++size) {
    EXPECT_FALSE(find_power_off_type(Bytes(good).first(size))) << size;
  }
  EXPECT_TRUE(find_power_off_type(good));
}

TEST(AcpiTest, AnyBytesGiveAnAnswer) {
  for (unsigned seed = 0; seed < 3000; ++seed) {
    std::mt19937_64 random(seed);
    IslandMemory memory = machine(8);
    for (std::uint64_t address : {kRoot, kFirst, kSecond}) {
      const Bytes old = memory.view(address, 4096);
      std::vector<std::byte> bytes(old.begin(), old.end());
      for (unsigned flips = random() % 4; flips > 0; --flips) {
        bytes[4 + random() % (bytes.size() - 4)] =
            static_cast<std::byte>(random());
      }
      if (bytes.size() > 9) fix_checksum(bytes, 9);
      memory.put(address, bytes);
    }
    const Root root{kRoot, 8};
    if (const auto fadt = find_table(memory, root, "FACP")) {
      static_cast<void>(parse_fadt(*fadt));
      static_cast<void>(find_power_off_type(*fadt));
    }
    if (const auto mcfg = find_table(memory, root, "MCFG")) {
      for (const EcamRegion& region : EcamRegions(*mcfg).all()) {
        ASSERT_LE(region.first_bus, region.last_bus);
      }
    }
  }
}

}  // namespace
}  // namespace odo::acpi
