// SPDX-License-Identifier: BSD-3-Clause
#include "lib/base/bytes.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <limits>
#include <vector>

namespace odo {
namespace {

constexpr std::array<std::byte, 10> kBytes = {
    std::byte{0xfe}, std::byte{0x01}, std::byte{0x82}, std::byte{0x03},
    std::byte{0x84}, std::byte{0x05}, std::byte{0x86}, std::byte{0x07},
    std::byte{0x88}, std::byte{0x09}};

// The constant evaluator and the machine take different paths: both are held
// to the same answers.
static_assert(load_le<std::uint16_t>(kBytes.data()) == 0x01fe);
static_assert(load_le<std::int16_t>(kBytes.data() + 1) ==
              static_cast<std::int16_t>(0x8201));
static_assert(load_le<std::uint64_t>(kBytes.data() + 1) == 0x8807860584038201);
static_assert(load_be<std::uint32_t>(kBytes.data()) == 0xfe018203);
static_assert(load_be<std::uint8_t>(kBytes.data()) == 0xfe);
static_assert([] {
  std::array<std::byte, 9> to{};
  store_le<std::uint32_t>(to.data() + 1, 0xa1b2c3d4);
  store_be<std::uint32_t>(to.data() + 5, 0xa1b2c3d4);
  store_le<std::int8_t>(to.data(), -2);
  return to[0] == std::byte{0xfe} && to[1] == std::byte{0xd4} &&
         to[4] == std::byte{0xa1} && to[5] == std::byte{0xa1} &&
         to[8] == std::byte{0xd4};
}());

template <class T>
class BytesTest : public ::testing::Test {};
using Numbers =
    ::testing::Types<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t,
                     std::uint32_t, std::int32_t, std::uint64_t, std::int64_t>;
TYPED_TEST_SUITE(BytesTest, Numbers);

TYPED_TEST(BytesTest, LittleEndianAtEveryAlignment) {
  for (std::size_t offset = 0; offset + sizeof(TypeParam) <= kBytes.size();
       ++offset) {
    std::uint64_t want = 0;
    for (std::size_t i = 0; i < sizeof(TypeParam); ++i) {
      want |= std::to_integer<std::uint64_t>(kBytes[offset + i]) << (8 * i);
    }
    EXPECT_EQ(load_le<TypeParam>(kBytes.data() + offset),
              static_cast<TypeParam>(want));
  }
}

TYPED_TEST(BytesTest, StoresComeBackAndTouchNothingElse) {
  for (TypeParam value :
       {std::numeric_limits<TypeParam>::min(),
        std::numeric_limits<TypeParam>::max(), TypeParam{1}}) {
    std::vector<std::byte> to(sizeof(TypeParam) + 3, std::byte{0x5a});
    store_le<TypeParam>(to.data() + 1, value);
    EXPECT_EQ(load_le<TypeParam>(to.data() + 1), value);
    EXPECT_EQ(to[0], std::byte{0x5a});
    EXPECT_EQ(to[sizeof(TypeParam) + 1], std::byte{0x5a});
    if constexpr (std::is_unsigned_v<TypeParam>) {
      store_be<TypeParam>(to.data() + 1, value);
      EXPECT_EQ(load_be<TypeParam>(to.data() + 1), value);
      TypeParam swapped = load_le<TypeParam>(to.data() + 1);
      for (std::size_t i = 0; i < sizeof(TypeParam); ++i) {
        EXPECT_EQ(static_cast<std::uint8_t>(swapped >> (8 * i)),
                  static_cast<std::uint8_t>(value >>
                                            (8 * (sizeof(TypeParam) - 1 - i))));
      }
    }
  }
}

TYPED_TEST(BytesTest, ReadIsTotal) {
  Bytes bytes = kBytes;
  std::size_t last = bytes.size() - sizeof(TypeParam);
  EXPECT_EQ(read_le<TypeParam>(bytes, last),
            load_le<TypeParam>(bytes.data() + last));
  EXPECT_EQ(read_le<TypeParam>(bytes, last + 1), std::nullopt);
  EXPECT_EQ(read_le<TypeParam>(bytes, bytes.size()), std::nullopt);
  EXPECT_EQ(read_le<TypeParam>(bytes, std::numeric_limits<std::size_t>::max()),
            std::nullopt);
  EXPECT_EQ(read_le<TypeParam>({}, 0), std::nullopt);
}

struct Pair {
  std::uint8_t a;
  std::uint32_t b;
};

TEST(BytesStructTest, ReadStructIsTotal) {
  Bytes bytes = kBytes;
  auto got = read_struct<Pair>(bytes, 1);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->a, 0x01);
  EXPECT_EQ(got->b, 0x88078605u);
  EXPECT_TRUE(read_struct<Pair>(bytes, bytes.size() - sizeof(Pair)));
  EXPECT_FALSE(read_struct<Pair>(bytes, bytes.size() - sizeof(Pair) + 1));
  EXPECT_FALSE(read_struct<Pair>(bytes, ~std::size_t{0}));
}

TEST(BytesStructTest, BytesOfSeesTheObject) {
  std::uint32_t value = 0x01020304;
  EXPECT_EQ(bytes_of(value).size(), 4u);
  EXPECT_EQ(bytes_of(value)[0], std::byte{4});
  mutable_bytes_of(value)[3] = std::byte{9};
  EXPECT_EQ(value, 0x09020304u);
}

TEST(BytesStructTest, CopyZeroEqual) {
  std::array<std::byte, 4> to{};
  copy_bytes(to, Bytes(kBytes).first(3));
  EXPECT_TRUE(equal_bytes(Bytes(to).first(3), Bytes(kBytes).first(3)));
  EXPECT_EQ(to[3], std::byte{0});
  EXPECT_FALSE(equal_bytes(Bytes(to).first(3), Bytes(kBytes).first(2)));
  EXPECT_FALSE(equal_bytes(Bytes(to).first(3), Bytes(kBytes).subspan(1, 3)));
  EXPECT_TRUE(equal_bytes({}, Bytes(to).first(0)));
  zero_bytes(MutableBytes(to).first(2));
  EXPECT_EQ(to[1], std::byte{0});
  EXPECT_EQ(to[2], kBytes[2]);
  zero_bytes({});
  copy_bytes({}, {});
}

#if !defined(NDEBUG)
TEST(BytesDeathTest, CopyIntoTooLittleStopsInDebugBuilds) {
  std::array<std::byte, 2> to{};
  EXPECT_DEATH(copy_bytes(to, Bytes(kBytes).first(3)), "");
}
#endif

TEST(AllZeroTest, SeesAnyByteThatIsnt) {
  std::array<std::byte, 9> bytes = {};
  EXPECT_TRUE(all_zero({}));
  EXPECT_TRUE(all_zero(bytes));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = std::byte{1};
    EXPECT_FALSE(all_zero(bytes)) << i;
    bytes[i] = std::byte{0};
  }
}

}  // namespace
}  // namespace odo
