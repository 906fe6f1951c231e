// SPDX-License-Identifier: BSD-3-Clause
#include "fuzz/hammer2/container.h"

#include <random>
#include <vector>

#include "fuzz/hammer2/sparse_device.h"
#include "fuzz/hammer2/testing/built_images.h"
#include "gtest/gtest.h"

namespace odo::hammer2::fuzz {
namespace {

std::vector<std::byte> random_bytes(std::mt19937& random, std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) {
    byte = static_cast<std::byte>(random() % 3 == 0 ? random() : 0);
  }
  return bytes;
}

TEST(SparseBytesTest, AgreesWithPlainBytes) {
  std::mt19937 random(1);
  constexpr std::size_t kSize = 300;
  for (int round = 0; round < 200; ++round) {
    SparseBytes sparse;
    std::vector<std::byte> plain(kSize);
    for (int step = 0; step < 40; ++step) {
      const std::size_t at = random() % kSize;
      const std::size_t length = random() % (kSize - at) / (1 + random() % 9);
      const MutableBytes there = MutableBytes(plain).subspan(at, length);
      if (random() % 4 == 0) {
        sparse.clear(at, length);
        zero_bytes(there);
      } else {
        const auto bytes = random_bytes(random, length);
        sparse.write(at, bytes);
        copy_bytes(there, bytes);
      }
      std::vector<std::byte> whole(kSize);
      sparse.read(0, whole);
      ASSERT_EQ(whole, plain);
      const std::size_t from = random() % kSize;
      std::vector<std::byte> part(kSize - from);
      sparse.read(from, part);
      ASSERT_TRUE(equal_bytes(part, Bytes(plain).subspan(from)));
      std::uint64_t end = 0;
      for (const auto& [offset, run] : sparse.runs()) {
        ASSERT_FALSE(run.empty());
        ASSERT_GE(offset, end);
        end = offset + run.size();
      }
    }
  }
}

TEST(ContainerTest, AnyBytesAreAContainerThatComesBack) {
  std::mt19937 random(2);
  for (int round = 0; round < 2000; ++round) {
    const auto input = random_bytes(random, random() % 400);
    const Container once = decode(input);
    std::size_t held = 0;
    for (const Volume& volume : once.volumes) {
      for (const auto& [offset, run] : volume.bytes.runs()) {
        EXPECT_LE(offset + run.size(), volume.size);
        held += run.size();
      }
    }
    EXPECT_LE(held, input.size() + Container::kMaxRepeated);
    const auto encoded = encode(once);
    const Container twice = decode(encoded);
    EXPECT_EQ(encode(twice), encoded);
    ASSERT_EQ(twice.volumes.size(), once.volumes.size());
    EXPECT_EQ(twice.knobs, once.knobs);
    EXPECT_EQ(twice.fail_after, once.fail_after);
    for (std::size_t v = 0; v < once.volumes.size(); ++v) {
      EXPECT_EQ(twice.volumes[v].size, once.volumes[v].size);
      for (const auto& [offset, run] : once.volumes[v].bytes.runs()) {
        std::vector<std::byte> there(run.size());
        twice.volumes[v].bytes.read(offset, there);
        EXPECT_EQ(there, run);
      }
    }
  }
}

TEST(ContainerTest, AnImageIsAFewKiB) {
  const auto encoded = encode(built_container());
  EXPECT_LT(encoded.size(), 8192U);
  EXPECT_GT(encoded.size(), 2048U);
}

TEST(ContainerTest, LongRunsComeBack) {
  Container container;
  container.volumes.resize(1);
  container.volumes[0].size = 1 << 20;
  const std::vector<std::byte> run(200000, std::byte{7});
  container.volumes[0].bytes.write(5000, run);
  const Container back = decode(encode(container));
  std::vector<std::byte> there(run.size());
  back.volumes[0].bytes.read(5000, there);
  EXPECT_EQ(there, run);
}

// However often the input says that something is to be repeated.
TEST(ContainerTest, RepetitionsAreBounded) {
  std::vector<std::byte> input(4 + 4);
  input[3] = std::byte{1};  // one volume
  input[7] = std::byte{0x7f};
  for (int i = 0; i < 100; ++i) {
    detail::put_number(input, 0, 1);
    detail::put_number(input, static_cast<std::uint64_t>(i) << 30, 6);
    detail::put_number(input, detail::kRepeated | 2, 2);
    detail::put_number(input, 0xffff, 2);
    detail::put_number(input, 0x0101, 2);
  }
  std::size_t held = 0;
  for (const auto& [offset, run] : decode(input).volumes[0].bytes.runs()) {
    held += run.size();
  }
  EXPECT_LE(held, input.size() + Container::kMaxRepeated);
  EXPECT_GT(held, Container::kMaxRepeated / 2);
}

TEST(ContainerTest, WhatIsCutOffIsntEncoded) {
  Container container;
  container.volumes.resize(1);
  container.volumes[0].size = 1024;
  container.volumes[0].bytes.write(1020, std::vector(8, std::byte{1}));
  container.volumes[0].bytes.write(4096, std::vector(8, std::byte{1}));
  const Container back = decode(encode(container));
  ASSERT_EQ(back.volumes[0].bytes.runs().size(), 1U);
  EXPECT_EQ(back.volumes[0].bytes.runs().begin()->second.size(), 4U);
}

TEST(SparseDeviceTest, CountsAndFailsWhenTold) {
  Container container;
  container.volumes.resize(1);
  container.volumes[0].size = 4096 + 512;
  container.volumes[0].bytes.write(600, std::vector(8, std::byte{1}));
  container.knobs = 1;  // blocks of 1 KiB
  Meter meter{.max_reads = 2};
  const Devices devices(container, meter);
  SparseDevice& device = *devices.all()[0];
  EXPECT_EQ(device.size_bytes(), 4096U);
  std::vector<std::byte> block(1024);
  EXPECT_TRUE(device.read(0, block));
  EXPECT_EQ(block[600], std::byte{1});
  EXPECT_EQ(block[608], std::byte{0});
  EXPECT_EQ(device.read(4096, block).error(), block::Error::kOutOfRange);
  EXPECT_EQ(device.read(512, block).error(), block::Error::kMisaligned);
  EXPECT_TRUE(device.read(1024, block));
  EXPECT_EQ(device.read(0, block).error(), block::Error::kIo);
  EXPECT_EQ(meter.reads, 2U);
  EXPECT_EQ(meter.bytes, 2048U);
}

}  // namespace
}  // namespace odo::hammer2::fuzz
