// SPDX-License-Identifier: BSD-3-Clause
// What memory is for: a name, how much of it there is, and how much there may
// be.
//
// Contexts: made and destroyed while nobody uses it; else any.
// Ownership: static storage, as a rule; the typed heap that it is added to
// keeps
//   its address.
// Origin: struct malloc_type and the M_ flags of DragonFly's sys/sys/malloc.h
//   and malloc(9). There a limit is checked against loose sums and a panic if
//   one who waits would pass it; here it is exact, and who waits waits.
#pragma once

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>

#include "lib/kmalloc/platform.h"

namespace odo::kmalloc {

// How a request wants its memory. By default it waits until there is some.
enum class Flags : std::uint32_t {
  kNone = 0,
  kZero = 1,        // all zeros
  kCacheAlign = 2,  // begins with a cache line
  kPowerOfTwo = 4,  // rounded up to one, and beginning at a multiple of itself
  kNoWait = 8,      // null rather than wait
  kNullOk = 16,     // null at the limit, but wait for memory
  kUseReserve = 32  // may have the last sixteenth below the limit
};
[[nodiscard]] constexpr Flags operator|(Flags a, Flags b) {
  return static_cast<Flags>(static_cast<std::uint32_t>(a) |
                            static_cast<std::uint32_t>(b));
}
[[nodiscard]] constexpr bool has(Flags set, Flags one) {
  return (static_cast<std::uint32_t>(set) & static_cast<std::uint32_t>(one)) !=
         0;
}

template <KmallocPlatform P>
class TypedHeap;

template <KmallocPlatform P>
class MallocType {
 public:
  static constexpr std::size_t kNoLimit = ~std::size_t{0};

  // A limit costs an atomic addition with each allocation.
  constexpr explicit MallocType(const char* name,
                                std::size_t limit_bytes = kNoLimit)
      : name_(name), limit_bytes_(limit_bytes) {}
  MallocType(const MallocType&) = delete;
  MallocType& operator=(const MallocType&) = delete;

  [[nodiscard]] const char* name() const { return name_; }
  [[nodiscard]] std::size_t limit_bytes() const { return limit_bytes_; }
  [[nodiscard]] bool is_limited() const { return limit_bytes_ != kNoLimit; }

 private:
  friend class TypedHeap<P>;

  const char* name_;
  std::size_t limit_bytes_;
  std::uint32_t index_ = 0;
  MallocType* next_ = nullptr;
  // Of limited ones, what is in use.
  typename P::template Atomic<std::uint64_t> used_{std::uint64_t{0}};
};

// Of one type, of all lanes together. Exact while nobody allocates or frees.
struct TypeCounts {
  std::uint64_t in_use_bytes = 0;
  // The sum of what each lane had out at most: no less than there ever was.
  std::uint64_t peak_bytes = 0;
  std::uint64_t allocations = 0;
  std::uint64_t frees = 0;
};

// park(word, value) sleeps while the word has the value, or until any wake-up;
// unpark_all(word) is that. A ground without them has those who wait spin.
template <class P>
concept CanPark =
    requires(P& ground, typename P::template Atomic<std::uint32_t>& word,
             std::uint32_t value) {
      { ground.park(word, value) } -> std::same_as<void>;
      { ground.unpark_all(word) } -> std::same_as<void>;
    };

}  // namespace odo::kmalloc
