// SPDX-License-Identifier: BSD-3-Clause
// Lets a caller say how often each benchmark's loop runs, so that instructions
// can be counted from outside: ODO_BENCH_ITERATIONS=N.
//
// Contexts: main(), while benchmarks are registered.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdlib>

namespace odo::bench {

inline benchmark::internal::Benchmark* fix_iterations(
    benchmark::internal::Benchmark* one) {
  const char* wanted = std::getenv("ODO_BENCH_ITERATIONS");
  return wanted == nullptr ? one : one->Iterations(std::atoll(wanted));
}

}  // namespace odo::bench
