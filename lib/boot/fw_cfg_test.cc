// SPDX-License-Identifier: BSD-3-Clause
#include "lib/boot/fw_cfg.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "lib/base/bytes.h"

namespace odo::boot {
namespace {

// Reads past an item's end give zeros, as the device does.
class FakeDevice {
 public:
  void select(std::uint16_t item) {
    item_ = item;
    at_ = 0;
  }
  void read(MutableBytes bytes) {
    reads_ += bytes.size();
    for (std::byte& b : bytes) {
      const std::vector<std::byte>& item = items[item_];
      b = at_ < item.size() ? item[at_] : std::byte{0};
      ++at_;
    }
  }
  [[nodiscard]] std::size_t bytes_read() const { return reads_; }

  std::map<std::uint16_t, std::vector<std::byte>> items;

 private:
  std::uint16_t item_ = 0;
  std::size_t at_ = 0;
  std::size_t reads_ = 0;
};

void append_be(std::vector<std::byte>& to, std::uint64_t value, int bytes) {
  while (bytes-- > 0) to.push_back(static_cast<std::byte>(value >> 8 * bytes));
}

void append_file(std::vector<std::byte>& to, std::uint32_t size,
                 std::uint16_t item, std::string name) {
  append_be(to, size, 4);
  append_be(to, item, 2);
  append_be(to, 0, 2);
  name.resize(56);
  for (char c : name) to.push_back(static_cast<std::byte>(c));
}

FakeDevice make() {
  FakeDevice device;
  append_be(device.items[0], 0x51454d55, 4);
  std::vector<std::byte>& directory = device.items[0x19];
  append_be(directory, 3, 4);
  append_file(directory, 11, 0x20, "etc/acpi");
  append_file(directory, 22, 0x21, "opt/odo/run");
  append_file(directory, 33, 0x22, std::string(56, 'n'));
  return device;
}

TEST(FwCfgTest, FindsAFileByItsWholeName) {
  FakeDevice device = make();
  EXPECT_TRUE(has_fw_cfg(device));
  const auto file = find_fw_cfg_file(device, "opt/odo/run");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->item, 0x21);
  EXPECT_EQ(file->size_bytes, 22u);
  EXPECT_FALSE(find_fw_cfg_file(device, "opt/odo/ru"));
  EXPECT_FALSE(find_fw_cfg_file(device, "opt/odo/run2"));
  EXPECT_EQ(find_fw_cfg_file(device, std::string(56, 'n'))->item, 0x22)
      << "a name that fills its field has no NUL";
}

TEST(FwCfgTest, AnEmptyBusIsNoDevice) {
  FakeDevice device;
  EXPECT_FALSE(has_fw_cfg(device));
  device.items[0].assign(4, std::byte{0xff});
  EXPECT_FALSE(has_fw_cfg(device));
}

TEST(FwCfgTest, ACountThatLiesEndsAtTheBound) {
  FakeDevice device = make();
  device.items[0x19].assign(4, std::byte{0xff});
  EXPECT_FALSE(find_fw_cfg_file(device, "opt/odo/run"));
  EXPECT_LE(device.bytes_read(), 4 + 64 * kMaxFwCfgFiles);
}

}  // namespace
}  // namespace odo::boot
