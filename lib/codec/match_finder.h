// SPDX-License-Identifier: BSD-3-Clause
// Finds matches for DEFLATE in data of up to 64 KiB: chains of the places that
// begin with the same four bytes, and the last place for each three.
//
// Places are visited in order, each once, by find() or skip().
//
// Contexts: any; no memory but the caller's tables.
// Sizes: MatchTables, 224 KiB.
// Failure: none.
// Cost: a find() looks at `depth` places at most.
// Origin: chains of hashes are common practice since LZ77 compressors exist;
//   RFC 1951 section 4 describes them.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "lib/base/annotations.h"
#include "lib/base/bytes.h"

namespace odo::codec::detail {

struct Match {
  std::size_t length = 0;
  std::size_t distance = 0;
};

struct MatchTables {
  static constexpr std::size_t kPlaces = 65536;
  static constexpr std::size_t kFours = 32768;
  static constexpr std::size_t kThrees = 16384;
  std::array<std::uint16_t, kFours> fours;    // the last place
  std::array<std::uint16_t, kPlaces> before;  // the one before each place
  std::array<std::uint16_t, kThrees> threes;
};

class MatchFinder {
 public:
  static constexpr std::size_t kLongest = 258;
  static constexpr std::size_t kFarthest = 32768;
  static constexpr std::size_t kAny = 2;  // every match is longer
  // A place needs so many bytes.
  static constexpr std::size_t kMargin = 4;

  MatchFinder(Bytes data, MatchTables& tables)
      : in_(data.data()),
        size_(data.size()),
        fours_(tables.fours.data()),
        before_(tables.before.data()),
        threes_(tables.threes.data()) {
    slots_ = std::clamp<std::size_t>(std::bit_ceil(size_), 256,
                                     MatchTables::kThrees);
    __builtin_memset(fours_, 0, 2 * slots_ * sizeof fours_[0]);
    __builtin_memset(threes_, 0, slots_ * sizeof threes_[0]);
  }

  // The best match at `at` that is longer than `least`, and visits `at`. One of
  // `nice` bytes is good enough. at + kMargin <= size.
  [[nodiscard]] ODO_ALWAYS_INLINE Match find(std::size_t at, std::size_t least,
                                             unsigned depth, std::size_t nice) {
    const std::byte* const here = in_ + at;
    const std::uint32_t word = load_le<std::uint32_t>(here);
    const std::size_t four = slot_of_four(word);
    const std::size_t three = slot_of_three(word);
    std::size_t from = fours_[four];
    const std::size_t near = threes_[three];
    before_[at] = static_cast<std::uint16_t>(from);
    fours_[four] = static_cast<std::uint16_t>(at);
    threes_[three] = static_cast<std::uint16_t>(at);

    const std::size_t most = std::min(kLongest, size_ - at);
    nice = std::min(nice, most);
    Match best{least, 0};
    if (least >= most) return {};
    if (least < 3) {
      if (near < at && at - near <= kFarThree &&
          ((load_le<std::uint32_t>(in_ + near) ^ word) & 0xffffff) == 0) {
        best.distance = at - near;
      }
      best.length = 3;
    }
    const std::size_t lowest = at > kFarthest ? at - kFarthest : 0;
    std::size_t limit = at;  // the chain goes down, or has ended
    for (; from < limit && from >= lowest; from = before_[from]) {
      limit = from;
      const std::byte* const there = in_ + from;
      if (load_le<std::uint32_t>(there + best.length - 3) ==
              load_le<std::uint32_t>(here + best.length - 3) &&
          load_le<std::uint32_t>(there) == word) {
        const std::size_t length = match_length(here, there, most);
        if (length > best.length) {
          best = {length, at - from};
          if (length >= nice) break;
        }
      }
      if (--depth == 0) break;
    }
    return best.distance != 0 ? best : Match{};
  }

  // Visits the places from `at` up to `end`, or the last of them where they are
  // many: those in a long match repeat what is known.
  void skip(std::size_t at, std::size_t end) {
    if (end - at > kMostSkipped) at = end - kMostSkipped;
    end = std::min(end, size_ < kMargin ? 0 : size_ - kMargin + 1);
    for (; at < end; ++at) {
      const std::uint32_t word = load_le<std::uint32_t>(in_ + at);
      const std::size_t four = slot_of_four(word);
      before_[at] = fours_[four];
      fours_[four] = static_cast<std::uint16_t>(at);
      threes_[slot_of_three(word)] = static_cast<std::uint16_t>(at);
    }
  }

 private:
  // Three bytes from farther away cost more than they save.
  static constexpr std::size_t kFarThree = 4096;

  static constexpr std::size_t kMostSkipped = 96;

  [[nodiscard]] ODO_ALWAYS_INLINE std::size_t slot_of_four(
      std::uint32_t word) const {
    return (word * 0x9e3779b1u >> 17) & (2 * slots_ - 1);
  }
  [[nodiscard]] ODO_ALWAYS_INLINE std::size_t slot_of_three(
      std::uint32_t word) const {
    return ((word << 8) * 0x9e3779b1u >> 18) & (slots_ - 1);
  }

  [[nodiscard]] ODO_ALWAYS_INLINE static std::size_t match_length(
      const std::byte* a, const std::byte* b, std::size_t most) {
    std::size_t length = 4;
    for (; length + 8 <= most; length += 8) {
      const std::uint64_t difference = load_le<std::uint64_t>(a + length) ^
                                       load_le<std::uint64_t>(b + length);
      if (difference != 0) {
        return length +
               static_cast<std::size_t>(std::countr_zero(difference)) / 8;
      }
    }
    while (length < most && a[length] == b[length]) ++length;
    return length;
  }

  const std::byte* in_;
  std::size_t size_;
  std::uint16_t* fours_;
  std::uint16_t* before_;
  std::uint16_t* threes_;
  std::size_t slots_;
};

}  // namespace odo::codec::detail
