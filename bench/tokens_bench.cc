// SPDX-License-Identifier: BSD-3-Clause
// Tokens beside the locks that a C++ program would use otherwise: std::mutex,
// std::shared_mutex, absl::Mutex and boost::fibers::mutex; and beside a ticket
// lock in cases of its own, because a lock that only spins is no alternative
// where threads may be put to sleep.
//
// A thread sleeps beside the single-threaded cases: glibc's mutex leaves its
// atomic instructions out in a process of one thread, which is not where locks
// are used.
#include <absl/synchronization/mutex.h>
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <boost/fiber/mutex.hpp>
#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <thread>

#include "bench/fixed_iterations.h"
#include "bench/race.h"
#include "lib/platform/host/host_platform.h"
#include "lib/platform/spinlock.h"
#include "lib/tokens/host/thread_token.h"

namespace odo::tokens {
namespace {

inline constexpr TokenClass kClass{"bench"};

// --- contenders

// One face for all of them.
struct Ours {
  ThreadToken token{kClass};
  void lock() ODO_NO_THREAD_SAFETY_ANALYSIS { token.lock(); }
  void unlock() ODO_NO_THREAD_SAFETY_ANALYSIS { token.unlock(); }
  void lock_shared() ODO_NO_THREAD_SAFETY_ANALYSIS { token.lock_shared(); }
  void unlock_shared() ODO_NO_THREAD_SAFETY_ANALYSIS { token.unlock_shared(); }
};
// The same without the look-up of the calling thread, as code that passes its
// thread along (all of a kernel) has it.
struct OursPassed {
  Token<HostGround> token{kClass};
  ThisThread* self = &this_thread();
  void lock() { self->acquire(token); }
  void unlock() { self->release(token); }
  void lock_shared() { self->acquire_shared(token); }
  void unlock_shared() { self->release(token); }
};
struct Abseil {
  absl::Mutex mutex;
  void lock() ABSL_NO_THREAD_SAFETY_ANALYSIS { mutex.Lock(); }
  void unlock() ABSL_NO_THREAD_SAFETY_ANALYSIS { mutex.Unlock(); }
  void lock_shared() ABSL_NO_THREAD_SAFETY_ANALYSIS { mutex.ReaderLock(); }
  void unlock_shared() ABSL_NO_THREAD_SAFETY_ANALYSIS { mutex.ReaderUnlock(); }
};
struct Ticket {
  platform::SpinLock<platform::HostPlatform> spin;
  void lock() ODO_NO_THREAD_SAFETY_ANALYSIS { spin.lock(); }
  void unlock() ODO_NO_THREAD_SAFETY_ANALYSIS { spin.unlock(); }
};
// A ticket lock whose release is a store: the best that this design can do.
struct LeanTicket {
  std::atomic<std::uint32_t> next{0};
  std::atomic<std::uint32_t> serving{0};
  void lock() {
    const std::uint32_t mine = next.fetch_add(1, std::memory_order_relaxed);
    while (serving.load(std::memory_order_acquire) != mine) {
      __builtin_ia32_pause();
    }
  }
  void unlock() {
    serving.store(serving.load(std::memory_order_relaxed) + 1,
                  std::memory_order_release);
  }
};

// Each lock on cache lines of its own.
template <class Lock>
struct alignas(128) Alone {
  Lock lock;
  alignas(128) std::uint64_t data = 0;
};

template <class Body>
void add(const char* name, Body body) {
  bench::fix_iterations(benchmark::RegisterBenchmark(name, body));
}

// --- one thread

template <class Lock>
void exclusive(benchmark::State& state) {
  const auto alone = std::make_unique<Alone<Lock>>();
  for (auto _ : state) {
    alone->lock.lock();
    benchmark::DoNotOptimize(++alone->data);
    alone->lock.unlock();
  }
}

template <class Lock>
void recursive(benchmark::State& state) {
  const auto alone = std::make_unique<Alone<Lock>>();
  alone->lock.lock();
  for (auto _ : state) {
    alone->lock.lock();
    benchmark::DoNotOptimize(++alone->data);
    alone->lock.unlock();
  }
  alone->lock.unlock();
}

template <class Lock>
void shared(benchmark::State& state) {
  const auto alone = std::make_unique<Alone<Lock>>();
  for (auto _ : state) {
    alone->lock.lock_shared();
    benchmark::DoNotOptimize(alone->data);
    alone->lock.unlock_shared();
  }
}

// --- two threads

using bench::race;

template <class Lock, unsigned kThreads>
void readers(benchmark::State& state) {
  const auto alone = std::make_unique<Alone<Lock>>();
  race(state, kThreads, [&] {
    alone->lock.lock_shared();
    benchmark::DoNotOptimize(alone->data);
    alone->lock.unlock_shared();
  });
}

// About 50 ns: a chain of multiplications, each of which waits for the last.
inline void work(std::uint64_t& value) {
  std::uint64_t chain = value;
  for (int i = 0; i < 32; ++i) {
    chain = chain * 0x9e37'79b9'7f4a'7c15 + 1;
    asm volatile("" : "+r"(chain));
  }
  value = chain;
}

template <class Lock>
void writers(benchmark::State& state) {
  const auto alone = std::make_unique<Alone<Lock>>();
  race(state, 2, [&] {
    alone->lock.lock();
    work(alone->data);
    alone->lock.unlock();
  });
}

// --- giving up and taking back

template <std::size_t kTokens>
void block_tokens(benchmark::State& state) {
  std::array<std::unique_ptr<Alone<Ours>>, kTokens> held;
  ThisThread& self = this_thread();
  for (auto& one : held) {
    one = std::make_unique<Alone<Ours>>();
    self.acquire(one->lock.token.token());
  }
  for (auto _ : state) self.block([] { benchmark::ClobberMemory(); });
  for (std::size_t i = kTokens; i-- > 0;) {
    self.release(held[i]->lock.token.token());
  }
  state.SetItemsProcessed(state.iterations() * std::int64_t{kTokens});
}

// What a program with mutexes does by hand around a wait.
template <std::size_t kTokens>
void block_mutexes(benchmark::State& state) {
  std::array<std::unique_ptr<Alone<std::mutex>>, kTokens> held;
  for (auto& one : held) {
    one = std::make_unique<Alone<std::mutex>>();
    one->lock.lock();
  }
  for (auto _ : state) {
    for (std::size_t i = kTokens; i-- > 0;) held[i]->lock.unlock();
    benchmark::ClobberMemory();
    for (auto& one : held) one->lock.lock();
  }
  for (auto& one : held) one->lock.unlock();
  state.SetItemsProcessed(state.iterations() * std::int64_t{kTokens});
}

template <class Body>
void add_race(const char* name, Body body) {
  benchmark::RegisterBenchmark(name, body)->UseManualTime();
}

void add_all() {
  add("tokens/exclusive/ours", exclusive<Ours>);
  add("tokens/exclusive/std-mutex", exclusive<std::mutex>);
  add("tokens/exclusive/absl-mutex", exclusive<Abseil>);
  add("tokens/exclusive/boost-fibers-mutex", exclusive<boost::fibers::mutex>);
  add("tokens/exclusive-passed/ours", exclusive<OursPassed>);
  add("tokens/exclusive-passed/std-mutex", exclusive<std::mutex>);
  add("tokens/exclusive-spin/ours", exclusive<OursPassed>);
  add("tokens/exclusive-spin/ticket", exclusive<Ticket>);
  add("tokens/exclusive-spin/ticket-store", exclusive<LeanTicket>);

  add("tokens/recursive/ours", recursive<Ours>);
  // std::mutex can't: what it takes to lock it once stands for it.
  add("tokens/recursive/std-mutex", exclusive<std::mutex>);
  add("tokens/recursive-std/ours", recursive<Ours>);
  add("tokens/recursive-std/std-recursive-mutex",
      recursive<std::recursive_mutex>);

  add("tokens/shared/ours", shared<Ours>);
  add("tokens/shared/std-shared-mutex", shared<std::shared_mutex>);
  add("tokens/shared/absl-mutex", shared<Abseil>);

  add_race("tokens/readers-1/ours", readers<Ours, 1>);
  add_race("tokens/readers-1/std-shared-mutex", readers<std::shared_mutex, 1>);
  add_race("tokens/readers-2/ours", readers<Ours, 2>);
  add_race("tokens/readers-2/std-shared-mutex", readers<std::shared_mutex, 2>);
  add_race("tokens/readers-2/absl-mutex", readers<Abseil, 2>);

  add_race("tokens/writers-2/ours", writers<Ours>);
  add_race("tokens/writers-2/std-mutex", writers<std::mutex>);
  add_race("tokens/writers-2/absl-mutex", writers<Abseil>);
  add_race("tokens/writers-2-spin/ours", writers<Ours>);
  add_race("tokens/writers-2-spin/ticket", writers<Ticket>);

  add("tokens/block-1/ours", block_tokens<1>);
  add("tokens/block-1/std-mutex", block_mutexes<1>);
  add("tokens/block-4/ours", block_tokens<4>);
  add("tokens/block-4/std-mutex", block_mutexes<4>);
  add("tokens/block-16/ours", block_tokens<16>);
  add("tokens/block-16/std-mutex", block_mutexes<16>);
}

}  // namespace
}  // namespace odo::tokens

int main(int argc, char** argv) {
  std::thread([] {
    while (true) pause();
  }).detach();
  odo::tokens::add_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
