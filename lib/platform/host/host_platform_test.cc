// SPDX-License-Identifier: BSD-3-Clause
#include "lib/platform/host/host_platform.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <vector>

namespace odo::platform {
namespace {

static_assert(std::is_empty_v<HostPlatform>);
static_assert(!std::is_convertible_v<HostAtomic<int>, int>);
static_assert(sizeof(HostAtomic<std::uint64_t>) == sizeof(std::uint64_t));

TEST(HostPlatformTest, ClockNeverGoesBack) {
  HostPlatform platform;
  std::uint64_t before = platform.now_ns();
  EXPECT_GT(before, 0u);
  std::uint64_t now = before;
  for (int i = 0; i < 1000; ++i) {
    std::uint64_t next = platform.now_ns();
    ASSERT_GE(next, now);
    now = next;
  }
  while (platform.now_ns() == before) platform.relax();  // and it does move
}

template <class T>
class HostAtomicTest : public ::testing::Test {};
using Numbers =
    ::testing::Types<std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t>;
TYPED_TEST_SUITE(HostAtomicTest, Numbers);

TYPED_TEST(HostAtomicTest, CountsAcrossThreads) {
  HostAtomic<TypeParam> sum;
  HostAtomic<TypeParam> bits;
  std::vector<std::thread> threads;
  constexpr int kRounds = 1000;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kRounds; ++i) {
        (void)sum.fetch_add(2, std::memory_order_relaxed);
        (void)sum.fetch_sub(1, std::memory_order_relaxed);
        auto bit = static_cast<TypeParam>(1u << t);
        (void)bits.fetch_or(bit, std::memory_order_relaxed);
        if (i + 1 < kRounds) {
          (void)bits.fetch_and(static_cast<TypeParam>(~bit),
                               std::memory_order_relaxed);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(sum.load(std::memory_order_relaxed),
            static_cast<TypeParam>(4 * kRounds));
  EXPECT_EQ(bits.load(std::memory_order_relaxed), TypeParam{15});
}

TEST(HostPlatformTest, MessagePassesByReleaseAndAcquire) {
  int payload = 0;
  HostAtomic<bool> ready{false};
  std::thread sender([&] {
    payload = 42;
    ready.store(true, std::memory_order_release);
  });
  while (!ready.load(std::memory_order_acquire)) std::this_thread::yield();
  EXPECT_EQ(payload, 42);
  sender.join();
}

TEST(HostPlatformTest, ExchangesReportWhatWasThere) {
  int a = 0;
  int b = 0;
  HostAtomic<int*> pointer(&a);
  int* expected = &b;
  EXPECT_FALSE(pointer.compare_exchange_strong(
      expected, &b, std::memory_order_acq_rel, std::memory_order_acquire));
  EXPECT_EQ(expected, &a);
  EXPECT_TRUE(pointer.compare_exchange_strong(
      expected, &b, std::memory_order_acq_rel, std::memory_order_acquire));
  EXPECT_EQ(pointer.exchange(&a, std::memory_order_acq_rel), &b);
}

TEST(HostPlatformDeathTest, PanicSpeaksBeforeItAborts) {
  EXPECT_EXIT(
      {
        HostPlatform::install_panic_hook();
        ODO_PANIC("the sky fell");
      },
      ::testing::KilledBySignal(SIGABRT),
      "panic: the sky fell\n  at .*host_platform_test.cc:");
}

TEST(HostPlatformTest, FeaturesAreThoseOfThisProcessor) {
  EXPECT_EQ(HostPlatform::cpu_features().crc32_instruction,
            static_cast<bool>(__builtin_cpu_supports("sse4.2")));
  EXPECT_EQ(HostPlatform::cpu_features(), check::host_features());
}

}  // namespace
}  // namespace odo::platform
