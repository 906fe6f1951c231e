// SPDX-License-Identifier: BSD-3-Clause
// Decayed CPU usage and nice: the arithmetic of timeshare, all in integers.
//
// A thread's usage is the time that it ran, each nanosecond worth half as much
// every kHalfLifeNs. Nobody visits threads to age them: the usage is brought
// up to date when it is looked at, from a table of powers, in O(1).
//
// Contexts: any; one user at a time.
// Invariants:
//   U1. usage stays in [0, kFullNs]; kFullNs is where a thread that never stops
//       running converges to;
//   U2. settle() moves time on by whole steps only, so that looking often
//       decays no differently from looking seldom.
// Failure: none. A clock that goes back decays nothing.
// Origin: p_estcpu and its lazy recalculation in DragonFly's
//   sys/kern/usched_dfly.c and usched_bsd4.c. Deviations: exact run time
//   instead of sampled ticks; a half-life instead of a load-dependent filter;
//   nice divides usage instead of being added to it, so that it means a ratio
//   of shares at any load.
#pragma once

#include <array>
#include <cstdint>

namespace odo::usched {

// --- nice --------------------------------------------------------------------
inline constexpr int kMinNice = -20;
inline constexpr int kMaxNice = 20;
inline constexpr std::uint32_t kNiceZeroWeight = 1024;

namespace detail {
// 1024 · 2^(k/8).
inline constexpr std::array<std::uint32_t, 8> kEighths = {
    1024, 1117, 1218, 1328, 1448, 1579, 1722, 1878};

constexpr std::uint32_t weight_of_eighths(int eighths) {
  const unsigned up = static_cast<unsigned>(eighths + 64);
  const std::uint32_t base = kEighths[up % 8];
  const unsigned whole = up / 8;  // 8 is 2^0
  return whole >= 8 ? base << (whole - 8) : base >> (8 - whole);
}
}  // namespace detail

// The share of a CPU that a thread is due, against kNiceZeroWeight for nice 0:
// half of it for each 8 steps of nice. -20 to 20 is a ratio of 32.
[[nodiscard]] constexpr std::uint32_t weight_of(int nice) {
  return detail::weight_of_eighths(-nice);
}
// kNiceZeroWeight² / weight_of(nice), without the division.
[[nodiscard]] constexpr std::uint32_t inverse_weight_of(int nice) {
  return detail::weight_of_eighths(nice);
}

// --- usage -------------------------------------------------------------------
// Fixed point: kOne is one whole CPU, or one fair share.
inline constexpr std::uint64_t kOne = 1 << 16;

inline constexpr unsigned kStepsPerHalfLife = 64;
inline constexpr unsigned kStepShift = 23;  // 8.4 ms, to divide by a shift
inline constexpr std::uint64_t kStepNs = std::uint64_t{1} << kStepShift;
inline constexpr std::uint64_t kHalfLifeNs = kStepNs * kStepsPerHalfLife;

namespace detail {
constexpr std::uint64_t square_root(std::uint64_t v) {
  std::uint64_t root = 0;
  for (unsigned i = 32; i-- > 0;) {
    const std::uint64_t candidate = root | (std::uint64_t{1} << i);
    if (candidate * candidate <= v) root = candidate;
  }
  return root;
}

// 2^(-k/64) as a fraction of 2^32: the 64th root by six square roots, then its
// powers.
constexpr std::array<std::uint64_t, kStepsPerHalfLife> decay_table() {
  std::uint64_t factor = std::uint64_t{1} << 31;
  for (unsigned roots = 0; roots < 6; ++roots) {
    factor = square_root(factor << 32);
  }
  std::array<std::uint64_t, kStepsPerHalfLife> table{};
  table[0] = std::uint64_t{1} << 32;
  for (unsigned k = 1; k < kStepsPerHalfLife; ++k) {
    table[k] = (table[k - 1] * factor) >> 32;
  }
  return table;
}
inline constexpr std::array<std::uint64_t, kStepsPerHalfLife> kDecay =
    decay_table();
}  // namespace detail

// `value` after `steps` of decay. Exact enough for values below 2^31.
[[nodiscard]] constexpr std::uint64_t decayed(std::uint64_t value,
                                              std::uint64_t steps) {
  const std::uint64_t halvings = steps / kStepsPerHalfLife;
  if (halvings >= 32) return 0;
  return ((value >> halvings) * detail::kDecay[steps % kStepsPerHalfLife]) >>
         32;
}

// The limit of a step's run and a step's decay in turn: step / (1 - 2^(-1/64)).
inline constexpr std::uint64_t kFullNs =
    (kStepNs << 32) / ((std::uint64_t{1} << 32) - detail::kDecay[1]);
static_assert(kFullNs < (std::uint64_t{1} << 31));

class Usage {
 public:
  constexpr void settle(std::uint64_t now_ns) {
    const std::uint64_t now_step = now_ns >> kStepShift;
    if (now_step <= step_) return;
    decayed_ns_ = decayed(decayed_ns_, now_step - step_);
    step_ = now_step;
  }
  constexpr void add(std::uint64_t now_ns, std::uint64_t ran_ns) {
    settle(now_ns);
    const std::uint64_t room_ns = kFullNs - decayed_ns_;
    decayed_ns_ += ran_ns < room_ns ? ran_ns : room_ns;
  }
  constexpr void inherit(const Usage& other) { *this = other; }
  // Takes the other's value where it is the higher one.
  constexpr void absorb(std::uint64_t now_ns, Usage other) {
    settle(now_ns);
    other.settle(now_ns);
    if (other.decayed_ns_ > decayed_ns_) decayed_ns_ = other.decayed_ns_;
  }

  // Of one CPU, 0 to kOne, as of the last settle() or add().
  [[nodiscard]] constexpr std::uint64_t share() const {
    return decayed_ns_ * kOne / kFullNs;
  }
  [[nodiscard]] constexpr std::uint64_t decayed_ns() const {
    return decayed_ns_;
  }

 private:
  std::uint64_t decayed_ns_ = 0;
  std::uint64_t step_ = 0;  // of the clock, when decayed_ns_ was true
};

// Usage per weight. All threads that compete for the same CPUs are due the same
// figure; at most kOne · 5.7.
[[nodiscard]] constexpr std::uint64_t normalised(std::uint64_t share,
                                                 int nice) {
  return share * inverse_weight_of(nice) / kNiceZeroWeight;
}

// The same against what one CPU has to give to threads of `load` (the sum of
// their weights): kOne is exactly the fair share. Capped at 256 · kOne.
[[nodiscard]] constexpr std::uint64_t relative_share(std::uint64_t share,
                                                     int nice,
                                                     std::uint64_t load) {
  const std::uint64_t value = normalised(share, nice) * load / kNiceZeroWeight;
  return value < 256 * kOne ? value : 256 * kOne;
}

}  // namespace odo::usched
