// SPDX-License-Identifier: BSD-3-Clause
#include "lib/check/xxh64.h"

#include <gtest/gtest.h>
#include <xxhash.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

namespace odo::check {
namespace {

constexpr std::uint64_t kSeeds[] = {0, 1, 0x9e3779b1, Xxh64::kHammer2Seed,
                                    ~std::uint64_t{0}};

std::vector<std::byte> noise(std::size_t size) {
  std::mt19937_64 random(11);
  std::vector<std::byte> bytes(size);
  for (auto& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

// The reference's own sanity values: its buffer is the top byte of successive
// 64-bit products, its second seed the 32-bit PRIME32_1.
TEST(Xxh64Test, AnswersThePublishedValues) {
  std::vector<std::byte> bytes(222);
  std::uint64_t generator = 2654435761;
  for (auto& byte : bytes) {
    byte = static_cast<std::byte>(generator >> 56);
    generator *= 11400714785074694797u;
  }
  const auto code = [&](std::size_t size, std::uint64_t seed) {
    return xxh64(Bytes(bytes).first(size), seed);
  };
  constexpr std::uint64_t kPrime = 2654435761;
  EXPECT_EQ(code(0, 0), 0xef46db3751d8e999);
  EXPECT_EQ(code(0, kPrime), 0xac75fda2929b17ef);
  EXPECT_EQ(code(1, 0), 0xe934a84adb052768);
  EXPECT_EQ(code(1, kPrime), 0x5014607643a9b4c3);
  EXPECT_EQ(code(4, 0), 0x9136a0dca57457ee);
  EXPECT_EQ(code(14, 0), 0x8282dcc4994e35c8);
  EXPECT_EQ(code(14, kPrime), 0xc3bd6bf63deb6df0);
  EXPECT_EQ(code(222, 0), 0xb641ae8cb691c174);
  EXPECT_EQ(code(222, kPrime), 0x20cb8ab7ae10c14a);
}

TEST(Xxh64Test, AgreesAtEveryLengthAndAlignment) {
  const auto bytes = noise(700);
  for (const std::uint64_t seed : kSeeds) {
    for (std::size_t at = 0; at < 16; ++at) {
      for (std::size_t size = 0; size <= 320; ++size) {
        const Bytes range = Bytes(bytes).subspan(at, size);
        const std::uint64_t reference = XXH64(range.data(), size, seed);
        ASSERT_EQ(xxh64(range, seed), reference) << at << ' ' << size;
        ASSERT_EQ(Xxh64(seed).update(range).value(), reference) << size;
      }
    }
  }
}

TEST(Xxh64Test, AgreesOnLongRanges) {
  const auto bytes = noise(1 << 20);
  for (const std::size_t size : {std::size_t{65536}, std::size_t{65535},
                                 std::size_t{262145}, std::size_t{1} << 20}) {
    EXPECT_EQ(xxh64(Bytes(bytes).first(size), Xxh64::kHammer2Seed),
              XXH64(bytes.data(), size, Xxh64::kHammer2Seed));
  }
}

TEST(Xxh64Test, PiecesGiveTheCodeOfTheWhole) {
  const auto bytes = noise(400);
  for (std::size_t first = 0; first <= 100; ++first) {
    for (std::size_t second = 0; second <= 100; ++second) {
      const std::size_t size = first + second + 37;
      Xxh64 stream(first);
      stream.update(Bytes(bytes).first(first));
      ASSERT_EQ(stream.value(), XXH64(bytes.data(), first, first));
      stream.update(Bytes(bytes).subspan(first, second));
      stream.update(Bytes(bytes).subspan(first + second, 37));
      ASSERT_EQ(stream.value(), XXH64(bytes.data(), size, first))
          << first << ' ' << second;
    }
  }
}

TEST(Xxh64Test, ByteByByte) {
  const auto bytes = noise(200);
  Xxh64 stream(3);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    stream.update(Bytes(bytes).subspan(i, 1));
    ASSERT_EQ(stream.value(), XXH64(bytes.data(), i + 1, 3)) << i;
  }
}

}  // namespace
}  // namespace odo::check
