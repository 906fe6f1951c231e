// SPDX-License-Identifier: BSD-3-Clause
// deflate.h and zlib_encode.h against inflate.h, zlib.h and zlib.
#include "lib/codec/zlib_encode.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/codec/inflate.h"
#include "lib/codec/testing/generated.h"
#include "lib/codec/testing/guarded.h"
#include "lib/codec/zlib.h"

namespace odo::codec {
namespace {

using testing::Guarded;
using Data = std::vector<std::byte>;

constexpr unsigned kLevels[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

// Room for whatever may be made of data of this size: the headers of two stored
// blocks and of the stream, and some more.
constexpr std::size_t room_for(std::size_t size) { return size + 26; }

// Compresses into a guarded span of `room` bytes.
std::optional<Data> compress(Bytes data, std::size_t room, unsigned level) {
  static DeflateWorkspace workspace;
  Guarded out(room);
  // An exact copy on the heap, so that a sanitizer sees reads past its end.
  const Data exact(data.begin(), data.end());
  const auto size = zlib_compress(exact, out.span(), level, workspace);
  EXPECT_TRUE(out.intact());
  if (!size) return std::nullopt;
  EXPECT_LE(*size, room);
  const auto stream = out.span().first(*size);
  return Data(stream.begin(), stream.end());
}

// The stream, once both decoders have made the data of it.
Data expect_round_trip(Bytes data, unsigned level) {
  static InflateWorkspace workspace;
  const Data stream =
      compress(data, room_for(data.size()), level).value_or(Data{});
  EXPECT_FALSE(stream.empty());
  const Data expected(data.begin(), data.end());

  Data ours(data.size());
  const auto result = zlib_decompress(stream, ours, workspace);
  EXPECT_TRUE(result);
  if (result) {
    EXPECT_EQ(result->consumed, stream.size());
    EXPECT_EQ(result->written, data.size());
  }
  EXPECT_EQ(ours, expected);

  Data reference(data.size() + 1);
  uLongf size = reference.size();
  EXPECT_EQ(
      uncompress(reinterpret_cast<Bytef*>(reference.data()), &size,
                 reinterpret_cast<const Bytef*>(stream.data()), stream.size()),
      Z_OK);
  reference.resize(size);
  EXPECT_EQ(reference, expected);
  return stream;
}

// What zlib makes of it.
std::size_t reference_size(const Data& data, unsigned level) {
  uLongf size = compressBound(data.size());
  Data stream(size);
  EXPECT_EQ(compress2(reinterpret_cast<Bytef*>(stream.data()), &size,
                      reinterpret_cast<const Bytef*>(data.data()), data.size(),
                      static_cast<int>(level)),
            Z_OK);
  return size;
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

Data bytes_of(std::initializer_list<int> bytes) {
  Data data;
  for (const int byte : bytes) data.push_back(static_cast<std::byte>(byte));
  return data;
}

Data repeated(Bytes pattern, std::size_t size) {
  Data data(size);
  for (std::size_t i = 0; i < size; ++i) data[i] = pattern[i % pattern.size()];
  return data;
}

Data half_noise(std::size_t size) {
  Data data = testing::text_like(size / 2, 6);
  const Data more = testing::noise(size - data.size(), 7);
  data.insert(data.end(), more.begin(), more.end());
  return data;
}

TEST(ZlibEncodeTest, KnownStreams) {
  // Nothing: a fixed block of its end alone.
  EXPECT_EQ(expect_round_trip({}, 6),
            bytes_of({0x78, 0x9c, 0x03, 0x00, 0, 0, 0, 1}));
  // A fixed block: one literal, and a match of ten at the distance 1.
  EXPECT_EQ(
      expect_round_trip(data_of("aaaaaaaaaaa"), 6),
      bytes_of({0x78, 0x9c, 0x4b, 0x44, 0x00, 0x00, 0x19, 0x0d, 0x04, 0x2c}));
}

TEST(ZlibEncodeTest, NamesTheLevelAsZlibDoes) {
  const Data data = testing::text_like(1000, 8);
  for (const unsigned level : kLevels) {
    Data theirs(compressBound(data.size()));
    uLongf size = theirs.size();
    ASSERT_EQ(compress2(reinterpret_cast<Bytef*>(theirs.data()), &size,
                        reinterpret_cast<const Bytef*>(data.data()),
                        data.size(), static_cast<int>(level)),
              Z_OK);
    const Data ours = expect_round_trip(data, level);
    EXPECT_EQ(ours[0], theirs[0]);
    EXPECT_EQ(ours[1], theirs[1]) << level;
  }
  EXPECT_EQ(compress(data, 2000, 0), compress(data, 2000, 1));
  EXPECT_EQ(compress(data, 2000, 99), compress(data, 2000, 9));
}

TEST(ZlibEncodeTest, RoundTripsEverySmallSize) {
  for (std::size_t size = 0; size <= 70; ++size) {
    for (const unsigned level : {1u, 4u, 6u, 9u}) {
      for (std::size_t width = 1; width <= 12; ++width) {
        expect_round_trip(repeated(testing::noise(width, width), size), level);
      }
      for (const Data& data : samples(size)) expect_round_trip(data, level);
      if (HasFailure()) FAIL() << size << ' ' << level;
    }
  }
}

TEST(ZlibEncodeTest, RoundTripsSizesAroundItsLimits) {
  for (const std::size_t size :
       {255u,   256u,   257u,   258u,   259u,   260u,   261u,
        262u,   1000u,  4095u,  4096u,  4097u,  8192u,  16384u,
        32767u, 32768u, 32769u, 33100u, 65534u, 65535u, 65536u}) {
    for (const unsigned level : {1u, 6u, 9u}) {
      for (const Data& data : samples(size)) expect_round_trip(data, level);
      expect_round_trip(Data(size), level);
      expect_round_trip(half_noise(size), level);
      if (HasFailure()) FAIL() << size << ' ' << level;
    }
  }
}

TEST(ZlibEncodeTest, RoundTripsEveryLevel) {
  for (const unsigned level : kLevels) {
    for (const Data& data : samples(20000)) expect_round_trip(data, level);
  }
}

// Every string over a few letters.
TEST(ZlibEncodeTest, RoundTripsAllShortStrings) {
  struct Set {
    std::size_t letters;
    std::size_t longest;
  };
  static DeflateWorkspace workspace;
  static InflateWorkspace inflate_workspace;
  for (const Set set : {Set{2, 13}, Set{3, 8}}) {
    std::size_t strings = 1;
    for (std::size_t length = 0; length <= set.longest; ++length) {
      for (std::size_t number = 0; number < strings; ++number) {
        Data data;
        for (std::size_t i = 0, left = number; i < length; ++i) {
          data.push_back(static_cast<std::byte>('a' + left % set.letters));
          left /= set.letters;
        }
        for (const unsigned level : {1u, 6u}) {
          Data stream(room_for(length));
          const std::size_t size =
              deflate(data, stream, level, workspace).value_or(0);
          Data back(length);
          const auto result =
              inflate(Bytes(stream).first(size), back, inflate_workspace);
          ASSERT_TRUE(result) << length << ' ' << number;
          ASSERT_EQ(result->consumed, size);
          ASSERT_EQ(back, data) << length << ' ' << number;
        }
      }
      strings *= set.letters;
    }
  }
}

// Every length of a match at some distance, and every power of two of a
// distance with its neighbours.
TEST(ZlibEncodeTest, SaysEveryLengthAndDistance) {
  const Data letters = testing::noise(300, 9);
  for (std::size_t length = 3; length <= 300; ++length) {
    Data data = letters;
    data.insert(data.end(), letters.begin(),
                letters.begin() + static_cast<long>(length));
    data.push_back(~data[length % letters.size()]);
    const Data stream = expect_round_trip(data, 6);
    EXPECT_LT(stream.size(), 340u) << length;
  }
  for (std::size_t power = 4; power <= 32768; power *= 2) {
    for (const std::size_t distance : {power - 1, power, power + 1}) {
      // Long runs between, so that nothing else is found.
      Data data(distance + 100, std::byte{'-'});
      const std::size_t length = std::min<std::size_t>(distance, 64);
      std::copy_n(letters.begin(), length, data.begin());
      std::copy_n(letters.begin(), std::min<std::size_t>(length, 100),
                  data.begin() + static_cast<long>(distance));
      const Data stream = expect_round_trip(data, 9);
      if (length == 64 && distance <= 32768) {
        EXPECT_LT(stream.size(), 64 + 90u) << distance;
      }
    }
  }
}

// With every limit from none to more than enough: the same stream where it
// fits, nothing where it doesn't, and no byte outside.
TEST(ZlibEncodeTest, FitsOrNotAtEveryLimit) {
  std::vector<Data> all = samples(500);
  all.push_back(Data(500));
  all.push_back({});
  all.push_back(data_of("hello"));
  for (const Data& data : all) {
    for (const unsigned level : {1u, 6u}) {
      const Data stream = expect_round_trip(data, level);
      for (std::size_t room = 0; room <= stream.size() + 20; ++room) {
        const auto made = compress(data, room, level);
        if (room < stream.size()) {
          ASSERT_FALSE(made) << room;
        } else {
          ASSERT_EQ(made, stream) << room;
        }
      }
    }
  }
}

// The same for long data, where giving up early might be giving up what fits.
TEST(ZlibEncodeTest, FitsOrNotNearTheLimitsOfLongStreams) {
  testing::Draw draw(10);
  for (const std::size_t size : {5000u, 20000u, 65536u}) {
    std::vector<Data> all = samples(size);
    all.push_back(half_noise(size));
    all.push_back(Data(size));
    for (const Data& data : all) {
      const Data stream = expect_round_trip(data, 4);
      for (std::size_t less = 1; less <= 12; ++less) {
        ASSERT_FALSE(compress(data, stream.size() - less, 4)) << less;
        ASSERT_EQ(compress(data, stream.size() + less - 1, 4), stream) << less;
      }
      for (int i = 0; i < 20; ++i) {
        ASSERT_FALSE(compress(data, draw.below(stream.size()), 4));
      }
    }
  }
}

TEST(ZlibEncodeTest, IgnoresWhatTheWorkspaceHeld) {
  const auto workspace = std::make_unique<DeflateWorkspace>();
  std::vector<Data> all = {{}, testing::mixed(1000, 11)};
  // Noise, of which few places are visited, and the same again. Of other noise
  // with the same end, other places are visited.
  const Data once = testing::noise(30000, 12);
  all.push_back(once);
  all.back().insert(all.back().end(), once.begin(), once.end());
  Data other = once;
  std::fill_n(other.begin(), 700, std::byte{0});
  for (const Data& data : all) {
    Data first(room_for(data.size()));
    std::memset(static_cast<void*>(workspace.get()), 0, sizeof *workspace);
    const auto expected = zlib_compress(data, first, 6, *workspace);
    ASSERT_TRUE(expected);
    Data second(room_for(other.size()));
    ASSERT_TRUE(zlib_compress(other, second, 6, *workspace));
    second.assign(first.size(), std::byte{0});
    ASSERT_EQ(zlib_compress(data, second, 6, *workspace), expected);
    first.resize(expected.value_or(0));
    second.resize(first.size());
    ASSERT_EQ(first, second);
    second.resize(room_for(data.size()));
    std::memset(static_cast<void*>(workspace.get()), 0xff, sizeof *workspace);
    ASSERT_EQ(zlib_compress(data, second, 6, *workspace), expected);
  }
}

TEST(ZlibEncodeTest, RefusesMoreThanItsLongestInput) {
  EXPECT_FALSE(compress(Data(kDeflateLongestInput + 1), 100000, 6));
  EXPECT_FALSE(compress(Data(1 << 20), 100000, 6));
}

// Noise takes its own size, a block's header for each 65,535 bytes, and the
// stream's ends.
TEST(ZlibEncodeTest, StoresNoise) {
  for (const std::size_t size : {1u, 100u, 4096u, 65535u, 65536u}) {
    const std::size_t blocks = size <= 65535 ? 1 : 2;
    for (const unsigned level : {1u, 6u, 9u}) {
      EXPECT_LE(expect_round_trip(testing::noise(size, 12), level).size(),
                2 + 5 * blocks + size + 4);
    }
  }
}

// To a hundredth; without lazy matching, to a few.
TEST(ZlibEncodeTest, CompressesAsWellAsZlib) {
  for (const std::size_t size : {1024u, 8192u, 65536u}) {
    std::vector<Data> all = samples(size);
    all.push_back(half_noise(size));
    all.push_back(Data(size));
    for (const Data& data : all) {
      for (const unsigned level : {1u, 3u, 5u, 6u, 8u}) {
        const auto ours = expect_round_trip(data, level).size();
        const auto theirs = static_cast<double>(reference_size(data, level));
        const double factor = level < 4 ? 1.04 : 1.01;
        EXPECT_LE(static_cast<double>(ours), factor * theirs + 2)
            << size << ' ' << level << ' ' << &data - all.data();
      }
    }
  }
}

}  // namespace
}  // namespace odo::codec
