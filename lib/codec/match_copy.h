// SPDX-License-Identifier: BSD-3-Clause
// Copying a match of an LZ77 format: `length` bytes from `distance` bytes
// before the write position, where the two may overlap and then the bytes
// repeat.
//
// The *loose* forms move whole words and may write up to kLooseSlack bytes past
// the end of what was asked: the caller has that much room left in its span.
//
// Contexts: any. Integer or vector registers, as the compiler is told.
// Failure: none; the caller has established 1 <= distance <= bytes written.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/base/annotations.h"
#include "lib/base/bytes.h"

namespace odo::codec::detail {

// How far past its end a loose copy may read and write.
inline constexpr std::size_t kLooseSlack = 32;

// The three sizes of word; `to` and `from` are at least a word apart, or equal.
ODO_ALWAYS_INLINE void copy_8(std::byte* to, const std::byte* from) {
  store_le(to, load_le<std::uint64_t>(from));
}

ODO_ALWAYS_INLINE void copy_16(std::byte* to, const std::byte* from) {
  __builtin_memcpy(to, from, 16);
}

// Loose copy from at least 16 bytes before `to`, or from elsewhere: the words
// are copied in order, so that a later one may read what an earlier one wrote.
ODO_ALWAYS_INLINE void copy_words_loosely(std::byte* to, const std::byte* from,
                                          std::size_t length) {
  std::byte* const end = to + length;
  do {
    copy_16(to, from);
    copy_16(to + 16, from + 16);
    to += 32, from += 32;
  } while (to < end);
}

// A distance below 8 repeats within a word. For each: the mask of its bytes,
// the multiplier that repeats them over the word, and the least multiple of the
// distance that is at least 8, from where whole words can be copied on.
struct ShortDistance {
  std::uint64_t mask;
  std::uint64_t repeat;
  std::size_t stride;
};

inline constexpr std::array<ShortDistance, 8> kShortDistances = [] {
  std::array<ShortDistance, 8> all{};
  for (std::size_t distance = 1; distance < 8; ++distance) {
    all[distance].mask = (std::uint64_t{1} << (8 * distance)) - 1;
    for (std::size_t at = 0; at < 8; at += distance) {
      all[distance].repeat |= std::uint64_t{1} << (8 * at);
    }
    all[distance].stride = (8 + distance - 1) / distance * distance;
  }
  return all;
}();

// Loose copy of a match with a distance below 8.
inline void copy_short_distance_loosely(std::byte* to, std::size_t distance,
                                        std::size_t length) {
  const ShortDistance& d = kShortDistances[distance];
  // The word read reaches past `to`; the mask drops what isn't written yet.
  const std::uint64_t word =
      (load_le<std::uint64_t>(to - distance) & d.mask) * d.repeat;
  std::byte* const end = to + length;
  store_le(to, word);
  to += 8;
  if (d.stride == 8) {
    for (; to < end; to += 16) {
      store_le(to, word);
      store_le(to + 8, word);
    }
  } else {
    for (; to < end; to += 8) copy_8(to, to - d.stride);
  }
}

// Loose copy of any match.
ODO_ALWAYS_INLINE void copy_match_loosely(std::byte* to, std::size_t distance,
                                          std::size_t length) {
  const std::byte* from = to - distance;
  if (distance >= 16) {
    copy_words_loosely(to, from, length);
  } else if (distance >= 8) {
    std::byte* const end = to + length;
    do {
      copy_8(to, from);
      copy_8(to + 8, from + 8);
      to += 16, from += 16;
    } while (to < end);
  } else {
    copy_short_distance_loosely(to, distance, length);
  }
}

// Copies a match and touches nothing past its end.
inline void copy_match_exactly(std::byte* to, std::size_t distance,
                               std::size_t length) {
  if (length > kLooseSlack) {
    const std::size_t loose = length - kLooseSlack;
    copy_match_loosely(to, distance, loose);
    to += loose;
    length = kLooseSlack;
  }
  for (; length > 0; --length, ++to) *to = *(to - distance);
}

}  // namespace odo::codec::detail
