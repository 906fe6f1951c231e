// SPDX-License-Identifier: BSD-3-Clause
// Compressible data made from a seed, for tests and benchmarks: prose-like
// text, records as in tables and object files, noise, and runs. The same seed
// gives the same bytes on every machine.
//
// Contexts: hosted tests and benchmarks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "lib/base/bytes.h"

namespace odo::codec::testing {

// std::mt19937_64's stream is fixed by the standard; its distributions are not,
// so numbers are drawn by hand.
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : engine_(seed) {}

  std::uint64_t word() { return engine_(); }
  // In [0, n).
  std::size_t below(std::size_t n) {
    return static_cast<std::size_t>(engine_() % n);
  }
  // In [0, n), small answers far more often: the rank of a word in a text.
  std::size_t ranked(std::size_t n) {
    const std::size_t bound = below(n) + 1;
    return below(below(bound) + 1);
  }

 private:
  std::mt19937_64 engine_;
};

inline void append(std::vector<std::byte>& bytes, const std::string& text) {
  for (const char c : text) bytes.push_back(static_cast<std::byte>(c));
}

// Sentences over a vocabulary of 2,000 made-up words, common ones short. LZ4
// halves it or a little better, as it does English.
inline std::vector<std::byte> text_like(std::size_t size, std::uint64_t seed) {
  Draw draw(seed);
  std::vector<std::string> words;
  constexpr char kConsonants[] = "tnshrdlcmwfgypbvk";
  constexpr char kVowels[] = "eaoiu";
  for (std::size_t i = 0; i < 2000; ++i) {
    std::string word;
    const std::size_t syllables = 1 + draw.below(2 + i / 500);
    for (std::size_t s = 0; s < syllables; ++s) {
      word += kConsonants[draw.ranked(sizeof kConsonants - 1)];
      word += kVowels[draw.ranked(sizeof kVowels - 1)];
      if (draw.below(2) == 0) {
        word += kConsonants[draw.ranked(sizeof kConsonants - 1)];
      }
    }
    words.push_back(word);
  }
  std::vector<std::byte> bytes;
  bool capital = true;
  while (bytes.size() < size) {
    std::string word = words[draw.ranked(words.size())];
    if (capital) word[0] = static_cast<char>(word[0] - 'a' + 'A');
    capital = false;
    append(bytes, word);
    switch (draw.below(16)) {
      case 0:
        append(bytes, ". ");
        capital = true;
        break;
      case 1:
        append(bytes, ", ");
        break;
      case 2:
        append(bytes, "\n");
        break;
      default:
        append(bytes, " ");
    }
  }
  bytes.resize(size);
  return bytes;
}

// Records of 32 bytes: a counter, a few recurring tags, small numbers, a field
// of noise, padding.
inline std::vector<std::byte> binary_like(std::size_t size,
                                          std::uint64_t seed) {
  Draw draw(seed);
  std::vector<std::byte> bytes;
  std::uint32_t counter = 0x1000;
  while (bytes.size() < size) {
    std::byte record[32] = {};
    counter += static_cast<std::uint32_t>(1 + draw.below(64));
    store_le(record, counter);
    store_le(record + 4, static_cast<std::uint16_t>(draw.ranked(12) * 0x101));
    store_le(record + 8, static_cast<std::uint64_t>(draw.ranked(300)));
    store_le(record + 16, static_cast<std::uint32_t>(draw.word()));
    if (draw.below(4) == 0) store_le(record + 24, counter * 8);
    bytes.insert(bytes.end(), record, record + sizeof record);
  }
  bytes.resize(size);
  return bytes;
}

// Nothing to compress.
inline std::vector<std::byte> noise(std::size_t size, std::uint64_t seed) {
  Draw draw(seed);
  std::vector<std::byte> bytes(size);
  for (auto& byte : bytes) byte = static_cast<std::byte>(draw.word() >> 32);
  return bytes;
}

// Patterns of 1 to `widest` bytes, each repeated for a while: overlapping
// matches at every short distance.
inline std::vector<std::byte> runs(std::size_t size, std::uint64_t seed,
                                   std::size_t widest = 70) {
  Draw draw(seed);
  std::vector<std::byte> bytes;
  while (bytes.size() < size) {
    const auto pattern = noise(1 + draw.below(widest), draw.word());
    const std::size_t length = 1 + draw.below(draw.below(4) == 0 ? 3000 : 120);
    for (std::size_t i = 0; i < length; ++i) {
      bytes.push_back(pattern[i % pattern.size()]);
    }
  }
  bytes.resize(size);
  return bytes;
}

// All of the above in turn.
inline std::vector<std::byte> mixed(std::size_t size, std::uint64_t seed) {
  Draw draw(seed);
  std::vector<std::byte> bytes;
  while (bytes.size() < size) {
    const std::size_t piece = 1 + draw.below(2000);
    std::vector<std::byte> more;
    switch (draw.below(4)) {
      case 0:
        more = text_like(piece, draw.word());
        break;
      case 1:
        more = binary_like(piece, draw.word());
        break;
      case 2:
        more = noise(piece / 4, draw.word());
        break;
      default:
        more = runs(piece, draw.word());
    }
    bytes.insert(bytes.end(), more.begin(), more.end());
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace odo::codec::testing
