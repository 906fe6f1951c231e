// SPDX-License-Identifier: BSD-3-Clause
// Reproducible chance: the same seed gives the same numbers on every host.
//
// Contexts: tests.
// Origin: SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom
//   number generators", 2014).
#pragma once

#include <cstdint>

namespace odo::block {

// Spreads one number, or two, over 64 bits.
[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}
[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  return mix(mix(a + 0x9e3779b97f4a7c15) + b);
}

class Random {
 public:
  constexpr explicit Random(std::uint64_t seed) : state_(seed) {}

  constexpr std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15;
    return mix(state_);
  }

  // Below `bound`, which isn't zero. Bounds here are small: the bias is too.
  constexpr std::uint64_t below(std::uint64_t bound) { return next() % bound; }

  // True `of_256` times in 256.
  constexpr bool chance(unsigned of_256) { return (next() >> 56) < of_256; }

 private:
  std::uint64_t state_;
};

}  // namespace odo::block
