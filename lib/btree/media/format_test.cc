// SPDX-License-Identifier: BSD-3-Clause
#include "lib/btree/media/format.h"

#include <cstdint>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "lib/btree/media/page.h"
#include "lib/btree/media/testing/media_model.h"
#include "lib/btree/media/testing/memory_page_store.h"
#include "lib/btree/media/writer.h"

namespace odo::btree::media {
namespace {

using testing::key_of;
using testing::MemoryPageStore;
using testing::value_of;

TEST(BTreeMediaFormatTest, ShapesThatNoTreeCanHave) {
  EXPECT_TRUE(Shape::make(256, 8, 0));
  EXPECT_TRUE(Shape::make(65536, 64, 1000));
  EXPECT_FALSE(Shape::make(128, 8, 0));
  EXPECT_FALSE(Shape::make(131072, 8, 0));
  EXPECT_FALSE(Shape::make(768, 8, 0));
  EXPECT_FALSE(Shape::make(256, 0, 8));
  EXPECT_FALSE(Shape::make(256, 12, 8));
  EXPECT_FALSE(Shape::make(4096, 72, 8));
  EXPECT_FALSE(Shape::make(256, 8, 41));
  EXPECT_TRUE(Shape::make(256, 8, 40));
  EXPECT_FALSE(Shape::make(256, 8, ~std::uint32_t{0}));
}

// For all shapes: slots lie inside the page, and one more would not.
TEST(BTreeMediaFormatTest, SlotsFillThePage) {
  for (std::uint32_t page = 256; page <= 65536; page *= 2) {
    for (std::uint32_t key = 8; key <= 64; key += 8) {
      for (std::uint32_t value = 0; value < page; value += 1 + value / 3) {
        const auto shape = Shape::make(page, key, value);
        if (!shape) continue;
        for (const std::uint32_t level : {0U, 1U}) {
          const std::uint32_t entry = key + shape->payload_bytes(level);
          const std::uint32_t end =
              shape->payloads_at(level) +
              shape->slots(level) * shape->payload_bytes(level);
          EXPECT_LE(end, page);
          EXPECT_GT(end + entry, page);
          EXPECT_EQ(shape->payloads_at(level) % 8, 0U);
        }
      }
    }
  }
}

TEST(BTreeMediaFormatTest, KeysAreNumbers) {
  const auto a = key_of(5, 16);
  auto b = key_of(5, 16);
  EXPECT_EQ(compare_keys(a.data(), b.data(), 16), 0);
  b[0] = std::byte{0xff};  // the lowest byte
  EXPECT_EQ(compare_keys(a.data(), b.data(), 16), -1);
  b[15] = std::byte{0};
  b[8] = std::byte{4};
  EXPECT_EQ(compare_keys(a.data(), b.data(), 16), 1);
  const std::vector<std::byte> zero(16);
  EXPECT_TRUE(is_zero_key(zero.data(), 16));
  EXPECT_FALSE(is_zero_key(a.data(), 16));
  EXPECT_TRUE(below(a.data(), zero.data(), 16));
  EXPECT_FALSE(below(a.data(), a.data(), 16));
}

std::string hex(Bytes bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : bytes) {
    text += kDigits[std::to_integer<unsigned>(byte) >> 4];
    text += kDigits[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

// The bytes of a small tree, once and for all: what this format's version 1 is.
TEST(BTreeMediaFormatTest, GoldenBytes) {
  MemoryPageStore store(256, 8);
  std::vector<std::byte> memory(std::size_t{8} * 256);
  Writer<MemoryPageStore> writer(store, memory);
  ASSERT_TRUE(writer.create(*Shape::make(256, 8, 4), 0x1122334455667788));
  ASSERT_TRUE(writer.insert(key_of(0x0102030405060708, 8), value_of(0xa1, 4)));
  ASSERT_TRUE(writer.insert(key_of(0x10, 8), value_of(0xb2c3d4e5, 4)));
  ASSERT_TRUE(writer.commit());
  const Bytes image = store.image();
  EXPECT_EQ(hex(image.subspan(256, 104)),
            "58cf19f1a1d5a74b4f4442480100000000010000080004000100000000000000"
            "030000000000000088776655443322110200000000000000a8f06a21fb6aa5a3"
            "0300000000000000000000000000000002000000000000000100000000000000"
            "0800000000000000");
  EXPECT_EQ(hex(image.subspan(512, 80)),
            "a8f06a21fb6aa5a34f4442500100000002000000000000000200000000000000"
            "0300000000000000887766554433221100000000000000000000000000000000"
            "10000000000000000807060504030201");
  // 16 keys of 8, then values of 4.
  EXPECT_EQ(hex(image.subspan(512 + 64 + 8 * 16, 12)),
            "e5d4c3b2a100000000000000");
}

// Slots that a page has given up keep nothing of what was in them.
TEST(BTreeMediaFormatTest, UnusedSlotsAreZero) {
  MemoryPageStore store(256, 200);
  std::vector<std::byte> memory(std::size_t{48} * 256);
  Writer<MemoryPageStore> writer(store, memory);
  ASSERT_TRUE(writer.create(*Shape::make(256, 8, 8), 1));
  for (std::uint64_t i = 1; i <= 300; ++i) {
    ASSERT_TRUE(writer.insert(key_of(i * 7919 % 1009, 8), value_of(~i, 8)));
    if (i % 3 == 0) {
      ASSERT_TRUE(writer.erase(key_of((i - 1) * 7919 % 1009, 8)));
    }
  }
  ASSERT_TRUE(writer.commit());
  std::vector<std::byte> workspace(std::size_t{8} * 256);
  Reader<MemoryPageStore> reader(store, workspace);
  ASSERT_TRUE(reader.open());
  const Shape shape = reader.shape();
  EXPECT_TRUE(
      reader
          .verify([](const Finding&) {},
                  [&](std::uint64_t number) {
                    const std::byte* page = store.image().data() + number * 256;
                    const PageView view(shape, page);
                    const auto zero = [](const std::byte* from,
                                         const std::byte* to) {
                      for (; from < to; ++from) {
                        EXPECT_EQ(*from, std::byte{0});
                      }
                    };
                    zero(view.key(view.count()), view.key(view.slots()));
                    zero(view.payload(view.count()), page + 256);
                  })
          .clean());
}

}  // namespace
}  // namespace odo::btree::media
