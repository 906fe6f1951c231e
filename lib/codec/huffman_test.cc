// SPDX-License-Identifier: BSD-3-Clause
#include "lib/codec/huffman.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lib/codec/testing/generated.h"

namespace odo::codec::detail {
namespace {

using Lengths = std::vector<std::uint8_t>;

// The most entries that a complete code can need, by trying all shapes: word by
// word length, how many symbols and free words are left, and how many places
// are left in the subtable begun.
class Search {
 public:
  // A table of `root` bits for words of at most `longest`.
  Search(unsigned root, unsigned longest) : root_(root), longest_(longest) {}

  // The most entries beyond what is counted, or nothing if no code is complete.
  std::optional<unsigned> most(unsigned bits, unsigned symbols, unsigned words,
                               unsigned places) {
    if (words > symbols) return std::nullopt;
    if (bits == longest_ && words != symbols) return std::nullopt;
    const std::uint64_t key =
        ((std::uint64_t{bits} << 16 | symbols) << 16 | words) << 16 | places;
    if (const auto it = known_.find(key); it != known_.end()) return it->second;
    std::optional<unsigned> best;
    unsigned made = 0;
    const unsigned width = bits > root_ ? 1u << (bits - root_) : 0;
    for (unsigned used = 0; used <= words; ++used) {
      if (used > 0 && bits > root_) {
        if (places == 0) {
          places = width;
          made += width;
        }
        --places;
      }
      std::optional<unsigned> rest;
      if (used == words) {
        if (used == symbols) rest = 0;
      } else if (bits < longest_) {
        // A subtable with places left is widened by one bit.
        const bool widen = places > 0;
        rest = most(bits + 1, symbols - used, 2 * (words - used), 2 * places);
        if (rest && widen) *rest += width;
      }
      if (rest && (!best || made + *rest > *best)) best = made + *rest;
    }
    known_.emplace(key, best);
    return best;
  }

 private:
  unsigned root_;
  unsigned longest_;
  std::unordered_map<std::uint64_t, std::optional<unsigned>> known_;
};

// The words of the code for lengths are written in three bits each.
template <class Size>
constexpr unsigned longest = kMaxWordBits;
template <>
constexpr unsigned longest<LengthCodeTable> = 7;

template <class Size>
unsigned most_entries() {
  Search search(Size::root_bits, longest<Size>);
  unsigned best = 0;
  for (unsigned symbols = 2; symbols <= Size::symbols; ++symbols) {
    const auto more = search.most(1, symbols, 2, 0);
    if (more) best = std::max(best, *more);
  }
  return (1u << Size::root_bits) + best;
}

TEST(HuffmanTest, TablesHoldTheWorstCode) {
  EXPECT_EQ(most_entries<LengthCodeTable>(), LengthCodeTable::entries);
  EXPECT_EQ(most_entries<DistanceTable>(), DistanceTable::entries);
  EXPECT_EQ(most_entries<LiteralTable>(), LiteralTable::entries);
}

// Lengths of a random complete code over at most `most` symbols.
Lengths complete_code(testing::Draw& draw, std::size_t most,
                      std::size_t longest_word) {
  Lengths lengths = {1, 1};
  const std::size_t wanted = 2 + draw.below(most - 1);
  const bool deep = draw.below(2) == 0;
  for (int tries = 0; lengths.size() < wanted && tries < 10000; ++tries) {
    const std::size_t at =
        deep ? lengths.size() - 1 - draw.ranked(lengths.size())
             : draw.below(lengths.size());
    if (lengths[at] == longest_word) continue;
    lengths.push_back(++lengths[at]);
  }
  lengths.resize(most);
  for (std::size_t i = most; i > 1; --i) {
    std::swap(lengths[i - 1], lengths[draw.below(i)]);
  }
  return lengths;
}

// What a table says for 15 coming bits: the entry and all bits of its word.
std::pair<HuffmanEntry, unsigned> look_up(const HuffmanEntry* table,
                                          unsigned root, unsigned bits) {
  HuffmanEntry entry = table[bits & ((1u << root) - 1)];
  if ((entry & kSubtable) == 0) return {entry, entry_word_bits(entry)};
  entry = table[entry_value(entry) +
                ((bits >> root) & ((1u << entry_word_bits(entry)) - 1))];
  return {entry, root + entry_word_bits(entry)};
}

// Decodes bit by bit with the canonical rule of RFC 1951 3.2.2.
std::pair<std::size_t, unsigned> decode(const Lengths& lengths, unsigned bits) {
  unsigned code = 0;
  unsigned first = 0;
  for (unsigned length = 1; length <= 15; ++length) {
    code = code << 1 | ((bits >> (length - 1)) & 1);
    const auto count = static_cast<unsigned>(
        std::count(lengths.begin(), lengths.end(), length));
    if (code >= first && code - first < count) {
      unsigned skip = code - first;
      for (std::size_t symbol = 0; symbol < lengths.size(); ++symbol) {
        if (lengths[symbol] == length && skip-- == 0) return {symbol, length};
      }
    }
    first = (first + count) << 1;
  }
  return {lengths.size(), 0};
}

template <class Size>
void expect_canonical(const std::array<HuffmanEntry, Size::symbols>& symbols,
                      int codes) {
  auto table = std::make_unique<std::array<HuffmanEntry, Size::entries>>();
  testing::Draw draw(Size::symbols);
  for (int n = 0; n < codes; ++n) {
    const Lengths lengths = complete_code(draw, Size::symbols, longest<Size>);
    table->fill(0xffffffff);
    ASSERT_TRUE(build_huffman<Size>(lengths, symbols, *table));
    for (unsigned round = 0; round < 400; ++round) {
      const auto bits = static_cast<unsigned>(draw.below(1 << 15));
      const auto [symbol, length] = decode(lengths, bits);
      ASSERT_LT(symbol, lengths.size());
      const auto [entry, word_bits] =
          look_up(table->data(), Size::root_bits, bits);
      ASSERT_EQ(word_bits, length);
      ASSERT_EQ(entry & ~0xfffu, symbols[symbol] & ~0xfffu);
      ASSERT_EQ(entry_drop(entry),
                entry_drop(symbols[symbol]) + entry_word_bits(entry));
    }
  }
}

TEST(HuffmanTest, DecodesRandomCompleteCodes) {
  expect_canonical<LengthCodeTable>(kLengthCodeSymbols, 200);
  expect_canonical<DistanceTable>(kDistanceSymbols, 300);
  expect_canonical<LiteralTable>(kLiteralSymbols, 300);
}

// RFC 1951 3.2.5's tables, at their corners.
TEST(HuffmanTest, SymbolsMeanWhatTheTablesSay) {
  const auto length = [](std::size_t symbol) {
    return std::pair(entry_value(kLiteralSymbols[symbol]),
                     entry_drop(kLiteralSymbols[symbol]));
  };
  EXPECT_EQ(length(257), std::pair(3u, 0u));
  EXPECT_EQ(length(264), std::pair(10u, 0u));
  EXPECT_EQ(length(265), std::pair(11u, 1u));
  EXPECT_EQ(length(273), std::pair(35u, 3u));
  EXPECT_EQ(length(284), std::pair(227u, 5u));
  EXPECT_EQ(length(285), std::pair(258u, 0u));
  const auto distance = [](std::size_t symbol) {
    return std::pair(entry_value(kDistanceSymbols[symbol]),
                     entry_drop(kDistanceSymbols[symbol]));
  };
  EXPECT_EQ(distance(0), std::pair(1u, 0u));
  EXPECT_EQ(distance(3), std::pair(4u, 0u));
  EXPECT_EQ(distance(4), std::pair(5u, 1u));
  EXPECT_EQ(distance(13), std::pair(97u, 5u));
  EXPECT_EQ(distance(29), std::pair(24577u, 13u));
}

TEST(HuffmanTest, AcceptsWhatZlibAccepts) {
  auto table =
      std::make_unique<std::array<HuffmanEntry, DistanceTable::entries>>();
  const auto accepts = [&](const Lengths& lengths) {
    return build_huffman<DistanceTable>(lengths, kDistanceSymbols, *table)
        .has_value();
  };
  EXPECT_TRUE(accepts({}));
  EXPECT_TRUE(accepts({0, 0, 0}));
  EXPECT_TRUE(accepts({0, 1, 0}));
  EXPECT_TRUE(accepts({1, 1}));
  EXPECT_TRUE(accepts({1, 2, 2}));
  EXPECT_FALSE(accepts({2}));     // one word, but of two bits
  EXPECT_FALSE(accepts({1, 2}));  // "11" is left over
  EXPECT_FALSE(accepts({15}));
  EXPECT_FALSE(accepts({1, 1, 1}));  // over-subscribed
  EXPECT_FALSE(accepts({1, 2, 2, 15}));
  EXPECT_FALSE(accepts({1, 1, 15}));
}

TEST(HuffmanTest, LeftOverWordsAreInvalid) {
  auto table =
      std::make_unique<std::array<HuffmanEntry, DistanceTable::entries>>();
  const Lengths one = {0, 0, 1};
  ASSERT_TRUE(build_huffman<DistanceTable>(one, kDistanceSymbols, *table));
  for (unsigned i = 0; i < 256; ++i) {
    if (i % 2 == 0) {
      EXPECT_EQ(entry_value((*table)[i]), 3u);
      EXPECT_EQ((*table)[i] & kDetour, 0u);
    } else {
      EXPECT_EQ((*table)[i] & (kDetour | kSubtable | kEndOfBlock | kLiteral),
                kDetour);
    }
  }
  ASSERT_TRUE(
      build_huffman<DistanceTable>(Lengths{}, kDistanceSymbols, *table));
  for (unsigned i = 0; i < 256; ++i) {
    EXPECT_NE((*table)[i] & kDetour, 0u);
  }
}

}  // namespace
}  // namespace odo::codec::detail
