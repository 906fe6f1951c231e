// SPDX-License-Identifier: BSD-3-Clause
// Text as disks tell it, padded at its end: serial numbers and models.
//
// Contexts: any. May hold any bytes.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "lib/base/bytes.h"

namespace odo::driver {

template <std::size_t N>
class PaddedText {
 public:
  // `from` holds N bytes; spaces and zeros at their end are padding.
  void assign(const std::byte* from) {
    size_ = 0;
    for (std::size_t i = 0; i < N; ++i) {
      bytes_[i] = static_cast<char>(std::to_integer<unsigned char>(from[i]));
      if (bytes_[i] != ' ' && bytes_[i] != '\0') size_ = i + 1;
    }
  }
  [[nodiscard]] std::string_view view() const { return {bytes_.data(), size_}; }

 private:
  std::array<char, N> bytes_{};
  std::size_t size_ = 0;
};

}  // namespace odo::driver
