// SPDX-License-Identifier: BSD-3-Clause
#include "lib/platform/spinlock.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <thread>
#include <vector>

#include "lib/platform/host/host_platform.h"

namespace odo::platform {
namespace {

using Lock = SpinLock<HostPlatform>;
static_assert(sizeof(Lock) == sizeof(std::uint32_t));

TEST(SpinLockTest, TryLockTellsTheTruth) {
  Lock lock;
  bool first = lock.try_lock();
  ASSERT_TRUE(first);
  if (!first) return;
  std::thread([&] {
    bool second = lock.try_lock();
    EXPECT_FALSE(second);
    if (second) lock.unlock();
  }).join();
  lock.unlock();
  bool again = lock.try_lock();
  EXPECT_TRUE(again);
  if (again) lock.unlock();
}

TEST(SpinLockTest, SurvivesTheWrapOfItsTickets) {
  Lock lock;
  for (int i = 0; i < 70000 * 2; ++i) {
    if (i % 3 == 0) {
      bool taken = lock.try_lock();
      ASSERT_TRUE(taken) << i;
      if (!taken) return;
    } else {
      lock.lock();
    }
    lock.unlock();
  }
}

// More threads than processors: a waiter lets the holder run.
struct Yielding : HostPlatform {
  static void relax() { std::this_thread::yield(); }
};

TEST(SpinLockTest, ExcludesAndPublishes) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 20000;
  SpinLock<Yielding> lock;
  // Plain variables: a lost update, or a race under TSan, is a broken lock.
  std::uint64_t count = 0;
  std::uint64_t mirror = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kRounds; ++i) {
        SpinGuard<Yielding> guard(lock);
        EXPECT_EQ(count, mirror);
        ++count;
        mirror = count;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count, std::uint64_t{kThreads} * kRounds);
}

}  // namespace
}  // namespace odo::platform
