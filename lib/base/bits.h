// SPDX-License-Identifier: BSD-3-Clause
// Powers of two and alignment, with overflow told instead of wrapped.
//
// Contexts: any. All constexpr, no state.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>

#include "lib/base/check.h"

namespace odo {

template <std::unsigned_integral T>
[[nodiscard]] constexpr bool is_power_of_two(T v) {
  return std::has_single_bit(v);
}

// The largest multiple of `alignment` (a power of two) not above `v`.
template <std::unsigned_integral T>
[[nodiscard]] constexpr T align_down(T v, std::type_identity_t<T> alignment) {
  ODO_ASSERT(is_power_of_two(alignment));
  return static_cast<T>(v & ~static_cast<T>(alignment - 1));
}

// The smallest multiple of `alignment` not below `v`; the caller knows that it
// fits in T (asserted).
template <std::unsigned_integral T>
[[nodiscard]] constexpr T align_up(T v, std::type_identity_t<T> alignment) {
  ODO_ASSERT(v <=
             std::numeric_limits<T>::max() - static_cast<T>(alignment - 1));
  return align_down(static_cast<T>(v + (alignment - 1)), alignment);
}

template <std::unsigned_integral T>
[[nodiscard]] constexpr bool is_aligned(T v,
                                        std::type_identity_t<T> alignment) {
  return align_down(v, alignment) == v;
}

// For untrusted numbers: nullopt where the exact answer does not fit.
template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> checked_add(
    T a, std::type_identity_t<T> b) {
  T sum;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> checked_mul(
    T a, std::type_identity_t<T> b) {
  T product;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

// True when [offset, offset + length) lies inside [0, size), without overflow.
[[nodiscard]] constexpr bool range_inside(std::uint64_t offset,
                                          std::uint64_t length,
                                          std::uint64_t size) {
  return offset <= size && length <= size - offset;
}

}  // namespace odo
