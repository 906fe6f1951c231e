// SPDX-License-Identifier: BSD-3-Clause
#include "lib/codec/deflate_symbols.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>

#include "lib/codec/testing/generated.h"

namespace odo::codec::detail {
namespace {

TEST(DeflateSymbolsTest, EveryLengthAndDistanceLiesInItsSymbol) {
  for (unsigned length = 3; length <= 258; ++length) {
    const HuffmanEntry entry = kLiteralSymbols[kSymbolOfLength[length]];
    ASSERT_GE(length, entry_value(entry));
    ASSERT_LT(length - entry_value(entry), 1u << entry_drop(entry));
  }
  EXPECT_EQ(kSymbolOfLength[3], 257);
  EXPECT_EQ(kSymbolOfLength[257], 284);
  EXPECT_EQ(kSymbolOfLength[258], 285);
  for (unsigned distance = 1; distance <= 32768; ++distance) {
    const HuffmanEntry entry = kDistanceSymbols[symbol_of_distance(distance)];
    ASSERT_GE(distance, entry_value(entry));
    ASSERT_LT(distance - entry_value(entry), 1u << entry_drop(entry));
  }
  EXPECT_EQ(symbol_of_distance(32768), 29u);
}

TEST(DeflateSymbolsTest, LogarithmsAreTooLowByLessThanThree) {
  EXPECT_EQ(log2_256ths(0), 0u);
  for (std::uint32_t n = 1; n <= 200000; ++n) {
    const double exact = 256 * std::log2(n);
    ASSERT_LE(log2_256ths(n), exact + 1e-6) << n;
    ASSERT_LT(exact, log2_256ths(n) + 3) << n;
  }
}

// The bound stands below the entropy, and near it.
TEST(DeflateSymbolsTest, LeastBitsAreBelowTheEntropy) {
  testing::Draw draw(1);
  for (int round = 0; round < 2000; ++round) {
    SymbolCounts counts{};
    const std::size_t used = 1 + draw.below(286);
    const std::size_t scale = std::size_t{1} << draw.below(14);
    for (std::size_t i = 0; i < used; ++i) {
      counts.literals[i] = static_cast<std::uint32_t>(draw.ranked(scale));
    }
    for (std::size_t i = 0; i < draw.below(31); ++i) {
      counts.distances[i] = static_cast<std::uint32_t>(draw.ranked(scale));
    }
    double bits = 0;
    double symbols = 0;
    const auto add = [&](std::span<const std::uint32_t> some) {
      double sum = 0;
      for (const std::uint32_t count : some) sum += count;
      for (const std::uint32_t count : some) {
        if (count != 0) bits += count * std::log2(sum / count);
      }
      symbols += sum;
    };
    add(counts.literals);
    add(counts.distances);
    bits += static_cast<double>(counts.extra_bits());
    const auto least = static_cast<double>(counts.least_bits());
    ASSERT_LE(least, bits + 1e-6) << round;
    ASSERT_GE(least, bits - symbols * 6 / 256 - 2) << round;
  }
}

TEST(DeflateSymbolsTest, AddsUp) {
  SymbolCounts counts{};
  const std::byte bytes[] = {std::byte{7}, std::byte{255}, std::byte{7}};
  counts.add_literals(bytes);
  counts.add_match(3, 1);
  counts.add_match(258, 32768);
  counts.add_match(130, 30000);
  EXPECT_EQ(counts.literals[7], 2u);
  EXPECT_EQ(counts.literals[255], 1u);
  EXPECT_EQ(counts.literals[257], 1u);
  EXPECT_EQ(counts.literals[285], 1u);
  EXPECT_EQ(counts.distances[0], 1u);
  EXPECT_EQ(counts.distances[29], 2u);
  EXPECT_EQ(counts.extra_bits(), 4u + 13 + 13);
  SymbolCounts twice = counts;
  twice.add(counts);
  EXPECT_EQ(twice.literals[7], 4u);
  EXPECT_EQ(twice.distances[29], 4u);
  EXPECT_EQ(twice.extra_bits(), 60u);
}

}  // namespace
}  // namespace odo::codec::detail
