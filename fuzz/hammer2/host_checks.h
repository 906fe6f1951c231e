// SPDX-License-Identifier: BSD-3-Clause
// The fastest check codes of this machine: a fuzzer spends most of its time on
// them otherwise.
//
// Contexts: fuzzers; hosted.
#pragma once

#include <type_traits>

#include "lib/check/vector/vector_checks.h"
#include "lib/hammer2/check_codes.h"

namespace odo::hammer2::fuzz {

[[nodiscard]] inline const check::Checks& host_checks() {
  static const check::Checks checks(
      check::vector_engines(check::host_features()));
  return checks;
}

// A policy that proves check codes by these, or one of another kind.
template <CheckPolicy C>
[[nodiscard]] C host_policy() {
  if constexpr (std::is_same_v<C, VerifyChecks>) {
    return VerifyChecks(host_checks());
  } else {
    return C{};
  }
}

}  // namespace odo::hammer2::fuzz
