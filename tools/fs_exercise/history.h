// SPDX-License-Identifier: BSD-3-Clause
// The last operations, to be told where one fails.
//
// Contexts: one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <iostream>
#include <string>
#include <utility>

namespace odo::fs_exercise {

class History {
 public:
  explicit History(std::size_t kept) : kept_(kept) {}

  void add(std::string line) {
    ++count_;
    lines_.push_back(std::to_string(count_) + ": " + std::move(line));
    if (lines_.size() > kept_) lines_.pop_front();
  }

  // The last line is what failed.
  void tell(std::ostream& to) const {
    for (const std::string& line : lines_) to << "  " + line + "\n";
  }

 private:
  std::size_t kept_;
  std::uint64_t count_ = 0;
  std::deque<std::string> lines_;
};

}  // namespace odo::fs_exercise
