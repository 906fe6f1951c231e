// SPDX-License-Identifier: BSD-3-Clause
// The simulated ground's atomic variable: the interface of lib/platform's
// AtomicOf, every access a step of the engine.
//
// Contexts: inside an execution, or in its set-up. An atomic belongs to the
// execution in which it was made.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <source_location>
#include <type_traits>

#include "lib/platform/concepts.h"
#include "lib/platform/sim/engine.h"

namespace odo::sim {

template <class T>
class SimAtomic {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8);

 public:
  using Where = std::source_location;

  SimAtomic() : SimAtomic(T{}) {}
  explicit SimAtomic(T value)
      : location_(Engine::current().add_location(to_bits(value))) {}
  // At a location that the engine knows already.
  struct At {
    LocationId location;
  };
  explicit SimAtomic(At at) : location_(at.location) {}
  SimAtomic(const SimAtomic&) = delete;
  SimAtomic& operator=(const SimAtomic&) = delete;

  [[nodiscard]] T load(std::memory_order order,
                       const Where& where = Where::current()) const {
    return from_bits(Engine::current().load(location_, order, where));
  }
  void store(T value, std::memory_order order,
             const Where& where = Where::current()) {
    Engine::current().store(location_, to_bits(value), order, where);
  }
  T exchange(T value, std::memory_order order,
             const Where& where = Where::current()) {
    return update("exchange", order, where, [&](T) { return value; });
  }
  bool compare_exchange_weak(T& expected, T desired, std::memory_order success,
                             std::memory_order failure,
                             const Where& where = Where::current()) {
    return compare_exchange(expected, desired, success, failure, true, where);
  }
  bool compare_exchange_strong(T& expected, T desired,
                               std::memory_order success,
                               std::memory_order failure,
                               const Where& where = Where::current()) {
    return compare_exchange(expected, desired, success, failure, false, where);
  }
  T fetch_add(T value, std::memory_order order,
              const Where& where = Where::current())
  requires platform::Countable<T>
  {
    return update("add", order, where,
                  [&](T old) { return static_cast<T>(old + value); });
  }
  T fetch_sub(T value, std::memory_order order,
              const Where& where = Where::current())
  requires platform::Countable<T>
  {
    return update("sub", order, where,
                  [&](T old) { return static_cast<T>(old - value); });
  }
  T fetch_and(T value, std::memory_order order,
              const Where& where = Where::current())
  requires platform::Countable<T>
  {
    return update("and", order, where,
                  [&](T old) { return static_cast<T>(old & value); });
  }
  T fetch_or(T value, std::memory_order order,
             const Where& where = Where::current())
  requires platform::Countable<T>
  {
    return update("or", order, where,
                  [&](T old) { return static_cast<T>(old | value); });
  }

 private:
  static std::uint64_t to_bits(T value) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, static_cast<const void*>(&value), sizeof value);
    return bits;
  }
  static T from_bits(std::uint64_t bits) {
    T value;
    std::memcpy(static_cast<void*>(&value), &bits, sizeof value);
    return value;
  }
  template <class Change>
  T update(const char* what, std::memory_order order, const Where& where,
           Change&& change) {
    return from_bits(Engine::current().update(
        what, location_, order, where,
        [&](std::uint64_t bits) { return to_bits(change(from_bits(bits))); }));
  }
  bool compare_exchange(T& expected, T desired, std::memory_order success,
                        std::memory_order failure, bool weak,
                        const Where& where) {
    std::uint64_t bits = to_bits(expected);
    const bool swapped = Engine::current().compare_exchange(
        location_, bits, to_bits(desired), success, failure, weak, where);
    expected = from_bits(bits);
    return swapped;
  }

  LocationId location_;
};

// Data that isn't atomic, in a wrapper that reports every pair of accesses that
// neither happens before the other.
template <class T>
class Plain {
 public:
  Plain() = default;
  explicit Plain(T value) : value_(std::move(value)) {}

  [[nodiscard]] const T& get(const std::source_location& where =
                                 std::source_location::current()) const {
    Engine::current().plain_access(state_, PlainAccess::kRead, where);
    return value_;
  }
  void set(T value, const std::source_location& where =
                        std::source_location::current()) {
    Engine::current().plain_access(state_, PlainAccess::kWrite, where);
    value_ = std::move(value);
  }

 private:
  mutable Memory::PlainState state_;
  T value_{};
};

// std::atomic_thread_fence for this ground.
inline void fence(
    std::memory_order order,
    const std::source_location& where = std::source_location::current()) {
  Engine::current().fence(order, where);
}

}  // namespace odo::sim
