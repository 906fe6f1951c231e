// SPDX-License-Identifier: BSD-3-Clause
// zlib.h and inflate.h against zlib.
#include "lib/codec/zlib.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lib/codec/inflate.h"
#include "lib/codec/testing/bit_writer.h"
#include "lib/codec/testing/generated.h"
#include "lib/codec/testing/guarded.h"

namespace odo::codec {
namespace {

using testing::BitWriter;
using testing::Guarded;
using Data = std::vector<std::byte>;

enum class Format : std::uint8_t { kRaw, kZlib };

constexpr int window_bits(Format format) {
  return format == Format::kRaw ? -15 : 15;
}

Bytef* bytefs(std::byte* p) { return reinterpret_cast<Bytef*>(p); }

// Compresses by zlib; `flush_every` non-zero ends a block after so many bytes.
Data compress(const Data& data, Format format, int level, int strategy,
              std::size_t flush_every = 0) {
  z_stream z{};
  EXPECT_EQ(
      deflateInit2(&z, level, Z_DEFLATED, window_bits(format), 9, strategy),
      Z_OK);
  Data stream(deflateBound(&z, static_cast<uLong>(data.size())) +
              data.size() / 2 + 1000);
  Data input = data;  // zlib's pointers are not const
  z.next_in = bytefs(input.data());
  z.next_out = bytefs(stream.data());
  z.avail_out = static_cast<uInt>(stream.size());
  std::size_t left = data.size();
  int turn = 0;
  while (flush_every != 0 && left > flush_every) {
    z.avail_in = static_cast<uInt>(flush_every);
    constexpr int kFlushes[] = {Z_FULL_FLUSH, Z_BLOCK, Z_PARTIAL_FLUSH,
                                Z_SYNC_FLUSH};
    EXPECT_EQ(deflate(&z, kFlushes[turn++ % 4]), Z_OK);
    left -= flush_every;
  }
  z.avail_in = static_cast<uInt>(left);
  EXPECT_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
  stream.resize(z.total_out);
  deflateEnd(&z);
  return stream;
}

struct Decoded {
  Data data;
  std::size_t consumed;
  bool operator==(const Decoded&) const = default;
};

// Decompresses into a guarded span of `room` bytes.
Result<Decoded> decompress(Bytes stream, std::size_t room, Format format) {
  static InflateWorkspace workspace;
  Guarded out(room);
  const Data exact(stream.begin(), stream.end());
  const auto result = format == Format::kRaw
                          ? inflate(exact, out.span(), workspace)
                          : zlib_decompress(exact, out.span(), workspace);
  EXPECT_TRUE(out.intact());
  if (!result) return fail(result.error());
  EXPECT_LE(result->written, room);
  EXPECT_LE(result->consumed, stream.size());
  const auto data = out.span().first(result->written);
  return Decoded{Data(data.begin(), data.end()), result->consumed};
}

// What zlib makes of the same spans.
struct Reference {
  int status;
  std::string message;
  Decoded decoded;
};

Reference reference(Bytes stream, std::size_t room, Format format) {
  z_stream z{};
  EXPECT_EQ(inflateInit2(&z, window_bits(format)), Z_OK);
  Data input(stream.begin(), stream.end());
  input.push_back(std::byte{0});  // zlib wants a pointer even for nothing
  Data out(room + 1);
  z.next_in = bytefs(input.data());
  z.avail_in = static_cast<uInt>(stream.size());
  z.next_out = bytefs(out.data());
  z.avail_out = static_cast<uInt>(room);
  Reference r;
  r.status = ::inflate(&z, Z_FINISH);
  r.message = z.msg != nullptr ? z.msg : "";
  r.decoded.consumed = z.total_in;
  out.resize(z.total_out);
  r.decoded.data = out;
  inflateEnd(&z);
  return r;
}

void expect_agreement(Bytes stream, std::size_t room, Format format) {
  const auto ours = decompress(stream, room, format);
  const Reference theirs = reference(stream, room, format);
  ASSERT_EQ(ours.has_value(), theirs.status == Z_STREAM_END)
      << theirs.status << ' ' << theirs.message;
  if (ours) {
    ASSERT_EQ(*ours, theirs.decoded);
    return;
  }
  // zlib wants to have read the dictionary's number first.
  if (stream.size() >= 6) {
    ASSERT_EQ(ours.error() == Error::kNeedsDictionary,
              theirs.status == Z_NEED_DICT);
  }
  ASSERT_EQ(ours.error() == Error::kBadCheck,
            theirs.message == "incorrect data check");
}

std::vector<Data> samples(std::size_t size) {
  return {testing::text_like(size, 1), testing::binary_like(size, 2),
          testing::noise(size, 3), testing::runs(size, 4),
          testing::mixed(size, 5)};
}

Data bytes_of(std::initializer_list<int> bytes) {
  Data data;
  for (const int byte : bytes) data.push_back(static_cast<std::byte>(byte));
  return data;
}

Data text(const std::string& s) {
  Data data;
  testing::append(data, s);
  return data;
}

TEST(InflateTest, KnownStreams) {
  // An empty block of the fixed code, the same stored, and five bytes stored.
  EXPECT_EQ(decompress(bytes_of({0x03, 0x00}), 0, Format::kRaw),
            (Decoded{{}, 2}));
  EXPECT_EQ(decompress(bytes_of({0x01, 0, 0, 0xff, 0xff}), 0, Format::kRaw),
            (Decoded{{}, 5}));
  EXPECT_EQ(
      decompress(bytes_of({0x01, 5, 0, 0xfa, 0xff, 'h', 'e', 'l', 'l', 'o'}), 5,
                 Format::kRaw),
      (Decoded{text("hello"), 10}));
  EXPECT_EQ(decompress(bytes_of({0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}), 9,
                       Format::kRaw),
            (Decoded{text("hello"), 7}));
}

TEST(ZlibTest, KnownStreams) {
  EXPECT_EQ(
      decompress(bytes_of({0x78, 0x9c, 0x03, 0, 0, 0, 0, 1}), 0, Format::kZlib),
      (Decoded{{}, 8}));
  EXPECT_EQ(decompress(bytes_of({0x78, 0x9c, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x07,
                                 0x00, 0x06, 0x2c, 0x02, 0x15}),
                       5, Format::kZlib),
            (Decoded{text("hello"), 13}));
}

TEST(ZlibTest, RoundTripsEveryLevelAndStrategy) {
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{300}, std::size_t{65536},
        std::size_t{200001}}) {
    for (const Data& data : samples(size)) {
      for (const Format format : {Format::kRaw, Format::kZlib}) {
        for (int level = 0; level <= 9; ++level) {
          const Data stream = compress(data, format, level, Z_DEFAULT_STRATEGY);
          ASSERT_EQ(decompress(stream, size, format),
                    (Decoded{data, stream.size()}))
              << size << ' ' << level;
        }
        for (const int strategy :
             {Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED}) {
          const Data stream = compress(data, format, 6, strategy);
          ASSERT_EQ(decompress(stream, size + 100, format),
                    (Decoded{data, stream.size()}))
              << size << " strategy " << strategy;
        }
        const Data pieces =
            compress(data, format, 6, Z_DEFAULT_STRATEGY, 1 + size / 9);
        ASSERT_EQ(decompress(pieces, size, format),
                  (Decoded{data, pieces.size()}));
      }
    }
  }
}

TEST(ZlibTest, RoundTripsEveryLength) {
  const Data all = testing::mixed(500, 6);
  for (std::size_t size = 0; size <= all.size(); ++size) {
    const Data data(all.begin(), all.begin() + static_cast<long>(size));
    for (const int strategy : {Z_DEFAULT_STRATEGY, Z_FIXED}) {
      const Data stream = compress(data, Format::kZlib, 9, strategy);
      ASSERT_EQ(decompress(stream, size, Format::kZlib),
                (Decoded{data, stream.size()}));
      if (size == 0) continue;
      const auto small = decompress(stream, size - 1, Format::kZlib);
      ASSERT_FALSE(small);
      ASSERT_EQ(small.error(), Error::kNoRoom) << size;
    }
  }
}

// HAMMER2 pads a stream with zeros to 1 KiB at least.
TEST(ZlibTest, LeavesWhatFollowsAlone) {
  const Data data = testing::text_like(2000, 7);
  Data stream = compress(data, Format::kZlib, 6, Z_DEFAULT_STRATEGY);
  const std::size_t size = stream.size();
  for (std::size_t padding = 0; padding < 40; ++padding) {
    stream.resize(size + padding);
    ASSERT_EQ(decompress(stream, 65536, Format::kZlib), (Decoded{data, size}));
  }
  stream.resize(size);
  stream.resize(size + 3000, std::byte{0xff});
  EXPECT_EQ(decompress(stream, 65536, Format::kZlib), (Decoded{data, size}));
}

// Each distance up to 70 and each length, written by hand in the fixed code.
TEST(InflateTest, RepeatsPatternsAtEveryShortDistance) {
  const Data pattern = testing::noise(70, 8);
  const auto literal = [](BitWriter& out, unsigned byte) {
    if (byte < 144) {
      out.word(0x30 + byte, 8);
    } else {
      out.word(0x190 + byte - 144, 9);
    }
  };
  for (unsigned distance = 1; distance <= 70; ++distance) {
    for (unsigned length = 3; length <= 258; ++length) {
      BitWriter out;
      out.bits(1, 1).bits(1, 2);
      Data data(pattern.begin(), pattern.begin() + distance);
      for (const std::byte byte : data) {
        literal(out, std::to_integer<unsigned>(byte));
      }
      unsigned symbol = 285;
      while (detail::entry_value(detail::kLiteralSymbols[symbol]) > length) {
        --symbol;
      }
      if (symbol < 280) {
        out.word(symbol - 256, 7);
      } else {
        out.word(0xc0 + symbol - 280, 8);
      }
      out.bits(length - detail::entry_value(detail::kLiteralSymbols[symbol]),
               detail::entry_drop(detail::kLiteralSymbols[symbol]));
      symbol = 29;
      while (detail::entry_value(detail::kDistanceSymbols[symbol]) > distance) {
        --symbol;
      }
      out.word(symbol, 5);
      out.bits(distance - detail::entry_value(detail::kDistanceSymbols[symbol]),
               detail::entry_drop(detail::kDistanceSymbols[symbol]));
      for (unsigned i = 0; i < length; ++i) {
        data.push_back(data[data.size() - distance]);
      }
      out.word(0, 7);
      // With much room the fast loop copies, with none to spare the careful
      // one.
      Data stream = out.bytes();
      const Decoded expected{data, stream.size()};
      ASSERT_EQ(decompress(stream, data.size(), Format::kRaw), expected);
      stream.resize(stream.size() + 64);
      ASSERT_EQ(decompress(stream, data.size() + 1000, Format::kRaw), expected)
          << distance << ' ' << length;
    }
  }
}

TEST(ZlibTest, NamesWhatIsWrong) {
  const auto error = [](Bytes stream, std::size_t room, Format format) {
    const auto result = decompress(stream, room, format);
    EXPECT_FALSE(result);
    expect_agreement(stream, room, format);
    return result ? Error::kNoRoom : result.error();
  };
  const Data good =
      compress(text("hello hello hello"), Format::kZlib, 9, Z_DEFAULT_STRATEGY);
  EXPECT_EQ(error({}, 9, Format::kZlib), Error::kTruncated);
  EXPECT_EQ(error(Bytes(good).first(1), 9, Format::kZlib), Error::kTruncated);
  EXPECT_EQ(error(Bytes(good).first(good.size() - 1), 99, Format::kZlib),
            Error::kTruncated);
  Data bad = good;
  bad.back() ^= std::byte{1};
  EXPECT_EQ(error(bad, 99, Format::kZlib), Error::kBadCheck);
  bad = good;
  bad[1] ^= std::byte{1};  // the header's own check
  EXPECT_EQ(error(bad, 99, Format::kZlib), Error::kCorrupt);
  // Method 7, window 2^16, and a preset dictionary, each with a good header
  // check.
  EXPECT_EQ(error(bytes_of({0x77, 0x07}), 99, Format::kZlib), Error::kCorrupt);
  EXPECT_EQ(error(bytes_of({0x88, 0x1c}), 99, Format::kZlib), Error::kCorrupt);
  EXPECT_EQ(error(bytes_of({0x78, 0xbb, 0, 0, 0, 1, 3, 0}), 99, Format::kZlib),
            Error::kNeedsDictionary);

  // The block type that doesn't exist; a stored length and no complement.
  EXPECT_EQ(error(bytes_of({0x07}), 99, Format::kRaw), Error::kCorrupt);
  EXPECT_EQ(error(bytes_of({0x01, 5, 0, 0xfb, 0xff, 1, 2, 3, 4, 5}), 99,
                  Format::kRaw),
            Error::kCorrupt);
  EXPECT_EQ(
      error(bytes_of({0x01, 5, 0, 0xfa, 0xff, 1, 2, 3, 4}), 99, Format::kRaw),
      Error::kTruncated);
  EXPECT_EQ(
      error(bytes_of({0x01, 5, 0, 0xfa, 0xff, 1, 2, 3, 4, 5}), 4, Format::kRaw),
      Error::kNoRoom);
}

// The window that the header declares does not bind: zlib's inflate() too lets
// a distance exceed it.
TEST(ZlibTest, DeclaredWindowDoesNotBind) {
  const Data data = testing::mixed(60000, 9);
  Data stream = compress(data, Format::kZlib, 9, Z_DEFAULT_STRATEGY);
  stream[0] = std::byte{0x08};  // 256 bytes
  stream[1] = std::byte{0x1d};
  expect_agreement(stream, data.size(), Format::kZlib);
  EXPECT_EQ(decompress(stream, data.size(), Format::kZlib),
            (Decoded{data, stream.size()}));
}

// Symbols that have words in the fixed code and no meaning, a distance before
// the output's begin.
TEST(InflateTest, RejectsMeaninglessSymbols) {
  for (const unsigned symbol : {286u, 287u}) {
    BitWriter out;
    out.bits(1, 1).bits(1, 2).word(0xc0 + symbol - 280, 8).bits(0, 64);
    expect_agreement(out.bytes(), 1000, Format::kRaw);
    EXPECT_EQ(decompress(out.bytes(), 1000, Format::kRaw).error(),
              Error::kCorrupt);
  }
  for (const unsigned symbol : {1u, 2u, 29u, 30u, 31u}) {
    BitWriter out;
    // One literal, then a match of three bytes.
    out.bits(1, 1).bits(1, 2).word(0x30, 8).word(1, 7).word(symbol, 5);
    out.bits(0, 200);
    expect_agreement(out.bytes(), 1000, Format::kRaw);
    EXPECT_EQ(decompress(out.bytes(), 1000, Format::kRaw).error(),
              Error::kCorrupt)
        << symbol;
  }
}

// A distance that reaches one byte too far, in the fast loop and near the end,
// against the same that just fits.
TEST(InflateTest, MeasuresDistancesAgainstTheOutput) {
  for (const unsigned literals : {5u, 6u}) {
    for (const std::size_t padding : {std::size_t{0}, std::size_t{400}}) {
      BitWriter out;
      out.bits(1, 1).bits(1, 2);
      for (unsigned i = 0; i < literals; ++i) out.word(0x30 + i, 8);
      out.word(1, 7).word(4, 5).bits(1, 1);  // length 3, distance 6
      out.word(0, 7);
      Data stream = out.bytes();
      stream.resize(stream.size() + padding);
      expect_agreement(stream, 9 + padding, Format::kRaw);
      EXPECT_EQ(decompress(stream, 9 + padding, Format::kRaw).has_value(),
                literals == 6);
    }
  }
}

using Lengths = std::vector<std::uint8_t>;

// Lengths of a code of `symbols` words, complete by repeated splitting.
Lengths complete_code(testing::Draw& draw, std::size_t symbols) {
  Lengths lengths = {1, 1};
  while (lengths.size() < symbols) {
    const std::size_t at = draw.below(lengths.size());
    if (lengths[at] == 15) continue;
    lengths.push_back(++lengths[at]);
  }
  return lengths;
}

void scatter(testing::Draw& draw, Lengths& lengths, std::size_t size) {
  lengths.resize(std::max(size, lengths.size()));
  for (std::size_t i = lengths.size(); i > 1; --i) {
    std::swap(lengths[i - 1], lengths[draw.below(i)]);
  }
}

// Dynamic blocks with complete, over-subscribed and incomplete codes, too many
// symbols, no end of block; then noise. Accepted or rejected as by zlib.
TEST(InflateTest, JudgesCodesLikeZlib) {
  testing::Draw draw(10);
  int accepted = 0;
  for (int round = 0; round < 4000; ++round) {
    Lengths literals = complete_code(draw, 2 + draw.below(250));
    scatter(draw, literals, 257 + draw.below(draw.below(8) == 0 ? 32 : 30));
    Lengths distances = draw.below(4) == 0
                            ? Lengths(1 + draw.below(30),
                                      static_cast<std::uint8_t>(draw.below(3)))
                            : complete_code(draw, 2 + draw.below(20));
    if (draw.below(3) == 0) distances[draw.below(distances.size())] = 0;
    scatter(draw, distances, draw.below(draw.below(8) == 0 ? 33 : 31));
    if (draw.below(4) != 0 && literals[256] == 0) {
      // Give the end of block a word in exchange for another symbol's.
      auto other = std::find_if(literals.begin(), literals.end(),
                                [](std::uint8_t length) { return length > 0; });
      std::swap(literals[256], *other);
    }
    switch (draw.below(6)) {
      case 0:
        ++literals[draw.below(literals.size())];
        break;
      case 1:
        literals[draw.below(literals.size())] = 0;
        break;
      case 2:
        distances[draw.below(distances.size())] =
            static_cast<std::uint8_t>(draw.below(16));
        break;
      default:
        break;
    }
    for (auto& length : literals) length &= 15;
    for (auto& length : distances) length &= 15;
    BitWriter out;
    out.bits(draw.below(2), 1).bits(2, 2).codes(literals, distances);
    const std::size_t tail = draw.below(400);
    for (std::size_t i = 0; i < tail; ++i) out.bits(draw.word(), 8);
    const std::size_t room = draw.below(2000);
    expect_agreement(out.bytes(), room, Format::kRaw);
    if (HasFatalFailure()) FAIL() << round;
    if (decompress(out.bytes(), room, Format::kRaw)) ++accepted;
  }
  EXPECT_GT(accepted, 100);
}

// The one incomplete code that is allowed: a single word of one bit.
TEST(InflateTest, SingleWordCodes) {
  Lengths literals(257);
  literals[256] = 1;
  BitWriter end;
  end.bits(1, 1).bits(2, 2).codes(literals, Lengths{0}).bits(0, 1);
  expect_agreement(end.bytes(), 10, Format::kRaw);
  EXPECT_TRUE(decompress(end.bytes(), 10, Format::kRaw));

  BitWriter left_over;
  left_over.bits(1, 1).bits(2, 2).codes(literals, Lengths{0}).bits(1, 1);
  left_over.bits(0, 100);
  expect_agreement(left_over.bytes(), 10, Format::kRaw);
  EXPECT_EQ(decompress(left_over.bytes(), 10, Format::kRaw).error(),
            Error::kCorrupt);

  // A literal, the end and a length, and distances with one word: the other
  // bit is invalid.
  literals.resize(258);
  literals['a'] = 2;
  literals[256] = 2;
  literals[257] = 1;
  for (const unsigned bit : {0u, 1u}) {
    BitWriter match;
    match.bits(1, 1).bits(2, 2).codes(literals, Lengths{1});
    match.word(2, 2).word(0, 1).word(bit, 1).word(3, 2);
    match.bits(0, 100);
    expect_agreement(match.bytes(), 600, Format::kRaw);
    EXPECT_EQ(decompress(match.bytes(), 600, Format::kRaw).has_value(),
              bit == 0);
  }
}

// The code of the lengths themselves may not be incomplete at all, be its one
// word and the word left over ever so useful.
TEST(InflateTest, LengthCodeIsComplete) {
  for (const unsigned other : {0u, 1u}) {
    BitWriter out;
    // 257 literals, one distance; in the order of 3.2.7 the fourth length is
    // zero's, the fifth eight's.
    out.bits(1, 1).bits(2, 2).bits(0, 5).bits(0, 5).bits(15, 4);
    for (std::size_t i = 0; i < 19; ++i) {
      out.bits(i == 4 ? 1 : i == 3 ? other : 0, 3);
    }
    // 256 words of eight bits, the end of block among them, and no distance.
    // Zero has the first word if it has one.
    const unsigned zero = other == 1 ? 0 : 1;
    out.bits(zero, 1);
    for (int i = 0; i < 256; ++i) out.bits(1 - zero, 1);
    out.bits(zero, 1);
    out.word(255, 8);
    expect_agreement(out.bytes(), 10, Format::kRaw);
    EXPECT_EQ(decompress(out.bytes(), 10, Format::kRaw).has_value(),
              other == 1);
  }
}

TEST(InflateTest, BlocksHaveAnEnd) {
  Lengths literals(257);
  literals['a'] = literals['b'] = 1;
  BitWriter out;
  out.bits(1, 1).bits(2, 2).codes(literals, Lengths{0}).bits(0, 400);
  expect_agreement(out.bytes(), 1000, Format::kRaw);
  EXPECT_EQ(decompress(out.bytes(), 1000, Format::kRaw).error(),
            Error::kCorrupt);
}

// Repeats in the list of lengths: before the first, beyond the last.
TEST(InflateTest, RepeatsOfLengthsStayInside) {
  testing::Draw draw(11);
  for (int round = 0; round < 5000; ++round) {
    BitWriter out;
    out.bits(1, 1).bits(2, 2);
    out.bits(draw.below(32), 5).bits(draw.below(32), 5).bits(15, 4);
    // Four words of two bits: zero, eight, and two of the repeats.
    const std::size_t repeats = draw.below(3);
    for (std::size_t i = 0; i < 19; ++i) {
      const bool used = i == 3 || i == 4 || (i < 3 && i != repeats);
      out.bits(used ? 2 : 0, 3);
    }
    for (int i = 0; i < 120; ++i) out.bits(draw.word(), 8);
    expect_agreement(out.bytes(), 500, Format::kRaw);
    if (HasFatalFailure()) FAIL() << round;
  }
}

TEST(ZlibTest, EveryTruncationIsAnswered) {
  for (const int strategy : {Z_DEFAULT_STRATEGY, Z_FIXED}) {
    for (const Data& data : samples(1500)) {
      const Data stream = compress(data, Format::kZlib, 6, strategy);
      for (std::size_t size = 0; size < stream.size(); ++size) {
        const Bytes part = Bytes(stream).first(size);
        expect_agreement(part, data.size(), Format::kZlib);
        if (HasFatalFailure()) FAIL() << size;
        ASSERT_EQ(decompress(part, data.size(), Format::kZlib).error(),
                  Error::kTruncated);
      }
    }
  }
}

TEST(ZlibTest, AgreesOnMutatedStreams) {
  testing::Draw draw(12);
  for (const int level : {0, 1, 6, 9}) {
    for (const Data& data : samples(1000)) {
      const Data good =
          compress(data, Format::kRaw, level,
                   draw.below(3) == 0 ? Z_FIXED : Z_DEFAULT_STRATEGY,
                   draw.below(2) * 300);
      for (int round = 0; round < 400; ++round) {
        Data stream = good;
        const std::size_t changes = 1 + draw.below(3);
        for (std::size_t i = 0; i < changes; ++i) {
          // Most of what is decided stands near the front.
          const std::size_t at = draw.ranked(stream.size());
          stream[at] ^= static_cast<std::byte>(1 << draw.below(8));
        }
        expect_agreement(stream, data.size() + draw.below(3) * 400,
                         Format::kRaw);
        if (HasFatalFailure()) FAIL() << round;
      }
    }
  }
}

TEST(ZlibTest, NoticesEveryBitOfTheData) {
  const Data data = testing::binary_like(300, 13);
  const Data good = compress(data, Format::kZlib, 6, Z_DEFAULT_STRATEGY);
  for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
    Data stream = good;
    stream[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
    expect_agreement(stream, data.size(), Format::kZlib);
    if (HasFatalFailure()) FAIL() << bit;
    // A stream may end as before (bits after the last block mean nothing), but
    // never with other data.
    const auto result = decompress(stream, data.size(), Format::kZlib);
    if (result) {
      ASSERT_EQ(result->data, data) << bit;
    }
  }
}

}  // namespace
}  // namespace odo::codec
