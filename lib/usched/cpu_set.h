// SPDX-License-Identifier: BSD-3-Clause
// A set of CPUs: 256 bits, as a value and as words that CPUs share.
//
// Contexts: any. A CpuSet has one user at a time; a SharedCpuSet any number.
// Ordering: a SharedCpuSet is a hint and orders nothing: all of its operations
//   are relaxed and have no partner. Whoever acts on one looks again under the
//   lock of the CPU concerned.
// Failure: none. A number that is no CPU is in no set, and adding it does
//   nothing: affinity masks come from user programs.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>

#include "lib/base/check.h"
#include "lib/platform/concepts.h"

namespace odo::usched {

using CpuId = std::uint16_t;

inline constexpr unsigned kMaxCpus = 256;
inline constexpr CpuId kNoCpu = 0xffff;

class CpuSet {
 public:
  static constexpr unsigned kWords = kMaxCpus / 64;

  constexpr CpuSet() = default;
  [[nodiscard]] static constexpr CpuSet of(CpuId cpu) {
    CpuSet set;
    set.add(cpu);
    return set;
  }
  // CPUs 0 to count - 1.
  [[nodiscard]] static constexpr CpuSet first_n(unsigned count) {
    CpuSet set;
    for (unsigned i = 0; i < kWords; ++i) {
      const unsigned below = i * 64;
      if (count >= below + 64) {
        set.words_[i] = ~std::uint64_t{0};
      } else if (count > below) {
        set.words_[i] = (std::uint64_t{1} << (count - below)) - 1;
      }
    }
    return set;
  }
  [[nodiscard]] static constexpr CpuSet all() { return first_n(kMaxCpus); }

  constexpr void add(CpuId cpu) {
    if (cpu < kMaxCpus) words_[cpu / 64] |= bit(cpu);
  }
  constexpr void remove(CpuId cpu) {
    if (cpu < kMaxCpus) words_[cpu / 64] &= ~bit(cpu);
  }
  [[nodiscard]] constexpr bool has(CpuId cpu) const {
    return cpu < kMaxCpus && (words_[cpu / 64] & bit(cpu)) != 0;
  }

  [[nodiscard]] constexpr bool empty() const {
    return (words_[0] | words_[1] | words_[2] | words_[3]) == 0;
  }
  [[nodiscard]] constexpr unsigned count() const {
    unsigned sum = 0;
    for (std::uint64_t word : words_) {
      sum += static_cast<unsigned>(std::popcount(word));
    }
    return sum;
  }
  [[nodiscard]] constexpr bool contains(const CpuSet& other) const {
    return (other - *this).empty();
  }

  // The lowest member, or kNoCpu.
  [[nodiscard]] constexpr CpuId first() const {
    for (unsigned i = 0; i < kWords; ++i) {
      if (words_[i] == 0) continue;
      return static_cast<CpuId>(
          i * 64 + static_cast<unsigned>(std::countr_zero(words_[i])));
    }
    return kNoCpu;
  }
  // The lowest member from `start` on, else the lowest of all, else kNoCpu: a
  // search that starts elsewhere each time favours nobody.
  [[nodiscard]] constexpr CpuId first_from(unsigned start) const {
    CpuSet upper = *this - first_n(start % kMaxCpus);
    const CpuId cpu = upper.first();
    return cpu != kNoCpu ? cpu : first();
  }

  constexpr CpuSet operator&(const CpuSet& other) const {
    CpuSet set;
    for (unsigned i = 0; i < kWords; ++i) {
      set.words_[i] = words_[i] & other.words_[i];
    }
    return set;
  }
  constexpr CpuSet operator|(const CpuSet& other) const {
    CpuSet set;
    for (unsigned i = 0; i < kWords; ++i) {
      set.words_[i] = words_[i] | other.words_[i];
    }
    return set;
  }
  constexpr CpuSet operator-(const CpuSet& other) const {
    CpuSet set;
    for (unsigned i = 0; i < kWords; ++i) {
      set.words_[i] = words_[i] & ~other.words_[i];
    }
    return set;
  }
  constexpr bool operator==(const CpuSet&) const = default;

 private:
  template <platform::HasAtomics P>
  friend class SharedCpuSet;
  static constexpr std::uint64_t bit(CpuId cpu) {
    return std::uint64_t{1} << (cpu % 64);
  }

  std::uint64_t words_[kWords] = {};
};

template <platform::HasAtomics P>
class SharedCpuSet {
 public:
  // The set as it was lately; words may be of different moments.
  [[nodiscard]] CpuSet read() const {
    CpuSet set;
    for (unsigned i = 0; i < CpuSet::kWords; ++i) {
      set.words_[i] = words_[i].load(std::memory_order_relaxed);
    }
    return set;
  }
  // Both look before they write: most calls change nothing, and a line that
  // nobody writes stays in every cache.
  void add(CpuId cpu) {
    ODO_CHECK(cpu < kMaxCpus);
    auto& word = words_[cpu / 64];
    if ((word.load(std::memory_order_relaxed) & CpuSet::bit(cpu)) != 0) return;
    word.fetch_or(CpuSet::bit(cpu), std::memory_order_relaxed);
  }
  void remove(CpuId cpu) {
    ODO_CHECK(cpu < kMaxCpus);
    auto& word = words_[cpu / 64];
    if ((word.load(std::memory_order_relaxed) & CpuSet::bit(cpu)) == 0) return;
    word.fetch_and(~CpuSet::bit(cpu), std::memory_order_relaxed);
  }

 private:
  alignas(64) typename P::template Atomic<std::uint64_t> words_[CpuSet::kWords];
};

}  // namespace odo::usched
