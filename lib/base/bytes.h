// SPDX-License-Identifier: BSD-3-Clause
// Reading and writing numbers and plain structures in raw bytes, at any
// alignment, in a stated byte order.
//
// Contexts: any. The unchecked forms assert their bounds in debug builds; the
// `read_*` forms are total: they answer nullopt past the end.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>

#include "lib/base/check.h"

namespace odo {

static_assert(
    std::endian::native == std::endian::little,
    "Odonata reads its media structures in place: little-endian only");
static_assert(sizeof(void*) == 8, "Odonata assumes 64-bit pointers");

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

// A little-endian number at `p`, which may be unaligned.
template <std::integral T>
[[nodiscard]] constexpr T load_le(const std::byte* p) {
  if consteval {
    std::make_unsigned_t<T> v = 0;
    for (std::size_t i = sizeof(T); i-- > 0;) {
      v = static_cast<std::make_unsigned_t<T>>(
          (static_cast<std::uint64_t>(v) << 8) |
          std::to_integer<unsigned>(p[i]));
    }
    return static_cast<T>(v);
  } else {
    T v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
  }
}

template <std::integral T>
constexpr void store_le(std::byte* p, T value) {
  if consteval {
    auto v = static_cast<std::uint64_t>(value);
    for (std::size_t i = 0; i < sizeof(T); ++i, v >>= 8) {
      p[i] = static_cast<std::byte>(v & 0xff);
    }
  } else {
    __builtin_memcpy(p, &value, sizeof value);
  }
}

// A big-endian number at `p`, for network order and zlib/SHA trailers.
template <std::unsigned_integral T>
[[nodiscard]] constexpr T load_be(const std::byte* p) {
  if constexpr (sizeof(T) == 1) {
    return load_le<T>(p);
  } else {
    return std::byteswap(load_le<T>(p));
  }
}

template <std::unsigned_integral T>
constexpr void store_be(std::byte* p, T value) {
  if constexpr (sizeof(T) == 1) {
    store_le(p, value);
  } else {
    store_le(p, std::byteswap(value));
  }
}

// `load_le` with its bound checked: nullopt unless sizeof(T) bytes are there.
template <std::integral T>
[[nodiscard]] constexpr std::optional<T> read_le(Bytes bytes,
                                                 std::size_t offset) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) {
    return std::nullopt;
  }
  return load_le<T>(bytes.data() + offset);
}

// A plain structure that may be copied to and from bytes as it is.
template <class T>
concept Plain = std::is_trivially_copyable_v<T> && std::is_standard_layout_v<T>;

// A copy of the structure at `offset`: nullopt unless it lies wholly inside.
template <Plain T>
[[nodiscard]] inline std::optional<T> read_struct(Bytes bytes,
                                                  std::size_t offset) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) {
    return std::nullopt;
  }
  T value;
  __builtin_memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

// A structure's own bytes, for check codes and for writing it out.
template <Plain T>
[[nodiscard]] inline Bytes bytes_of(const T& value) {
  return std::as_bytes(std::span<const T, 1>(&value, 1));
}

template <Plain T>
[[nodiscard]] inline MutableBytes mutable_bytes_of(T& value) {
  return std::as_writable_bytes(std::span<T, 1>(&value, 1));
}

// mem* over spans; sizes must agree (asserted).
inline void copy_bytes(MutableBytes to, Bytes from) {
  ODO_ASSERT(to.size() >= from.size());
  if (!from.empty()) __builtin_memcpy(to.data(), from.data(), from.size());
}

inline void zero_bytes(MutableBytes to) {
  if (!to.empty()) __builtin_memset(to.data(), 0, to.size());
}

[[nodiscard]] inline bool equal_bytes(Bytes a, Bytes b) {
  return a.size() == b.size() &&
         (a.empty() || __builtin_memcmp(a.data(), b.data(), a.size()) == 0);
}

// At the speed of memcmp: the first is zero, and each is as the one before.
[[nodiscard]] inline bool all_zero(Bytes bytes) {
  return bytes.empty() ||
         (bytes[0] == std::byte{0} &&
          equal_bytes(bytes.first(bytes.size() - 1), bytes.subspan(1)));
}

}  // namespace odo
