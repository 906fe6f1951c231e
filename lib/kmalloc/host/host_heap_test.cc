// SPDX-License-Identifier: BSD-3-Clause
// The heap of a program with threads that come and go, and free what others
// allocated: with a lane for each thread, and with one for each CPU.

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <random>
#include <set>
#include <thread>
#include <type_traits>
#include <vector>

#include "lib/kmalloc/host/cpu_heap.h"
#include "lib/kmalloc/host/thread_heap.h"

namespace odo::kmalloc {
namespace {

constexpr std::size_t kThreads = 4;

template <class H>
class HostHeapTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::is_same_v<H, CpuHeap> && !CpuHeap::is_there()) {
      GTEST_SKIP() << "no restartable sequences here";
    }
  }
};
using Kinds = ::testing::Types<ThreadHeap, CpuHeap>;
TYPED_TEST_SUITE(HostHeapTest, Kinds);

TYPED_TEST(HostHeapTest, ThreadsFreeWhatOthersAllocated) {
  struct Block {
    unsigned char* at;
    std::size_t bytes;
    unsigned char fill;
  };
  std::mutex mutex;
  std::vector<Block> shared;
  std::atomic<bool> wrong{false};
  auto body = [&](std::uint64_t seed) {
    std::mt19937_64 random(seed);
    for (int i = 0; i < 20'000; ++i) {
      const std::size_t bytes =
          1 + random() % (random() % 50 == 0 ? 50'000 : 600);
      const auto fill = static_cast<unsigned char>(random());
      auto* at = static_cast<unsigned char*>(TypeParam::allocate(bytes));
      std::memset(at, fill, bytes);
      Block other{at, bytes, fill};
      {
        const std::scoped_lock lock(mutex);
        if (shared.size() < 500) {
          shared.push_back(other);
          continue;
        }
        std::swap(other, shared[random() % shared.size()]);
      }
      for (std::size_t k = 0; k < other.bytes; ++k) {
        if (other.at[k] != other.fill) wrong = true;
      }
      TypeParam::free(other.at);
    }
  };
  for (std::uint64_t round = 0; round < 3; ++round) {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < kThreads; ++i) {
      threads.emplace_back(body, round * kThreads + i);
    }
  }
  EXPECT_FALSE(wrong);
  for (const Block& block : shared) TypeParam::free(block.at);
}

// One allocates, one frees, for long: nothing piles up between them.
TYPED_TEST(HostHeapTest, AProducerAndAConsumerStayWithinBounds) {
  constexpr std::size_t kRing = 1024;
  std::vector<std::atomic<void*>> ring(kRing);
  constexpr std::size_t kObjects = 1'000'000;
  const std::size_t before = TypeParam::heap().counts().in_use;
  std::jthread consumer([&] {
    for (std::size_t i = 0; i < kObjects; ++i) {
      void* object = nullptr;
      while ((object = ring[i % kRing].exchange(
                  nullptr, std::memory_order_acquire)) == nullptr) {
        std::this_thread::yield();
      }
      TypeParam::free(object);
    }
  });
  std::size_t most = 0;
  for (std::size_t i = 0; i < kObjects; ++i) {
    void* object = TypeParam::allocate(64);
    ASSERT_NE(object, nullptr);
    *static_cast<std::size_t*>(object) = i;
    while (ring[i % kRing].load(std::memory_order_relaxed) != nullptr) {
      std::this_thread::yield();
    }
    ring[i % kRing].store(object, std::memory_order_release);
    if (i % 10'000 == 0) {
      most = std::max(most, TypeParam::heap().counts().in_use);
    }
  }
  consumer.join();
  EXPECT_LT(most - before, std::size_t{4} << 20);
}

// Threads that end leave their lanes, slabs and all, to the next ones.
TYPED_TEST(HostHeapTest, LanesAreHandedOn) {
  const auto one = [] {
    for (int i = 0; i < 1000; ++i) {
      void* object = TypeParam::allocate(100);
      TypeParam::free(object);
    }
  };
  std::jthread(one).join();
  const std::size_t before = TypeParam::heap().counts().mapped;
  for (int i = 0; i < 200; ++i) std::jthread(one).join();
  EXPECT_LE(TypeParam::heap().counts().mapped, before + kChunkBytes);
}

#if defined(ODO_KMALLOC_ASAN)
TYPED_TEST(HostHeapTest, AddressSanitizerKnowsWhatIsFree) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  auto* object = static_cast<volatile char*>(TypeParam::allocate(100));
  TypeParam::free(const_cast<char*>(object));
  EXPECT_DEATH(object[3] = 1, "use-after-poison");
  EXPECT_DEATH(TypeParam::free(const_cast<char*>(object)), "use-after-poison");
}
#endif

}  // namespace
}  // namespace odo::kmalloc
