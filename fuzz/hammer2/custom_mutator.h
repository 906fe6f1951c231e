// SPDX-License-Identifier: BSD-3-Clause
// What a harness whose input ends in a container says of it to the mutator that
// custom_mutator.cc gives to libFuzzer.
#pragma once

#include <cstddef>

#include "fuzz/hammer2/mutator.h"
#include "lib/base/bytes.h"

namespace odo::hammer2::fuzz {

// Where in an input its container begins; at most its size. Each harness
// defines it.
[[nodiscard]] std::size_t container_offset(Bytes input);

// What it wants changed; each harness defines it.
[[nodiscard]] Mutator::Focus mutation_focus();

}  // namespace odo::hammer2::fuzz
