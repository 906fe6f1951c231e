// SPDX-License-Identifier: BSD-3-Clause
// A loop on two threads at once, each on a CPU of its own.
//
// Contexts: a benchmark that is registered with UseManualTime().
#pragma once

#include <benchmark/benchmark.h>
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

namespace odo::bench {

// Keeps the calling thread on the n-th CPU that the program may use: two
// threads that share one CPU race nobody.
inline void stay_on_cpu(unsigned n) {
  static const cpu_set_t allowed = [] {
    cpu_set_t set;
    CPU_ZERO(&set);
    (void)sched_getaffinity(0, sizeof set, &set);
    return set;
  }();
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed) || n-- != 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    (void)pthread_setaffinity_np(pthread_self(), sizeof one, &one);
  }
}

// Lets `threads` threads loop over `body` for a while; items are loops of all
// threads. The counter `share` is the part of the busiest one.
template <class Body>
void race(benchmark::State& state, unsigned threads, Body body) {
  using Clock = std::chrono::steady_clock;
  constexpr auto kWindow = std::chrono::milliseconds(20);
  struct alignas(128) Count {
    std::uint64_t loops = 0;
  };
  std::array<Count, 2> counts;
  for (auto _ : state) {
    std::atomic<unsigned> ready{0};
    std::atomic<bool> go{false};
    std::atomic<bool> stop{false};
    std::array<std::thread, 2> runners;
    for (unsigned t = 0; t < threads; ++t) {
      runners[t] = std::thread([&, t] {
        stay_on_cpu(t);
        ready.fetch_add(1, std::memory_order_relaxed);
        while (!go.load(std::memory_order_relaxed)) {
          std::this_thread::yield();
        }
        std::uint64_t loops = 0;
        while (!stop.load(std::memory_order_relaxed)) {
          body();
          ++loops;
        }
        counts[t].loops += loops;
      });
    }
    while (ready.load(std::memory_order_relaxed) < threads) {
      std::this_thread::yield();
    }
    const auto start = Clock::now();
    go.store(true, std::memory_order_relaxed);
    std::this_thread::sleep_for(kWindow);
    stop.store(true, std::memory_order_relaxed);
    for (unsigned t = 0; t < threads; ++t) runners[t].join();
    state.SetIterationTime(
        std::chrono::duration<double>(Clock::now() - start).count());
  }
  const std::uint64_t total = counts[0].loops + counts[1].loops;
  state.SetItemsProcessed(static_cast<std::int64_t>(total));
  state.counters["share"] =
      static_cast<double>(std::max(counts[0].loops, counts[1].loops)) /
      static_cast<double>(std::max<std::uint64_t>(total, 1));
}

}  // namespace odo::bench
