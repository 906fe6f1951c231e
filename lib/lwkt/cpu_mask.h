// SPDX-License-Identifier: BSD-3-Clause
// Sets of CPUs: CpuMask, a value, and AtomicCpuMask, which CPUs change under
// each other.
//
// Contexts: CpuMask: any, one user at a time. AtomicCpuMask: any.
// Size: 32 bytes both; a CPU's number is below 256.
// Ordering: each call on an AtomicCpuMask states its own order, and its caller
//   says what that order pairs with. No call covers several words in one step:
//   what load() and take() return need never have been the set at any moment.
// Failure: a number that is too large is a broken invariant (asserted).
// Origin: DragonFly's cpumask_t, which has as many words on x86-64.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <optional>

#include "lib/base/check.h"
#include "lib/platform/concepts.h"

namespace odo::lwkt {

class CpuMask {
 public:
  static constexpr unsigned kMaxCpus = 256;
  static constexpr unsigned kWordBits = 64;
  static constexpr unsigned kWords = kMaxCpus / kWordBits;

  constexpr CpuMask() = default;
  [[nodiscard]] static constexpr CpuMask of(unsigned cpu) {
    CpuMask mask;
    mask.set(cpu);
    return mask;
  }
  // The CPUs from 0 to `count` - 1.
  [[nodiscard]] static constexpr CpuMask below(unsigned count) {
    ODO_ASSERT(count <= kMaxCpus);
    CpuMask mask;
    for (unsigned i = 0; i < kWords; ++i) {
      const unsigned start = i * kWordBits;
      if (count >= start + kWordBits) {
        mask.words_[i] = ~std::uint64_t{0};
      } else if (count > start) {
        mask.words_[i] = (std::uint64_t{1} << (count - start)) - 1;
      }
    }
    return mask;
  }

  constexpr void set(unsigned cpu) { words_[word_of(cpu)] |= bit_of(cpu); }
  constexpr void clear(unsigned cpu) { words_[word_of(cpu)] &= ~bit_of(cpu); }
  [[nodiscard]] constexpr bool test(unsigned cpu) const {
    return (words_[word_of(cpu)] & bit_of(cpu)) != 0;
  }
  [[nodiscard]] constexpr bool any() const {
    std::uint64_t all = 0;
    for (const std::uint64_t word : words_) all |= word;
    return all != 0;
  }
  [[nodiscard]] constexpr unsigned count() const {
    unsigned sum = 0;
    for (const std::uint64_t word : words_) {
      sum += static_cast<unsigned>(std::popcount(word));
    }
    return sum;
  }
  // The lowest number in the set; none if it is empty.
  [[nodiscard]] constexpr std::optional<unsigned> first() const {
    for (unsigned i = 0; i < kWords; ++i) {
      if (words_[i] != 0) return i * kWordBits + lowest(words_[i]);
    }
    return std::nullopt;
  }
  // visit(cpu), in ascending order, for each CPU that is in the set now; what
  // the visitor does to the set changes nothing about who is visited.
  template <class Visitor>
  constexpr void for_each(Visitor&& visit) const {
    const std::array<std::uint64_t, kWords> words = words_;
    for (unsigned i = 0; i < kWords; ++i) {
      for (std::uint64_t rest = words[i]; rest != 0; rest &= rest - 1) {
        visit(i * kWordBits + lowest(rest));
      }
    }
  }

  // The CPUs below `count` that are not in the set. There is no operator~: a
  // complement with CPUs that no machine has is a trap for for_each().
  [[nodiscard]] constexpr CpuMask complement(unsigned count) const {
    CpuMask mask = below(count);
    for (unsigned i = 0; i < kWords; ++i) mask.words_[i] &= ~words_[i];
    return mask;
  }
  constexpr CpuMask& operator|=(const CpuMask& other) {
    for (unsigned i = 0; i < kWords; ++i) words_[i] |= other.words_[i];
    return *this;
  }
  constexpr CpuMask& operator&=(const CpuMask& other) {
    for (unsigned i = 0; i < kWords; ++i) words_[i] &= other.words_[i];
    return *this;
  }
  [[nodiscard]] friend constexpr CpuMask operator|(CpuMask a,
                                                   const CpuMask& b) {
    return a |= b;
  }
  [[nodiscard]] friend constexpr CpuMask operator&(CpuMask a,
                                                   const CpuMask& b) {
    return a &= b;
  }
  [[nodiscard]] friend constexpr bool operator==(const CpuMask&,
                                                 const CpuMask&) = default;

  // For AtomicCpuMask, and for hardware that takes sets by the word.
  [[nodiscard]] static constexpr unsigned word_of(unsigned cpu) {
    ODO_ASSERT(cpu < kMaxCpus);
    return cpu / kWordBits;
  }
  [[nodiscard]] static constexpr std::uint64_t bit_of(unsigned cpu) {
    return std::uint64_t{1} << (cpu % kWordBits);
  }
  [[nodiscard]] constexpr std::uint64_t word(unsigned index) const {
    return words_[index];
  }
  constexpr void set_word(unsigned index, std::uint64_t word) {
    words_[index] = word;
  }

 private:
  [[nodiscard]] static constexpr unsigned lowest(std::uint64_t word) {
    return static_cast<unsigned>(std::countr_zero(word));
  }

  std::array<std::uint64_t, kWords> words_{};
};

template <platform::HasAtomics P>
class AtomicCpuMask {
 public:
  constexpr AtomicCpuMask() = default;
  AtomicCpuMask(const AtomicCpuMask&) = delete;
  AtomicCpuMask& operator=(const AtomicCpuMask&) = delete;

  // Both tell whether the CPU was in the set before.
  bool set(unsigned cpu, std::memory_order order) {
    const std::uint64_t bit = CpuMask::bit_of(cpu);
    return (words_[CpuMask::word_of(cpu)].fetch_or(bit, order) & bit) != 0;
  }
  bool clear(unsigned cpu, std::memory_order order) {
    const std::uint64_t bit = CpuMask::bit_of(cpu);
    return (words_[CpuMask::word_of(cpu)].fetch_and(~bit, order) & bit) != 0;
  }
  [[nodiscard]] bool test(unsigned cpu, std::memory_order order) const {
    const std::uint64_t word = words_[CpuMask::word_of(cpu)].load(order);
    return (word & CpuMask::bit_of(cpu)) != 0;
  }
  // As far as CPUs below `count` may be in it.
  [[nodiscard]] CpuMask load(std::memory_order order,
                             unsigned count = CpuMask::kMaxCpus) const {
    CpuMask mask;
    for (unsigned i = 0; i * CpuMask::kWordBits < count; ++i) {
      mask.set_word(i, words_[i].load(order));
    }
    return mask;
  }

  // Empties the set as far as CPUs below `count` may be in it, and returns what
  // was in it. `order` is that of the step that empties a word; a word that is
  // found empty is left alone, by a relaxed look.
  [[nodiscard]] CpuMask take(unsigned count, std::memory_order order) {
    CpuMask taken;
    for (unsigned i = 0; i * CpuMask::kWordBits < count; ++i) {
      // Relaxed: an empty word tells nothing; a full one is read again below.
      if (words_[i].load(std::memory_order_relaxed) == 0) continue;
      taken.set_word(i, words_[i].exchange(0, order));
    }
    return taken;
  }

 private:
  std::array<typename P::template Atomic<std::uint64_t>, CpuMask::kWords>
      words_;
};

}  // namespace odo::lwkt
