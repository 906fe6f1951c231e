// SPDX-License-Identifier: BSD-3-Clause
// Adler-32, the check value that ends a zlib stream. It stands here because it
// is part of that format; the check codes of media are lib/check's.
//
// Contexts: any, including interrupt and constant evaluation.
// Failure: none.
// Cost: linear, 3 to 4 bytes a cycle in integer registers.
// Origin: RFC 1950 sections 2.2 and 8.2. Two sums modulo 65521: of the bytes,
//   and of the first sum after each byte.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/base/bytes.h"

namespace odo::codec {

class Adler32 {
 public:
  constexpr Adler32& update(Bytes bytes) {
    const std::byte* p = bytes.data();
    std::size_t left = bytes.size();
    while (left >= kBlock) {
      // Few enough blocks for the 64-bit sums to need no reduction.
      std::size_t blocks = left / kBlock;
      if (blocks > kBlocksAtOnce) blocks = kBlocksAtOnce;
      for (std::size_t i = 0; i < blocks; ++i, p += kBlock) take_block(p);
      left -= blocks * kBlock;
      reduce();
    }
    for (; left > 0; --left, ++p) {
      sum_ += std::to_integer<std::uint64_t>(*p);
      sum_of_sums_ += sum_;
    }
    reduce();
    return *this;
  }

  // May be asked at any point; more bytes may follow.
  [[nodiscard]] constexpr std::uint32_t value() const {
    return static_cast<std::uint32_t>(sum_of_sums_ << 16 | sum_);
  }

 private:
  static constexpr std::uint64_t kModulus = 65521;
  // Words to a block: the lanes of `prefixes` reach 255 * (22 * 23 / 2), which
  // must stay below 2^16.
  static constexpr std::size_t kWords = 22;
  static_assert(255 * (kWords * (kWords - 1) / 2) < 65536);
  static constexpr std::size_t kBlock = 8 * kWords;
  static constexpr std::size_t kBlocksAtOnce = 1024;
  static_assert(kModulus + 255 * kBlocksAtOnce * kBlock <
                (std::uint64_t{1} << 63) / (kBlocksAtOnce * kBlock));

  constexpr void reduce() {
    sum_ %= kModulus;
    sum_of_sums_ %= kModulus;
  }

  // The sum of the four 16-bit lanes, each weighted.
  [[nodiscard]] static constexpr std::uint64_t weigh(std::uint64_t lanes,
                                                     std::uint64_t w0,
                                                     std::uint64_t w1,
                                                     std::uint64_t w2,
                                                     std::uint64_t w3) {
    return (lanes & 0xffff) * w0 + ((lanes >> 16) & 0xffff) * w1 +
           ((lanes >> 32) & 0xffff) * w2 + (lanes >> 48) * w3;
  }

  // Byte k of word i counts once in the first sum, and in the second as often
  // as sums are taken from it to the block's end: 8 (words - i) - k times. The
  // even and the odd bytes are added in 16-bit lanes; `prefixes` adds up the
  // lanes before each word, which is the part that depends on i.
  constexpr void take_block(const std::byte* p) {
    constexpr std::uint64_t kLanes = 0x00ff00ff00ff00ff;
    std::uint64_t even = 0;
    std::uint64_t odd = 0;
    std::uint64_t even_prefixes = 0;
    std::uint64_t odd_prefixes = 0;
    for (std::size_t i = 0; i < kWords; ++i, p += 8) {
      const std::uint64_t word = load_le<std::uint64_t>(p);
      even_prefixes += even;
      odd_prefixes += odd;
      even += word & kLanes;
      odd += (word >> 8) & kLanes;
    }
    sum_of_sums_ += kBlock * sum_ +
                    8 * (weigh(even_prefixes, 1, 1, 1, 1) +
                         weigh(odd_prefixes, 1, 1, 1, 1)) +
                    weigh(even, 8, 6, 4, 2) + weigh(odd, 7, 5, 3, 1);
    sum_ += weigh(even, 1, 1, 1, 1) + weigh(odd, 1, 1, 1, 1);
  }

  std::uint64_t sum_ = 1;
  std::uint64_t sum_of_sums_ = 0;
};

[[nodiscard]] constexpr std::uint32_t adler32(Bytes bytes) {
  return Adler32().update(bytes).value();
}

static_assert(adler32({}) == 1);

}  // namespace odo::codec
