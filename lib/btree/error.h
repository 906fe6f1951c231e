// SPDX-License-Identifier: BSD-3-Clause
// How an operation on a tree fails. The tree is then as it was.
#pragma once

#include <cstdint>

#include "lib/base/result.h"

namespace odo::btree {

enum class Error : std::uint8_t {
  kNoMemory,  // the allocator had no node
  kUnsorted,  // elements that should have been in order were not
  kTooLong,   // a string is longer than the tree's keys may be
};

template <class T>
using Result = odo::Result<T, Error>;

}  // namespace odo::btree
