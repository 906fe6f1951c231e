// SPDX-License-Identifier: BSD-3-Clause
// Spreads a number over 64 bits: the last step of SplitMix64. Each number has
// another image; not for secrets.
//
// Contexts: any; pure.
// Failure: none.
// Origin: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number
//   Generators" (OOPSLA 2014).
#pragma once

#include <cstdint>

namespace odo {

// What a generator adds to its state before each step.
inline constexpr std::uint64_t kMixStep = 0x9e3779b97f4a7c15;

[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace odo
