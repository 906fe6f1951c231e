// SPDX-License-Identifier: BSD-3-Clause
// XXH64, a fast 64-bit hash of bytes and a seed: HAMMER2's default check code.
// It finds accidents, not attackers.
//
//   std::uint64_t code = check::xxh64(bytes, seed);
//   check::Xxh64 stream(seed);                  // the same in pieces
//   stream.update(head).update(tail);
//   code = stream.value();
//
// Contexts: any, including interrupt and constant evaluation.
// Sizes: a stream is 80 bytes.
// Failure: none.
// Cost: linear; eight 64-bit multiplications for 32 bytes, which bound it.
// Origin: the xxHash specification 0.1.1, "XXH64 algorithm description" (Yann
//   Collet). HAMMER2's seed is kHammer2Seed (hammer2_xxhash.h).
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "lib/base/annotations.h"
#include "lib/base/bytes.h"

namespace odo::check {

namespace detail {

struct Xxh64Lanes {
  static constexpr std::uint64_t kPrime1 = 0x9e3779b185ebca87;
  static constexpr std::uint64_t kPrime2 = 0xc2b2ae3d27d4eb4f;
  static constexpr std::uint64_t kPrime3 = 0x165667b19e3779f9;
  static constexpr std::uint64_t kPrime4 = 0x85ebca77c2b2ae63;
  static constexpr std::uint64_t kPrime5 = 0x27d4eb2f165667c5;
  static constexpr std::size_t kStripe = 32;

  constexpr explicit Xxh64Lanes(std::uint64_t seed)
      : a(seed + kPrime1 + kPrime2),
        b(seed + kPrime2),
        c(seed),
        d(seed - kPrime1) {}

  [[nodiscard]] ODO_ALWAYS_INLINE static constexpr std::uint64_t round(
      std::uint64_t lane, std::uint64_t word) {
    return std::rotl(lane + word * kPrime2, 31) * kPrime1;
  }

  // Takes the whole stripes at `p`; answers the end of what it took.
  ODO_ALWAYS_INLINE constexpr const std::byte* take(const std::byte* p,
                                                    std::size_t stripes) {
    std::uint64_t la = a, lb = b, lc = c, ld = d;
    for (; stripes > 0; --stripes, p += kStripe) {
      la = round(la, load_le<std::uint64_t>(p));
      lb = round(lb, load_le<std::uint64_t>(p + 8));
      lc = round(lc, load_le<std::uint64_t>(p + 16));
      ld = round(ld, load_le<std::uint64_t>(p + 24));
    }
    a = la, b = lb, c = lc, d = ld;
    return p;
  }

  [[nodiscard]] static constexpr std::uint64_t fold(std::uint64_t hash,
                                                    std::uint64_t lane) {
    return (hash ^ round(0, lane)) * kPrime1 + kPrime4;
  }

  [[nodiscard]] constexpr std::uint64_t converge() const {
    std::uint64_t hash =
        std::rotl(a, 1) + std::rotl(b, 7) + std::rotl(c, 12) + std::rotl(d, 18);
    hash = fold(hash, a);
    hash = fold(hash, b);
    hash = fold(hash, c);
    return fold(hash, d);
  }

  // Mixes in the last `left` (< 32) bytes and spreads the bits.
  [[nodiscard]] ODO_ALWAYS_INLINE static constexpr std::uint64_t finish(
      std::uint64_t hash, const std::byte* p, std::size_t left) {
    for (; left >= 8; left -= 8, p += 8) {
      hash ^= round(0, load_le<std::uint64_t>(p));
      hash = std::rotl(hash, 27) * kPrime1 + kPrime4;
    }
    if (left >= 4) {
      hash ^= load_le<std::uint32_t>(p) * kPrime1;
      hash = std::rotl(hash, 23) * kPrime2 + kPrime3;
      left -= 4, p += 4;
    }
    for (; left > 0; --left, ++p) {
      hash ^= std::to_integer<std::uint64_t>(*p) * kPrime5;
      hash = std::rotl(hash, 11) * kPrime1;
    }
    hash = (hash ^ (hash >> 33)) * kPrime2;
    hash = (hash ^ (hash >> 29)) * kPrime3;
    return hash ^ (hash >> 32);
  }

  std::uint64_t a, b, c, d;
};

}  // namespace detail

// XXH64 over bytes that come in pieces. value() may be asked at any point, and
// more bytes may follow.
class Xxh64 {
 public:
  // The seed of HAMMER2's check codes.
  static constexpr std::uint64_t kHammer2Seed = 0x4d617474446c6c6e;

  constexpr explicit Xxh64(std::uint64_t seed) : lanes_(seed), seed_(seed) {}

  constexpr Xxh64& update(Bytes bytes) {
    const std::byte* p = bytes.data();
    std::size_t left = bytes.size();
    const std::size_t held = total_ % Lanes::kStripe;
    total_ += left;
    if (held != 0) {
      std::size_t fill = Lanes::kStripe - held;
      if (fill > left) fill = left;
      for (std::size_t i = 0; i < fill; ++i) held_[held + i] = p[i];
      if (held + fill < Lanes::kStripe) return *this;
      lanes_.take(held_.data(), 1);
      p += fill, left -= fill;
    }
    p = lanes_.take(p, left / Lanes::kStripe);
    left %= Lanes::kStripe;
    for (std::size_t i = 0; i < left; ++i) held_[i] = p[i];
    return *this;
  }

  [[nodiscard]] constexpr std::uint64_t value() const {
    const std::uint64_t hash =
        total_ >= Lanes::kStripe ? lanes_.converge() : seed_ + Lanes::kPrime5;
    return Lanes::finish(hash + total_, held_.data(), total_ % Lanes::kStripe);
  }

 private:
  using Lanes = detail::Xxh64Lanes;
  Lanes lanes_;
  std::uint64_t seed_;
  std::uint64_t total_ = 0;
  std::array<std::byte, Lanes::kStripe> held_{};  // the first total_ % 32 count
};

// XXH64 of one range.
[[nodiscard]] constexpr std::uint64_t xxh64(Bytes bytes, std::uint64_t seed) {
  using Lanes = detail::Xxh64Lanes;
  const std::byte* p = bytes.data();
  const std::size_t size = bytes.size();
  std::uint64_t hash = seed + Lanes::kPrime5;
  if (size >= Lanes::kStripe) {
    Lanes lanes(seed);
    p = lanes.take(p, size / Lanes::kStripe);
    hash = lanes.converge();
  }
  return Lanes::finish(hash + size, p, size % Lanes::kStripe);
}

static_assert(xxh64({}, 0) == 0xef46db3751d8e999);

}  // namespace odo::check
