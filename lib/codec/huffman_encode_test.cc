// SPDX-License-Identifier: BSD-3-Clause
// Lengths against trying all shapes, and against package-merge by its textbook;
// words against the decoder's tables.
#include "lib/codec/huffman_encode.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "lib/codec/testing/generated.h"

namespace odo::codec::detail {
namespace {

using Counts = std::vector<std::uint32_t>;
using Lengths = std::vector<std::uint8_t>;

std::uint64_t cost(const Counts& counts, const Lengths& lengths) {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    bits += std::uint64_t{counts[i]} * lengths[i];
  }
  return bits;
}

// The lengths, once they have passed for a code: complete, and of the symbols
// that occur only.
Lengths make(const Counts& counts, unsigned longest) {
  static HuffmanLengths huffman;
  Lengths lengths(counts.size(), 0xee);
  huffman.make(counts, longest, lengths);
  std::uint32_t shares = 0;
  std::size_t used = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    EXPECT_EQ(lengths[i] == 0, counts[i] == 0) << i;
    EXPECT_LE(lengths[i], longest);
    if (lengths[i] == 0) continue;
    ++used;
    shares += 1u << (longest - lengths[i]);
  }
  if (used > 1) {
    EXPECT_EQ(shares, 1u << longest);
  }
  if (used == 1) {
    EXPECT_EQ(shares, 1u << (longest - 1));
  }
  return lengths;
}

// The least cost of any complete code, by all shapes: the rarest get the
// longest words.
std::uint64_t least_cost(Counts counts, unsigned longest) {
  std::erase(counts, 0u);
  std::sort(counts.begin(), counts.end(), std::greater<>());
  std::uint64_t best = ~std::uint64_t{0};
  // With so many words free at this length, and these symbols placed.
  const std::function<void(unsigned, std::size_t, std::size_t, std::uint64_t)>
      place = [&](unsigned bits, std::size_t words, std::size_t placed,
                  std::uint64_t sum) {
        if (placed == counts.size()) best = std::min(best, sum);
        if (bits > longest || words == 0) return;
        for (std::size_t used = 0; used <= words; ++used) {
          if (used > 0) {
            if (placed == counts.size()) return;
            sum += std::uint64_t{counts[placed++]} * bits;
          }
          place(bits + 1, 2 * (words - used), placed, sum);
        }
      };
  place(1, 2, 0, 0);
  return best;
}

// The same for many symbols, by package-merge of weights alone.
std::uint64_t textbook_cost(Counts counts, unsigned longest) {
  std::erase(counts, 0u);
  std::vector<std::uint64_t> list;
  for (unsigned bits = 0; bits < longest; ++bits) {
    std::vector<std::uint64_t> next(counts.begin(), counts.end());
    for (std::size_t i = 0; i + 1 < list.size(); i += 2) {
      next.push_back(list[i] + list[i + 1]);
    }
    std::sort(next.begin(), next.end());
    list = std::move(next);
  }
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < 2 * counts.size() - 2; ++i) sum += list[i];
  return sum;
}

Counts fibonacci(std::size_t size) {
  Counts counts(size, 1);
  for (std::size_t i = 2; i < size; ++i) {
    counts[i] = counts[i - 1] + counts[i - 2];
  }
  return counts;
}

TEST(HuffmanEncodeTest, FewSymbols) {
  EXPECT_EQ(make({0, 0, 0}, 7), (Lengths{0, 0, 0}));
  EXPECT_EQ(make({0, 9, 0}, 7), (Lengths{0, 1, 0}));
  EXPECT_EQ(make({5, 0, 1}, 15), (Lengths{1, 0, 1}));
  EXPECT_EQ(make({1, 1, 2, 4}, 15), (Lengths{3, 3, 2, 1}));
  EXPECT_EQ(make({1, 1, 2, 4}, 2), (Lengths{2, 2, 2, 2}));
}

TEST(HuffmanEncodeTest, NoShapeIsShorter) {
  testing::Draw draw(1);
  for (int round = 0; round < 3000; ++round) {
    Counts counts(2 + draw.below(7));
    const std::size_t scale = std::size_t{1} << draw.below(12);
    for (auto& count : counts) {
      count = static_cast<std::uint32_t>(draw.ranked(scale) + 1);
    }
    if (draw.below(3) == 0) counts.insert(counts.begin() + 1, 0);
    for (unsigned longest = 3; longest <= 7; ++longest) {
      ASSERT_EQ(cost(counts, make(counts, longest)),
                least_cost(counts, longest))
          << round << ' ' << longest;
    }
  }
}

TEST(HuffmanEncodeTest, LimitsWhatWouldBeTooLong) {
  for (std::size_t size = 17; size <= 30; ++size) {
    const Counts counts = fibonacci(size);
    for (const unsigned longest : {5u, 7u, 15u}) {
      const Lengths lengths = make(counts, longest);
      EXPECT_EQ(*std::max_element(lengths.begin(), lengths.end()), longest);
      EXPECT_EQ(cost(counts, lengths), textbook_cost(counts, longest)) << size;
    }
  }
}

TEST(HuffmanEncodeTest, ManySymbolsAreOptimalToo) {
  testing::Draw draw(2);
  for (int round = 0; round < 60; ++round) {
    Counts counts(round < 3 ? 288 : 20 + draw.below(269));
    for (auto& count : counts) {
      count = static_cast<std::uint32_t>(
          draw.below(4) == 0 ? 0 : 1 + (draw.ranked(256) << draw.below(6)));
    }
    counts[0] = 1 + counts[0];
    counts[1] = 1 + counts[1];
    for (const unsigned longest : {9u, 10u, 15u}) {
      ASSERT_EQ(cost(counts, make(counts, longest)),
                textbook_cost(counts, longest))
          << round;
    }
  }
}

// All words of the longest length.
TEST(HuffmanEncodeTest, FillsTheWholeTree) {
  Counts counts(128);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    counts[i] = static_cast<std::uint32_t>(1 + i * i * i);
  }
  EXPECT_EQ(make(counts, 7), Lengths(128, 7));
}

TEST(HuffmanEncodeTest, WordsAreWhatTheDecoderReads) {
  testing::Draw draw(3);
  const auto table =
      std::make_unique<std::array<HuffmanEntry, LiteralTable::entries>>();
  for (int round = 0; round < 300; ++round) {
    Counts counts(2 + draw.below(287));
    for (auto& count : counts) {
      count = static_cast<std::uint32_t>(draw.ranked(1u << draw.below(16)));
    }
    counts[0] = counts[1] = 1;
    const Lengths lengths = make(counts, kMaxWordBits);
    ASSERT_TRUE(build_huffman<LiteralTable>(lengths, kLiteralSymbols, *table));
    std::vector<std::uint16_t> words(counts.size());
    make_words(lengths, words);
    for (std::size_t symbol = 0; symbol < counts.size(); ++symbol) {
      if (lengths[symbol] == 0) continue;
      HuffmanEntry entry =
          (*table)[words[symbol] & ((1u << LiteralTable::root_bits) - 1)];
      unsigned bits = 0;
      if ((entry & kSubtable) != 0) {
        bits = entry_drop(entry);
        entry = (*table)[entry_value(entry) +
                         (words[symbol] >> LiteralTable::root_bits)];
      }
      bits += entry_word_bits(entry);
      ASSERT_EQ(bits, lengths[symbol]);
      ASSERT_EQ(entry_value(entry), entry_value(kLiteralSymbols[symbol]));
      ASSERT_EQ(entry & kLiteral, kLiteralSymbols[symbol] & kLiteral);
    }
  }
}

}  // namespace
}  // namespace odo::codec::detail
