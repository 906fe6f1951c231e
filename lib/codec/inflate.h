// SPDX-License-Identifier: BSD-3-Clause
// DEFLATE decompression (RFC 1951), from one span into another.
//
//   codec::InflateWorkspace workspace;            // or a static one per lane
//   ODO_TRY(codec::Inflated r, codec::inflate(stream, out, workspace));
//   // out.first(r.written) holds the data; stream.subspan(r.consumed) follows.
//
// zlib.h has the form with header and check value that HAMMER2 stores.
//
// Contexts: any. About 1 KiB of stack.
// Sizes: the workspace is 12 KiB, needs no initialization and keeps nothing
//   between calls; one call at a time uses it.
// Ownership: writes only inside `out` and the workspace. Bytes of `out` past
//   the result may be overwritten. The spans may not overlap.
// Failure: total on any input. kTruncated, kNoRoom, kCorrupt; which streams are
//   rejected agrees with zlib's inflate() over the same spans.
// Cost: linear in the larger of stream and output.
// Origin: RFC 1951.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/base/annotations.h"
#include "lib/base/bytes.h"
#include "lib/base/result.h"
#include "lib/codec/bit_reader.h"
#include "lib/codec/error.h"
#include "lib/codec/huffman.h"
#include "lib/codec/match_copy.h"

namespace odo::codec {

// Where a stream ended in its input and in the output.
struct Inflated {
  std::size_t consumed;
  std::size_t written;
};

// The decoding tables of one call.
class InflateWorkspace {
 private:
  friend class Inflater;
  std::array<detail::HuffmanEntry, detail::LiteralTable::entries> literals_;
  std::array<detail::HuffmanEntry, detail::DistanceTable::entries> distances_;
  std::array<detail::HuffmanEntry, detail::LengthCodeTable::entries>
      length_codes_;
  std::array<std::uint8_t, 320> lengths_;
};

// One call of inflate().
class Inflater {
 public:
  Inflater(Bytes stream, MutableBytes out, InflateWorkspace& workspace)
      : w_(workspace),
        in_begin_(stream.data()),
        bits_{.in = in_begin_, .end = in_begin_ + stream.size()},
        out_begin_(out.data()),
        out_(out_begin_),
        out_end_(out_begin_ + out.size()) {}

  [[nodiscard]] Result<Inflated> run() {
    bool last = false;
    while (!last) {
      ODO_TRY(const std::uint32_t header, take(3));
      last = (header & 1) != 0;
      switch (header >> 1) {
        case 0:
          ODO_TRY_VOID(stored_block());
          continue;
        case 1:
          use_fixed_code();
          break;
        case 2:
          ODO_TRY_VOID(read_codes());
          break;
        default:
          return fail(Error::kCorrupt);
      }
      ODO_TRY_VOID(compressed_block());
    }
    bits_.return_bytes();
    return Inflated{between(in_begin_, bits_.in), between(out_begin_, out_)};
  }

 private:
  using Entry = detail::HuffmanEntry;

  static constexpr std::size_t kLongestMatch = 258;

  // What one turn of the fast loop may touch: two words of input, the first of
  // which counts for seven bytes at most; three literals and a loose match.
  static constexpr std::size_t kInMargin = 7 + 8;
  static constexpr std::size_t kOutMargin =
      3 + kLongestMatch + detail::kLooseSlack;

  [[nodiscard]] static std::size_t between(const std::byte* a,
                                           const std::byte* b) {
    return static_cast<std::size_t>(b - a);
  }

  // The next `n` (at most 16) bits.
  [[nodiscard]] Result<std::uint32_t> take(unsigned n) {
    bits_.fill();
    if (bits_.left < n) return fail(Error::kTruncated);
    const auto value = static_cast<std::uint32_t>(bits_.peek(n));
    bits_.drop(n);
    return value;
  }

  // --- Block headers -----------------------------------------------------

  // RFC 1951 3.2.4.
  [[nodiscard]] Result<void> stored_block() {
    bits_.return_bytes();
    if (bits_.bytes_left() < 4) return fail(Error::kTruncated);
    const std::size_t size = load_le<std::uint16_t>(bits_.in);
    const std::size_t complement = load_le<std::uint16_t>(bits_.in + 2);
    bits_.in += 4;
    if ((size ^ complement) != 0xffff) return fail(Error::kCorrupt);
    if (bits_.bytes_left() < size) return fail(Error::kTruncated);
    if (between(out_, out_end_) < size) return fail(Error::kNoRoom);
    if (size != 0) __builtin_memcpy(out_, bits_.in, size);
    bits_.in += size;
    out_ += size;
    return {};
  }

  void use_fixed_code() {
    literals_ = detail::kFixedCode.literals.data();
    distances_ = detail::kFixedCode.distances.data();
  }

  // RFC 1951 3.2.7.
  [[nodiscard]] Result<void> read_codes() {
    ODO_TRY(const std::uint32_t counts, take(14));
    const std::size_t literals = 257 + (counts & 31);
    const std::size_t distances = 1 + ((counts >> 5) & 31);
    const std::size_t length_codes = 4 + (counts >> 10);
    if (literals > 286 || distances > 30) return fail(Error::kCorrupt);

    static constexpr std::array<std::uint8_t, 19> kOrder = {
        16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    std::array<std::uint8_t, 19> code_lengths{};
    for (std::size_t i = 0; i < length_codes; ++i) {
      ODO_TRY(const std::uint32_t length, take(3));
      code_lengths[kOrder[i]] = static_cast<std::uint8_t>(length);
    }
    ODO_TRY_VOID(build_length_code(code_lengths));

    const std::size_t total = literals + distances;
    std::size_t done = 0;
    while (done < total) {
      bits_.fill();
      const Entry entry =
          w_.length_codes_[bits_.peek(detail::LengthCodeTable::root_bits)];
      if (detail::entry_drop(entry) > bits_.left) {
        return fail(Error::kTruncated);
      }
      bits_.drop(detail::entry_drop(entry));
      const unsigned symbol = detail::entry_value(entry);
      if (symbol < 16) {
        w_.lengths_[done++] = static_cast<std::uint8_t>(symbol);
        continue;
      }
      // 16 repeats the length before 3 to 6 times, 17 and 18 zeros 3 to 10 and
      // 11 to 138 times.
      std::uint8_t length = 0;
      std::size_t repeat = 3;
      unsigned extra = 3;
      if (symbol == 16) {
        if (done == 0) return fail(Error::kCorrupt);
        length = w_.lengths_[done - 1];
        extra = 2;
      } else if (symbol == 18) {
        repeat = 11;
        extra = 7;
      }
      ODO_TRY(const std::uint32_t more, take(extra));
      repeat += more;
      if (repeat > total - done) return fail(Error::kCorrupt);
      for (; repeat > 0; --repeat) w_.lengths_[done++] = length;
    }
    // A block without an end is none.
    if (w_.lengths_[256] == 0) return fail(Error::kCorrupt);
    return build_codes(literals, distances);
  }

  // Unlike the others this code may not be incomplete at all.
  [[nodiscard]] Result<void> build_length_code(
      const std::array<std::uint8_t, 19>& lengths) {
    unsigned used = 0;  // in units of the longest word's share
    for (const std::uint8_t length : lengths) {
      if (length != 0) used += 128u >> length;
    }
    if (used != 128) return fail(Error::kCorrupt);
    return detail::build_huffman<detail::LengthCodeTable>(
        lengths, detail::kLengthCodeSymbols, w_.length_codes_);
  }

  [[nodiscard]] Result<void> build_codes(std::size_t literals,
                                         std::size_t distances) {
    const std::span<const std::uint8_t> lengths(w_.lengths_);
    ODO_TRY_VOID(detail::build_huffman<detail::LiteralTable>(
        lengths.first(literals), detail::kLiteralSymbols, w_.literals_));
    literals_ = w_.literals_.data();
    distances_ = w_.distances_.data();
    return detail::build_huffman<detail::DistanceTable>(
        lengths.subspan(literals, distances), detail::kDistanceSymbols,
        w_.distances_);
  }

  // --- Symbols -----------------------------------------------------------

  enum class Progress : std::uint8_t { kEndOfBlock, kNearAnEnd, kCorrupt };

  [[nodiscard]] Result<void> compressed_block() {
    switch (fast_symbols()) {
      case Progress::kEndOfBlock:
        return {};
      case Progress::kCorrupt:
        return fail(Error::kCorrupt);
      case Progress::kNearAnEnd:
        break;
    }
    // Within a block, an end that is near stays near.
    return careful_symbols();
  }

  // The base of a length's or distance's entry and the extra bits after its
  // word; drops both.
  [[nodiscard]] ODO_ALWAYS_INLINE static std::size_t take_value(
      detail::BitReader& bits, Entry entry) {
    const unsigned both = detail::entry_drop(entry) & 63;
    const std::uint64_t extra =
        bits.peek(both) >> detail::entry_word_bits(entry);
    bits.drop(both);
    return detail::entry_value(entry) + extra;
  }

  // Drops a pointer's bits and follows it into its subtable.
  [[nodiscard]] ODO_ALWAYS_INLINE static Entry follow(detail::BitReader& bits,
                                                      const Entry* table,
                                                      Entry pointer) {
    bits.drop(detail::entry_drop(pointer));
    return table[detail::entry_value(pointer) +
                 bits.peek(detail::entry_word_bits(pointer))];
  }

  // Decodes as long as both ends are far away.
  [[nodiscard]] Progress fast_symbols() {
    // Copies: a store through `out` might alias the members.
    detail::BitReader bits = bits_;
    std::byte* out = out_;
    const Entry* const literals = literals_;
    const Entry* const distances = distances_;
    Progress progress = Progress::kNearAnEnd;

    const auto far_from_both_ends = [&] {
      return bits.bytes_left() >= kInMargin &&
             between(out, out_end_) >= kOutMargin;
    };
    const auto next_symbol = [&] {
      return literals[bits.peek(detail::LiteralTable::root_bits)];
    };
    const auto emit = [&](Entry literal) {
      bits.drop(detail::entry_drop(literal) & 63);
      *out++ = static_cast<std::byte>(detail::entry_value(literal));
    };
    if (!far_from_both_ends()) return progress;

    // Each turn begins with the entry of the next word already fetched, while
    // the turn before still had bits for it.
    bits.fill_from_word();
    Entry entry = next_symbol();
    while (far_from_both_ends()) {
      bits.fill_from_word();
      // Three literals of at most 11 bits each, so that 23 bits are left; or
      // one of 15, below.
      if ((entry & detail::kLiteral) != 0) {
        emit(entry);
        entry = next_symbol();
        if ((entry & detail::kLiteral) != 0) {
          emit(entry);
          entry = next_symbol();
          if ((entry & detail::kLiteral) != 0) {
            emit(entry);
            entry = next_symbol();
            continue;
          }
        }
      }
      // 34 bits are left: enough for a word of 15 and 5 extra bits.
      if ((entry & detail::kDetour) != 0) [[unlikely]] {
        if ((entry & detail::kSubtable) != 0) {
          entry = follow(bits, literals, entry);
          if ((entry & detail::kLiteral) != 0) {
            emit(entry);
            entry = next_symbol();
            continue;
          }
        }
        if ((entry & detail::kDetour) != 0) {
          bits.drop(detail::entry_drop(entry));
          progress = (entry & detail::kEndOfBlock) != 0 ? Progress::kEndOfBlock
                                                        : Progress::kCorrupt;
          break;
        }
      }
      const std::size_t length = take_value(bits, entry);

      bits.fill_from_word();
      entry = distances[bits.peek(detail::DistanceTable::root_bits)];
      if ((entry & detail::kDetour) != 0) [[unlikely]] {
        if ((entry & detail::kSubtable) != 0) {
          entry = follow(bits, distances, entry);
        }
        if ((entry & detail::kDetour) != 0) {
          progress = Progress::kCorrupt;
          break;
        }
      }
      const std::size_t distance = take_value(bits, entry);
      if (distance > between(out_begin_, out)) [[unlikely]] {
        progress = Progress::kCorrupt;
        break;
      }
      entry = next_symbol();
      detail::copy_match_loosely(out, distance, length);
      out += length;
    }
    bits_ = bits;
    out_ = out;
    return progress;
  }

  // The entry of the next word of `table`, its own bits not yet dropped. Past
  // the end of the input it may be any; the caller compares its bits with what
  // is left.
  [[nodiscard]] ODO_ALWAYS_INLINE static Entry look_up(detail::BitReader& bits,
                                                       const Entry* table,
                                                       unsigned root_bits) {
    bits.fill();
    const Entry entry = table[bits.peek(root_bits)];
    if ((entry & detail::kSubtable) == 0 || bits.left < root_bits) return entry;
    return follow(bits, table, entry);
  }

  // Decodes to the end of the block with every bound checked.
  [[nodiscard]] Result<void> careful_symbols() {
    detail::BitReader bits = bits_;
    std::byte* out = out_;
    for (;;) {
      Entry entry = look_up(bits, literals_, detail::LiteralTable::root_bits);
      if (detail::entry_drop(entry) > bits.left) {
        return fail(Error::kTruncated);
      }
      if ((entry & detail::kLiteral) != 0) {
        if (out == out_end_) return fail(Error::kNoRoom);
        bits.drop(detail::entry_drop(entry));
        *out++ = static_cast<std::byte>(detail::entry_value(entry));
        continue;
      }
      if ((entry & detail::kDetour) != 0) {
        if ((entry & detail::kEndOfBlock) == 0) return fail(Error::kCorrupt);
        bits.drop(detail::entry_drop(entry));
        break;
      }
      const std::size_t length = take_value(bits, entry);
      entry = look_up(bits, distances_, detail::DistanceTable::root_bits);
      if (detail::entry_drop(entry) > bits.left) {
        return fail(Error::kTruncated);
      }
      if ((entry & detail::kDetour) != 0) return fail(Error::kCorrupt);
      const std::size_t distance = take_value(bits, entry);
      if (distance > between(out_begin_, out)) return fail(Error::kCorrupt);
      const std::size_t room = between(out, out_end_);
      if (room < length) return fail(Error::kNoRoom);
      if (room - length >= detail::kLooseSlack) {
        detail::copy_match_loosely(out, distance, length);
      } else {
        detail::copy_match_exactly(out, distance, length);
      }
      out += length;
    }
    bits_ = bits;
    out_ = out;
    return {};
  }

  InflateWorkspace& w_;
  const std::byte* in_begin_;
  detail::BitReader bits_;
  std::byte* out_begin_;
  std::byte* out_;
  std::byte* out_end_;
  // The tables of the block being decoded.
  const Entry* literals_ = nullptr;
  const Entry* distances_ = nullptr;
};

// Decompresses the stream at the front of `stream` into the front of `out`.
[[nodiscard]] inline Result<Inflated> inflate(Bytes stream, MutableBytes out,
                                              InflateWorkspace& workspace) {
  return Inflater(stream, out, workspace).run();
}

}  // namespace odo::codec
