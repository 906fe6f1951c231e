// SPDX-License-Identifier: BSD-3-Clause
// What went wrong with parts of a filesystem while the rest went on: told at
// once, a line each on standard error, and counted for the exit status.
//
// Contexts: the tool's main thread.
#pragma once

#include <cstdint>
#include <iostream>
#include <string_view>

#include "tools/h2/command.h"
#include "tools/h2/volume.h"

namespace odo::h2 {

class Problems {
 public:
  void tell(std::string_view line) {
    std::cout.flush();
    std::cerr << "h2: " << line << "\n";
    ++count_;
  }
  void tell(const Failure& failure) { tell(std::string_view(failure.what())); }

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] int status() const {
    return count_ == 0 ? kStatusGood : kStatusBad;
  }

 private:
  std::uint64_t count_ = 0;
};

}  // namespace odo::h2
