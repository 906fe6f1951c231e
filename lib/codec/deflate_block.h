// SPDX-License-Identifier: BSD-3-Clause
// Writes the blocks of a DEFLATE stream from literals and matches: stored, by
// the fixed code or by one of their own, whichever is shortest.
//
// Contexts: any; no memory but the caller's.
// Failure: put() answers false if the block has no room, and has then written
//   nothing.
// Cost: linear in the block's symbols, and some 10 us for the codes.
// Origin: RFC 1951 sections 3.2.3 to 3.2.7.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/base/annotations.h"
#include "lib/base/bytes.h"
#include "lib/codec/bit_writer.h"
#include "lib/codec/deflate_symbols.h"
#include "lib/codec/huffman.h"
#include "lib/codec/huffman_encode.h"

namespace odo::codec::detail {

// A symbol's word and, from kPutBits on, its length in bits.
using Put = std::uint32_t;
inline constexpr unsigned kPutBits = 24;

// What a block's writer needs beside its input and output.
struct BlockScratch {
  HuffmanLengths huffman;
  // Of words: literals' and lengths', then distances'.
  std::array<std::uint8_t, kLiteralCodes + kDistanceCodes> lengths;
  std::array<std::uint16_t, kLiteralCodes> words;
  std::array<Put, kLiteralCodes> literals;
  std::array<Put, 259> match_lengths;  // extra bits included
  std::array<Put, kDistanceCodes> distances;
  // Word lengths as they are sent: symbols of the code of lengths, and from
  // kItemBits on the extra bits of repeats.
  std::array<std::uint16_t, kLiteralCodes + kDistanceCodes> items;
};

class BlockWriter {
 public:
  enum class Place : std::uint8_t { kAmongOthers, kLast };

  BlockWriter(MutableBytes out, BlockScratch& scratch)
      : s_(scratch),
        begin_(out.data()),
        bits_{.out = out.data(), .end = out.data() + out.size()} {}

  // How many bits have room.
  [[nodiscard]] std::uint64_t room() const {
    return 8 * static_cast<std::uint64_t>(bits_.end - bits_.out) - bits_.held;
  }
  // All bytes written; the last block fills the last of them up.
  [[nodiscard]] std::size_t written() const {
    return static_cast<std::size_t>(bits_.out - begin_);
  }

  // Writes the block of these sequences, which make `data` and have the symbols
  // of `counts` (without the end of the block).
  [[nodiscard]] bool put(Bytes data, std::span<const Sequence> sequences,
                         SymbolCounts& counts, Place place) {
    ++counts.literals[kEndSymbol];
    const std::span<std::uint8_t> lengths(s_.lengths);
    s_.huffman.make(counts.literals, kMaxWordBits,
                    lengths.first(kLiteralCodes));
    s_.huffman.make(counts.distances, kMaxWordBits,
                    lengths.subspan(kLiteralCodes));
    const Header header = make_header();

    const std::uint64_t extra = counts.extra_bits();
    const std::uint64_t own =
        header.bits() + extra + word_bits(counts, s_.lengths);
    const std::uint64_t fixed = extra + word_bits(counts, kFixedLengths);
    const std::uint64_t stored = stored_bits(data.size());
    if (kTypeBits + std::min({own, fixed, stored}) > room()) return false;

    if (stored <= std::min(own, fixed)) {
      put_stored(data, place);
      return true;
    }
    put_type(place, own < fixed ? Type::kOwnCode : Type::kFixedCode);
    if (own < fixed) {
      put_header(header);
    } else {
      s_.lengths = kFixedLengths;
    }
    make_puts();
    put_symbols(data.data(), sequences);
    if (place == Place::kLast) bits_.finish_byte();
    return true;
  }

 private:
  enum class Type : std::uint8_t { kStored, kFixedCode, kOwnCode };
  static constexpr unsigned kTypeBits = 3;
  static constexpr std::size_t kLongestStored = 65535;
  static constexpr unsigned kItemBits = 5;

  static constexpr auto kFixedLengths = [] {
    std::array<std::uint8_t, kLiteralCodes + kDistanceCodes> all{};
    for (std::size_t i = 0; i < all.size(); ++i) {
      all[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : i < 288 ? 8 : 5;
    }
    return all;
  }();

  static constexpr std::array<std::uint8_t, 19> kOrder = {
      16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};

  // What comes first in a block with a code of its own.
  struct Header {
    std::size_t literals;
    std::size_t distances;
    std::size_t items = 0;
    std::array<std::uint32_t, 19> counts{};  // of items
    std::array<std::uint8_t, 19> lengths{};  // of their words
    std::size_t lengths_sent = 19;

    [[nodiscard]] std::uint64_t bits() const {
      std::uint64_t bits = 5 + 5 + 4 + 3 * lengths_sent;
      for (unsigned item = 0; item < 19; ++item) {
        bits +=
            std::uint64_t{counts[item]} * (lengths[item] + repeat_bits(item));
      }
      return bits;
    }
  };

  // The extra bits of an item.
  [[nodiscard]] static unsigned repeat_bits(unsigned item) {
    return item < 16 ? 0 : item == 16 ? 2 : item == 17 ? 3 : 7;
  }

  [[nodiscard]] static std::uint64_t word_bits(
      const SymbolCounts& counts, std::span<const std::uint8_t> lengths) {
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < kLiteralCodes; ++i) {
      bits += std::uint64_t{counts.literals[i]} * lengths[i];
    }
    for (std::size_t i = 0; i < kDistanceCodes; ++i) {
      bits += std::uint64_t{counts.distances[i]} * lengths[kLiteralCodes + i];
    }
    return bits;
  }

  // --- Codes --------------------------------------------------------------

  // Repeats among the word lengths, and the code that sends them.
  [[nodiscard]] Header make_header() {
    Header header{.literals = kLiteralCodes, .distances = kDistanceCodes};
    while (s_.lengths[header.literals - 1] == 0) --header.literals;
    while (header.distances > 1 &&
           s_.lengths[kLiteralCodes + header.distances - 1] == 0) {
      --header.distances;
    }
    const auto length_at = [&](std::size_t i) {
      return s_
          .lengths[i < header.literals ? i
                                       : i - header.literals + kLiteralCodes];
    };
    const auto add = [&](unsigned item, std::size_t extra) {
      ++header.counts[item];
      s_.items[header.items++] =
          static_cast<std::uint16_t>(item | extra << kItemBits);
    };
    const std::size_t total = header.literals + header.distances;
    for (std::size_t i = 0; i < total;) {
      const unsigned length = length_at(i);
      std::size_t run = 1;
      while (i + run < total && length_at(i + run) == length) ++run;
      i += run;
      if (length != 0) {
        add(length, 0);
        --run;
      }
      while (run >= 3) {
        const std::size_t most = length != 0 ? 6 : run < 11 ? 10 : 138;
        const std::size_t now = std::min(run, most);
        if (length != 0) {
          add(16, now - 3);
        } else if (now < 11) {
          add(17, now - 3);
        } else {
          add(18, now - 11);
        }
        run -= now;
      }
      for (; run > 0; --run) add(length, 0);
    }
    s_.huffman.make(header.counts, 7, header.lengths);
    while (header.lengths_sent > 4 &&
           header.lengths[kOrder[header.lengths_sent - 1]] == 0) {
      --header.lengths_sent;
    }
    return header;
  }

  void put_header(const Header& header) {
    bits_.put(header.literals - kFirstLengthSymbol, 5);
    bits_.put(header.distances - 1, 5);
    bits_.put(header.lengths_sent - 4, 4);
    for (std::size_t i = 0; i < header.lengths_sent; ++i) {
      bits_.flush();
      bits_.put(header.lengths[kOrder[i]], 3);
    }
    std::array<std::uint16_t, 19> words{};
    make_words(header.lengths, words);
    for (std::size_t i = 0; i < header.items; ++i) {
      const unsigned item = s_.items[i] & ((1u << kItemBits) - 1);
      bits_.flush();
      bits_.put(words[item], header.lengths[item]);
      bits_.put(s_.items[i] >> kItemBits, repeat_bits(item));
    }
    bits_.flush();
  }

  [[nodiscard]] static Put as_put(std::uint32_t word, unsigned bits) {
    return word | bits << kPutBits;
  }

  void make_puts() {
    const std::span<const std::uint8_t> lengths(s_.lengths);
    make_words(lengths.first(kLiteralCodes), s_.words);
    for (std::size_t i = 0; i < kLiteralCodes; ++i) {
      s_.literals[i] = as_put(s_.words[i], lengths[i]);
    }
    for (std::uint32_t length = 3; length < 259; ++length) {
      const std::size_t symbol = kSymbolOfLength[length];
      const HuffmanEntry entry = kLiteralSymbols[symbol];
      const unsigned bits = lengths[symbol];
      s_.match_lengths[length] =
          as_put(s_.words[symbol] | (length - entry_value(entry)) << bits,
                 bits + entry_drop(entry));
    }
    make_words(lengths.subspan(kLiteralCodes), s_.words);
    for (std::size_t i = 0; i < kDistanceCodes; ++i) {
      s_.distances[i] = as_put(s_.words[i], lengths[kLiteralCodes + i]);
    }
  }

  // --- Blocks -------------------------------------------------------------

  void put_type(Place place, Type type) {
    bits_.put(place == Place::kLast ? 1 : 0, 1);
    bits_.put(static_cast<unsigned>(type), 2);
    bits_.flush();
  }

  // Past the type of the first block, without what fills its byte up: that may
  // be had for nothing, since the room ends with a byte.
  [[nodiscard]] static std::uint64_t stored_bits(std::size_t size) {
    const std::size_t blocks =
        size == 0 ? 1 : (size + kLongestStored - 1) / kLongestStored;
    return 32 + (blocks - 1) * (8 + 32) + 8 * std::uint64_t{size};
  }

  void put_stored(Bytes data, Place place) {
    do {
      const Bytes now = data.first(std::min(data.size(), kLongestStored));
      data = data.subspan(now.size());
      put_type(data.empty() ? place : Place::kAmongOthers, Type::kStored);
      bits_.finish_byte();
      const auto size = static_cast<std::uint16_t>(now.size());
      store_le(bits_.out, size);
      store_le(bits_.out + 2, static_cast<std::uint16_t>(~size));
      bits_.out += 4;
      if (!now.empty()) __builtin_memcpy(bits_.out, now.data(), now.size());
      bits_.out += now.size();
    } while (!data.empty());
  }

  void put_symbols(const std::byte* in, std::span<const Sequence> sequences) {
    // A copy: a store through it might alias the members.
    BitWriter bits = bits_;
    const BlockScratch& s = s_;
    const auto put = [&bits](Put put) {
      bits.put(put & ((1u << kPutBits) - 1), put >> kPutBits);
    };
    for (const Sequence sequence : sequences) {
      const std::byte* const end = in + sequence.literals;
      for (; end - in >= 3; in += 3) {
        put(s.literals[std::to_integer<std::size_t>(in[0])]);
        put(s.literals[std::to_integer<std::size_t>(in[1])]);
        put(s.literals[std::to_integer<std::size_t>(in[2])]);
        bits.flush();
      }
      for (; in != end; ++in) {
        put(s.literals[std::to_integer<std::size_t>(*in)]);
      }
      bits.flush();
      if (sequence.length == 0) continue;
      in += sequence.length;
      // 20 bits at most, and 28.
      put(s.match_lengths[sequence.length]);
      const unsigned symbol = symbol_of_distance(sequence.distance);
      const HuffmanEntry entry = kDistanceSymbols[symbol];
      put(s.distances[symbol]);
      bits.put(sequence.distance - entry_value(entry), entry_drop(entry));
      bits.flush();
    }
    put(s.literals[kEndSymbol]);
    bits.flush();
    bits_ = bits;
  }

  BlockScratch& s_;
  std::byte* begin_;
  BitWriter bits_;
};

}  // namespace odo::codec::detail
