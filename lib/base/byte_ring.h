// SPDX-License-Identifier: BSD-3-Clause
// The bytes that came and were not taken yet, in a fixed place.
//
// Contexts: any, one at a time.
// Shapes: N bytes, a power of two.
// Failure: put() says false when it is full; nothing is overwritten.
// Complexity: O(1).
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace odo {

template <std::size_t N>
class ByteRing {
  static_assert(std::has_single_bit(N) && N <= std::size_t{1} << 31);

 public:
  [[nodiscard]] constexpr bool empty() const { return head_ == tail_; }
  [[nodiscard]] constexpr std::size_t room() const {
    return N - static_cast<std::uint32_t>(head_ - tail_);
  }
  constexpr bool put(std::byte byte) {
    if (room() == 0) return false;
    bytes_[head_++ % N] = byte;
    return true;
  }
  [[nodiscard]] constexpr std::optional<std::byte> take() {
    if (empty()) return std::nullopt;
    return bytes_[tail_++ % N];
  }

 private:
  // They wrap; their distance does not.
  std::uint32_t head_ = 0;  // next to fill
  std::uint32_t tail_ = 0;  // next to take
  std::array<std::byte, N> bytes_{};
};

}  // namespace odo
