// SPDX-License-Identifier: BSD-3-Clause
// Random choices that a seed repeats, and content that a file system may store
// in different ways.
//
// Contexts: one thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <string>

namespace odo::fs_exercise {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}

  // Less than `limit`, which isn't 0. The library's distributions may differ
  // between libraries; this is the same everywhere.
  [[nodiscard]] std::size_t below(std::size_t limit) {
    return static_cast<std::size_t>(engine_() % limit);
  }
  [[nodiscard]] bool one_in(std::size_t n) { return below(n) == 0; }

  // Up to `most`, small ones as often as large ones.
  [[nodiscard]] std::size_t up_to(std::size_t most) {
    constexpr std::size_t kScales = 12;
    return below((most >> below(kScales)) + 1);
  }

  template <class T>
  [[nodiscard]] const T& pick(std::span<const T> from) {
    return from[below(from.size())];
  }

  // An index into `weights`, each as probable as its weight; not all are 0.
  [[nodiscard]] std::size_t weighted(std::span<const unsigned> weights) {
    std::size_t sum = 0;
    for (const unsigned weight : weights) sum += weight;
    std::size_t at = below(sum);
    std::size_t i = 0;
    while (at >= weights[i]) at -= weights[i++];
    return i;
  }

  // Noise, letters that compress well, the same again and again (for those who
  // store equal blocks once), or zeros (which may become holes).
  [[nodiscard]] std::string content(std::size_t size) {
    enum : std::size_t { kNoise, kLetters, kKnown, kZeros, kKinds };
    switch (below(kKinds)) {
      case kLetters:
        return std::string(size, static_cast<char>('a' + below(26)));
      case kKnown: {
        Dice known(below(4));
        return known.noise(size);
      }
      case kZeros:
        return std::string(size, '\0');
      default:
        return noise(size);
    }
  }

 private:
  [[nodiscard]] std::string noise(std::size_t size) {
    std::string bytes(size, '\0');
    for (std::size_t at = 0; at < size; at += sizeof(std::uint64_t)) {
      const std::uint64_t word = engine_();
      std::memcpy(bytes.data() + at, &word, std::min(sizeof(word), size - at));
    }
    return bytes;
  }

  std::mt19937_64 engine_;
};

}  // namespace odo::fs_exercise
