// SPDX-License-Identifier: BSD-3-Clause
#include "lib/block/device.h"

#include <array>
#include <cstdint>
#include <limits>
#include <set>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "lib/block/any_device.h"
#include "lib/block/archetype.h"
#include "lib/block/faulty_device.h"
#include "lib/block/memory_device.h"

namespace odo::block {
namespace {

std::vector<std::byte> pattern(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<std::byte>(i * 7 + i / 512);
  }
  return bytes;
}

// What any template may assume of a device.
template <BlockDevice D>
Result<std::byte> first_byte(D& device) {
  std::array<std::byte, kMaxBlockBytes> block;
  ODO_TRY_VOID(device.read(0, MutableBytes(block).first(device.block_bytes())));
  return block[0];
}

// And of one that can be written.
template <WritableBlockDevice D>
Result<void> clear_first_block(D& device) {
  const std::array<std::byte, kMaxBlockBytes> zeros = {};
  ODO_TRY_VOID(device.write(0, Bytes(zeros).first(device.block_bytes())));
  return device.flush();
}

TEST(BlockDeviceTest, ArchetypeIsEnough) {
  ArchetypeDevice* none = nullptr;
  static_assert(requires { first_byte(*none); });
  ArchetypeWritableDevice* writable = nullptr;
  static_assert(requires { first_byte(*writable); });
  static_assert(requires { clear_first_block(*writable); });
}

TEST(BlockDeviceTest, AnyDeviceDoesAsTheDeviceBehindIt) {
  std::vector<std::byte> bytes = pattern(8192);
  const std::vector<std::byte> zeros(4096);
  std::array<std::byte, 4096> buffer;
  WritableMemoryDevice writable(bytes, 4096);
  AnyDevice any(writable);
  EXPECT_EQ(any.size_bytes(), 8192u);
  EXPECT_EQ(any.block_bytes(), 4096u);
  EXPECT_FALSE(any.is_read_only());
  EXPECT_TRUE(any.read(4096, buffer));
  EXPECT_TRUE(equal_bytes(buffer, Bytes(bytes).subspan(4096)));
  EXPECT_TRUE(any.write(4096, zeros));
  EXPECT_TRUE(equal_bytes(zeros, Bytes(bytes).subspan(4096)));
  EXPECT_TRUE(any.flush());
  EXPECT_EQ(any.read(512, buffer).error(), Error::kMisaligned);
  EXPECT_EQ(any.discard(0, 4096).error(), Error::kNotOffered);

  MemoryDevice fixed(bytes);
  AnyDevice other(fixed);
  EXPECT_TRUE(other.is_read_only());
  EXPECT_TRUE(other.read(4096, buffer));
  EXPECT_EQ(other.write(0, zeros).error(), Error::kReadOnly);
  EXPECT_TRUE(other.flush());
}

TEST(BlockDeviceTest, RequestsAreChecked) {
  EXPECT_TRUE(check_request(0, 512, 512, 512));
  EXPECT_TRUE(check_request(512, 0, 512, 512));
  EXPECT_EQ(check_request(1, 512, 4096, 512).error(), Error::kMisaligned);
  EXPECT_EQ(check_request(0, 511, 4096, 512).error(), Error::kMisaligned);
  EXPECT_EQ(check_request(2048, 2048, 8192, 4096).error(), Error::kMisaligned);
  EXPECT_EQ(check_request(512, 512, 512, 512).error(), Error::kOutOfRange);
  EXPECT_EQ(check_request(0, 1024, 512, 512).error(), Error::kOutOfRange);
  constexpr std::uint64_t kTop = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(check_request(kTop - 511, 1024, kTop, 512).error(),
            Error::kOutOfRange);
}

TEST(MemoryDeviceTest, ReadsWholeBlocks) {
  const auto bytes = pattern(10 * 1024 + 100);
  MemoryDevice device(bytes, 1024);
  EXPECT_EQ(device.size_bytes(), 10 * 1024U);  // the tail is no block
  EXPECT_EQ(device.block_bytes(), 1024U);
  std::vector<std::byte> got(2048);
  ASSERT_TRUE(device.read(3072, got));
  EXPECT_TRUE(equal_bytes(got, Bytes(bytes).subspan(3072, 2048)));
  EXPECT_EQ(device.read(512, got).error(), Error::kMisaligned);
  EXPECT_EQ(device.read(9 * 1024, got).error(), Error::kOutOfRange);
  EXPECT_EQ(*first_byte(device), bytes[0]);
}

TEST(MemoryDeviceTest, WritesWholeBlocks) {
  auto bytes = pattern(4 * 1024 + 100);
  const auto before = bytes;
  WritableMemoryDevice device(bytes, 1024);
  EXPECT_EQ(device.size_bytes(), 4 * 1024U);
  const std::vector<std::byte> ones(2048, std::byte{1});
  EXPECT_EQ(device.write(512, ones).error(), Error::kMisaligned);
  EXPECT_EQ(device.write(0, Bytes(ones).first(100)).error(),
            Error::kMisaligned);
  EXPECT_EQ(device.write(3072, ones).error(), Error::kOutOfRange);
  EXPECT_EQ(bytes, before);  // refused requests change nothing

  ASSERT_TRUE(device.write(1024, ones));
  std::vector<std::byte> got(4096);
  ASSERT_TRUE(device.read(0, got));
  EXPECT_TRUE(equal_bytes(Bytes(got).first(1024), Bytes(before).first(1024)));
  EXPECT_TRUE(equal_bytes(Bytes(got).subspan(1024, 2048), ones));
  EXPECT_TRUE(
      equal_bytes(Bytes(got).subspan(3072), Bytes(before).subspan(3072, 1024)));

  ASSERT_TRUE(clear_first_block(device));
  EXPECT_EQ(bytes[0], std::byte{0});
  EXPECT_EQ(bytes[1023], std::byte{0});
  EXPECT_EQ(bytes[1024], std::byte{1});
}

TEST(FaultyDeviceTest, BreaksARange) {
  const auto bytes = pattern(8192);
  MemoryDevice below(bytes);
  FaultyDevice device(below);
  device.break_range(1024, 512);
  std::vector<std::byte> got(1024);
  EXPECT_TRUE(device.read(0, got));
  EXPECT_EQ(device.read(512, got).error(), Error::kIo);
  EXPECT_EQ(device.read(1024, got).error(), Error::kIo);
  EXPECT_TRUE(device.read(1536, got));
  EXPECT_TRUE(equal_bytes(got, Bytes(bytes).subspan(1536, 1024)));
  EXPECT_EQ(device.reads(), 4U);
  EXPECT_EQ(device.read_bytes(), 4096U);
}

TEST(FaultyDeviceTest, FailsAfterSomeReads) {
  const auto bytes = pattern(512);
  MemoryDevice below(bytes);
  FaultyDevice device(below);
  std::vector<std::byte> got(512);
  device.fail_after(2);
  EXPECT_TRUE(device.read(0, got));
  EXPECT_TRUE(device.read(0, got));
  EXPECT_EQ(device.read(0, got).error(), Error::kIo);
  EXPECT_EQ(device.read(0, got).error(), Error::kIo);
  EXPECT_EQ(device.size_bytes(), 512U);
}

TEST(BlockDeviceTest, ErrorsHaveWords) {
  const std::set<std::string_view> words = {
      to_string(Error::kMisaligned), to_string(Error::kOutOfRange),
      to_string(Error::kReadOnly), to_string(Error::kNotOffered),
      to_string(Error::kIo)};
  EXPECT_EQ(words.size(), 5U);
}

}  // namespace
}  // namespace odo::block
