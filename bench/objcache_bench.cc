// SPDX-License-Identifier: BSD-3-Clause
// Object caches beside new and delete: a 256-byte object whose constructor
// takes about 50 ns, taken and given back. The cache constructs it once, the
// peer each time: that is what the cache is for. In `get-put-bare` the
// constructor does nothing, so that the allocators alone are compared.
// `no-allocator` constructs in memory that is at hand: below it no allocator
// can bring new and delete, whichever is preloaded.
#include <benchmark/benchmark.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>

#include "bench/fixed_iterations.h"
#include "lib/base/annotations.h"
#include "lib/objcache/host/ground.h"
#include "lib/objcache/host/heap_backing.h"
#include "lib/objcache/objcache.h"

namespace odo::objcache {
namespace {

// About 50 ns: a chain of multiplications, each of which waits for the last,
// and the first for the last of the construction before; else a processor would
// run several at once.
inline std::uint64_t work() {
  static thread_local constinit std::uint64_t last = 1;
  std::uint64_t chain = last;
  for (int i = 0; i < 64; ++i) {
    chain = chain * 0x9e37'79b9'7f4a'7c15 + 1;
    asm volatile("" : "+r"(chain));
  }
  last = chain;
  return chain;
}

struct Bare {
  std::uint64_t words[32];
};
struct Constructed {
  Constructed() noexcept { words[0] = work(); }
  std::uint64_t words[32];
};
static_assert(sizeof(Bare) == 256 && sizeof(Constructed) == 256);

// --- contenders

template <class T>
struct Ours {
  ObjCache<T, HostGround, HeapBacking> cache{"bench"};
  T* get() { return cache.get_raw(); }
  void put(T* object) { cache.put(*object); }
};
template <class T>
struct NewDelete {
  T* get() { return new T; }
  void put(T* object) { delete object; }
};

template <class T>
struct NoAllocator {
  alignas(T) std::byte memory[sizeof(T)];
  T* get() { return std::construct_at(reinterpret_cast<T*>(memory)); }
  void put(T* object) { std::destroy_at(object); }
};

// Takes `kHeld` objects, touches them and gives them back.
template <class Allocator, std::size_t kHeld>
ODO_ALWAYS_INLINE void round_trip(Allocator& allocator) {
  std::array<decltype(allocator.get()), kHeld> held;
  for (auto& object : held) {
    object = allocator.get();
    benchmark::DoNotOptimize(++object->words[1]);
  }
  for (auto* object : held) allocator.put(object);
}

// --- one thread

template <class Allocator, std::size_t kHeld>
void alone(benchmark::State& state) {
  Allocator allocator;
  for (auto _ : state) round_trip<Allocator, kHeld>(allocator);
  state.SetItemsProcessed(state.iterations() * std::int64_t{kHeld});
}
template <class Allocator>
void one(benchmark::State& state) {
  Allocator allocator;
  for (auto _ : state) round_trip<Allocator, 1>(allocator);
}

// --- two threads

// Keeps the calling thread on the n-th CPU that the program may use.
void stay_on_cpu(unsigned n) {
  static const cpu_set_t allowed = [] {
    cpu_set_t set;
    CPU_ZERO(&set);
    (void)sched_getaffinity(0, sizeof set, &set);
    return set;
  }();
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed) || n-- != 0) continue;
    cpu_set_t one_cpu;
    CPU_ZERO(&one_cpu);
    CPU_SET(cpu, &one_cpu);
    (void)pthread_setaffinity_np(pthread_self(), sizeof one_cpu, &one_cpu);
  }
}

// Two threads loop for a while; items are objects of both.
template <class Allocator, std::size_t kHeld>
void together(benchmark::State& state) {
  using Clock = std::chrono::steady_clock;
  constexpr auto kWindow = std::chrono::milliseconds(20);
  struct alignas(128) Count {
    std::uint64_t loops = 0;
  };
  std::array<Count, 2> counts;
  Allocator allocator;
  for (auto _ : state) {
    std::atomic<unsigned> ready{0};
    std::atomic<bool> go{false};
    std::atomic<bool> stop{false};
    std::array<std::thread, 2> runners;
    for (unsigned t = 0; t < runners.size(); ++t) {
      runners[t] = std::thread([&, t] {
        stay_on_cpu(t);
        ready.fetch_add(1, std::memory_order_relaxed);
        while (!go.load(std::memory_order_relaxed)) {
          std::this_thread::yield();
        }
        std::uint64_t loops = 0;
        while (!stop.load(std::memory_order_relaxed)) {
          round_trip<Allocator, kHeld>(allocator);
          ++loops;
        }
        counts[t].loops += loops;
      });
    }
    while (ready.load(std::memory_order_relaxed) < runners.size()) {
      std::this_thread::yield();
    }
    const auto start = Clock::now();
    go.store(true, std::memory_order_relaxed);
    std::this_thread::sleep_for(kWindow);
    stop.store(true, std::memory_order_relaxed);
    for (std::thread& runner : runners) runner.join();
    state.SetIterationTime(
        std::chrono::duration<double>(Clock::now() - start).count());
  }
  state.SetItemsProcessed(
      static_cast<std::int64_t>((counts[0].loops + counts[1].loops) * kHeld));
}

template <class Body>
void add(const char* name, Body body) {
  bench::fix_iterations(benchmark::RegisterBenchmark(name, body));
}
template <class Body>
void add_race(const char* name, Body body) {
  benchmark::RegisterBenchmark(name, body)->UseManualTime();
}

void add_all() {
  add("objcache/get-put/ours", one<Ours<Constructed>>);
  add("objcache/get-put/new-delete", one<NewDelete<Constructed>>);
  add("objcache/get-put/no-allocator", one<NoAllocator<Constructed>>);
  add("objcache/get-put-bare/ours", one<Ours<Bare>>);
  add("objcache/get-put-bare/new-delete", one<NewDelete<Bare>>);

  // So many at once that magazines go to the depot and come back.
  add("objcache/hold-1000/ours", alone<Ours<Constructed>, 1000>);
  add("objcache/hold-1000/new-delete", alone<NewDelete<Constructed>, 1000>);

  add_race("objcache/get-put-2/ours", together<Ours<Constructed>, 1>);
  add_race("objcache/get-put-2/new-delete",
           together<NewDelete<Constructed>, 1>);
  add_race("objcache/hold-1000-2/ours", together<Ours<Constructed>, 1000>);
  add_race("objcache/hold-1000-2/new-delete",
           together<NewDelete<Constructed>, 1000>);
}

}  // namespace
}  // namespace odo::objcache

int main(int argc, char** argv) {
  // A thread sleeps beside the others: allocators leave atomic instructions out
  // in a process of one thread.
  std::thread([] {
    while (true) pause();
  }).detach();
  odo::objcache::add_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
