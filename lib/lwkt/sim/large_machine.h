// SPDX-License-Identifier: BSD-3-Clause
// Lets the programs for a few CPUs run on some CPUs of a larger machine: all
// that live while one of these does.
//
//   const OnLargeMachine large(256);
//   sim::explore(options, program);
//
// Contexts: one host thread.
#pragma once

#include <algorithm>
#include <utility>

namespace odo::lwkt {

class OnLargeMachine {
 public:
  explicit OnLargeMachine(unsigned cpus)
      : before_(std::exchange(least_, cpus)) {}
  OnLargeMachine(const OnLargeMachine&) = delete;
  OnLargeMachine& operator=(const OnLargeMachine&) = delete;
  ~OnLargeMachine() { least_ = before_; }

  // How many CPUs a machine has that a program wants so many of.
  [[nodiscard]] static unsigned cpus(unsigned wanted) {
    return std::max(wanted, least_);
  }
  // Where the one that it calls `cpu` is: as far as possible from the others.
  [[nodiscard]] static unsigned place(unsigned cpu, unsigned wanted) {
    return cpu * (cpus(wanted) / wanted);
  }

 private:
  inline static unsigned least_ = 0;
  unsigned before_;
};

}  // namespace odo::lwkt
