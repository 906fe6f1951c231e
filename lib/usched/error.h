// SPDX-License-Identifier: BSD-3-Clause
// What the user scheduler refuses. All of it is input: numbers that a user
// program, a boot loader or firmware gave.
//
// Contexts: any.
#pragma once

#include <cstdint>

#include "lib/base/result.h"

namespace odo::usched {

enum class Error : std::uint8_t {
  kNoCpu,        // no CPU is both allowed and online
  kBadCpu,       // no such CPU
  kBadNice,      // outside -20 to 20
  kBadPriority,  // outside 0 to 31
  kBadTopology,  // no CPUs, too many, or groups that do not nest
};

template <class T>
using Result = odo::Result<T, Error>;

}  // namespace odo::usched
