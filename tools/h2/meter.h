// SPDX-License-Identifier: BSD-3-Clause
// One line on the terminal that tells how far long work has come, rewritten a
// few times a second; nothing where standard error isn't a terminal.
//
// Contexts: the tool's main thread.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <string>

namespace odo::h2 {

class Meter {
 public:
  // True where it is time for another line.
  [[nodiscard]] bool due() {
    if (!visible_) return false;
    const auto now = Clock::now();
    if (now - last_ < std::chrono::milliseconds(200)) return false;
    last_ = now;
    return true;
  }
  void show(const std::string& line) {
    std::cerr << "\r\x1b[K" << line << std::flush;
    drawn_ = true;
  }
  // Before anything else is written to the terminal.
  void clear() {
    if (drawn_) std::cerr << "\r\x1b[K" << std::flush;
    drawn_ = false;
  }
  // Since the meter was made; never zero.
  [[nodiscard]] double seconds() const {
    return std::max(
        std::chrono::duration<double>(Clock::now() - start_).count(), 1e-3);
  }

 private:
  using Clock = std::chrono::steady_clock;
  bool visible_ = ::isatty(STDERR_FILENO) != 0;
  bool drawn_ = false;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_ = start_;
};

}  // namespace odo::h2
