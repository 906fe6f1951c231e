// SPDX-License-Identifier: BSD-3-Clause
// The host's and the hardware's atomic variable: std::atomic with every memory
// order written out.
//
// Contexts: any. Lock-free always.
#pragma once

#include <atomic>

#include "lib/platform/concepts.h"

namespace odo::platform {

template <class T>
class HostAtomic {
 public:
  constexpr HostAtomic() = default;
  explicit constexpr HostAtomic(T value) : value_(value) {}
  HostAtomic(const HostAtomic&) = delete;
  HostAtomic& operator=(const HostAtomic&) = delete;

  [[nodiscard]] T load(std::memory_order order) const {
    return value_.load(order);
  }
  void store(T value, std::memory_order order) { value_.store(value, order); }
  T exchange(T value, std::memory_order order) {
    return value_.exchange(value, order);
  }
  bool compare_exchange_weak(T& expected, T desired, std::memory_order success,
                             std::memory_order failure) {
    return value_.compare_exchange_weak(expected, desired, success, failure);
  }
  bool compare_exchange_strong(T& expected, T desired,
                               std::memory_order success,
                               std::memory_order failure) {
    return value_.compare_exchange_strong(expected, desired, success, failure);
  }
  T fetch_add(T value, std::memory_order order)
  requires Countable<T>
  {
    return value_.fetch_add(value, order);
  }
  T fetch_sub(T value, std::memory_order order)
  requires Countable<T>
  {
    return value_.fetch_sub(value, order);
  }
  T fetch_and(T value, std::memory_order order)
  requires Countable<T>
  {
    return value_.fetch_and(value, order);
  }
  T fetch_or(T value, std::memory_order order)
  requires Countable<T>
  {
    return value_.fetch_or(value, order);
  }

 private:
  static_assert(std::atomic<T>::is_always_lock_free);
  std::atomic<T> value_{};
};

}  // namespace odo::platform
