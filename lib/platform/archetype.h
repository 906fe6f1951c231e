// SPDX-License-Identifier: BSD-3-Clause
// Platforms that offer exactly what a concept lists. A component that compiles
// over one uses nothing unlisted; a component's test instantiates it so:
//
//   struct Ground : platform::ArchetypeAtomics, platform::ArchetypeRelax {};
//   template class odo::platform::SpinLock<Ground>;
//
// Contexts: none. These exist to be compiled against; they do nothing useful.
#pragma once

#include <atomic>
#include <cstdint>

#include "lib/platform/concepts.h"

namespace odo::platform {

// Single-threaded memory with an atomic's face, and no more of it than
// AtomicOf lists: it can't be copied, compared, converted or assigned.
template <class T>
class ArchetypeAtomic {
 public:
  constexpr ArchetypeAtomic() = default;
  explicit constexpr ArchetypeAtomic(T value) : value_(value) {}
  ArchetypeAtomic(const ArchetypeAtomic&) = delete;
  ArchetypeAtomic& operator=(const ArchetypeAtomic&) = delete;

  [[nodiscard]] T load(std::memory_order) const { return value_; }
  void store(T value, std::memory_order) { value_ = value; }
  T exchange(T value, std::memory_order) {
    T old = value_;
    value_ = value;
    return old;
  }
  bool compare_exchange_weak(T& expected, T desired, std::memory_order success,
                             std::memory_order failure) {
    return compare_exchange_strong(expected, desired, success, failure);
  }
  bool compare_exchange_strong(T& expected, T desired, std::memory_order,
                               std::memory_order) {
    if (value_ != expected) {
      expected = value_;
      return false;
    }
    value_ = desired;
    return true;
  }
  T fetch_add(T value, std::memory_order order)
  requires Countable<T>
  {
    return exchange(static_cast<T>(value_ + value), order);
  }
  T fetch_sub(T value, std::memory_order order)
  requires Countable<T>
  {
    return exchange(static_cast<T>(value_ - value), order);
  }
  T fetch_and(T value, std::memory_order order)
  requires Countable<T>
  {
    return exchange(static_cast<T>(value_ & value), order);
  }
  T fetch_or(T value, std::memory_order order)
  requires Countable<T>
  {
    return exchange(static_cast<T>(value_ | value), order);
  }

 private:
  T value_{};
};

// One base a concept; a component's archetype inherits those that it lists.
struct ArchetypeAtomics {
  template <class T>
  using Atomic = ArchetypeAtomic<T>;
};
struct ArchetypeClock {
  std::uint64_t now_ns() { return 0; }
};
struct ArchetypeRelax {
  void relax() {}
};
struct ArchetypeFences {
  void light_fence() {}
  void heavy_fence() {}
};

static_assert(HasAtomics<ArchetypeAtomics> && !HasClock<ArchetypeAtomics>);
static_assert(HasClock<ArchetypeClock> && !CanRelax<ArchetypeClock>);
static_assert(CanRelax<ArchetypeRelax> && !HasAtomics<ArchetypeRelax>);
static_assert(HasFencePair<ArchetypeFences> && !CanRelax<ArchetypeFences>);

}  // namespace odo::platform
