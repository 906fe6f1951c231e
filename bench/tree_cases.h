// SPDX-License-Identifier: BSD-3-Clause
// What benchmarks of ordered maps share: counted memory for the standard's
// containers, numbers that look random, changes timed alone, and the cases that
// are the same for every kind of key.
//
// Contexts: one program each; counters belong to the program.
#pragma once

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string>

#include "bench/fixed_iterations.h"

namespace odo::bench {

// n in an order that looks random, no two the same.
constexpr std::uint64_t mixed(std::uint64_t n) {
  n ^= n >> 33;
  n *= 0xff51afd7ed558ccd;
  n ^= n >> 33;
  n *= 0xc4ceb9fe1a85ec53;
  return n ^ n >> 33;
}

// What the standard's containers ask their nodes' memory of: to count it.
inline std::size_t counted_bytes = 0;
template <class T>
struct Counted {
  using value_type = T;
  Counted() = default;
  template <class U>
  explicit(false) Counted(const Counted<U>& /*other*/) {}
  T* allocate(std::size_t n) {
    counted_bytes += n * sizeof(T);
    return static_cast<T*>(::operator new(n * sizeof(T)));
  }
  void deallocate(T* at, std::size_t n) {
    counted_bytes -= n * sizeof(T);
    ::operator delete(at);
  }
  friend bool operator==(const Counted&, const Counted&) = default;
};

// Times `change` alone; items are the elements that it changes.
template <class Before, class Change>
void timed(benchmark::State& state, std::size_t items, const Before& before,
           const Change& change) {
  for (auto _ : state) {
    before();
    const auto start = std::chrono::steady_clock::now();
    change();
    state.SetIterationTime(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
            .count());
  }
  state.SetItemsProcessed(state.iterations() *
                          static_cast<std::int64_t>(items));
}

// A look-up and the hundred elements from there on.
template <class Map, class Queries>
void range_100(benchmark::State& state, Map& map, Queries& queries) {
  std::uint64_t sum = 0;
  for (auto _ : state) {
    auto at = map.lower_bound(queries.next());
    const auto end = map.end();
    for (int i = 0; i < 100 && at != end; ++i, ++at) sum += at->second;
  }
  benchmark::DoNotOptimize(sum);
  state.SetItemsProcessed(state.iterations());
}

// One look-up after the other; with Hit, all are found.
template <bool Hit, class Map, class Queries>
void find_all(benchmark::State& state, Map& map, Queries& queries) {
  std::uint64_t sum = 0;
  for (auto _ : state) {
    const auto at = map.find(queries.next());
    if constexpr (Hit) {
      sum += at->second;
    } else {
      sum += at == map.end() ? 1 : 0;
    }
  }
  benchmark::DoNotOptimize(sum);
  state.SetItemsProcessed(state.iterations());
}

// Bytes an element of a contender that fill(contender) puts `size` into. One
// whose memory is Counted sees what was counted before, too.
template <class C, bool IsCounted, class Fill>
void bytes_each(benchmark::State& state, std::size_t size, const Fill& fill) {
  double each = 0;
  for (auto _ : state) {
    const std::size_t before = IsCounted ? counted_bytes : 0;
    C tree;
    fill(tree);
    each =
        static_cast<double>(tree.bytes() - before) / static_cast<double>(size);
  }
  state.counters["bytes"] = each;
}

template <class Body>
void add(const std::string& name, Body body) {
  fix_iterations(benchmark::RegisterBenchmark(name.c_str(), body));
}
template <class Body>
void add_timed(const std::string& name, Body body) {
  benchmark::RegisterBenchmark(name.c_str(), body)->UseManualTime();
}

}  // namespace odo::bench
