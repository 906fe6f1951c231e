// SPDX-License-Identifier: BSD-3-Clause
#include "lib/block/host/image_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace odo::block {
namespace {

std::string write_file(const std::string& name, const std::string& content) {
  const std::string path = ::testing::TempDir() + name;
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

std::string frame(const std::string& content) {
  std::string packed(ZSTD_compressBound(content.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), content.data(),
                              content.size(), 3));
  return packed;
}

std::string read_all(FileDevice& device) {
  std::string got(device.size_bytes(), '?');
  EXPECT_TRUE(device.read(0, std::as_writable_bytes(std::span(got))));
  return got;
}

// Noise with zeros in it, some of them whole 64 KiB runs.
std::string sample() {
  std::mt19937 random(5);
  std::string content(10 * 65536 + 3 * 512, '\0');
  for (std::size_t i = 100; i < 70000; ++i) {
    content[i] = static_cast<char>(random());
  }
  content[9 * 65536] = 'x';
  return content;
}

TEST(ImageFileTest, RawImage) {
  const std::string content = sample();
  auto device = open_image(write_file("raw.img", content), 512);
  ASSERT_TRUE(device) << device.error();
  EXPECT_EQ(device->size_bytes(), content.size());
  EXPECT_EQ(read_all(*device) == content, true);
  std::vector<std::byte> block(512);
  EXPECT_EQ(device->read(content.size(), block).error(), Error::kOutOfRange);
  EXPECT_EQ(device->read(5, block).error(), Error::kMisaligned);
}

TEST(ImageFileTest, TailShorterThanABlock) {
  auto device = open_image(write_file("tail.img", std::string(5000, 't')));
  ASSERT_TRUE(device) << device.error();
  EXPECT_EQ(device->size_bytes(), 4608U);
  auto large = open_image(write_file("tail.img", std::string(5000, 't')), 4096);
  ASSERT_TRUE(large);
  EXPECT_EQ(large->size_bytes(), 4096U);
  EXPECT_EQ(large->block_bytes(), 4096U);
}

TEST(ImageFileTest, CompressedImageOfSeveralFrames) {
  const std::string content = sample();
  for (const std::size_t cut :
       {std::size_t{1}, std::size_t{65536}, content.size() / 2}) {
    const std::string packed =
        frame(content.substr(0, cut)) + frame(content.substr(cut));
    auto device = open_image(write_file("two.img.zst", packed));
    ASSERT_TRUE(device) << device.error();
    EXPECT_EQ(read_all(*device) == content, true);
  }
}

TEST(ImageFileTest, UnpackedZerosAreHoles) {
  const std::string content(std::size_t{256} << 20, '\0');
  auto from = open_image(write_file("zeros.img.zst", frame(content)));
  ASSERT_TRUE(from) << from.error();
  EXPECT_EQ(from->size_bytes(), content.size());
  std::vector<std::byte> block(512, std::byte{1});
  ASSERT_TRUE(from->read(content.size() - 512, block));
  EXPECT_EQ(block[511], std::byte{0});
}

TEST(ImageFileTest, SaysWhatIsWrong) {
  const auto missing = open_image("/nowhere/at/all.img");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error(), "/nowhere/at/all.img: No such file or directory");
  const std::string packed = frame(sample());
  const auto cut = open_image(
      write_file("cut.img.zst", packed.substr(0, packed.size() - 10)));
  ASSERT_FALSE(cut);
  EXPECT_NE(cut.error().find("truncated zstd file"), std::string::npos);
  std::string bad = packed;
  bad[packed.size() / 2] ^= 0x55;
  bad[packed.size() / 3] ^= 0x55;
  bad.resize(bad.size() - 1);
  EXPECT_FALSE(open_image(write_file("bad.img.zst", bad)));
  EXPECT_FALSE(open_image(::testing::TempDir()));  // a directory
}

TEST(FileDeviceTest, ShrunkenFileFailsInsteadOfReadingShort) {
  const std::string path = write_file("shrink.img", std::string(8192, 's'));
  auto device = open_image(path);
  ASSERT_TRUE(device);
  ASSERT_EQ(::truncate(path.c_str(), 4096), 0);
  std::vector<std::byte> block(512);
  EXPECT_TRUE(device->read(0, block));
  EXPECT_EQ(device->read(4096, block).error(), Error::kIo);
}

TEST(FileDeviceTest, AFlushThatFailedIsToldToAllLaterOnes) {
  const std::string path = write_file("flush.img", std::string(4096, 'x'));
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  auto device = FileDevice::create(descriptor);
  ASSERT_TRUE(device);
  ASSERT_TRUE(device->flush());
  // A pipe can't be flushed; then the file is there again.
  const int file = ::dup(descriptor);
  std::array<int, 2> pipe = {-1, -1};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  ASSERT_EQ(::dup2(pipe[1], descriptor), descriptor);
  EXPECT_EQ(device->flush().error(), Error::kIo);
  ASSERT_EQ(::dup2(file, descriptor), descriptor);
  EXPECT_EQ(device->flush().error(), Error::kIo);
  for (const int unused : {file, pipe[0], pipe[1]}) ::close(unused);
}

TEST(FileDeviceTest, WhatIsDiscardedIsAHole) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  const int descriptor = ::dup(::fileno(file));
  std::fclose(file);
  ASSERT_EQ(::ftruncate(descriptor, 1 << 20), 0);
  auto device = FileDevice::create(descriptor);
  ASSERT_TRUE(device);
  const std::vector<std::byte> ones(1 << 20, std::byte{1});
  ASSERT_TRUE(device->write(0, ones));
  const auto discarded = device->discard(65536, 131072);
  if (!discarded && discarded.error() == Error::kNotOffered) {
    GTEST_SKIP() << "files here have no holes";
  }
  ASSERT_TRUE(discarded);
  std::vector<std::byte> got(1 << 20);
  ASSERT_TRUE(device->read(0, got));
  EXPECT_EQ(got[65535], std::byte{1});
  EXPECT_EQ(got[65536], std::byte{0});
  EXPECT_EQ(got[65536 + 131071], std::byte{0});
  EXPECT_EQ(got[65536 + 131072], std::byte{1});
  EXPECT_EQ(device->discard(100, 512).error(), Error::kMisaligned);
  EXPECT_EQ(device->discard(1 << 20, 512).error(), Error::kOutOfRange);
}

}  // namespace
}  // namespace odo::block
