// SPDX-License-Identifier: BSD-3-Clause
// Object caches under threads that come and go: what the simulator proves in
// the small, in the large and under ThreadSanitizer.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include "lib/objcache/host/ground.h"
#include "lib/objcache/host/heap_backing.h"
#include "lib/objcache/objcache.h"

namespace odo::objcache {
namespace {

// Plain words: two owners at once are a race, or leave them unequal.
struct Session {
  std::array<std::uint64_t, 8> words{};

  void use(std::uint64_t value) {
    for (const std::uint64_t word : words) ASSERT_EQ(word, words[0]);
    for (std::uint64_t& word : words) word = value;
  }
};

constexpr Tuning kStress = {.min_capacity = 2,
                            .max_capacity = 8,
                            .contended_to_grow = 4,
                            .window_exchanges = 32,
                            .checks = true};
using Cache =
    ObjCache<Session, HostGround, HeapBacking, DefaultLife<Session>, kStress>;

// Takes up to `most` objects at a time, uses and puts them back.
void borrow(Cache& cache, std::mt19937& random, unsigned most) {
  std::vector<Cache::Handle> held;
  const unsigned count = random() % most + 1;
  for (unsigned i = 0; i < count; ++i) {
    // Who holds something must not wait for more.
    held.push_back(i == 0 ? cache.get_or_wait() : cache.get());
    if (!held.back()) break;
    held.back()->use(random());
  }
}

void expect_nothing_lost(Cache& cache) {
  const Statistics now = cache.statistics();
  EXPECT_EQ(now.in_use, 0u);
  EXPECT_EQ(cache.reclaim(~std::uint64_t{0}), now.existing);
  EXPECT_EQ(cache.statistics().existing, 0u);
}

TEST(ObjCacheHostTest, ThreadsComeAndGo) {
  Cache cache("session");
  std::atomic<bool> stop{false};
  std::thread reclaimer([&] {
    while (!stop.load(std::memory_order_relaxed)) {
      (void)cache.reclaim(5);
      std::this_thread::yield();
    }
  });
  for (unsigned generation = 0; generation < 15; ++generation) {
    std::array<std::thread, 4> threads;
    for (unsigned t = 0; t < threads.size(); ++t) {
      threads[t] = std::thread([&cache, seed = generation * 4 + t] {
        std::mt19937 random(seed);
        for (int i = 0; i < 200; ++i) borrow(cache, random, 20);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  stop.store(true, std::memory_order_relaxed);
  reclaimer.join();
  // At most five at once, and this one: lanes were handed on.
  EXPECT_LE(HostGround().lanes(), 16u);
  expect_nothing_lost(cache);
}

TEST(ObjCacheHostTest, MoreUsersThanObjects) {
  Cache cache("session", {.limit = 3});
  std::array<std::thread, 6> threads;
  for (unsigned t = 0; t < threads.size(); ++t) {
    threads[t] = std::thread([&cache, t] {
      std::mt19937 random(t);
      for (int i = 0; i < 5000; ++i) borrow(cache, random, 2);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(cache.statistics().constructed, 3u);
  expect_nothing_lost(cache);
}

TEST(ObjCacheHostTest, WaitersAndAReclaimer) {
  Cache cache("session", {.limit = 2});
  std::atomic<bool> stop{false};
  std::thread reclaimer([&] {
    while (!stop.load(std::memory_order_relaxed)) {
      (void)cache.reclaim(1);
      std::this_thread::yield();
    }
  });
  std::array<std::thread, 4> threads;
  for (unsigned t = 0; t < threads.size(); ++t) {
    threads[t] = std::thread([&cache, t] {
      std::mt19937 random(t);
      for (int i = 0; i < 5000; ++i) borrow(cache, random, 1);
    });
  }
  for (std::thread& thread : threads) thread.join();
  stop.store(true, std::memory_order_relaxed);
  reclaimer.join();
  expect_nothing_lost(cache);
}

// Objects are made by one thread and put back by another.
TEST(ObjCacheHostTest, ObjectsWander) {
  Cache cache("session");
  constexpr std::uint64_t kCount = 20000;
  std::array<std::atomic<Session*>, 64> ring{};
  std::thread consumer([&] {
    for (std::uint64_t i = 0; i < kCount; ++i) {
      auto& slot = ring[i % ring.size()];
      Session* session = nullptr;
      while ((session = slot.exchange(nullptr, std::memory_order_acquire)) ==
             nullptr) {
        std::this_thread::yield();
      }
      session->use(i);
      cache.put(*session);
    }
  });
  for (std::uint64_t i = 0; i < kCount; ++i) {
    auto& slot = ring[i % ring.size()];
    Session* session = cache.get_raw();
    ASSERT_NE(session, nullptr);
    session->use(~i);
    while (slot.load(std::memory_order_relaxed) != nullptr) {
      std::this_thread::yield();
    }
    slot.store(session, std::memory_order_release);
  }
  consumer.join();
  // They come back by the depot.
  EXPECT_LT(cache.statistics().constructed, kCount / 10);
  expect_nothing_lost(cache);
}

TEST(ObjCacheHostTest, TheNextThreadHasTheObjectsOfTheLast) {
  Cache cache("session");
  Session* first = nullptr;
  std::thread([&] {
    first = cache.get_raw();
    cache.put(*first);
  }).join();
  Session* second = nullptr;
  std::thread([&] {
    second = cache.get_raw();
    cache.put(*second);
  }).join();
  EXPECT_EQ(first, second);
}

// An object that goes back after its thread's other thread_locals were
// destroyed: the lane is still there.
TEST(ObjCacheHostTest, ThreadLocalsMayUseACache) {
  static Cache cache("session");
  struct Keeper {
    Cache::Handle handle;
  };
  std::thread([] {
    static thread_local Keeper keeper;
    keeper.handle = cache.get();
  }).join();
  EXPECT_EQ(cache.statistics().in_use, 0u);
}

TEST(ObjCacheHostDeathTest, OneThreadTooMany) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        HostGround::install_panic_hook();
        Cache cache("session");
        std::atomic<unsigned> ready{0};
        std::vector<std::thread> threads;
        for (unsigned t = 0; t <= HostLanes::kMax; ++t) {
          threads.emplace_back([&] {
            (void)cache.get();
            ready.fetch_add(1, std::memory_order_relaxed);
            while (ready.load(std::memory_order_relaxed) <= HostLanes::kMax) {
              std::this_thread::sleep_for(std::chrono::milliseconds(1));
            }
          });
        }
        for (std::thread& thread : threads) thread.join();
      },
      ::testing::KilledBySignal(SIGABRT),
      "more threads use object caches than HostLanes::kMax");
}

}  // namespace
}  // namespace odo::objcache
