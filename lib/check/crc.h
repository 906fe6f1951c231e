// SPDX-License-Identifier: BSD-3-Clause
// CRC-32C (Castagnoli: iSCSI, HAMMER2's `iscsi32`) and CRC-32 (IEEE 802.3:
// zlib, gzip, GPT), in portable versions that differ only in table size.
//
//   std::uint32_t code = check::crc<check::Crc32cSlice8>(bytes);
//   check::Crc<check::Crc32cSlice8> stream;      // the same in pieces
//   stream.update(head).update(tail);
//   code = stream.value();
//
// Shapes: both are reflected CRCs of 32 bits: the register starts as all ones,
//   takes each byte least significant bit first, and is complemented at the
//   end. An *engine* does the middle part: `extend(reg, bytes)` answers the
//   register after `bytes`, without either complement. Engines for instructions
//   are in crc32c_instruction.h and vector/; checks.h chooses one at run time.
// Sizes: an engine that slices by N reads N KiB of constant tables.
// Contexts: any, including interrupt and constant evaluation. No state but the
//   caller's.
// Failure: none.
// Cost: linear; about 7 cycles a byte for Slice1, under 2 for Slice8 and about
//   1 for Slice16.
// Origin: Sarwate's table method (CACM 31:8, 1988); slicing after Kounavis and
//   Berry, "Novel Table Lookup-Based Algorithms for High-Performance CRC
//   Generation" (IEEE Trans. Comp. 57:11, 2008). Polynomials: RFC 3720 12.1 and
//   RFC 1952 section 8. HAMMER2's use agrees with DragonFly's iscsi_crc32().
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>

#include "lib/base/bytes.h"

namespace odo::check {

// A CRC polynomial without its top term, bit-reversed: bit 31 is x^0.
enum class Polynomial : std::uint32_t {
  kCastagnoli = 0x82f63b78,
  kIeee = 0xedb88320,
};

template <class E>
concept CrcEngine = requires(const E& engine, std::uint32_t reg, Bytes bytes) {
  { engine.extend(reg, bytes) } -> std::same_as<std::uint32_t>;
};

namespace detail {

// `reg` times x, modulo the polynomial.
[[nodiscard]] constexpr std::uint32_t times_x(Polynomial polynomial,
                                              std::uint32_t reg) {
  const std::uint32_t carry = reg & 1;
  return (reg >> 1) ^ (carry * static_cast<std::uint32_t>(polynomial));
}

// The product of two polynomials, modulo a third.
[[nodiscard]] constexpr std::uint32_t times(Polynomial polynomial,
                                            std::uint32_t a, std::uint32_t b) {
  std::uint32_t product = 0;
  for (; a != 0; a <<= 1) {
    if ((a & 0x80000000) != 0) product ^= b;
    b = times_x(polynomial, b);
  }
  return product;
}

// x^exponent modulo the polynomial. Only for building tables.
[[nodiscard]] constexpr std::uint32_t x_to_the(Polynomial polynomial,
                                               unsigned exponent) {
  std::uint32_t power = 0x80000000;   // x^0
  std::uint32_t square = 0x40000000;  // x^1
  for (; exponent != 0; exponent >>= 1) {
    if ((exponent & 1) != 0) power = times(polynomial, power, square);
    square = times(polynomial, square, square);
  }
  return power;
}

using CrcTable = std::array<std::uint32_t, 256>;

// Table k maps a byte to its register after k further zero bytes. Whoever
// includes this waits for the compiler to fill them: plain pointers spare it
// the calls of operator[].
template <Polynomial Poly, std::size_t Slices>
[[nodiscard]] consteval std::array<CrcTable, Slices> make_crc_tables() {
  std::array<CrcTable, Slices> tables{};
  std::uint32_t* const first = tables[0].data();
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t reg = byte;
    for (int bit = 0; bit < 8; ++bit) reg = times_x(Poly, reg);
    first[byte] = reg;
  }
  for (std::size_t k = 1; k < Slices; ++k) {
    const std::uint32_t* const before = tables[k - 1].data();
    std::uint32_t* const table = tables[k].data();
    for (std::size_t byte = 0; byte < 256; ++byte) {
      table[byte] = (before[byte] >> 8) ^ first[before[byte] & 0xff];
    }
  }
  return tables;
}

template <Polynomial Poly, std::size_t Slices>
inline constexpr std::array<CrcTable, Slices> kCrcTables =
    make_crc_tables<Poly, Slices>();

}  // namespace detail

// The portable engine: Slices bytes (1, 4, 8 or 16) a step.
template <Polynomial Poly, std::size_t Slices>
requires(Slices == 1 || Slices == 4 || Slices == 8 || Slices == 16)
struct SlicedCrc {
  [[nodiscard]] static constexpr std::uint32_t extend(std::uint32_t reg,
                                                      Bytes bytes) {
    // Those of 8 slices are the first of those of 16.
    const auto& tables = detail::kCrcTables<Poly, (Slices < 8 ? Slices : 16)>;
    const std::byte* p = bytes.data();
    std::size_t left = bytes.size();
    if constexpr (Slices > 1) {
      for (; left >= Slices; left -= Slices, p += Slices) {
        std::uint32_t next = 0;
        for (std::size_t word = 0; word < Slices; word += 4) {
          std::uint32_t v = load_le<std::uint32_t>(p + word);
          if (word == 0) v ^= reg;
          const std::size_t k = Slices - 4 - word;
          next ^= tables[k + 3][v & 0xff] ^ tables[k + 2][(v >> 8) & 0xff] ^
                  tables[k + 1][(v >> 16) & 0xff] ^ tables[k][v >> 24];
        }
        reg = next;
      }
    }
    for (; left > 0; --left, ++p) {
      reg = (reg >> 8) ^
            tables[0][(reg ^ std::to_integer<std::uint32_t>(*p)) & 0xff];
    }
    return reg;
  }
};

using Crc32cSlice1 = SlicedCrc<Polynomial::kCastagnoli, 1>;
using Crc32cSlice8 = SlicedCrc<Polynomial::kCastagnoli, 8>;
using Crc32cSlice16 = SlicedCrc<Polynomial::kCastagnoli, 16>;
using Crc32Slice1 = SlicedCrc<Polynomial::kIeee, 1>;
using Crc32Slice8 = SlicedCrc<Polynomial::kIeee, 8>;
using Crc32Slice16 = SlicedCrc<Polynomial::kIeee, 16>;

// An engine chosen at run time (see checks.h). The function must be one
// engine's `extend`.
struct CrcFunction {
  std::uint32_t (*function)(std::uint32_t reg, Bytes bytes);

  [[nodiscard]] constexpr std::uint32_t extend(std::uint32_t reg,
                                               Bytes bytes) const {
    return function(reg, bytes);
  }
};

// A CRC over bytes that come in pieces. value() may be asked at any point, and
// more bytes may follow.
template <CrcEngine E>
class Crc {
 public:
  constexpr explicit Crc(E engine = E{}) : engine_(engine) {}

  constexpr Crc& update(Bytes bytes) {
    reg_ = engine_.extend(reg_, bytes);
    return *this;
  }
  [[nodiscard]] constexpr std::uint32_t value() const { return ~reg_; }

 private:
  [[no_unique_address]] E engine_;
  std::uint32_t reg_ = ~std::uint32_t{0};
};

// The CRC of one range.
template <CrcEngine E>
[[nodiscard]] constexpr std::uint32_t crc(Bytes bytes, E engine = E{}) {
  return ~engine.extend(~std::uint32_t{0}, bytes);
}

namespace detail {

// The check value of the CRC catalogues is the code of these nine digits.
inline constexpr std::array<std::byte, 9> kNineDigits = {
    std::byte{'1'}, std::byte{'2'}, std::byte{'3'},
    std::byte{'4'}, std::byte{'5'}, std::byte{'6'},
    std::byte{'7'}, std::byte{'8'}, std::byte{'9'}};
static_assert(crc<Crc32cSlice1>(kNineDigits) == 0xe3069283);
static_assert(crc<Crc32cSlice8>(kNineDigits) == 0xe3069283);
static_assert(crc<Crc32Slice1>(kNineDigits) == 0xcbf43926);
static_assert(crc<Crc32Slice8>(kNineDigits) == 0xcbf43926);

}  // namespace detail

}  // namespace odo::check
