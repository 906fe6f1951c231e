// SPDX-License-Identifier: BSD-3-Clause
// Reproducible chance: the same seed gives the same numbers on every host.
//
// Contexts: tests.
#pragma once

#include <cstdint>

#include "lib/base/mix.h"

namespace odo::block {

// Spreads one number, or two, over 64 bits.
using odo::mix;
[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  return mix(mix(a + kMixStep) + b);
}

class Random {
 public:
  constexpr explicit Random(std::uint64_t seed) : state_(seed) {}

  constexpr std::uint64_t next() {
    state_ += kMixStep;
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
