// SPDX-License-Identifier: BSD-3-Clause
// An output span between two belts of known bytes: a write outside it is seen
// without a sanitizer too.
//
// Contexts: hosted tests and fuzzers.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "lib/base/bytes.h"

namespace odo::codec::testing {

class Guarded {
 public:
  explicit Guarded(std::size_t size)
      : bytes_(size + 2 * kBelt, kBeltByte), size_(size) {}

  [[nodiscard]] MutableBytes span() {
    return MutableBytes(bytes_).subspan(kBelt, size_);
  }
  // True while nothing was written outside span().
  [[nodiscard]] bool intact() const {
    const auto whole = [](std::byte byte) { return byte == kBeltByte; };
    return std::all_of(bytes_.begin(), bytes_.begin() + kBelt, whole) &&
           std::all_of(bytes_.end() - kBelt, bytes_.end(), whole);
  }

 private:
  static constexpr std::ptrdiff_t kBelt = 320;
  static constexpr std::byte kBeltByte{0xc5};
  std::vector<std::byte> bytes_;
  std::size_t size_;
};

}  // namespace odo::codec::testing
