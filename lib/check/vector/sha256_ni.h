// SPDX-License-Identifier: BSD-3-Clause
// SHA-256's compression by the processor's SHA extensions.
//
// Contexts: user mode; touches XMM registers. On processors that
//   CpuFeatures::sha_instructions says have them; elsewhere an invalid opcode.
// Failure: none.
// Cost: linear, under 2 cycles a byte.
// Origin: FIPS 180-4; the instructions' meaning from the Intel SDM volume 2B:
//   SHA256RNDS2 does two rounds on the state split as (a, b, e, f) and
//   (c, d, g, h), SHA256MSG1 and SHA256MSG2 the two halves of the schedule.
#pragma once

#include <immintrin.h>

#include <cstddef>

#include "lib/base/bytes.h"
#include "lib/check/sha256.h"

namespace odo::check {

struct Sha256Instructions {
  // `blocks` is a whole number of 64-byte blocks (asserted).
  [[gnu::target("sha,sse4.1")]] static void compress(Sha256State& state,
                                                     Bytes blocks) {
    ODO_ASSERT(blocks.size() % kSha256Block == 0);
    // Big-endian words, whatever the order of bytes in a register.
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    auto* const words = reinterpret_cast<__m128i*>(state.data());
    const __m128i dcba = _mm_loadu_si128(words);
    const __m128i hgfe = _mm_loadu_si128(words + 1);
    const __m128i cdab = _mm_shuffle_epi32(dcba, 0xb1);
    const __m128i efgh = _mm_shuffle_epi32(hgfe, 0x1b);
    __m128i abef = _mm_alignr_epi8(cdab, efgh, 8);
    __m128i cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);

    const std::byte* p = blocks.data();
    for (std::size_t n = blocks.size() / kSha256Block; n > 0; --n) {
      const __m128i abef_before = abef;
      const __m128i cdgh_before = cdgh;
      __m128i w[4];
      for (std::size_t i = 0; i < 4; ++i) {
        w[i] = _mm_shuffle_epi8(
            _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 16 * i)),
            swap);
      }
      const auto* const k =
          reinterpret_cast<const __m128i*>(detail::kSha256Rounds.data());
#pragma GCC unroll 16
      for (std::size_t group = 0; group < 16; ++group) {
        // Four rounds with words w[0..3] of this group; the schedule's words of
        // the group four later replace them.
        const std::size_t at = group % 4;
        const __m128i input = _mm_add_epi32(w[at], _mm_load_si128(k + group));
        cdgh = _mm_sha256rnds2_epu32(cdgh, abef, input);
        abef =
            _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(input, 0x0e));
        if (group < 12) {
          const __m128i w1 = w[(group + 1) % 4];
          const __m128i w2 = w[(group + 2) % 4];
          const __m128i w3 = w[(group + 3) % 4];
          __m128i next = _mm_sha256msg1_epu32(w[at], w1);
          next = _mm_add_epi32(next, _mm_alignr_epi8(w3, w2, 4));
          w[at] = _mm_sha256msg2_epu32(next, w3);
        }
      }
      abef = _mm_add_epi32(abef, abef_before);
      cdgh = _mm_add_epi32(cdgh, cdgh_before);
      p += kSha256Block;
    }

    const __m128i feba = _mm_shuffle_epi32(abef, 0x1b);
    const __m128i dchg = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128(words, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128(words + 1, _mm_alignr_epi8(dchg, feba, 8));
  }
};

}  // namespace odo::check
