// SPDX-License-Identifier: BSD-3-Clause
// LZ4 block decompression.
//
//   ODO_TRY(std::size_t size, codec::lz4_decompress(block, out));
//
// Shapes: one raw block without a frame, its size known from outside. HAMMER2
//   keeps the size of the block in the four bytes before it; that is the
//   caller's affair.
// Contexts: any, including interrupt. No workspace; a few words of stack.
// Ownership: writes only inside `out`, and reads only `block` and what it has
//   written, which may not overlap. Bytes of `out` past the result may be
//   overwritten.
// Failure: total on any input. kTruncated, kNoRoom, kCorrupt (a match that
//   reaches before the output's begin, or a distance of zero).
// Cost: linear in the larger of block and output.
// Origin: the LZ4 Block Format Description (lz4_Block_format.md, Yann Collet).
//   Its end-of-block conditions (the last five bytes are literals, the last
//   match begins twelve bytes before the end) bind compressors; this decoder
//   has no use for them and accepts blocks that break them, where liblz4
//   rejects some, depending on the size of the output buffer. It rejects the
//   distance zero, which the format forbids and for which liblz4 gives
//   unspecified bytes. On every other block the two agree (fuzz/lz4_fuzz.cc).
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/base/annotations.h"
#include "lib/base/bytes.h"
#include "lib/base/result.h"
#include "lib/codec/error.h"
#include "lib/codec/match_copy.h"

namespace odo::codec {

namespace detail {

class Lz4Decoder {
 public:
  Lz4Decoder(Bytes block, MutableBytes out)
      : in_(block.data()),
        in_end_(in_ + block.size()),
        out_begin_(out.data()),
        out_(out_begin_),
        out_end_(out_begin_ + out.size()) {}

  [[nodiscard]] Result<std::size_t> run() {
    for (;;) {
      if (!fast_sequences()) return fail(Error::kCorrupt);
      ODO_TRY(const bool last, careful_sequence());
      if (last) return static_cast<std::size_t>(out_ - out_begin_);
    }
  }

 private:
  static constexpr std::size_t kLongLength = 15;  // more length bytes follow
  static constexpr std::size_t kMinMatch = 4;

  // What a sequence with short lengths may touch: a token, 16 bytes in place of
  // at most 14 literals, and a distance; 14 literals, and a match of 18 bytes,
  // copied loosely.
  static constexpr std::size_t kInMargin = 1 + 16 + 2;
  static constexpr std::size_t kOutMargin = 14 + 18 + kLooseSlack;

  [[nodiscard]] static std::size_t between(const std::byte* a,
                                           const std::byte* b) {
    return static_cast<std::size_t>(b - a);
  }

  // Adds length bytes to `length` up to the first that isn't 255. False at the
  // input's end.
  [[nodiscard]] ODO_ALWAYS_INLINE static bool read_long(const std::byte*& in,
                                                        const std::byte* end,
                                                        std::size_t& length) {
    std::size_t byte;
    do {
      if (in == end) return false;
      byte = std::to_integer<std::size_t>(*in++);
      length += byte;
    } while (byte == 255);
    return true;
  }

  // Decodes sequences as long as both ends are far away, then stops before the
  // first that needs care. False: a match reaches before the output's begin.
  [[nodiscard]] ODO_ALWAYS_INLINE bool fast_sequences() {
    const std::byte* in = in_;
    std::byte* out = out_;
    while (between(in, in_end_) >= kInMargin &&
           between(out, out_end_) >= kOutMargin) {
      const std::size_t token = std::to_integer<std::size_t>(*in++);
      std::size_t literals = token >> 4;
      if (literals != kLongLength) [[likely]] {
        copy_16(out, in);
      } else {
        if (!read_long(in, in_end_, literals)) break;
        if (between(in, in_end_) < literals + kLooseSlack ||
            between(out, out_end_) < literals + 18 + kLooseSlack) {
          break;
        }
        copy_words_loosely(out, in, literals);
      }
      in += literals;
      std::byte* to = out + literals;

      const std::size_t distance = load_le<std::uint16_t>(in);
      in += 2;
      std::size_t length = token & 15;
      // One comparison for zero and for too far.
      if (distance - 1 >= between(out_begin_, to)) [[unlikely]]
        return false;
      if (length != kLongLength) [[likely]] {
        length += kMinMatch;
        const std::byte* const from = to - distance;
        if (distance >= 16) [[likely]] {
          copy_16(to, from);
          __builtin_memcpy(to + 16, from + 16, 2);
        } else if (distance >= 8) {
          copy_8(to, from);
          copy_8(to + 8, from + 8);
          __builtin_memcpy(to + 16, from + 16, 2);
        } else {
          copy_short_distance_loosely(to, distance, length);
        }
      } else {
        length += kMinMatch;
        if (!read_long(in, in_end_, length)) break;
        if (between(to, out_end_) < length + kLooseSlack) break;
        copy_match_loosely(to, distance, length);
      }
      out = to + length;
      in_ = in;
      out_ = out;
    }
    return true;
  }

  // Decodes one sequence with every bound checked. True if it was the last.
  [[nodiscard]] ODO_ALWAYS_INLINE Result<bool> careful_sequence() {
    // Copies: a store through `out` might alias the members.
    const std::byte* in = in_;
    const std::byte* const in_end = in_end_;
    std::byte* out = out_;
    if (in == in_end) return fail(Error::kTruncated);
    const std::size_t token = std::to_integer<std::size_t>(*in++);

    std::size_t literals = token >> 4;
    if (literals == kLongLength && !read_long(in, in_end, literals)) {
      return fail(Error::kTruncated);
    }
    if (between(in, in_end) < literals) return fail(Error::kTruncated);
    if (between(out, out_end_) < literals) return fail(Error::kNoRoom);
    if (between(in, in_end) - literals >= kLooseSlack &&
        between(out, out_end_) - literals >= kLooseSlack) {
      copy_words_loosely(out, in, literals);
    } else if (literals != 0) {
      __builtin_memcpy(out, in, literals);
    }
    in += literals;
    out += literals;
    if (in == in_end) {
      out_ = out;
      return true;
    }

    if (between(in, in_end) < 2) return fail(Error::kTruncated);
    const std::size_t distance = load_le<std::uint16_t>(in);
    in += 2;
    std::size_t length = (token & 15) + kMinMatch;
    if ((token & 15) == kLongLength && !read_long(in, in_end, length)) {
      return fail(Error::kTruncated);
    }
    if (distance == 0 || distance > between(out_begin_, out)) {
      return fail(Error::kCorrupt);
    }
    const std::size_t room = between(out, out_end_);
    if (room < length) return fail(Error::kNoRoom);
    if (room - length >= kLooseSlack) {
      copy_match_loosely(out, distance, length);
    } else {
      copy_match_exactly(out, distance, length);
    }
    in_ = in;
    out_ = out + length;
    return false;
  }

  const std::byte* in_;
  const std::byte* in_end_;
  std::byte* out_begin_;
  std::byte* out_;
  std::byte* out_end_;
};

}  // namespace detail

// Decompresses the whole of `block` into the front of `out`; answers how many
// bytes that made.
[[nodiscard]] inline Result<std::size_t> lz4_decompress(Bytes block,
                                                        MutableBytes out) {
  return detail::Lz4Decoder(block, out).run();
}

}  // namespace odo::codec
