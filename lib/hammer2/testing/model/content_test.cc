// SPDX-License-Identifier: BSD-3-Clause
#include "lib/hammer2/testing/model/content.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "lib/base/bytes.h"
#include "lib/block/sim/random.h"

namespace odo::hammer2::testing::model {
namespace {

std::vector<std::byte> all(const Content& content) {
  std::vector<std::byte> bytes(
      static_cast<std::size_t>(content.size_bytes()) + 10, std::byte{0xee});
  bytes.resize(content.read(0, bytes));
  return bytes;
}

std::uint64_t hash_of(const std::vector<std::byte>& bytes) {
  ContentHash hash;
  hash.add(0, bytes);
  return hash.value();
}

TEST(ContentTest, IsWhatAVectorIs) {
  block::Random random(1);
  Content content;
  std::vector<std::byte> expected;
  for (int i = 0; i < 2000; ++i) {
    const auto at = static_cast<std::size_t>(random.below(20'000));
    if (random.chance(80)) {
      content.truncate(at);
      expected.resize(at);
    } else {
      std::vector<std::byte> bytes(
          static_cast<std::size_t>(random.below(9'000)));
      for (std::byte& b : bytes) b = static_cast<std::byte>(random.next());
      content.write(at, bytes);
      if (!bytes.empty()) {
        expected.resize(std::max(expected.size(), at + bytes.size()));
      }
      copy_bytes(MutableBytes(expected).last(expected.size() -
                                             std::min(at, expected.size())),
                 bytes);
    }
    ASSERT_EQ(content.size_bytes(), expected.size());
    ASSERT_TRUE(all(content) == expected) << i;
    ASSERT_EQ(content.hash(), hash_of(expected));
  }
}

TEST(ContentTest, CopiesDontChangeEachOther) {
  const std::vector<std::byte> ones(10'000, std::byte{1});
  const std::vector<std::byte> twos(10, std::byte{2});
  Content first;
  first.write(0, ones);
  Content second = first;
  second.write(5'000, twos);
  EXPECT_EQ(all(first), ones);
  first.truncate(4'100);
  EXPECT_EQ(all(second)[4'200], std::byte{1});
  EXPECT_EQ(all(second)[5'001], std::byte{2});
}

TEST(ContentTest, HolesCostNothingAndReadAsZeros) {
  Content content;
  const std::vector<std::byte> one(1, std::byte{1});
  content.write(std::uint64_t{1} << 40, one);
  EXPECT_EQ(content.size_bytes(), (std::uint64_t{1} << 40) + 1);
  std::vector<std::byte> got(100, std::byte{7});
  EXPECT_EQ(content.read(std::uint64_t{1} << 39, got), 100U);
  EXPECT_TRUE(all_zero(got));
}

TEST(ContentHashTest, TellsContentApartButNotHoles) {
  std::vector<std::byte> bytes(10'000, std::byte{0});
  EXPECT_EQ(hash_of(bytes), hash_of({}));
  bytes[4'999] = std::byte{1};
  const std::uint64_t at_4999 = hash_of(bytes);
  std::swap(bytes[4'999], bytes[4'998]);
  EXPECT_NE(hash_of(bytes), at_4999);
  std::swap(bytes[4'998], bytes[4'999 + kPageBytes]);
  EXPECT_NE(hash_of(bytes), at_4999);
  std::swap(bytes[4'999 + kPageBytes], bytes[4'999]);
  EXPECT_EQ(hash_of(bytes), at_4999);
  // In pieces of any number of pages, in any order.
  ContentHash hash;
  hash.add(4096, Bytes(bytes).subspan(4096));
  hash.add(0, Bytes(bytes).first(4096));
  EXPECT_EQ(hash.value(), at_4999);
  // Zeros at the end don't show: the size tells of them.
  bytes.resize(5'000);
  EXPECT_EQ(hash_of(bytes), at_4999);
}

}  // namespace
}  // namespace odo::hammer2::testing::model
