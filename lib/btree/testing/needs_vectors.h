// SPDX-License-Identifier: BSD-3-Clause
// For tests that are compiled for AVX2 too: where this processor cannot run
// what they were compiled to, there is nothing to test, and they say so.
//
// Contexts: included by a test; acts before main().
#pragma once

#include <cstdio>
#include <cstdlib>

namespace odo::btree::testing {

#if defined(__AVX2__)
inline const bool kRunnable = [] {
  if (__builtin_cpu_supports("avx2")) return true;
  std::puts("skipped: this processor has no AVX2");
  std::exit(0);
}();
#endif

}  // namespace odo::btree::testing
