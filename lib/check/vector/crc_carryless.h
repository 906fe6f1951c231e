// SPDX-License-Identifier: BSD-3-Clause
// Both CRCs by carry-less multiplication in vector registers: 16 bytes
// (PCLMULQDQ) or 64 bytes (VPCLMULQDQ over AVX-512) a step.
//
// Shapes: a vector of 128-bit lanes stands for the message seen so far, modulo
//   the polynomial, at the vector's position. *Folding* moves a lane D bits on:
//   its halves times x^(D+32) and x^(D-32) (in the reflected bit order, shifted
//   left by one to absorb the reflection's off-by-one) and then XORed into the
//   lane found there. The last lane is reduced by taking its 16 bytes as a
//   message: with the CRC32 instruction or by Barrett's method.
// Contexts: user mode; touches XMM or ZMM registers. On processors that
//   CpuFeatures says have the instructions; elsewhere an invalid opcode.
// Failure: none.
// Cost: linear, about 8 and 25 bytes a cycle on long ranges.
// Origin: Gopal et al., "Fast CRC Computation for Generic Polynomials Using
//   PCLMULQDQ Instruction" (Intel, 2009). The constants are computed here.
#pragma once

#include <immintrin.h>

#include <bit>
#include <cstddef>
#include <cstdint>

#include "lib/base/annotations.h"
#include "lib/base/bytes.h"
#include "lib/check/crc.h"
#include "lib/check/crc32c_instruction.h"

namespace odo::check {

namespace detail {

// The multiplier that advances a 64-bit half of a lane by `bits`.
[[nodiscard]] consteval std::int64_t fold_constant(Polynomial polynomial,
                                                   unsigned bits) {
  return static_cast<std::int64_t>(std::uint64_t{x_to_the(polynomial, bits)}
                                   << 1);
}

// Both multipliers of a fold over D bits: the first half has 64 bits further to
// go than the second.
template <Polynomial Poly, unsigned Bits>
struct Fold {
  static constexpr std::int64_t kFirst = fold_constant(Poly, Bits + 32);
  static constexpr std::int64_t kSecond = fold_constant(Poly, Bits - 32);
};

// floor(x^64 / P) with its 33 bits reflected, for Barrett's reduction.
[[nodiscard]] consteval std::int64_t barrett_quotient(Polynomial polynomial) {
  // Long division in the unreflected order: x^64 by x^32 + p.
  std::uint32_t p = 0;
  for (unsigned bit = 0; bit < 32; ++bit) {
    if (((static_cast<std::uint32_t>(polynomial) >> bit) & 1) != 0) {
      p |= std::uint32_t{1} << (31 - bit);
    }
  }
  std::uint64_t quotient = 0;
  std::uint64_t rest = std::uint64_t{1} << 32;  // the top 33 bits of x^64
  for (int step = 0; step <= 32; ++step) {
    quotient <<= 1;
    if ((rest >> 32) != 0) {
      quotient |= 1;
      rest ^= (std::uint64_t{1} << 32) | p;
    }
    rest <<= 1;
  }
  std::uint64_t reflected = 0;
  for (unsigned bit = 0; bit <= 32; ++bit) {
    reflected |= ((quotient >> bit) & 1) << (32 - bit);
  }
  return static_cast<std::int64_t>(reflected);
}

[[nodiscard, gnu::target("sse4.1,pclmul")]] inline __m128i load_lane(
    const std::byte* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}

// `lane` advanced by `fold`'s distance, added to `onto`.
template <class F>
[[nodiscard, gnu::target("sse4.1,pclmul")]] inline __m128i fold_lane(
    __m128i lane, __m128i onto) {
  const __m128i by = _mm_set_epi64x(F::kSecond, F::kFirst);
  const __m128i first = _mm_clmulepi64_si128(lane, by, 0x00);
  const __m128i second = _mm_clmulepi64_si128(lane, by, 0x11);
  return _mm_xor_si128(_mm_xor_si128(first, second), onto);
}

// The register after the 16 bytes of `lane`, starting from zero.
template <Polynomial Poly>
[[nodiscard, gnu::target("sse4.1,pclmul")]] inline std::uint32_t reduce_lane(
    __m128i lane) {
  // 128 to 96 bits: the first half times x^96, which is D = 64 of kFirst; then
  // to 64 bits with the low word times x^64.
  const __m128i by =
      _mm_set_epi64x(fold_constant(Poly, 64), fold_constant(Poly, 96));
  const __m128i low_word = _mm_cvtsi64_si128(0xffffffff);
  __m128i v = _mm_xor_si128(_mm_clmulepi64_si128(lane, by, 0x00),
                            _mm_srli_si128(lane, 8));
  v = _mm_xor_si128(_mm_clmulepi64_si128(_mm_and_si128(v, low_word), by, 0x10),
                    _mm_srli_si128(v, 4));
  // Barrett: the quotient's estimate, and the rest left over.
  constexpr auto kFull = static_cast<std::int64_t>(
      (std::uint64_t{static_cast<std::uint32_t>(Poly)} << 1) | 1);
  const __m128i barrett = _mm_set_epi64x(kFull, barrett_quotient(Poly));
  __m128i q = _mm_clmulepi64_si128(_mm_and_si128(v, low_word), barrett, 0x00);
  q = _mm_clmulepi64_si128(_mm_and_si128(q, low_word), barrett, 0x10);
  return static_cast<std::uint32_t>(_mm_extract_epi32(_mm_xor_si128(v, q), 1));
}

}  // namespace detail

// PCLMULQDQ, four lanes at a time.
template <Polynomial Poly>
struct CarrylessCrc {
  [[nodiscard, gnu::target("sse4.1,pclmul")]] static std::uint32_t extend(
      std::uint32_t reg, Bytes bytes) {
    const std::byte* p = bytes.data();
    std::size_t left = bytes.size();
    if (left < 16) return Tail::extend(reg, bytes);
    // The register's 32 bits add to the message's first 32.
    __m128i a = _mm_xor_si128(detail::load_lane(p),
                              _mm_cvtsi32_si128(static_cast<int>(reg)));
    p += 16, left -= 16;
    if (left >= 112) {
      __m128i b = detail::load_lane(p);
      __m128i c = detail::load_lane(p + 16);
      __m128i d = detail::load_lane(p + 32);
      p += 48, left -= 48;
      for (; left >= 64; left -= 64, p += 64) {
        a = detail::fold_lane<By<512>>(a, detail::load_lane(p));
        b = detail::fold_lane<By<512>>(b, detail::load_lane(p + 16));
        c = detail::fold_lane<By<512>>(c, detail::load_lane(p + 32));
        d = detail::fold_lane<By<512>>(d, detail::load_lane(p + 48));
      }
      a = detail::fold_lane<By<384>>(a, d);
      a = detail::fold_lane<By<256>>(b, a);
      a = detail::fold_lane<By<128>>(c, a);
    }
    for (; left >= 16; left -= 16, p += 16) {
      a = detail::fold_lane<By<128>>(a, detail::load_lane(p));
    }
    return Tail::extend(detail::reduce_lane<Poly>(a), Bytes(p, left));
  }

 private:
  template <unsigned Bits>
  using By = detail::Fold<Poly, Bits>;
  using Tail = SlicedCrc<Poly, 8>;
};

namespace detail {

// What is shorter than a 512-bit vector.
template <Polynomial Poly>
struct NarrowCrc : CarrylessCrc<Poly> {};
template <>
struct NarrowCrc<Polynomial::kCastagnoli> : Crc32cInstruction {};

}  // namespace detail

// VPCLMULQDQ over AVX-512, four vectors of four lanes at a time.
template <Polynomial Poly>
struct WideCarrylessCrc {
// Everything that works on 512-bit vectors carries the same target.
#define ODO_WIDE_TARGET_ \
  gnu::target(           \
      "crc32,sse4.1,pclmul,avx512f,avx512vl,avx512bw,avx512dq,vpclmulqdq")

  [[nodiscard, ODO_WIDE_TARGET_]] static std::uint32_t extend(std::uint32_t reg,
                                                              Bytes bytes) {
    const std::byte* p = bytes.data();
    std::size_t left = bytes.size();
    if (left < 64) return Narrow::extend(reg, bytes);
    __m512i a = _mm512_xor_si512(
        load(p),
        _mm512_zextsi128_si512(_mm_cvtsi32_si128(static_cast<int>(reg))));
    p += 64, left -= 64;
    if (left >= 192 + 256) {
      __m512i b = load(p);
      __m512i c = load(p + 64);
      __m512i d = load(p + 128);
      p += 192, left -= 192;
      for (; left >= 256; left -= 256, p += 256) {
        a = fold<2048>(a, load(p));
        b = fold<2048>(b, load(p + 64));
        c = fold<2048>(c, load(p + 128));
        d = fold<2048>(d, load(p + 192));
      }
      a = fold<1536>(a, d);
      b = fold<1024>(b, a);
      a = fold<512>(c, b);
    }
    for (; left >= 64; left -= 64, p += 64) a = fold<512>(a, load(p));
    return Narrow::extend(reduce(a), Bytes(p, left));
  }

 private:
  template <unsigned Bits>
  using By = detail::Fold<Poly, Bits>;
  using Narrow = detail::NarrowCrc<Poly>;

  [[nodiscard, ODO_WIDE_TARGET_]] static __m512i load(const std::byte* p) {
    return _mm512_loadu_si512(p);
  }

  [[nodiscard, ODO_WIDE_TARGET_]] static __m512i multiply(__m512i v, __m512i by,
                                                          __m512i onto) {
    constexpr int kXor3 = 0x96;
    return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(v, by, 0x00),
                                     _mm512_clmulepi64_epi128(v, by, 0x11),
                                     onto, kXor3);
  }

  template <unsigned Bits>
  [[nodiscard, ODO_WIDE_TARGET_]] static __m512i fold(__m512i v, __m512i onto) {
    const __m512i by =
        _mm512_set_epi64(By<Bits>::kSecond, By<Bits>::kFirst, By<Bits>::kSecond,
                         By<Bits>::kFirst, By<Bits>::kSecond, By<Bits>::kFirst,
                         By<Bits>::kSecond, By<Bits>::kFirst);
    return multiply(v, by, onto);
  }

  // The register after the 64 bytes of `v`, starting from zero: the first three
  // lanes each advance onto the last.
  [[nodiscard, ODO_WIDE_TARGET_]] static std::uint32_t reduce(__m512i v) {
    const __m512i by = _mm512_set_epi64(0, 0, By<128>::kSecond, By<128>::kFirst,
                                        By<256>::kSecond, By<256>::kFirst,
                                        By<384>::kSecond, By<384>::kFirst);
    const __m512i moved = multiply(v, by, _mm512_setzero_si512());
    const __m256i half = _mm256_xor_si256(_mm512_castsi512_si256(moved),
                                          _mm512_extracti64x4_epi64(moved, 1));
    const __m128i lane =
        _mm_xor_si128(_mm_xor_si128(_mm256_castsi256_si128(half),
                                    _mm256_extracti128_si256(half, 1)),
                      _mm512_extracti32x4_epi32(v, 3));
    if constexpr (Poly == Polynomial::kCastagnoli) {
      std::uint64_t reg = __builtin_ia32_crc32di(
          0, static_cast<std::uint64_t>(_mm_cvtsi128_si64(lane)));
      reg = __builtin_ia32_crc32di(
          reg, static_cast<std::uint64_t>(_mm_extract_epi64(lane, 1)));
      return static_cast<std::uint32_t>(reg);
    } else {
      return detail::reduce_lane<Poly>(lane);
    }
  }

#undef ODO_WIDE_TARGET_
};

}  // namespace odo::check
