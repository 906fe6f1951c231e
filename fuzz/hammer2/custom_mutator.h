// SPDX-License-Identifier: BSD-3-Clause
// What a harness whose input ends in a container says of it to the mutator that
// custom_mutator.cc gives to libFuzzer.
#pragma once

#include <cstddef>

#include "lib/base/bytes.h"

namespace odo::hammer2::fuzz {

// Where in an input its container begins; at most its size. Each harness
// defines it.
[[nodiscard]] std::size_t container_offset(Bytes input);

}  // namespace odo::hammer2::fuzz
