// SPDX-License-Identifier: BSD-3-Clause
// A set of numbers below N in words of bits, in which runs are looked for.
//
// Contexts: its user's; no locking.
// Complexity: O(N / 64), find: and O(runs).
// Failure: none.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace odo::kmalloc {

template <std::size_t N>
class RunMask {
  static_assert(N % 64 == 0);

 public:
  [[nodiscard]] constexpr bool empty() const {
    for (const std::uint64_t word : words_) {
      if (word != 0) return false;
    }
    return true;
  }
  [[nodiscard]] constexpr bool test(std::size_t at) const {
    return (words_[at / 64] >> (at % 64) & 1) != 0;
  }
  constexpr void set(std::size_t first, std::size_t count) {
    for_words(first, count, [this](std::size_t word, std::uint64_t mask) {
      words_[word] |= mask;
    });
  }
  constexpr void clear(std::size_t first, std::size_t count) {
    for_words(first, count, [this](std::size_t word, std::uint64_t mask) {
      words_[word] &= ~mask;
    });
  }
  // How many of `count` from `first` on are in the set.
  [[nodiscard]] constexpr std::size_t count(std::size_t first,
                                            std::size_t count) const {
    std::size_t sum = 0;
    for_words(first, count, [&](std::size_t word, std::uint64_t mask) {
      sum += static_cast<std::size_t>(std::popcount(words_[word] & mask));
    });
    return sum;
  }
  // Whether all of `count` from `first` on are in the set.
  [[nodiscard]] constexpr bool has_all(std::size_t first,
                                       std::size_t count) const {
    return next(first, false, first + count) >= first + count;
  }
  // Of the run that begins at `first`, from there on; 0 if none does.
  [[nodiscard]] constexpr std::size_t length(std::size_t first) const {
    return next(first, false) - first;
  }
  // The first multiple of `step`, a power of two, at which `count` in a row
  // begin; N if none.
  [[nodiscard]] constexpr std::size_t find(std::size_t count,
                                           std::size_t step) const {
    std::size_t at = next(0, true);
    while (at < N) {
      const std::size_t begin = (at + step - 1) & ~(step - 1);
      // No further than is asked for: what follows may be most of the set.
      const std::size_t enough = begin + count;
      if (enough > N) break;
      const std::size_t end = next(at, false, enough);
      if (end >= enough) return begin;
      at = next(end, true);
    }
    return N;
  }

 private:
  template <class F>
  static constexpr void for_words(std::size_t first, std::size_t count, F f) {
    while (count != 0) {
      const std::size_t bit = first % 64;
      const std::size_t here = count < 64 - bit ? count : 64 - bit;
      const std::uint64_t ones =
          here == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << here) - 1;
      f(first / 64, ones << bit);
      first += here;
      count -= here;
    }
  }
  // The first from `from` on that is in the set, or is not; `end` or more if
  // there is none before that.
  [[nodiscard]] constexpr std::size_t next(std::size_t from, bool in,
                                           std::size_t end = N) const {
    while (from < end) {
      std::uint64_t word = words_[from / 64];
      if (!in) word = ~word;
      word >>= from % 64;
      if (word != 0) {
        return from + static_cast<std::size_t>(std::countr_zero(word));
      }
      from = (from / 64 + 1) * 64;
    }
    return N;
  }

  std::array<std::uint64_t, N / 64> words_{};
};

}  // namespace odo::kmalloc
