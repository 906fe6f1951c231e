// SPDX-License-Identifier: BSD-3-Clause
// The ground of caches that one thread uses: numbers with an atomic's face.
//
// Contexts: thread, one at a time.
#pragma once

#include <atomic>

#include "lib/hammer2/cache/frame.h"

namespace odo::hammer2::cache {

struct OneThread {
  template <class T>
  class Atomic {
   public:
    constexpr Atomic() = default;
    explicit constexpr Atomic(T value) : value_(value) {}
    Atomic(const Atomic&) = delete;
    Atomic& operator=(const Atomic&) = delete;

    [[nodiscard]] T load(std::memory_order /*order*/) const { return value_; }
    void store(T value, std::memory_order /*order*/) { value_ = value; }
    T fetch_add(T value, std::memory_order /*order*/) {
      const T before = value_;
      value_ += value;
      return before;
    }
    T fetch_sub(T value, std::memory_order /*order*/) {
      const T before = value_;
      value_ -= value;
      return before;
    }

   private:
    T value_{};
  };
};

static_assert(CachePlatform<OneThread>);

}  // namespace odo::hammer2::cache
