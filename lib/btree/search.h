// SPDX-License-Identifier: BSD-3-Clause
// How a key's place is found inside one node: search policies.
//
// A policy answers two questions about `count` sorted keys:
//   lower(keys, count, query, less)  how many keys are less than `query`
//   upper(keys, count, query, less)  how many are not greater than it
// `less(a, b)` orders keys and queries. Keys beyond `count` are never read.
//
//   policy          steps                            for
//   LinearSearch    count compares, no branch        tiny nodes
//   BinarySearch    log2(count) compares, no branch  anything; the default
//   VectorSearch    two halvings, then 16 keys       32- and 64-bit integers
//                   at once by AVX2                  under std::less/greater
//
// Contexts: any; VectorSearch exists where the compiler targets AVX2, and its
//   users keep vector registers (never the kernel).
// Origin: the counting of smaller keys as in Algorithmica's "Search Trees";
//   the last window is laid so that it never leaves the live keys.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <type_traits>

#include "lib/btree/partition.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace odo::btree {

struct LinearSearch {
  template <class K, class Q, class Less>
  [[nodiscard]] static std::size_t lower(const K* keys, std::size_t count,
                                         const Q& query, const Less& less) {
    std::size_t smaller = 0;
    for (std::size_t i = 0; i < count; ++i) {
      smaller += less(keys[i], query) ? 1U : 0U;
    }
    return smaller;
  }

  template <class K, class Q, class Less>
  [[nodiscard]] static std::size_t upper(const K* keys, std::size_t count,
                                         const Q& query, const Less& less) {
    std::size_t smaller = 0;
    for (std::size_t i = 0; i < count; ++i) {
      smaller += less(query, keys[i]) ? 0U : 1U;
    }
    return smaller;
  }
};

struct BinarySearch {
  template <class K, class Q, class Less>
  [[nodiscard]] static std::size_t lower(const K* keys, std::size_t count,
                                         const Q& query, const Less& less) {
    return partition(count,
                     [&](std::size_t i) { return less(keys[i], query); });
  }

  template <class K, class Q, class Less>
  [[nodiscard]] static std::size_t upper(const K* keys, std::size_t count,
                                         const Q& query, const Less& less) {
    return partition(count,
                     [&](std::size_t i) { return !less(query, keys[i]); });
  }
};

#if defined(__AVX2__)

struct VectorSearch {
  template <class K, class Less>
  [[nodiscard]] static std::size_t lower(const K* keys, std::size_t count,
                                         const K& query, const Less& less) {
    return find<false>(keys, count, query, less);
  }

  template <class K, class Less>
  [[nodiscard]] static std::size_t upper(const K* keys, std::size_t count,
                                         const K& query, const Less& less) {
    return find<true>(keys, count, query, less);
  }

  // Queries of another type keep that type's comparisons.
  template <class K, class Q, class Less>
  requires(!std::same_as<K, Q>)
  [[nodiscard]] static std::size_t lower(const K* keys, std::size_t count,
                                         const Q& query, const Less& less) {
    return BinarySearch::lower(keys, count, query, less);
  }
  template <class K, class Q, class Less>
  requires(!std::same_as<K, Q>)
  [[nodiscard]] static std::size_t upper(const K* keys, std::size_t count,
                                         const Q& query, const Less& less) {
    return BinarySearch::upper(keys, count, query, less);
  }

 private:
  static constexpr std::size_t kWindow = 16;

  template <class Less, class K>
  static constexpr bool kDescending =
      std::same_as<Less, std::greater<K>> || std::same_as<Less, std::greater<>>;

  // The number of leading keys before `query`, or with UpTo not after it.
  template <bool UpTo, class K, class Less>
  static std::size_t find(const K* keys, std::size_t count, K query,
                          const Less& less) {
    std::size_t base = 0;
    std::size_t left = count;
    while (left > kWindow) {
      const std::size_t half = left / 2;
      const K probe = keys[base + half - 1];
      const bool before = UpTo ? !less(query, probe) : less(probe, query);
      base = chosen(before, base + half, base);
      left -= half;
    }
    if (count < kWindow) [[unlikely]] {
      std::size_t smaller = 0;
      for (std::size_t i = 0; i < count; ++i) {
        smaller +=
            (UpTo ? !less(query, keys[i]) : less(keys[i], query)) ? 1U : 0U;
      }
      return smaller;
    }
    // Keys that were passed over already are before the query, so counting
    // some of them again from an earlier base gives the same place.
    base = base < count - kWindow ? base : count - kWindow;
    return base + count_before<UpTo, kDescending<Less, K>>(keys + base, query);
  }

  // Of kWindow keys, how many are before `query` (or, UpTo, not after it).
  template <bool UpTo, bool Descending, class K>
  static std::size_t count_before(const K* keys, K query) {
    static_assert(std::integral<K> && (sizeof(K) == 8 || sizeof(K) == 4));
    constexpr std::size_t kLanes = 32 / sizeof(K);
    // AVX2 compares signed numbers only.
    const __m256i flip = spread<K>(std::is_signed_v<K> ? K{0} : top_bit<K>());
    const __m256i wanted = _mm256_xor_si256(spread<K>(query), flip);
    __m256i sum = _mm256_setzero_si256();
    for (std::size_t i = 0; i < kWindow; i += kLanes) {
      const __m256i have = _mm256_xor_si256(
          _mm256_loadu_si256(reinterpret_cast<const __m256i_u*>(keys + i)),
          flip);
      // A lane that compares true is all ones, minus one.
      sum = add<K>(sum, UpTo != Descending ? greater<K>(have, wanted)
                                           : greater<K>(wanted, have));
    }
    const std::size_t found = total<K>(sum);
    return UpTo ? kWindow - found : found;
  }

  template <class K>
  static constexpr K top_bit() {
    return static_cast<K>(std::uint64_t{1} << (8 * sizeof(K) - 1));
  }

  template <class K>
  static __m256i spread(K value) {
    if constexpr (sizeof(K) == 8) {
      return _mm256_set1_epi64x(static_cast<long long>(value));
    } else {
      return _mm256_set1_epi32(static_cast<int>(value));
    }
  }

  template <class K>
  static __m256i greater(__m256i a, __m256i b) {
    if constexpr (sizeof(K) == 8) {
      return _mm256_cmpgt_epi64(a, b);
    } else {
      return _mm256_cmpgt_epi32(a, b);
    }
  }

  template <class K>
  static __m256i add(__m256i a, __m256i b) {
    if constexpr (sizeof(K) == 8) {
      return _mm256_add_epi64(a, b);
    } else {
      return _mm256_add_epi32(a, b);
    }
  }

  // Minus the sum of the lanes.
  template <class K>
  static std::size_t total(__m256i sum) {
    const __m128i low = _mm256_castsi256_si128(sum);
    const __m128i high = _mm256_extracti128_si256(sum, 1);
    if constexpr (sizeof(K) == 8) {
      const __m128i both = _mm_add_epi64(low, high);
      return static_cast<std::size_t>(
          -(_mm_extract_epi64(both, 0) + _mm_extract_epi64(both, 1)));
    } else {
      const __m128i four = _mm_add_epi32(low, high);
      const __m128i two =
          _mm_add_epi32(four, _mm_shuffle_epi32(four, _MM_SHUFFLE(1, 0, 3, 2)));
      return static_cast<std::size_t>(
          -(_mm_extract_epi32(two, 0) + _mm_extract_epi32(two, 1)));
    }
  }
};

#endif  // __AVX2__

namespace detail {

template <class K, class Less>
inline constexpr bool kVectorKey =
    std::integral<K> && (sizeof(K) == 8 || sizeof(K) == 4) &&
    (std::same_as<Less, std::less<K>> || std::same_as<Less, std::less<>> ||
     std::same_as<Less, std::greater<K>> || std::same_as<Less, std::greater<>>);

template <class K, class Less>
struct BestSearch {
  using Type = BinarySearch;
};

#if defined(__AVX2__)
template <class K, class Less>
requires kVectorKey<K, Less>
struct BestSearch<K, Less> {
  using Type = VectorSearch;
};
#endif

}  // namespace detail

// The fastest policy that this build has for these keys in this order.
template <class K, class Less>
using DefaultSearch = detail::BestSearch<K, Less>::Type;

}  // namespace odo::btree
