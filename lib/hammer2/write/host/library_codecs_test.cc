// SPDX-License-Identifier: BSD-3-Clause
#include "lib/hammer2/write/host/library_codecs.h"

#include <cstddef>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "lib/base/bytes.h"
#include "lib/codec/lz4.h"
#include "lib/codec/zlib.h"
#include "lib/hammer2/write/codecs.h"

namespace odo::hammer2::write {
namespace {

struct NoGround {
  void* allocate(std::size_t, std::size_t) { return nullptr; }
  void deallocate(void*, std::size_t, std::size_t) {}
};
static_assert(DataCodecs<LibraryCodecs, NoGround>);
static_assert(DataCodecs<OwnCodecs<NoGround>, NoGround>);

std::string words(std::size_t size) {
  std::mt19937 random(3);
  std::string text;
  while (text.size() < size) {
    text += "token blockref freemap msgport "[random() % 31];
    if (random() % 4 == 0) text += "critical section";
  }
  text.resize(size);
  return text;
}

std::string noise(std::size_t size) {
  std::mt19937 random(5);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

Bytes bytes_in(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

class LibraryCodecsTest : public ::testing::Test {
 protected:
  LibraryCodecsTest() {
    NoGround ground;
    EXPECT_TRUE(codecs_.init(ground));
  }

  LibraryCodecs codecs_;
  std::vector<std::byte> room_ = std::vector<std::byte>(65536);
  std::vector<std::byte> back_ = std::vector<std::byte>(65536);
  std::unique_ptr<codec::InflateWorkspace> workspace_ =
      std::make_unique<codec::InflateWorkspace>();
};

TEST_F(LibraryCodecsTest, OurDecodersReadWhatTheyMake) {
  for (const std::size_t size : {1024U, 5000U, 65536U}) {
    const std::string text = words(size);
    const MutableBytes to = MutableBytes(room_).first(size / 2);
    const std::size_t lz4 = codecs_.lz4(bytes_in(text), to);
    ASSERT_NE(lz4, 0U);
    const auto unpacked = codec::lz4_decompress(to.first(lz4), back_);
    ASSERT_TRUE(unpacked);
    EXPECT_TRUE(equal_bytes(Bytes(back_).first(*unpacked), bytes_in(text)));
    for (const unsigned level : {1U, 6U, 9U}) {
      const std::size_t zlib = codecs_.zlib(bytes_in(text), to, level);
      ASSERT_NE(zlib, 0U);
      const auto inflated =
          codec::zlib_decompress(to.first(zlib), back_, *workspace_);
      ASSERT_TRUE(inflated);
      EXPECT_EQ(inflated->consumed, zlib);
      EXPECT_TRUE(
          equal_bytes(Bytes(back_).first(inflated->written), bytes_in(text)));
    }
  }
}

TEST_F(LibraryCodecsTest, WhatDoesNotFitIsNothing) {
  const std::string text = noise(65536);
  const MutableBytes half = MutableBytes(room_).first(32768);
  EXPECT_EQ(codecs_.lz4(bytes_in(text), half), 0U);
  EXPECT_EQ(codecs_.zlib(bytes_in(text), half, 6), 0U);
}

}  // namespace
}  // namespace odo::hammer2::write
