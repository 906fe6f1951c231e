// SPDX-License-Identifier: BSD-3-Clause
// lz4_encode.h against lz4.h, the format's letter and liblz4's decoder.
#include "lib/codec/lz4_encode.h"

#include <gtest/gtest.h>
#include <lz4.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/codec/lz4.h"
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

// Room for whatever may be made of data of this size.
constexpr std::size_t room_for(std::size_t size) {
  return size + size / 255 + 16;
}

// Compresses into a guarded span of `room` bytes.
std::optional<Data> compress(Bytes data, std::size_t room) {
  static Lz4Workspace workspace;
  Guarded out(room);
  // An exact copy on the heap, so that a sanitizer sees reads past its end.
  const Data exact(data.begin(), data.end());
  const auto size = lz4_compress(exact, out.span(), workspace);
  EXPECT_TRUE(out.intact());
  if (!size) return std::nullopt;
  EXPECT_LE(*size, room);
  const auto block = out.span().first(*size);
  return Data(block.begin(), block.end());
}

// The block, once every decoder has made the data of it.
Data expect_round_trip(Bytes data) {
  const auto block = compress(data, room_for(data.size()));
  EXPECT_TRUE(block);
  if (!block) return {};
  const Data expected(data.begin(), data.end());

  Data ours(data.size());
  EXPECT_EQ(lz4_decompress(*block, ours), data.size());
  EXPECT_EQ(ours, expected);

  const auto plain = testing::plain_lz4(*block, data.size() + 1);
  EXPECT_EQ(plain.data, expected);
  EXPECT_FALSE(plain.zero_distance);
  EXPECT_TRUE(plain.keeps_end_conditions);

  Data reference(data.size() + 1);
  const int size = LZ4_decompress_safe(
      chars(block->data()), reinterpret_cast<char*>(reference.data()),
      static_cast<int>(block->size()), static_cast<int>(data.size()));
  EXPECT_EQ(size, static_cast<int>(data.size()));
  reference.resize(data.size());
  EXPECT_EQ(reference, expected);
  return *block;
}

std::vector<Data> samples(std::size_t size) {
  return {testing::text_like(size, 1), testing::binary_like(size, 2),
          testing::noise(size, 3), testing::runs(size, 4),
          testing::mixed(size, 5)};
}

Data data_of(const std::string& text) {
  Data data;
  testing::append(data, text);
  return data;
}

Data repeated(Bytes pattern, std::size_t size) {
  Data data(size);
  for (std::size_t i = 0; i < size; ++i) data[i] = pattern[i % pattern.size()];
  return data;
}

// Noise, and the same again but for its first bytes: a match that a search with
// wide steps notices late.
Data noise_and_again(std::size_t size, std::size_t without) {
  const Data once = testing::noise(size, 16);
  Data data = once;
  data.insert(data.end(), once.begin() + static_cast<long>(without),
              once.end());
  return data;
}

TEST(Lz4EncodeTest, KnownBlocks) {
  EXPECT_EQ(expect_round_trip({}), Data{std::byte{0}});
  EXPECT_EQ(expect_round_trip(data_of("hello")), data_of("\x50hello"));
  // One literal, a match of 30 at the distance 1, the last literals.
  Data expected = data_of(
      "\x1f"
      "a");
  for (const int byte : {1, 0, 30 - 4 - 15, 0x50}) {
    expected.push_back(static_cast<std::byte>(byte));
  }
  testing::append(expected, "aaaaa");
  EXPECT_EQ(expect_round_trip(data_of(std::string(36, 'a'))), expected);
}

TEST(Lz4EncodeTest, RoundTripsEverySmallSize) {
  for (std::size_t size = 0; size <= 70; ++size) {
    for (std::size_t width = 1; width <= 20; ++width) {
      expect_round_trip(repeated(testing::noise(width, width), size));
    }
    for (const Data& data : samples(size)) expect_round_trip(data);
    if (HasFailure()) FAIL() << size;
  }
}

TEST(Lz4EncodeTest, RoundTripsSizesAroundItsLimits) {
  for (const std::size_t size :
       {255u, 256u, 257u, 270u, 1000u, 4095u, 4096u, 8191u, 8192u, 8193u,
        12287u, 12288u, 12289u, 16384u, 32768u, 65519u, 65535u, 65536u}) {
    for (const Data& data : samples(size)) expect_round_trip(data);
    expect_round_trip(Data(size));
    if (HasFailure()) FAIL() << size;
  }
}

// Every string over a few letters, alone and where a match may lie anywhere
// within it, since enough bytes follow.
TEST(Lz4EncodeTest, RoundTripsAllShortStrings) {
  struct Set {
    std::size_t letters;
    std::size_t longest;
  };
  const Data tail = data_of("0123456789ABCDEFG");
  static Lz4Workspace workspace;
  for (const Set set : {Set{2, 14}, Set{3, 9}}) {
    std::size_t strings = 1;
    for (std::size_t length = 0; length <= set.longest; ++length) {
      for (std::size_t number = 0; number < strings; ++number) {
        Data data;
        for (std::size_t i = 0, left = number; i < length; ++i) {
          data.push_back(static_cast<std::byte>('a' + left % set.letters));
          left /= set.letters;
        }
        const std::size_t sizes[] = {length, length + tail.size()};
        data.insert(data.end(), tail.begin(), tail.end());
        for (const std::size_t size : sizes) {
          Data block(room_for(size));
          const auto made =
              lz4_compress(Bytes(data).first(size), block, workspace);
          block.resize(made.value_or(0));
          const auto plain = testing::plain_lz4(block, size + 1);
          ASSERT_EQ(plain.data,
                    Data(data.begin(), data.begin() + static_cast<long>(size)))
              << length << ' ' << number;
          ASSERT_TRUE(plain.keeps_end_conditions);
        }
      }
      strings *= set.letters;
    }
  }
}

// Literals and matches of every kind of length: within a token, with one length
// byte, with several, just at the seams.
TEST(Lz4EncodeTest, RoundTripsEveryKindOfLength) {
  constexpr std::size_t kLengths[] = {
      4,  5,   11,  12,  13,  14,  15,  16,  17,  18,  19,  20,  31,  32,
      33, 254, 255, 256, 269, 270, 271, 273, 274, 275, 524, 525, 529, 5000};
  for (const std::size_t literals : kLengths) {
    for (const std::size_t match : kLengths) {
      for (const std::size_t rest : {12u, 17u, 18u, 40u}) {
        Data data = testing::noise(literals, literals);
        const Data first = repeated(data, match);
        data.insert(data.end(), first.begin(), first.end());
        const Data last = testing::noise(rest, match + 7);
        data.insert(data.end(), last.begin(), last.end());
        expect_round_trip(data);
        if (HasFailure()) FAIL() << literals << ' ' << match << ' ' << rest;
      }
    }
  }
}

// The first bytes once more at the end, and between them a run of 64 KiB.
TEST(Lz4EncodeTest, FindsTheLongestDistance) {
  const Data ends = testing::noise(19, 10);
  Data data(kLz4LongestInput, std::byte{'a'});
  std::copy(ends.begin(), ends.end(), data.begin());
  std::copy(ends.begin(), ends.end(), data.end() - 5 - 19);
  const Data block = expect_round_trip(data);
  // The distance stands before one length byte and the last sequence.
  EXPECT_EQ(load_le<std::uint16_t>(block.data() + block.size() - 6 - 1 - 2),
            kLz4LongestInput - 5 - 19);
}

// A match that the search notices late goes far back, over what was left out.
TEST(Lz4EncodeTest, ContinuesMatchesBackwards) {
  for (const std::size_t without : {0u, 1u, 3u, 8u, 9u, 40u, 300u, 3000u}) {
    const Data block = expect_round_trip(noise_and_again(4000, without));
    EXPECT_LT(block.size(), 4000u + 4000 / 255 + 300) << without;
  }
  // Far back, and to few literals that no match was before.
  Data pieces = testing::noise(8000, 17);
  testing::Draw draw(18);
  for (int i = 0; i < 500; ++i) {
    const Data fresh = testing::noise(1 + draw.below(20), draw.word());
    const auto piece = pieces.begin() + static_cast<long>(draw.below(7900));
    const Data known(piece, piece + static_cast<long>(12 + draw.below(50)));
    pieces.insert(pieces.end(), fresh.begin(), fresh.end());
    pieces.insert(pieces.end(), known.begin(), known.end());
  }
  expect_round_trip(pieces);
}

// Where literals wait that a late match then takes, giving up for their sake
// would be too early.
TEST(Lz4EncodeTest, DoesNotGiveUpOnLiteralsThatAMatchMayTake) {
  for (std::size_t size = 1000; size <= 9000; size += 1000) {
    for (std::size_t i = 0; i < 60; ++i) {
      // The longer since the beginning, the fewer places are known.
      const std::size_t without = i % 2 == 0 ? i : size / 2 + i;
      const Data data = noise_and_again(size, without);
      const Data block = compress(data, room_for(data.size())).value_or(Data{});
      ASSERT_EQ(compress(data, block.size()), block) << size << ' ' << without;
    }
  }
}

// With every limit from none to more than enough: the same block where it fits,
// nothing where it doesn't, and no byte outside.
TEST(Lz4EncodeTest, FitsOrNotAtEveryLimit) {
  std::vector<Data> all = samples(700);
  all.push_back(Data(700));
  all.push_back(repeated(testing::noise(200, 12), 700));
  all.push_back({});
  all.push_back(data_of("hello, hello, hello, hello, hello"));
  for (const Data& data : all) {
    const Data block = expect_round_trip(data);
    for (std::size_t room = 0; room <= block.size() + 70; ++room) {
      const auto made = compress(data, room);
      if (room < block.size()) {
        ASSERT_FALSE(made) << room;
      } else {
        ASSERT_EQ(made, block) << room;
      }
    }
  }
}

// The same near the limits of long blocks, where giving up early might be
// giving up what fits.
TEST(Lz4EncodeTest, FitsOrNotNearTheLimitsOfLongBlocks) {
  testing::Draw draw(13);
  for (const std::size_t size : {5000u, 20000u, 65536u}) {
    std::vector<Data> all = samples(size);
    all.push_back(noise_and_again(size / 2, 77));
    for (const Data& data : all) {
      const Data block = expect_round_trip(data);
      for (std::size_t less = 1; less <= 60; ++less) {
        ASSERT_FALSE(compress(data, block.size() - less)) << less;
        ASSERT_EQ(compress(data, block.size() + less - 1), block) << less;
      }
      for (int i = 0; i < 50; ++i) {
        ASSERT_FALSE(compress(data, draw.below(block.size())));
      }
    }
  }
}

TEST(Lz4EncodeTest, IgnoresWhatTheWorkspaceHeld) {
  for (const std::size_t size : {100u, 1000u, 10000u, 65536u}) {
    const Data data = testing::mixed(size, 15);
    Data first(room_for(size));
    const auto kept = std::make_unique<Lz4Workspace>();
    const auto expected = lz4_compress(data, first, *kept);
    ASSERT_TRUE(expected);
    std::memset(static_cast<void*>(kept.get()), 0xff, sizeof *kept);
    Data second(room_for(size));
    EXPECT_EQ(lz4_compress(data, second, *kept), expected);
    EXPECT_EQ(first, second);
  }
}

TEST(Lz4EncodeTest, RefusesMoreThanItsLongestInput) {
  EXPECT_FALSE(compress(Data(kLz4LongestInput + 1), 100000));
  EXPECT_FALSE(compress(Data(1 << 20), 100000));
}

// To a fiftieth, and a few bytes at the end, where it stops a little earlier.
TEST(Lz4EncodeTest, CompressesAsWellAsLiblz4) {
  for (const std::size_t size : {1024u, 4096u, 16384u, 32768u, 65536u}) {
    for (const Data& data : samples(size)) {
      Data reference(room_for(size));
      const int theirs = LZ4_compress_default(
          chars(data.data()), reinterpret_cast<char*>(reference.data()),
          static_cast<int>(size), static_cast<int>(reference.size()));
      const auto ours = compress(data, room_for(size));
      EXPECT_LE(static_cast<double>(ours.value_or(reference).size()),
                1.02 * theirs + 8)
          << size;
    }
  }
}

}  // namespace
}  // namespace odo::codec
