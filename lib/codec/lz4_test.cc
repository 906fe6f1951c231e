// SPDX-License-Identifier: BSD-3-Clause
#include "lib/codec/lz4.h"

#include <gtest/gtest.h>
#include <lz4.h>
#include <lz4hc.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "lib/codec/testing/generated.h"
#include "lib/codec/testing/guarded.h"
#include "lib/codec/testing/plain_lz4.h"

namespace odo::codec {
namespace {

using testing::Guarded;
using Data = std::vector<std::byte>;

const char* chars(const std::byte* p) {
  return reinterpret_cast<const char*>(p);
}

// Level 0 is the ordinary compressor, 1 to 12 the high one, negative values are
// its accelerations.
Data compress(const Data& data, int level) {
  const int size = static_cast<int>(data.size());
  Data block(static_cast<std::size_t>(LZ4_compressBound(size)));
  char* const to = reinterpret_cast<char*>(block.data());
  const int room = static_cast<int>(block.size());
  const int made =
      level > 0
          ? LZ4_compress_HC(chars(data.data()), to, size, room, level)
          : LZ4_compress_fast(chars(data.data()), to, size, room, 1 - level);
  EXPECT_GT(made, 0);
  block.resize(static_cast<std::size_t>(made));
  return block;
}

// Decompresses into a guarded span of `room` bytes.
Result<Data> decompress(Bytes block, std::size_t room) {
  Guarded out(room);
  // An exact copy on the heap, so that a sanitizer sees reads past its end.
  const Data exact(block.begin(), block.end());
  const auto size = lz4_decompress(exact, out.span());
  EXPECT_TRUE(out.intact());
  if (!size) return fail(size.error());
  EXPECT_LE(*size, room);
  const auto data = out.span().first(*size);
  return Data(data.begin(), data.end());
}

Data block_of(std::initializer_list<int> bytes) {
  Data block;
  for (const int byte : bytes) block.push_back(static_cast<std::byte>(byte));
  return block;
}

Data data_of(const std::string& text) {
  Data data;
  testing::append(data, text);
  return data;
}

std::vector<Data> samples(std::size_t size) {
  return {testing::text_like(size, 1), testing::binary_like(size, 2),
          testing::noise(size, 3), testing::runs(size, 4),
          testing::mixed(size, 5)};
}

// Both directions against liblz4 and the format's letter.
void expect_agreement(Bytes block, std::size_t room) {
  const auto ours = decompress(block, room);
  const auto plain = testing::plain_lz4(block, room);
  ASSERT_EQ(ours.has_value(), plain.data.has_value());
  if (ours) {
    ASSERT_EQ(*ours, *plain.data);
  }
  Data reference(room + 1);
  const int size = LZ4_decompress_safe(
      chars(block.data()), reinterpret_cast<char*>(reference.data()),
      static_cast<int>(block.size()), static_cast<int>(room));
  if (size >= 0 && !plain.zero_distance) {
    reference.resize(static_cast<std::size_t>(size));
    ASSERT_TRUE(ours);
    ASSERT_EQ(*ours, reference);
  }
  if (ours && plain.keeps_end_conditions) {
    ASSERT_GE(size, 0);
  }
}

TEST(Lz4Test, KnownBlocks) {
  // No bytes; literals alone; a match with a long overlap.
  EXPECT_EQ(decompress(block_of({0x00}), 0), Data{});
  EXPECT_EQ(decompress(block_of({0x50, 'h', 'e', 'l', 'l', 'o'}), 5),
            data_of("hello"));
  EXPECT_EQ(
      decompress(block_of({0x1f, 'a', 1, 0, 6, 0x50, 'b', 'c', 'd', 'e', 'f'}),
                 100),
      data_of(std::string(26, 'a') + "bcdef"));
  // A distance of three: "abcabcabcab" and five literals.
  EXPECT_EQ(decompress(block_of({0x34, 'a', 'b', 'c', 3, 0, 0x50, 'v', 'w', 'x',
                                 'y', 'z'}),
                       16),
            data_of("abcabcabcabvwxyz"));
}

TEST(Lz4Test, RoundTripsEveryLevel) {
  for (const std::size_t size :
       {std::size_t{1}, std::size_t{5}, std::size_t{13}, std::size_t{100},
        std::size_t{1024}, std::size_t{65536}, std::size_t{300001}}) {
    for (const Data& data : samples(size)) {
      for (int level = -20; level <= LZ4HC_CLEVEL_MAX;
           level += level < 0 ? 10 : 1) {
        if (size > 100000 && level > 4) break;  // the slow levels, on 64 KiB
        const Data block = compress(data, level);
        ASSERT_EQ(decompress(block, size), data) << size << ' ' << level;
        ASSERT_EQ(decompress(block, size + 1000), data);
      }
    }
  }
}

TEST(Lz4Test, RoundTripsEveryLength) {
  const Data all = testing::mixed(400, 6);
  for (std::size_t size = 1; size <= all.size(); ++size) {
    const Data data(all.begin(), all.begin() + static_cast<long>(size));
    const Data block = compress(data, 9);
    ASSERT_EQ(decompress(block, size), data) << size;
    const auto small = decompress(block, size - 1);
    ASSERT_FALSE(small);
    ASSERT_EQ(small.error(), Error::kNoRoom);
  }
}

// Every distance up to 70 at every kind of length: within a token, with length
// bytes, ending exactly at the end of the output or far before it.
TEST(Lz4Test, RepeatsPatternsAtEveryShortDistance) {
  constexpr std::size_t kLengths[] = {4,  5,   7,   8,   9,   15,  16,  17,  18,
                                      19, 20,  31,  32,  33,  34,  63,  64,  65,
                                      96, 100, 255, 273, 274, 275, 300, 1000};
  constexpr std::size_t kLiterals[] = {5, 12, 20, 40, 100};
  const Data pattern = testing::noise(70, 7);
  for (std::size_t distance = 1; distance <= 70; ++distance) {
    for (const std::size_t length : kLengths) {
      for (const std::size_t literals : kLiterals) {
        Data block;
        Data data(pattern.begin(),
                  pattern.begin() + static_cast<long>(distance));
        const auto length_bytes = [&block](std::size_t n) {
          if (n < 15) return;
          for (n -= 15; n >= 255; n -= 255) block.push_back(std::byte{255});
          block.push_back(static_cast<std::byte>(n));
        };
        block.push_back(
            static_cast<std::byte>(std::min<std::size_t>(distance, 15) << 4 |
                                   std::min<std::size_t>(length - 4, 15)));
        length_bytes(distance);
        block.insert(block.end(), data.begin(), data.end());
        block.push_back(static_cast<std::byte>(distance));
        block.push_back(std::byte{0});
        length_bytes(length - 4);
        for (std::size_t i = 0; i < length; ++i) {
          data.push_back(data[data.size() - distance]);
        }
        block.push_back(
            static_cast<std::byte>(std::min<std::size_t>(literals, 15) << 4));
        length_bytes(literals);
        for (std::size_t i = 0; i < literals; ++i) {
          block.push_back(static_cast<std::byte>(i));
          data.push_back(static_cast<std::byte>(i));
        }
        ASSERT_EQ(decompress(block, data.size()), data)
            << distance << ' ' << length << ' ' << literals;
        ASSERT_EQ(decompress(block, data.size() + 500), data);
        expect_agreement(block, data.size());
      }
    }
  }
}

TEST(Lz4Test, NamesWhatIsWrong) {
  const auto error = [](Bytes block, std::size_t room) {
    const auto result = decompress(block, room);
    EXPECT_FALSE(result);
    return result ? Error::kBadCheck : result.error();
  };
  EXPECT_EQ(error({}, 10), Error::kTruncated);
  EXPECT_EQ(error(block_of({0x50, 'h', 'e'}), 10), Error::kTruncated);
  EXPECT_EQ(error(block_of({0xf0}), 100), Error::kTruncated);
  EXPECT_EQ(error(block_of({0xf0, 255, 255}), 100), Error::kTruncated);
  EXPECT_EQ(error(block_of({0x10, 'a', 1}), 10), Error::kTruncated);
  EXPECT_EQ(error(block_of({0x1f, 'a', 1, 0}), 100), Error::kTruncated);
  // A match has to be followed by a last sequence.
  EXPECT_EQ(error(block_of({0x10, 'a', 1, 0}), 100), Error::kTruncated);
  EXPECT_EQ(error(block_of({0x20, 'a', 'b'}), 1), Error::kNoRoom);
  EXPECT_EQ(error(block_of({0x10, 'a', 1, 0, 0x10, 'b'}), 4), Error::kNoRoom);
  EXPECT_EQ(error(block_of({0x10, 'a', 0, 0, 0x10, 'b'}), 9), Error::kCorrupt);
  EXPECT_EQ(error(block_of({0x10, 'a', 2, 0, 0x10, 'b'}), 9), Error::kCorrupt);
  EXPECT_EQ(error(block_of({0x00, 1, 0, 0x10, 'b'}), 9), Error::kCorrupt);
}

// The same, where both ends are far away and the fast loop decides.
TEST(Lz4Test, RejectsBadDistancesInTheFastLoop) {
  for (const int distance : {0, 2, 3, 255}) {
    Data block = block_of({0x10, 'a', distance, 0});
    block.push_back(std::byte{0xf0});
    block.push_back(std::byte{100});
    block.resize(block.size() + 115);
    const auto result = decompress(block, 1000);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error(), Error::kCorrupt) << distance;
  }
}

// Lengths that promise far more than there is: the answer comes at once.
TEST(Lz4Test, GiantLengthsAreAnswered) {
  Data block = block_of({0xff});
  block.resize(1 << 20, std::byte{255});
  expect_agreement(block, 65536);
  block.push_back(std::byte{0});
  expect_agreement(block, 65536);
  Data match = block_of({0x1f, 'a', 1, 0});
  match.resize(1 << 18, std::byte{255});
  match.push_back(std::byte{0});
  for (const int byte : {0x50, 1, 2, 3, 4, 5}) {
    match.push_back(static_cast<std::byte>(byte));
  }
  expect_agreement(match, 65536);
  // With the room for it: 64 MiB of one byte.
  const std::size_t size = ((1 << 18) - 4) * std::size_t{255} + 19 + 1 + 5;
  Data out(size);
  ASSERT_EQ(lz4_decompress(match, out), size);
  EXPECT_TRUE(std::all_of(out.begin(), out.end() - 5,
                          [](std::byte b) { return b == std::byte{'a'}; }));
}

TEST(Lz4Test, EveryTruncationIsAnswered) {
  for (const Data& data : samples(3000)) {
    const Data block = compress(data, 0);
    for (std::size_t size = 0; size < block.size(); ++size) {
      expect_agreement(Bytes(block).first(size), data.size());
      if (HasFatalFailure()) FAIL() << size;
    }
  }
}

TEST(Lz4Test, AgreesOnMutatedBlocks) {
  testing::Draw draw(8);
  for (const Data& data : samples(2000)) {
    const Data good = compress(data, 0);
    for (int round = 0; round < 3000; ++round) {
      Data block = good;
      const std::size_t changes = 1 + draw.below(3);
      for (std::size_t i = 0; i < changes; ++i) {
        block[draw.below(block.size())] = static_cast<std::byte>(draw.word());
      }
      expect_agreement(block, data.size() + draw.below(3) * 50);
      if (HasFatalFailure()) FAIL() << round;
    }
  }
}

TEST(Lz4Test, AgreesOnNoise) {
  testing::Draw draw(9);
  for (int round = 0; round < 20000; ++round) {
    Data block = testing::noise(1 + draw.below(60), draw.word());
    // Small tokens and distances reach deeper.
    for (auto& byte : block) {
      if (draw.below(2) == 0) byte &= std::byte{0x13};
    }
    expect_agreement(block, draw.below(200));
    if (HasFatalFailure()) FAIL() << round;
  }
}

}  // namespace
}  // namespace odo::codec
