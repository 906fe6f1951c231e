// SPDX-License-Identifier: BSD-3-Clause
// Writes DEFLATE streams bit by bit, so that tests can say what no compressor
// says.
//
// Contexts: hosted tests.
// Origin: RFC 1951 sections 3.1.1 and 3.2.7.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lib/base/bytes.h"

namespace odo::codec::testing {

class BitWriter {
 public:
  // The low `count` bits, lowest first: the order of all but code words. Past
  // the 64th come zeros.
  BitWriter& bits(std::uint64_t value, unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      if (used_ == 0) bytes_.push_back(std::byte{0});
      const std::uint64_t bit = i < 64 ? (value >> i) & 1 : 0;
      bytes_.back() |= static_cast<std::byte>(bit << used_);
      used_ = (used_ + 1) % 8;
    }
    return *this;
  }

  // A code word, its first bit highest.
  BitWriter& word(std::uint64_t value, unsigned count) {
    for (unsigned i = count; i-- > 0;) bits(value >> i, 1);
    return *this;
  }

  // A dynamic block's header with these lengths of words, each written plainly
  // as four bits. `literals` has 257 to 288 lengths, `distances` 1 to 32.
  BitWriter& codes(std::span<const std::uint8_t> literals,
                   std::span<const std::uint8_t> distances) {
    bits(literals.size() - 257, 5).bits(distances.size() - 1, 5).bits(15, 4);
    // The order of 3.2.7; lengths 0 to 15 get words of four bits, which are
    // their own numbers, and the repeats none.
    for (std::size_t i = 0; i < 19; ++i) bits(i < 3 ? 0 : 4, 3);
    for (const std::uint8_t length : literals) word(length, 4);
    for (const std::uint8_t length : distances) word(length, 4);
    return *this;
  }

  [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
  unsigned used_ = 0;  // bits of the last byte; 0 also when it is full
};

}  // namespace odo::codec::testing
