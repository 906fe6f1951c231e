// SPDX-License-Identifier: BSD-3-Clause
#include "lib/pci/config.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>
#include <vector>

#include "lib/pci/bars.h"
#include "lib/pci/capabilities.h"
#include "lib/pci/class_names.h"
#include "lib/pci/testing.h"

namespace odo::pci {
namespace {

std::vector<Address> all_functions(FakeConfigSpace& space,
                                   std::uint8_t first = 0,
                                   std::uint8_t last = 255) {
  std::vector<Address> found;
  enumerate(space, 0, first, last,
            [&](const Function& f) { found.push_back(f.address); });
  return found;
}

void make_bridge(FakeConfigSpace::FakeFunction& function, std::uint8_t to) {
  function.set(0x0e, std::uint8_t{1});
  function.set(0x19, to);
}

TEST(PciConfigTest, DecodesTheHeader) {
  FakeConfigSpace space;
  auto& fake = space.add({0, 0, 3, 0}, 0x8086, 0x2922);
  fake.set(0x08, 0x01060102u);
  fake.set(0x0e, std::uint8_t{0x80});
  const auto function = read_function(space, {0, 0, 3, 0});
  ASSERT_TRUE(function);
  EXPECT_EQ(function->vendor_id, 0x8086);
  EXPECT_EQ(function->device_id, 0x2922);
  EXPECT_EQ(function->base_class, 1);
  EXPECT_EQ(function->sub_class, 6);
  EXPECT_EQ(function->interface, 1);
  EXPECT_EQ(function->revision, 2);
  EXPECT_EQ(function->header, HeaderKind::kDevice);
  EXPECT_TRUE(function->has_more_functions);
  EXPECT_FALSE(read_function(space, {0, 0, 4, 0}));
}

TEST(PciEnumerateTest, FindsFunctionsBehindBridgesOnce) {
  FakeConfigSpace space;
  space.add({0, 0, 0, 0});
  make_bridge(space.add({0, 0, 1, 0}), 7);
  space.add({0, 7, 2, 0}).set(0x0e, std::uint8_t{0x80});
  space.add({0, 7, 2, 5});
  space.add({0, 7, 3, 1});  // no function 0: not there
  space.add({0, 9, 0, 0});  // no bridge leads there
  EXPECT_EQ(all_functions(space),
            (std::vector<Address>{
                {0, 0, 0, 0}, {0, 0, 1, 0}, {0, 7, 2, 0}, {0, 7, 2, 5}}));
}

TEST(PciEnumerateTest, SingleFunctionDevicesCostOneRead) {
  FakeConfigSpace space;
  all_functions(space);
  EXPECT_EQ(space.reads, 32u);
}

TEST(PciEnumerateTest, BridgesThatLoopOrLeaveTheRangeEnd) {
  FakeConfigSpace space;
  make_bridge(space.add({0, 4, 0, 0}), 5);
  make_bridge(space.add({0, 4, 1, 0}), 4);    // to itself
  make_bridge(space.add({0, 4, 2, 0}), 3);    // below the range
  make_bridge(space.add({0, 4, 3, 0}), 200);  // above it
  make_bridge(space.add({0, 5, 0, 0}), 4);    // back
  make_bridge(space.add({0, 5, 1, 0}), 5);
  space.add({0, 3, 0, 0});
  space.add({0, 200, 0, 0});
  EXPECT_EQ(all_functions(space, 4, 100).size(), 6u);
}

TEST(PciEnumerateTest, EveryBusFullIsStillBounded) {
  FakeConfigSpace space;
  for (unsigned bus = 0; bus < 256; ++bus) {
    make_bridge(space.add({0, static_cast<std::uint8_t>(bus), 0, 0}),
                static_cast<std::uint8_t>(bus + 1));
  }
  EXPECT_EQ(all_functions(space).size(), 256u);
}

TEST(PciCommandTest, ChangesBitsAndLeavesTheStatusAlone) {
  FakeConfigSpace space;
  auto& fake = space.add({});
  fake.set(4, std::uint16_t{0x0103});
  fake.set(6, std::uint16_t{0xf900});
  change_command(space, {}, kCommandMemory | kCommandBusMaster, kCommandPorts);
  EXPECT_EQ(fake.get<std::uint16_t>(4), 0x0106);
  EXPECT_EQ(fake.get<std::uint16_t>(6), 0xf900);
}

std::vector<int> capability_ids(FakeConfigSpace& space) {
  std::vector<int> ids;
  for_each_capability(space, {}, [&](CapabilityId id, std::uint8_t) {
    ids.push_back(static_cast<int>(id));
    return true;
  });
  return ids;
}

FakeConfigSpace::FakeFunction& with_list(FakeConfigSpace& space,
                                         std::uint8_t first) {
  auto& fake = space.add({});
  fake.set(6, std::uint16_t{1u << 4});
  fake.set(0x34, first);
  return fake;
}

TEST(PciCapabilityTest, WalksTheList) {
  FakeConfigSpace space;
  auto& fake = with_list(space, 0x43);  // the low two bits do not count
  fake.set(0x40, std::uint16_t{0x5009});
  fake.set(0x50, std::uint16_t{0xf811});
  fake.set(0xf8, std::uint16_t{0x0005});
  EXPECT_EQ(capability_ids(space), (std::vector<int>{9, 0x11, 5}));
  EXPECT_EQ(find_capability(space, {}, CapabilityId::kMsix), 0x50);
  EXPECT_EQ(find_capability(space, {}, CapabilityId::kMsi), 0xf8);
  fake.set(6, std::uint16_t{0});
  EXPECT_TRUE(capability_ids(space).empty()) << "the status says there is none";
}

TEST(PciCapabilityTest, AListThatLoopsOrLeavesItsAreaEnds) {
  FakeConfigSpace space;
  auto& fake = with_list(space, 0x40);
  fake.set(0x40, std::uint16_t{0x5009});
  fake.set(0x50, std::uint16_t{0x4009});
  EXPECT_EQ(capability_ids(space).size(), 2u);
  fake.set(0x50, std::uint16_t{0x3c09});  // into the header
  EXPECT_EQ(capability_ids(space).size(), 2u);
  for (unsigned at = 0x40; at < 0x100; at += 4) {
    fake.set(at, static_cast<std::uint16_t>((at + 4) << 8 | 9));
  }
  EXPECT_EQ(capability_ids(space).size(), 48u);
}

TEST(PciCapabilityTest, DecodesAndSwitchesMsix) {
  FakeConfigSpace space;
  auto& fake = with_list(space, 0x98);
  fake.set(0x98, std::uint16_t{0x0011});
  fake.set(0x9a, std::uint16_t{0x4002});  // all masked, three entries
  fake.set(0x9c, 0x00000801u);
  const auto msix = find_msix(space, {});
  ASSERT_TRUE(msix);
  EXPECT_EQ(msix->entries, 3);
  EXPECT_EQ(msix->table_bar, 1);
  EXPECT_EQ(msix->table_offset, 0x800u);
  set_msix(space, {}, *msix, MsixState::kOn);
  EXPECT_EQ(fake.get<std::uint16_t>(0x9a), 0x8002);
  set_msix(space, {}, *msix, MsixState::kOff);
  EXPECT_EQ(fake.get<std::uint16_t>(0x9a), 0x0002);
  fake.set(0x9c, 0x00000806u);  // there is no sixth base address
  EXPECT_FALSE(find_msix(space, {}));
}

TEST(PciCapabilityTest, MsixTooNearTheEndIsNone) {
  FakeConfigSpace space;
  auto& fake = with_list(space, 0xf8);
  fake.set(0xf8, std::uint16_t{0x0011});
  EXPECT_FALSE(find_msix(space, {}));
}

Bars bars_of(FakeConfigSpace& space) {
  return read_bars(space, *read_function(space, {}));
}

TEST(PciBarTest, SizesEveryKindAndPutsAllBack) {
  FakeConfigSpace space;
  auto& fake = space.add({});
  fake.set(kCommand, std::uint16_t{0x0107});
  fake.set(0x10, 0xc001u);      // ports
  fake.set(0x14, 0xfebd1000u);  // 32 bits
  fake.set(0x18, 0xfe00000cu);  // 64 bits, prefetchable
  fake.set(0x1c, 0x00000010u);
  fake.bar_writable = {0xff80, 0xfffff000, 0xffffc000, 0xffffffff, 0, 0};
  const auto before = fake.bytes;
  const Bars bars = bars_of(space);
  EXPECT_EQ(fake.bytes, before);
  EXPECT_EQ(fake.moves_while_decoding, 0u);
  EXPECT_EQ(bars[0].kind, BarKind::kPort);
  EXPECT_EQ(bars[0].base, 0xc000u);
  EXPECT_EQ(bars[0].size_bytes, 128u);
  EXPECT_EQ(bars[1].kind, BarKind::kMemory32);
  EXPECT_EQ(bars[1].base, 0xfebd1000u);
  EXPECT_EQ(bars[1].size_bytes, 4096u);
  EXPECT_EQ(bars[2].kind, BarKind::kMemory64);
  EXPECT_EQ(bars[2].base, 0x10fe000000u);
  EXPECT_EQ(bars[2].size_bytes, 16384u);
  EXPECT_EQ(bars[3].kind, BarKind::kNone);
  EXPECT_EQ(bars[4].kind, BarKind::kNone);
}

TEST(PciBarTest, LargerThan4GiB) {
  FakeConfigSpace space;
  auto& fake = space.add({});
  fake.set(0x10, 0x00000004u);
  fake.set(0x14, 0x00000040u);
  fake.bar_writable = {0, 0xfffffffe, 0, 0, 0, 0};
  // The low half is wired to its kind bits alone.
  const Bars bars = bars_of(space);
  EXPECT_EQ(bars[0].kind, BarKind::kMemory64);
  EXPECT_EQ(bars[0].base, 0x4000000000u);
  EXPECT_EQ(bars[0].size_bytes, std::uint64_t{1} << 33);
}

TEST(PciBarTest, NonsenseIsLeftOut) {
  FakeConfigSpace space;
  auto& fake = space.add({});
  fake.set(0x10, 0x00000006u);  // a kind that does not exist
  fake.set(0x14, 0x00000000u);
  fake.set(0x24, 0xfe000004u);  // 64 bits, but there is no upper half
  fake.bar_writable = {0xfffff000, 0xff00f000, 0, 0, 0, 0xfffff000};
  for (const Bar& bar : bars_of(space)) EXPECT_EQ(bar.kind, BarKind::kNone);
}

TEST(PciBarTest, BridgesHaveTwo) {
  FakeConfigSpace space;
  auto& fake = space.add({});
  make_bridge(fake, 1);
  fake.set(0x14, 0xfe000000u);
  fake.bar_writable = {0, 0xfffff000, 0xffffffff, 0, 0, 0};
  const Bars bars = bars_of(space);
  EXPECT_EQ(bars[1].kind, BarKind::kMemory32);
  EXPECT_EQ(bars[2].kind, BarKind::kNone) << "that is the bus numbers";
}

TEST(PciTest, AnyBytesGiveAnAnswer) {
  for (unsigned seed = 0; seed < 3000; ++seed) {
    std::mt19937_64 random(seed);
    FakeConfigSpace space;
    for (unsigned i = 0; i < 6; ++i) {
      auto& fake = space.add({0, static_cast<std::uint8_t>(random() % 4),
                              static_cast<std::uint8_t>(random() % 4),
                              static_cast<std::uint8_t>(random() % 2)});
      for (std::byte& b : fake.bytes) b = static_cast<std::byte>(random());
      fake.set(0, std::uint16_t{0x1af4});
      for (std::uint32_t& w : fake.bar_writable) {
        w = static_cast<std::uint32_t>(random());
      }
    }
    std::set<std::string> seen;
    enumerate(space, 0, 0, 3, [&](const Function& f) {
      EXPECT_TRUE(seen.insert(std::to_string(f.address.bus) + ":" +
                              std::to_string(f.address.device) + "." +
                              std::to_string(f.address.function))
                      .second);
      static_cast<void>(find_msix(space, f.address));
      for (const Bar& bar : read_bars(space, f)) {
        EXPECT_TRUE(bar.kind == BarKind::kNone ||
                    is_power_of_two(bar.size_bytes));
      }
    });
  }
}

TEST(PciClassNameTest, IsExactWhereItCanBe) {
  EXPECT_EQ(class_name(0x06, 0x00), "host bridge");
  EXPECT_EQ(class_name(0x01, 0x06), "SATA controller");
  EXPECT_EQ(class_name(0x01, 0x77), "storage controller");
  EXPECT_EQ(class_name(0x42, 0x00), "unknown device");
  for (unsigned base = 0; base < 256; ++base) {
    for (unsigned sub = 0; sub < 256; ++sub) {
      ASSERT_FALSE(class_name(static_cast<std::uint8_t>(base),
                              static_cast<std::uint8_t>(sub))
                       .empty());
    }
  }
}

}  // namespace
}  // namespace odo::pci
