// SPDX-License-Identifier: BSD-3-Clause
// Huffman codes for DEFLATE from how often each symbol occurs: optimal ones
// among those whose words have a longest length.
//
// Contexts: any; no memory but the caller's.
// Sizes: at most kMostSymbols symbols, words of at most kMaxWordBits bits, and
//   counts whose sum times kMaxWordBits has 32 bits.
// Failure: none.
// Cost: n log n of the symbols that occur; where Huffman's own code has words
//   too long, n times the longest length more.
// Origin: RFC 1951 section 3.2.2 for the words. D. Huffman 1952, with two
//   queues (J. van Leeuwen 1976); L. Larmore and D. Hirschberg, "A fast
//   algorithm for optimal length-limited Huffman codes" (1990): package-merge.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/base/check.h"
#include "lib/codec/huffman.h"

namespace odo::codec::detail {

class HuffmanLengths {
 public:
  static constexpr std::size_t kMostSymbols = 288;

  // Sets the length of each symbol's word: at most `longest`, 0 where the count
  // is 0. A symbol that is alone gets a word of one bit.
  void make(std::span<const std::uint32_t> counts, unsigned longest,
            std::span<std::uint8_t> lengths) {
    ODO_ASSERT(counts.size() <= kMostSymbols &&
               lengths.size() == counts.size() && longest <= kMaxWordBits);
    used_ = 0;
    for (std::size_t symbol = 0; symbol < counts.size(); ++symbol) {
      lengths[symbol] = 0;
      if (counts[symbol] == 0) continue;
      leaves_[used_++] = {counts[symbol], static_cast<std::uint32_t>(symbol)};
    }
    if (used_ == 0) return;
    if (used_ == 1) {
      lengths[leaves_[0].symbol] = 1;
      return;
    }
    std::sort(leaves_.begin(), leaves_.begin() + used_,
              [](const Leaf& a, const Leaf& b) {
                return a.count != b.count ? a.count < b.count
                                          : a.symbol < b.symbol;
              });
    if (!make_free(longest)) make_limited(longest);
    for (std::size_t i = 0; i < used_; ++i) {
      lengths[leaves_[i].symbol] = depths_[i];
    }
  }

 private:
  struct Leaf {
    std::uint32_t count;
    std::uint32_t symbol;
  };

  // Huffman's code. False if it has a word longer than `longest`.
  [[nodiscard]] bool make_free(unsigned longest) {
    // Nodes come into being in the order of their counts, as leaves are sorted:
    // the least two are at the heads of the two queues.
    const std::size_t nodes = used_ - 1;
    std::size_t leaf = 0;
    std::size_t node = 0;
    for (std::size_t made = 0; made < nodes; ++made) {
      std::uint32_t sum = 0;
      for (int child = 0; child < 2; ++child) {
        if (leaf < used_ &&
            (node == made || leaves_[leaf].count <= weights_[node])) {
          leaf_parents_[leaf] = static_cast<std::uint16_t>(made);
          sum += leaves_[leaf++].count;
        } else {
          node_parents_[node] = static_cast<std::uint16_t>(made);
          sum += weights_[node++];
        }
      }
      weights_[made] = sum;
    }
    // From the root down; weights_ is no longer needed and holds depths.
    weights_[nodes - 1] = 0;
    for (std::size_t i = nodes - 1; i-- > 0;) {
      weights_[i] = weights_[node_parents_[i]] + 1;
    }
    // The rarest leaf lies deepest.
    if (weights_[leaf_parents_[0]] + 1 > longest) return false;
    for (std::size_t i = 0; i < used_; ++i) {
      depths_[i] = static_cast<std::uint8_t>(weights_[leaf_parents_[i]] + 1);
    }
    return true;
  }

  // Package-merge. A list for each length, from the longest up, has all leaves
  // and pairs of neighbours from the list before, by weight. A leaf's word has
  // a bit for each list in which it belongs to the 2 (n - 1) lightest of the
  // last one, directly or through a pair.
  void make_limited(unsigned longest) {
    ODO_ASSERT(std::size_t{1} << longest >= used_);
    std::size_t before = 0;  // items of the list before
    for (unsigned list = 0; list < longest; ++list) {
      const std::size_t pairs = before / 2;
      std::size_t leaf = 0;
      std::size_t pair = 0;
      is_leaf_[list] = {};
      while (leaf < used_ || pair < pairs) {
        const std::uint32_t pair_weight =
            pair < pairs ? weights_[2 * pair] + weights_[2 * pair + 1] : 0;
        const std::size_t at = leaf + pair;
        if (pair == pairs ||
            (leaf < used_ && leaves_[leaf].count <= pair_weight)) {
          is_leaf_[list][at / 64] |= std::uint64_t{1} << (at % 64);
          next_[at] = leaves_[leaf++].count;
        } else {
          next_[at] = pair_weight;
          ++pair;
        }
      }
      before = used_ + pairs;
      std::copy_n(next_.begin(), before, weights_.begin());
    }

    std::fill_n(depths_.begin(), used_, std::uint8_t{0});
    std::size_t taken = 2 * (used_ - 1);
    for (unsigned list = longest; list-- > 0;) {
      std::size_t leaves = 0;
      for (std::size_t i = 0; i < taken; ++i) {
        leaves += (is_leaf_[list][i / 64] >> (i % 64)) & 1;
      }
      for (std::size_t i = 0; i < leaves; ++i) ++depths_[i];
      taken = 2 * (taken - leaves);
    }
  }

  static constexpr std::size_t kMostItems = 2 * kMostSymbols;

  std::size_t used_;
  std::array<Leaf, kMostSymbols> leaves_;  // by count
  std::array<std::uint8_t, kMostSymbols> depths_;
  std::array<std::uint16_t, kMostSymbols> leaf_parents_;
  std::array<std::uint16_t, kMostSymbols> node_parents_;
  std::array<std::uint32_t, kMostItems> weights_;
  std::array<std::uint32_t, kMostItems> next_;
  std::array<std::array<std::uint64_t, kMostItems / 64>, kMaxWordBits> is_leaf_;
};

// The words of the code with these lengths, each with its first bit lowest.
constexpr void make_words(std::span<const std::uint8_t> lengths,
                          std::span<std::uint16_t> words) {
  std::array<std::uint16_t, kMaxWordBits + 2> next{};
  for (const std::uint8_t length : lengths) ++next[length + 1u];
  // From how many words are shorter to the first of a length.
  next[1] = 0;
  for (unsigned bits = 1; bits <= kMaxWordBits; ++bits) {
    next[bits + 1] =
        static_cast<std::uint16_t>((next[bits] + next[bits + 1]) * 2);
  }
  for (std::size_t symbol = 0; symbol < lengths.size(); ++symbol) {
    const unsigned length = lengths[symbol];
    if (length == 0) continue;
    unsigned word = next[length]++;
    unsigned reversed = 0;
    for (unsigned i = 0; i < length; ++i, word >>= 1) {
      reversed = reversed << 1 | (word & 1);
    }
    words[symbol] = static_cast<std::uint16_t>(reversed);
  }
}

}  // namespace odo::codec::detail
