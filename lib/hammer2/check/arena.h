// SPDX-License-Identifier: BSD-3-Clause
// Hands out a caller's memory from the front, for good.
//
// Contexts: any, one at a time. Memory comes as it is: whoever takes it
// initialises it, so that what is never taken is never touched.
// Failure: an empty span where too little is left.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"

namespace odo::hammer2::audit {

class Arena {
 public:
  Arena() = default;
  explicit Arena(MutableBytes memory) : left_(memory) {}

  [[nodiscard]] std::size_t left() const { return left_.size(); }

  // Room for `count` objects, not yet constructed.
  template <class T>
  requires std::is_trivially_destructible_v<T>
  [[nodiscard]] std::span<T> take(std::size_t count) {
    const auto address = reinterpret_cast<std::uintptr_t>(left_.data());
    const std::size_t skip =
        align_up(address, std::uintptr_t{alignof(T)}) - address;
    if (skip > left_.size() || count > (left_.size() - skip) / sizeof(T)) {
      return {};
    }
    T* first = reinterpret_cast<T*>(left_.data() + skip);
    left_ = left_.subspan(skip + count * sizeof(T));
    return {first, count};
  }

 private:
  MutableBytes left_;
};

}  // namespace odo::hammer2::audit
