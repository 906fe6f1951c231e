// SPDX-License-Identifier: BSD-3-Clause
// The allocator inlined into its user, beside the C library's, and where one
// size is all there is beside a list of free blocks: less can't be done.
//
// Cases that end in -per-cpu are the same with a lane for each CPU; they are
// there where restartable sequences are. A thread sleeps beside all cases, as
// glibc's malloc leaves its locks out in a process of one thread.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "bench/fixed_iterations.h"
#include "bench/race.h"
#include "lib/base/annotations.h"
#include "lib/kmalloc/host/cpu_heap.h"
#include "lib/kmalloc/host/thread_heap.h"

namespace odo::kmalloc {
namespace {

// --- contenders

// One face for all of them.
struct Ours {
  ODO_ALWAYS_INLINE static void* allocate(std::size_t bytes) {
    return ThreadHeap::allocate(bytes);
  }
  ODO_ALWAYS_INLINE static void* zeroed(std::size_t bytes) {
    return ThreadHeap::allocate_zeroed(bytes);
  }
  ODO_ALWAYS_INLINE static void free(void* object) { ThreadHeap::free(object); }
  ODO_ALWAYS_INLINE static void free(void* object, std::size_t bytes) {
    ThreadHeap::free_sized(object, bytes);
  }
};
struct OursPerCpu {
  ODO_ALWAYS_INLINE static void* allocate(std::size_t bytes) {
    return CpuHeap::allocate(bytes);
  }
  ODO_ALWAYS_INLINE static void* zeroed(std::size_t bytes) {
    void* object = CpuHeap::allocate(bytes);
    if (object != nullptr) std::memset(object, 0, bytes);
    return object;
  }
  ODO_ALWAYS_INLINE static void free(void* object) { CpuHeap::free(object); }
  ODO_ALWAYS_INLINE static void free(void* object, std::size_t /*bytes*/) {
    CpuHeap::free(object);
  }
};
struct Glibc {
  ODO_ALWAYS_INLINE static void* allocate(std::size_t bytes) {
    return std::malloc(bytes);
  }
  ODO_ALWAYS_INLINE static void* zeroed(std::size_t bytes) {
    return std::calloc(1, bytes);
  }
  ODO_ALWAYS_INLINE static void free(void* object) { std::free(object); }
  ODO_ALWAYS_INLINE static void free(void* object, std::size_t /*bytes*/) {
    std::free(object);
  }
};
// Blocks of one size, linked through themselves.
struct ThreadLocalList {
  struct Block {
    Block* next;
  };
  static inline thread_local Block* head = nullptr;
  ODO_ALWAYS_INLINE static void* allocate(std::size_t bytes) {
    Block* block = head;
    if (block == nullptr) [[unlikely]]
      return std::malloc(bytes);
    head = block->next;
    return block;
  }
  ODO_ALWAYS_INLINE static void free(void* object) {
    auto* block = static_cast<Block*>(object);
    block->next = head;
    head = block;
  }
  ODO_ALWAYS_INLINE static void free(void* object, std::size_t /*bytes*/) {
    free(object);
  }
};

// What follows is not the allocator's doing: the object is used.
ODO_ALWAYS_INLINE void touch(void*& object) {
  benchmark::DoNotOptimize(object);
}

// From 16 to 4,096 bytes, each doubling as likely as any other.
constexpr std::size_t kSizes = 1024;
[[nodiscard]] std::array<std::uint32_t, kSizes> mixed_sizes() {
  std::mt19937_64 random(1);
  std::array<std::uint32_t, kSizes> sizes{};
  for (std::uint32_t& size : sizes) {
    const std::uint64_t least = std::uint64_t{16} << random() % 8;
    size = static_cast<std::uint32_t>(least + random() % (least + 1));
  }
  return sizes;
}

// --- allocated, and freed at once

constexpr std::size_t kConstant = 64;

template <class H>
ODO_ALWAYS_INLINE void pair() {
  void* object = H::allocate(kConstant);
  touch(object);
  H::free(object, kConstant);
}
template <class H>
void pair_constant(benchmark::State& state) {
  for (auto _ : state) pair<H>();
}
// The same by functions, whose instructions can be counted one by one; one does
// nothing, which is what the call itself takes.
template <class H>
ODO_NOINLINE void* outlined_allocate() {
  return H::allocate(kConstant);
}
template <class H>
ODO_NOINLINE void outlined_free(void* object) {
  H::free(object, kConstant);
}
template <class H>
ODO_NOINLINE void outlined_nothing(void* object) {
  benchmark::DoNotOptimize(object);
}
template <class H>
void pair_outlined(benchmark::State& state) {
  for (auto _ : state) {
    void* object = outlined_allocate<H>();
    outlined_nothing<H>(object);
    outlined_free<H>(object);
  }
}
template <class H, std::size_t Bytes>
void pair_run_time(benchmark::State& state) {
  std::size_t bytes = Bytes;
  for (auto _ : state) {
    benchmark::DoNotOptimize(bytes);
    void* object = H::allocate(bytes);
    touch(object);
    H::free(object);
  }
}
template <class H>
void pair_mixed(benchmark::State& state) {
  const auto sizes = mixed_sizes();
  std::size_t i = 0;
  for (auto _ : state) {
    void* object = H::allocate(sizes[i++ % kSizes]);
    touch(object);
    H::free(object);
  }
}
// Threads that have nothing to do with each other.
template <class H, unsigned Threads>
void pair_threads(benchmark::State& state) {
  bench::race(state, Threads, [] { pair<H>(); });
}

// --- 256 allocated, then freed; an item is one of them

constexpr std::size_t kBatch = 256;
enum class Order : std::uint8_t { kFirstToLast, kLastToFirst, kShuffled };

template <class H, Order How>
void batch(benchmark::State& state) {
  std::array<std::size_t, kBatch> order{};
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (How == Order::kLastToFirst) std::reverse(order.begin(), order.end());
  if (How == Order::kShuffled) {
    std::shuffle(order.begin(), order.end(), std::mt19937_64(1));
  }
  std::array<void*, kBatch> objects{};
  for (auto _ : state) {
    for (void*& object : objects) {
      object = H::allocate(kConstant);
      touch(object);
    }
    for (const std::size_t i : order) H::free(objects[i], kConstant);
  }
  state.SetItemsProcessed(state.iterations() * std::int64_t{kBatch});
}
// By one call each, from a heap and a lane that the program made itself.
void batch_calls_ours(benchmark::State& state) {
  const HostGround ground;
  Heap<HostGround> heap(ground);
  Lane<HostGround>* lane = heap.take_lane();
  const auto own = [lane] { return lane; };
  std::array<void*, kBatch> objects{};
  for (auto _ : state) {
    if (heap.allocate_batch(*lane, kConstant, objects, own) != kBatch) {
      state.SkipWithError("no memory");
      break;
    }
    benchmark::DoNotOptimize(objects.data());
    heap.free_batch(*lane, objects, own);
  }
  heap.leave_lane(*lane);
  state.SetItemsProcessed(state.iterations() * std::int64_t{kBatch});
}

// --- 1,000 live, of mixed sizes; one after the other is replaced at random

template <class H>
void churn(benchmark::State& state) {
  constexpr std::size_t kLive = 1000;
  const auto sizes = mixed_sizes();
  std::vector<void*> live(kLive);
  for (std::size_t i = 0; i < kLive; ++i) {
    live[i] = H::allocate(sizes[i % kSizes]);
  }
  std::uint64_t random = 1;
  std::size_t i = 0;
  for (auto _ : state) {
    random = random * 6364136223846793005 + 1442695040888963407;
    void*& one = live[(random >> 32) * kLive >> 32];
    H::free(one);
    one = H::allocate(sizes[i++ % kSizes]);
    touch(one);
  }
  for (void* one : live) H::free(one);
}

// --- other calls

template <class H>
void large(benchmark::State& state) {
  pair_run_time<H, 100'000>(state);
}
template <class H>
void zeroed(benchmark::State& state) {
  std::size_t bytes = 256;
  for (auto _ : state) {
    benchmark::DoNotOptimize(bytes);
    void* object = H::zeroed(bytes);
    touch(object);
    if (static_cast<const unsigned char*>(object)[bytes - 1] != 0) {
      state.SkipWithError("not zero");
      break;
    }
    static_cast<unsigned char*>(object)[bytes - 1] = 1;
    benchmark::ClobberMemory();
    H::free(object);
  }
}

// As realloc(): where it is if that can be done.
template <class H>
void* grown(void* object, std::size_t bytes) {
  if constexpr (std::is_same_v<H, Glibc>) {
    return std::realloc(object, bytes);
  } else {
    if (ThreadHeap::resize(object, bytes)) return object;
    void* moved = ThreadHeap::move(object, bytes);
    if (moved != nullptr) return moved;
    moved = H::allocate(Heap<HostGround>::bytes_to_grow(bytes));
    if (moved == nullptr) return nullptr;
    const std::size_t before = ThreadHeap::usable_bytes(object);
    std::memcpy(moved, object, std::min(before, bytes));
    H::free(object);
    return moved;
  }
}
// A buffer grows by half until it has 100,000 bytes; an item is one that did.
template <class H>
void realloc_grow(benchmark::State& state) {
  for (auto _ : state) {
    void* buffer = H::allocate(16);
    *static_cast<std::uint32_t*>(buffer) = 7;
    for (std::size_t bytes = 24; bytes < 100'000; bytes += bytes / 2) {
      buffer = grown<H>(buffer, bytes);
      touch(buffer);
    }
    if (*static_cast<const std::uint32_t*>(buffer) != 7) {
      state.SkipWithError("what was in the buffer is lost");
      break;
    }
    H::free(buffer);
  }
}

// --- all of them

using Body = void (*)(benchmark::State&);

void add(const std::string& name, Body body) {
  bench::fix_iterations(benchmark::RegisterBenchmark(name.c_str(), body));
}
void add_race(const std::string& name, Body body) {
  benchmark::RegisterBenchmark(name.c_str(), body)->UseManualTime();
}
// One body for each contender; a bare list only where it can serve.
void add_all_of(const std::string& name, Body ours, Body per_cpu, Body glibc,
                Body list = nullptr) {
  const auto add_case = [&](const std::string& key, Body own) {
    add(key + "/ours", own);
    if (list != nullptr) add(key + "/thread-local-list", list);
    add(key + "/glibc", glibc);
  };
  add_case("kmalloc/" + name, ours);
  if (CpuHeap::is_there()) add_case("kmalloc/" + name + "-per-cpu", per_cpu);
}
template <std::size_t Bytes>
void add_run_time() {
  add_all_of("pair-run-time-" + std::to_string(Bytes),
             pair_run_time<Ours, Bytes>, pair_run_time<OursPerCpu, Bytes>,
             pair_run_time<Glibc, Bytes>);
}
template <Order How>
void add_batch(const std::string& name) {
  add_all_of("batch-256-" + name, batch<Ours, How>, batch<OursPerCpu, How>,
             batch<Glibc, How>, batch<ThreadLocalList, How>);
}
template <unsigned Threads>
void add_threads() {
  const std::string key = "kmalloc/threads-" + std::to_string(Threads);
  add_race(key + "/ours", pair_threads<Ours, Threads>);
  add_race(key + "/glibc", pair_threads<Glibc, Threads>);
  if (!CpuHeap::is_there()) return;
  add_race(key + "-per-cpu/ours", pair_threads<OursPerCpu, Threads>);
  add_race(key + "-per-cpu/glibc", pair_threads<Glibc, Threads>);
}

void add_all() {
  add_all_of("pair-constant", pair_constant<Ours>, pair_constant<OursPerCpu>,
             pair_constant<Glibc>, pair_constant<ThreadLocalList>);
  add("kmalloc/pair-outlined/ours", pair_outlined<Ours>);
  add("kmalloc/pair-outlined/glibc", pair_outlined<Glibc>);
  add_run_time<16>();
  add_run_time<64>();
  add_run_time<256>();
  add_run_time<1024>();
  add_run_time<4096>();
  add_all_of("pair-run-time-mixed", pair_mixed<Ours>, pair_mixed<OursPerCpu>,
             pair_mixed<Glibc>);
  add_batch<Order::kFirstToLast>("first-to-last");
  add_batch<Order::kLastToFirst>("last-to-first");
  add_batch<Order::kShuffled>("shuffled");
  add("kmalloc/batch-256-calls/ours", batch_calls_ours);
  add("kmalloc/batch-256-calls/thread-local-list",
      batch<ThreadLocalList, Order::kFirstToLast>);
  add("kmalloc/batch-256-calls/glibc", batch<Glibc, Order::kFirstToLast>);
  add_all_of("churn-1000", churn<Ours>, churn<OursPerCpu>, churn<Glibc>);
  add_all_of("large-100k", large<Ours>, large<OursPerCpu>, large<Glibc>);
  add_all_of("zeroed-256", zeroed<Ours>, zeroed<OursPerCpu>, zeroed<Glibc>);
  add_all_of("realloc-grow", realloc_grow<Ours>, realloc_grow<OursPerCpu>,
             realloc_grow<Glibc>);
  add_threads<1>();
  add_threads<2>();
}

}  // namespace
}  // namespace odo::kmalloc

int main(int argc, char** argv) {
  std::thread([] {
    while (true) pause();
  }).detach();
  odo::kmalloc::add_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
