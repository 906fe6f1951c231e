// SPDX-License-Identifier: BSD-3-Clause
// Tokens for things that have none of their own: an address hashes to one of
// 2^n tokens, which outlive whatever they guard.
//
// Two addresses may share a token, so pool tokens are taken exclusively only: a
// reader of one address who goes on to write the other would ask for an
// upgrade, which is a fault.
//
// Contexts: any. Immutable once made.
// Size: a cache line a token.
// Origin: lwkt_token_pool_lookup() in DragonFly's lwkt_token.c; the hash is
//   Knuth's multiplicative one, "The Art of Computer Programming" 3, 6.4.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "lib/tokens/token.h"

namespace odo::tokens {

// `Kind` is the class of all tokens in the pool.
template <TokenPlatform P, std::size_t Count, const TokenClass& Kind>
requires(std::has_single_bit(Count))
class TokenPool {
 public:
  [[nodiscard]] Token<P>& of(const void* address) {
    return tokens_[index_of(address)].token;
  }

  [[nodiscard]] static constexpr std::size_t index_of(const void* address) {
    // 2^64 divided by the golden ratio; the product's upper bits mix best.
    const std::uint64_t mixed =
        reinterpret_cast<std::uintptr_t>(address) * 0x9e37'79b9'7f4a'7c15;
    constexpr int kBits = std::countr_zero(Count);
    if constexpr (kBits == 0) return 0;
    return static_cast<std::size_t>(mixed >> (63 - kBits) >> 1);
  }

 private:
  struct alignas(64) Padded {
    Token<P> token{Kind};
  };

  std::array<Padded, Count> tokens_;
};

}  // namespace odo::tokens
