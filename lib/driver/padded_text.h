// SPDX-License-Identifier: BSD-3-Clause
// Text as disks tell it, padded with spaces: serial numbers and models.
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
  // `from` holds N bytes; spaces and zeros at either end are padding.
  void assign(const std::byte* from) {
    begin_ = N;
    end_ = 0;
    for (std::size_t i = 0; i < N; ++i) {
      bytes_[i] = static_cast<char>(std::to_integer<unsigned char>(from[i]));
      if (bytes_[i] == ' ' || bytes_[i] == '\0') continue;
      if (begin_ == N) begin_ = i;
      end_ = i + 1;
    }
    if (end_ == 0) begin_ = 0;
  }
  [[nodiscard]] std::string_view view() const {
    return {bytes_.data() + begin_, end_ - begin_};
  }

 private:
  std::array<char, N> bytes_{};
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace odo::driver
