// SPDX-License-Identifier: BSD-3-Clause
// ASan keeps what functions that have returned had on their stacks, for which
// it maps a second stack with each: too much for tests that make fibers by the
// thousand, but for their long form. Without ASan nobody calls this.
#include <cstdlib>

extern "C" const char* __asan_default_options();

// Called before anything has been made ready that a sanitizer's code needs.
extern "C" __attribute__((no_sanitize("address", "undefined"))) const char*
__asan_default_options() {
  return std::getenv("ODO_LONG") != nullptr ? ""
                                            : "detect_stack_use_after_return=0";
}
