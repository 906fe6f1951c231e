// SPDX-License-Identifier: BSD-3-Clause
// CRC-32C by the processor's CRC32 instruction (SSE4.2), in general-purpose
// registers only: fit for a kernel that keeps its hands off the vector unit.
//
// Contexts: any, including interrupt, on a processor whose CPUID leaf 1 shows
//   SSE4.2 (check::Cpu::crc32_instruction); elsewhere it is an invalid opcode.
// Sizes: 12 KiB of constant tables.
// Cost: one 8-byte step a cycle on ranges from a few KiB up: the instruction
//   has a latency of three cycles and a throughput of one, so three streams run
//   side by side and are joined by advancing a register over the length of the
//   stream after it, a linear map read from tables.
// Failure: none.
// Origin: the three-stream method is Intel's (Gopal et al., "Fast CRC
//   Computation for iSCSI Polynomial Using CRC32 Instruction", 2011); joining
//   by four byte-indexed tables rather than by carry-less multiplication keeps
//   it in integer registers.
#pragma once

#if !defined(__x86_64__)
#error "the CRC32 instruction is x86-64's; use a portable engine of crc.h"
#endif

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/base/bytes.h"
#include "lib/check/crc.h"

namespace odo::check {

namespace detail {

// Advancing a register over `Distance` zero bytes: four lookups, one a byte.
template <Polynomial Poly, std::size_t Distance>
[[nodiscard]] consteval std::array<CrcTable, 4> make_advance_tables() {
  std::array<CrcTable, 4> tables{};
  // The image of register bit b is x^(8 Distance) times the bit's own power,
  // x^(31 - b).
  std::array<std::uint32_t, 32> image{};
  std::uint32_t reg = x_to_the(Poly, 8 * Distance);
  for (std::size_t bit = 32; bit-- > 0;) {
    image[bit] = reg;
    reg = times_x(Poly, reg);
  }
  for (std::size_t k = 0; k < 4; ++k) {
    std::uint32_t* const table = tables[k].data();
    for (std::size_t bit = 0; bit < 8; ++bit) {
      const std::size_t top = std::size_t{1} << bit;
      const std::uint32_t its = image[8 * k + bit];
      for (std::size_t low = 0; low < top; ++low) {
        table[top + low] = table[low] ^ its;
      }
    }
  }
  return tables;
}

template <Polynomial Poly, std::size_t Distance>
inline constexpr std::array<CrcTable, 4> kAdvanceTables =
    make_advance_tables<Poly, Distance>();

template <Polynomial Poly, std::size_t Distance>
[[nodiscard]] constexpr std::uint32_t advance(std::uint32_t reg) {
  const auto& tables = kAdvanceTables<Poly, Distance>;
  return tables[0][reg & 0xff] ^ tables[1][(reg >> 8) & 0xff] ^
         tables[2][(reg >> 16) & 0xff] ^ tables[3][reg >> 24];
}

}  // namespace detail

struct Crc32cInstruction {
  [[nodiscard, gnu::target("crc32")]] static std::uint32_t extend(
      std::uint32_t reg, Bytes bytes) {
    const std::byte* p = bytes.data();
    std::size_t left = bytes.size();
    reg = three_streams<2048>(reg, p, left);
    reg = three_streams<384>(reg, p, left);
    reg = three_streams<64>(reg, p, left);
    std::uint64_t wide = reg;
    for (; left >= 8; left -= 8, p += 8) {
      wide = __builtin_ia32_crc32di(wide, load_le<std::uint64_t>(p));
    }
    reg = static_cast<std::uint32_t>(wide);
    if ((left & 4) != 0) {
      reg = __builtin_ia32_crc32si(reg, load_le<std::uint32_t>(p));
      p += 4;
    }
    if ((left & 2) != 0) {
      reg = __builtin_ia32_crc32hi(reg, load_le<std::uint16_t>(p));
      p += 2;
    }
    if ((left & 1) != 0) {
      reg = __builtin_ia32_crc32qi(reg, load_le<std::uint8_t>(p));
    }
    return reg;
  }

 private:
  // Consumes as many groups of three adjacent ranges of Stride bytes as fit.
  template <std::size_t Stride>
  [[gnu::target("crc32")]] static std::uint32_t three_streams(
      std::uint32_t reg, const std::byte*& at, std::size_t& left) {
    static_assert(Stride % 16 == 0);
    constexpr auto kCastagnoli = Polynomial::kCastagnoli;
    const std::byte* p = at;
    for (; left >= 3 * Stride; left -= 3 * Stride) {
      std::uint64_t a = reg;
      std::uint64_t b = 0;
      std::uint64_t c = 0;
      const std::byte* const end = p + Stride;
      for (; p != end; p += 16) {
        a = __builtin_ia32_crc32di(a, load_le<std::uint64_t>(p));
        b = __builtin_ia32_crc32di(b, load_le<std::uint64_t>(p + Stride));
        c = __builtin_ia32_crc32di(c, load_le<std::uint64_t>(p + 2 * Stride));
        a = __builtin_ia32_crc32di(a, load_le<std::uint64_t>(p + 8));
        b = __builtin_ia32_crc32di(b, load_le<std::uint64_t>(p + Stride + 8));
        c = __builtin_ia32_crc32di(c,
                                   load_le<std::uint64_t>(p + 2 * Stride + 8));
      }
      p += 2 * Stride;
      reg = detail::advance<kCastagnoli, Stride>(static_cast<std::uint32_t>(a));
      reg ^= static_cast<std::uint32_t>(b);
      reg = detail::advance<kCastagnoli, Stride>(reg);
      reg ^= static_cast<std::uint32_t>(c);
    }
    at = p;
    return reg;
  }
};

}  // namespace odo::check
