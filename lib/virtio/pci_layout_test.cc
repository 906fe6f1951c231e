// SPDX-License-Identifier: BSD-3-Clause
#include "lib/virtio/pci_layout.h"

#include <gtest/gtest.h>

#include <random>

#include "lib/pci/testing.h"

namespace odo::virtio {
namespace {

struct Cap {
  std::uint8_t kind;
  std::uint8_t bar;
  std::uint32_t offset;
  std::uint32_t length;
  std::uint32_t multiplier = 4;
  std::uint8_t size = 20;
};

// As QEMU lays a modern device out.
const std::vector<Cap> kUsual{{1, 4, 0x0000, 0x1000},
                              {3, 4, 0x1000, 0x1000},
                              {4, 4, 0x2000, 0x1000},
                              {2, 4, 0x3000, 0x1000}};

class PciLayoutTest : public testing::Test {
 protected:
  [[nodiscard]] std::optional<PciLayout> find(const std::vector<Cap>& caps) {
    auto& fake = space.add({});
    fake.set(6, std::uint16_t{1u << 4});
    std::uint8_t at = 0x40;
    fake.set(0x34, at);
    for (const Cap& cap : caps) {
      fake.set(at, std::uint8_t{9});
      fake.set(at + 1u, static_cast<std::uint8_t>(at + 20));
      fake.set(at + 2u, cap.size);
      fake.set(at + 3u, cap.kind);
      fake.set(at + 4u, cap.bar);
      fake.set(at + 8u, cap.offset);
      fake.set(at + 12u, cap.length);
      fake.set(at + 16u, cap.multiplier);
      at = static_cast<std::uint8_t>(at + 20);
    }
    fake.set(at, std::uint16_t{0});
    pci::Function function;
    function.header = pci::HeaderKind::kDevice;
    return find_layout(space, function, bars);
  }

  pci::FakeConfigSpace space;
  pci::Bars bars = [] {
    pci::Bars b;
    b[1] = {pci::BarKind::kPort, 0xc000, 64};
    b[2] = {pci::BarKind::kMemory32, 0, 0x4000};
    b[4] = {pci::BarKind::kMemory64, 0x800000000, 0x4000};
    return b;
  }();
};

TEST_F(PciLayoutTest, FindsTheParts) {
  const auto layout = find(kUsual);
  ASSERT_TRUE(layout);
  EXPECT_EQ(layout->common.physical, 0x800000000u);
  EXPECT_EQ(layout->device.physical, 0x800002000u);
  EXPECT_EQ(layout->notify.physical, 0x800003000u);
  EXPECT_EQ(layout->notify_multiplier, 4u);
  EXPECT_EQ(notify_place(*layout, 0), 0u);
  EXPECT_EQ(notify_place(*layout, 1023), 4092u);
  EXPECT_EQ(notify_place(*layout, 1024), std::nullopt) << "behind the part";
}

TEST_F(PciLayoutTest, TheFirstUsableOfAKindCounts) {
  auto caps = kUsual;
  caps.insert(caps.begin(), {1, 4, 0x3001, 0x1000});  // leaves its bar
  caps.push_back({1, 4, 0x1000, 0x1000});
  const auto layout = find(caps);
  ASSERT_TRUE(layout);
  EXPECT_EQ(layout->common.physical, 0x800000000u);
}

TEST_F(PciLayoutTest, PartsThatCannotBeAreNotThere) {
  const auto with_common = [&](const Cap& cap) {
    auto caps = kUsual;
    caps[0] = cap;
    return find(caps).has_value();
  };
  EXPECT_FALSE(with_common({1, 6, 0, 0x1000})) << "no such bar";
  EXPECT_FALSE(with_common({1, 7, 0, 0x1000}));
  EXPECT_FALSE(with_common({1, 0, 0, 0x1000})) << "an empty bar";
  EXPECT_FALSE(with_common({1, 1, 0, 56})) << "ports";
  EXPECT_FALSE(with_common({1, 2, 0, 0x1000})) << "no address";
  EXPECT_FALSE(with_common({1, 4, 0, 55})) << "too short";
  EXPECT_FALSE(with_common({1, 4, 0x4000, 56}));
  EXPECT_FALSE(with_common({1, 4, 0xfffffff0, 0x100})) << "wraps";
  EXPECT_FALSE(with_common({1, 4, 0, 0x1000, 4, 15})) << "a short capability";
  EXPECT_TRUE(with_common({1, 4, 0x3fc8, 56}));
}

TEST_F(PciLayoutTest, ADeviceMayHaveNoPartOfItsOwn) {
  auto caps = kUsual;
  caps.erase(caps.begin() + 2);
  const auto layout = find(caps);
  ASSERT_TRUE(layout);
  EXPECT_EQ(layout->device.length, 0u);
}

TEST_F(PciLayoutTest, AnyCapabilitiesGiveAnAnswer) {
  for (unsigned seed = 0; seed < 3000; ++seed) {
    std::mt19937 random(seed);
    auto caps = kUsual;
    for (Cap& cap : caps) {
      if (random() % 3 == 0) cap.bar = static_cast<std::uint8_t>(random());
      if (random() % 3 == 0) cap.offset = static_cast<std::uint32_t>(random());
      if (random() % 3 == 0) cap.length = static_cast<std::uint32_t>(random());
    }
    const auto layout = find(caps);
    if (!layout) continue;
    for (const RegisterRange& r : {layout->common, layout->notify}) {
      ASSERT_GE(r.physical, 0x800000000u);
      ASSERT_LE(r.physical + r.length, 0x800004000u);
    }
  }
}

TEST(VirtioKindTest, KnowsModernAndTransitionalDevices) {
  pci::Function function;
  function.vendor_id = kPciVendor;
  function.device_id = 0x1042;
  EXPECT_TRUE(is_virtio(function, DeviceKind::kBlock));
  EXPECT_FALSE(is_virtio(function, DeviceKind::kConsole));
  function.device_id = 0x1001;
  EXPECT_TRUE(is_virtio(function, DeviceKind::kBlock));
  function.device_id = 0x1003;
  EXPECT_TRUE(is_virtio(function, DeviceKind::kConsole));
  function.vendor_id = 0x8086;
  EXPECT_FALSE(is_virtio(function, DeviceKind::kConsole));
}

}  // namespace
}  // namespace odo::virtio
