// SPDX-License-Identifier: BSD-3-Clause
// The symbols of a DEFLATE block: which one says a length or a distance, how
// often each occurs, and how few bits that can take.
//
// Contexts: any.
// Failure: none.
// Origin: RFC 1951 section 3.2.5; C. Shannon 1948 for the entropy.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/base/annotations.h"
#include "lib/base/bytes.h"
#include "lib/codec/huffman.h"

namespace odo::codec::detail {

// The last two have words in the fixed code, and never occur.
inline constexpr std::size_t kLiteralCodes = 288;
inline constexpr std::size_t kDistanceCodes = 30;
inline constexpr std::size_t kEndSymbol = 256;
inline constexpr std::size_t kFirstLengthSymbol = 257;

// Some literals, and then a match, unless its length is 0.
struct Sequence {
  std::uint16_t literals;
  std::uint16_t length;
  std::uint16_t distance;
};

// Of a length from 3 to 258, its symbol.
inline constexpr auto kSymbolOfLength = [] {
  std::array<std::uint16_t, 259> all{};
  // The longest has a symbol for itself, though the one before could say it.
  for (std::size_t symbol = kFirstLengthSymbol; symbol < 286; ++symbol) {
    const HuffmanEntry entry = kLiteralSymbols[symbol];
    const std::size_t end = entry_value(entry) + (1u << entry_drop(entry));
    for (std::size_t i = entry_value(entry);
         i < std::min<std::size_t>(end, 259); ++i) {
      all[i] = static_cast<std::uint16_t>(symbol);
    }
  }
  return all;
}();

// Of a distance from 1 to 32768: two symbols for each power of two.
[[nodiscard]] ODO_ALWAYS_INLINE constexpr unsigned symbol_of_distance(
    unsigned distance) {
  const unsigned less = distance - 1;
  if (less < 2) return less;
  const auto bits = static_cast<unsigned>(std::bit_width(less));
  return 2 * (bits - 1) + ((less >> (bits - 2)) & 1);
}

// Of the numbers from 256 to 511, the logarithms to base 2 behind the point, in
// 256ths, rounded down: a square has twice the logarithm, which moves its next
// bit before the point.
inline constexpr auto kLog2Fractions = [] {
  std::array<std::uint8_t, 256> all{};
  for (std::uint64_t i = 0; i < 256; ++i) {
    std::uint64_t x = (256 + i) << 24;  // from 1 to 2, with 32 bits behind
    for (unsigned bit = 8; bit-- > 0;) {
      x = (x * (x >> 16)) >> 16;
      if (x >> 33 != 0) {
        all[i] |= static_cast<std::uint8_t>(1u << bit);
        x >>= 1;
      }
    }
  }
  return all;
}();

// The logarithm to base 2 in 256ths: at most too low, and by less than 3; of 0
// as of 1.
[[nodiscard]] constexpr std::uint32_t log2_256ths(std::uint32_t n) {
  if (n == 0) return 0;
  const auto whole = static_cast<unsigned>(std::bit_width(n)) - 1;
  const std::uint32_t fraction =
      whole > 8 ? n >> (whole - 8) : n << (8 - whole);
  return 256 * whole + kLog2Fractions[fraction & 255];
}

// How often each symbol occurs.
struct SymbolCounts {
  std::array<std::uint32_t, kLiteralCodes> literals;
  std::array<std::uint32_t, kDistanceCodes> distances;

  ODO_ALWAYS_INLINE void add_literals(Bytes bytes) {
    for (const std::byte byte : bytes) {
      ++literals[std::to_integer<std::size_t>(byte)];
    }
  }
  ODO_ALWAYS_INLINE void add_match(std::size_t length, std::size_t distance) {
    ++literals[kSymbolOfLength[length]];
    ++distances[symbol_of_distance(static_cast<unsigned>(distance))];
  }
  void add(const SymbolCounts& more) {
    for (std::size_t i = 0; i < kLiteralCodes; ++i) {
      literals[i] += more.literals[i];
    }
    for (std::size_t i = 0; i < kDistanceCodes; ++i) {
      distances[i] += more.distances[i];
    }
  }

  // Bits that follow the words of lengths and distances.
  [[nodiscard]] std::uint64_t extra_bits() const {
    std::uint64_t bits = 0;
    for (std::size_t i = kFirstLengthSymbol; i < kLiteralCodes; ++i) {
      bits += std::uint64_t{literals[i]} * entry_drop(kLiteralSymbols[i]);
    }
    for (std::size_t i = 0; i < kDistanceCodes; ++i) {
      bits += std::uint64_t{distances[i]} * entry_drop(kDistanceSymbols[i]);
    }
    return bits;
  }

  // No code can have fewer bits for these symbols: their entropy, rounded down,
  // and the extra bits.
  [[nodiscard]] std::uint64_t least_bits() const {
    return (entropy(literals) + entropy(distances)) / 256 + extra_bits();
  }

 private:
  // In 256ths of a bit.
  [[nodiscard]] static std::uint64_t entropy(
      std::span<const std::uint32_t> counts) {
    std::uint32_t sum = 0;
    std::uint64_t saved = 0;
    for (const std::uint32_t count : counts) {
      sum += count;
      saved += std::uint64_t{count} * (log2_256ths(count) + 3);
    }
    const std::uint64_t most = std::uint64_t{sum} * log2_256ths(sum);
    return most > saved ? most - saved : 0;
  }
};

}  // namespace odo::codec::detail
