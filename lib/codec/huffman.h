// SPDX-License-Identifier: BSD-3-Clause
// Decoding tables for the Huffman codes of DEFLATE.
//
// Shapes: a code is given by the length of each symbol's code word, 0 for
//   unused. A table is indexed by the next `root` bits of the stream. Its entry
//   says all about the symbol at once, or points to a subtable for words longer
//   than `root` bits. The 32 bits of an entry:
//     0-7    bits to drop: the code word (within this table) and its extra bits
//     8-11   of these, the code word's; in a pointer, the subtable's index bits
//     12     end of block
//     13     pointer to a subtable
//     14     not a plain length or distance: one of the two above, or invalid
//     15     literal
//     16-31  the literal, the base of a length or distance, or the subtable's
//            place
// Sizes: TableSize below.
// Contexts: any; no memory but the caller's tables.
// Failure: kCorrupt for a set of lengths that zlib also rejects:
// over-subscribed
//   (more words than fit), or incomplete (words left over) unless it is empty
//   or one single word of one bit. Words left over decode to the invalid entry.
// Cost: linear in symbols and table size.
// Origin: RFC 1951 sections 3.2.2 and 3.2.5; which incomplete sets are accepted
//   is zlib's practice (inflate_table()).
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/base/result.h"
#include "lib/codec/error.h"

namespace odo::codec::detail {

using HuffmanEntry = std::uint32_t;

inline constexpr HuffmanEntry kEndOfBlock = 1u << 12;
inline constexpr HuffmanEntry kSubtable = 1u << 13;
inline constexpr HuffmanEntry kDetour = 1u << 14;
inline constexpr HuffmanEntry kLiteral = 1u << 15;

[[nodiscard]] constexpr unsigned entry_drop(HuffmanEntry entry) {
  return entry & 0xff;
}
[[nodiscard]] constexpr unsigned entry_word_bits(HuffmanEntry entry) {
  return (entry >> 8) & 15;
}
[[nodiscard]] constexpr unsigned entry_value(HuffmanEntry entry) {
  return entry >> 16;
}

inline constexpr unsigned kMaxWordBits = 15;

// A table for at most Symbols symbols. Entries is the most that any complete
// set of words of 15 bits (7 for the code of the lengths themselves) can need;
// HuffmanTest proves it by trying all shapes.
template <std::size_t Symbols, unsigned RootBits, std::size_t Entries>
struct TableSize {
  static constexpr std::size_t symbols = Symbols;
  static constexpr unsigned root_bits = RootBits;
  static constexpr std::size_t entries = Entries;
};
using LengthCodeTable = TableSize<19, 7, 128>;
using LiteralTable = TableSize<288, 11, 2342>;
using DistanceTable = TableSize<32, 8, 402>;

// What a symbol's entry holds before its word's length is added.
[[nodiscard]] constexpr HuffmanEntry base_entry(unsigned base, unsigned extra) {
  return base << 16 | extra;
}

inline constexpr auto kLengthCodeSymbols = [] {
  std::array<HuffmanEntry, 19> all{};
  for (unsigned symbol = 0; symbol < 19; ++symbol) all[symbol] = symbol << 16;
  return all;
}();

// Literals, the end of block, lengths 3 to 258 (RFC 1951 3.2.5); 286 and 287
// have words in the fixed code but no meaning.
inline constexpr auto kLiteralSymbols = [] {
  std::array<HuffmanEntry, 288> all{};
  for (unsigned symbol = 0; symbol < 256; ++symbol) {
    all[symbol] = symbol << 16 | kLiteral;
  }
  all[256] = kDetour | kEndOfBlock;
  unsigned base = 3;
  for (unsigned symbol = 257; symbol < 285; ++symbol) {
    const unsigned extra = symbol < 265 ? 0 : (symbol - 261) / 4;
    all[symbol] = base_entry(base, extra);
    base += 1u << extra;
  }
  all[285] = base_entry(258, 0);
  all[286] = all[287] = kDetour;
  return all;
}();

// Distances 1 to 32768; 30 and 31 have no meaning.
inline constexpr auto kDistanceSymbols = [] {
  std::array<HuffmanEntry, 32> all{};
  unsigned base = 1;
  for (unsigned symbol = 0; symbol < 30; ++symbol) {
    const unsigned extra = symbol < 4 ? 0 : (symbol - 2) / 2;
    all[symbol] = base_entry(base, extra);
    base += 1u << extra;
  }
  all[30] = all[31] = kDetour;
  return all;
}();

// A symbol's entry once its word takes `bits` bits of the table's index.
[[nodiscard]] constexpr HuffmanEntry entry_of_word(HuffmanEntry symbol,
                                                   unsigned bits) {
  return symbol + (bits << 8) + bits;
}

// The next word of `bits` bits after `word`, both with their first bit lowest;
// `word` is not the last.
[[nodiscard]] constexpr std::uint32_t next_reversed(std::uint32_t word,
                                                    unsigned bits) {
  const std::uint32_t zeros = word ^ ((1u << bits) - 1);
  const std::uint32_t bit = std::bit_floor(zeros);
  return (word & (bit - 1)) | bit;
}

// Builds the table of the code with these word lengths (each at most 15).
template <class Size>
[[nodiscard]] constexpr Result<void> build_huffman(
    std::span<const std::uint8_t> lengths,
    const std::array<HuffmanEntry, Size::symbols>& symbols,
    std::array<HuffmanEntry, Size::entries>& table) {
  constexpr unsigned kRoot = Size::root_bits;
  ODO_ASSERT(lengths.size() <= Size::symbols);

  std::array<std::uint16_t, kMaxWordBits + 1> count{};
  for (const std::uint8_t length : lengths) ++count[length];
  unsigned longest = kMaxWordBits;
  while (longest > 0 && count[longest] == 0) --longest;

  // Words still free at the length reached; negative means over-subscribed.
  std::int32_t left = 1;
  for (unsigned bits = 1; bits <= kMaxWordBits; ++bits) {
    left = 2 * left - count[bits];
    if (left < 0) return fail(Error::kCorrupt);
  }
  if (left > 0) {
    if (longest > 1) return fail(Error::kCorrupt);
    // Nothing, or the one word "0": every other index is invalid.
    for (std::size_t i = 0; i < (std::size_t{1} << kRoot); ++i) {
      table[i] = entry_of_word(kDetour, 1);
    }
    for (std::size_t symbol = 0; symbol < lengths.size(); ++symbol) {
      if (lengths[symbol] == 0) continue;
      for (std::size_t i = 0; i < (std::size_t{1} << kRoot); i += 2) {
        table[i] = entry_of_word(symbols[symbol], 1);
      }
    }
    return {};
  }

  // The symbols in the order of their words: by length, then by number.
  std::array<std::uint16_t, Size::symbols> sorted;
  std::array<std::uint16_t, kMaxWordBits + 2> place{};
  for (unsigned bits = 1; bits <= kMaxWordBits; ++bits) {
    place[bits + 1] = static_cast<std::uint16_t>(place[bits] + count[bits]);
  }
  for (std::size_t symbol = 0; symbol < lengths.size(); ++symbol) {
    if (lengths[symbol] == 0) continue;
    sorted[place[lengths[symbol]]++] = static_cast<std::uint16_t>(symbol);
  }

  // Words up to kRoot bits. With the first k bits indexed, one bit more repeats
  // the table; then words of k + 1 bits take their places.
  std::uint32_t word = 0;
  std::size_t next = 0;
  const auto step = [&word](unsigned bits) {
    if (word != (1u << bits) - 1) word = next_reversed(word, bits);
  };
  for (unsigned bits = 1; bits <= kRoot; ++bits) {
    const std::size_t half = std::size_t{1} << (bits - 1);
    if (next != 0) {
      for (std::size_t i = 0; i < half; ++i) table[half + i] = table[i];
    }
    for (unsigned n = count[bits]; n > 0; --n) {
      table[word] = entry_of_word(symbols[sorted[next++]], bits);
      step(bits);
    }
  }

  // Longer words, in subtables by their first kRoot bits. Such words are
  // neighbours; a subtable is as wide as the words that remain need.
  constexpr std::uint32_t kRootMask = (1u << kRoot) - 1;
  std::size_t end = std::size_t{1} << kRoot;
  std::size_t start = 0;
  unsigned width = 0;
  std::uint32_t prefix = ~std::uint32_t{0};
  for (unsigned bits = kRoot + 1; bits <= longest; ++bits) {
    for (; count[bits] > 0; --count[bits]) {
      if ((word & kRootMask) != prefix) {
        prefix = word & kRootMask;
        width = bits - kRoot;
        std::int32_t room = 1 << width;
        while ((room -= count[kRoot + width]) > 0) {
          ++width;
          room *= 2;
        }
        start = end;
        end += std::size_t{1} << width;
        ODO_CHECK(end <= Size::entries);
        table[prefix] = static_cast<HuffmanEntry>(start) << 16 | kDetour |
                        kSubtable | width << 8 | kRoot;
      }
      const HuffmanEntry entry =
          entry_of_word(symbols[sorted[next++]], bits - kRoot);
      for (std::size_t i = word >> kRoot; i < (std::size_t{1} << width);
           i += std::size_t{1} << (bits - kRoot)) {
        table[start + i] = entry;
      }
      step(bits);
    }
  }
  return {};
}

// The code of blocks that bring none (RFC 1951 3.2.6), built at compile time.
struct FixedCode {
  std::array<HuffmanEntry, LiteralTable::entries> literals;
  std::array<HuffmanEntry, DistanceTable::entries> distances;
};

inline constexpr FixedCode kFixedCode = [] {
  std::array<std::uint8_t, 288> literal_lengths{};
  for (std::size_t i = 0; i < 288; ++i) {
    literal_lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
  }
  std::array<std::uint8_t, 32> distance_lengths{};
  for (std::uint8_t& length : distance_lengths) length = 5;
  FixedCode code{};
  ODO_CHECK(build_huffman<LiteralTable>(literal_lengths, kLiteralSymbols,
                                        code.literals));
  ODO_CHECK(build_huffman<DistanceTable>(distance_lengths, kDistanceSymbols,
                                         code.distances));
  return code;
}();

}  // namespace odo::codec::detail
