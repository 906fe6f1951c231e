// SPDX-License-Identifier: BSD-3-Clause
// Malloc types: what is counted, what a limit refuses, and who waits for what.
#include "lib/kmalloc/typed_heap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "lib/kmalloc/host/ground.h"

namespace odo::kmalloc {
namespace {

using HostType = MallocType<HostGround>;
using HostHeap = TypedHeap<HostGround>;
using HostLane = TypedLane<HostGround>;

TEST(TypedHeapTest, CountsWhatEachTypeHas) {
  HostType files("file");
  HostType names("name", 1 << 20);
  HostHeap heap{HostGround()};
  ASSERT_TRUE(heap.add(files));
  ASSERT_TRUE(heap.add(names));
  HostLane& lane = *heap.take_lane();
  HostLane& other = *heap.take_lane();
  std::vector<void*> objects;
  for (int i = 0; i < 100; ++i) {
    objects.push_back(heap.allocate(lane, files, 100));
  }
  void* name = heap.allocate(other, names, 20);
  EXPECT_EQ(heap.counts(files).in_use_bytes, 100 * 104);
  EXPECT_EQ(heap.counts(files).allocations, 100);
  EXPECT_EQ(heap.counts(names).in_use_bytes, 24);
  // Half of them by the other lane.
  for (std::size_t i = 0; i < objects.size(); ++i) {
    heap.free(i % 2 == 0 ? lane : other, files, objects[i]);
  }
  heap.free(lane, names, name);
  std::map<std::string, TypeCounts> all;
  heap.for_each_type([&](const HostType& type, const TypeCounts& counts) {
    all[type.name()] = counts;
  });
  EXPECT_EQ(all.size(), 2);
  EXPECT_EQ(all["file"].in_use_bytes, 0);
  EXPECT_EQ(all["file"].frees, 100);
  EXPECT_EQ(all["file"].peak_bytes, 100 * 104);
  EXPECT_EQ(all["name"].in_use_bytes, 0);
  heap.free(lane, names, nullptr);
  EXPECT_EQ(heap.counts(names).frees, 1);
}

TEST(TypedHeapTest, FlagsSayWhatTheMemoryIsLike) {
  HostType type("type");
  HostHeap heap{HostGround()};
  ASSERT_TRUE(heap.add(type));
  HostLane& lane = *heap.take_lane();
  std::vector<void*> objects;
  for (std::size_t bytes = 0; bytes < 100'000; bytes += 1 + bytes / 3) {
    void* dirty = heap.allocate(lane, type, bytes);
    std::memset(dirty, 0xff, bytes);
    heap.free(lane, type, dirty);
    auto* zero = static_cast<unsigned char*>(
        heap.allocate(lane, type, bytes, Flags::kZero));
    EXPECT_TRUE(std::all_of(zero, zero + bytes,
                            [](unsigned char c) { return c == 0; }));
    void* line = heap.allocate(lane, type, bytes, Flags::kCacheAlign);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(line) % 64, 0);
    void* power = heap.allocate(lane, type, bytes, Flags::kPowerOfTwo);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(power) %
                  std::bit_ceil(std::max<std::size_t>(bytes, 1)),
              0);
    objects.insert(objects.end(), {zero, line, power});
  }
  for (void* object : objects) heap.free(lane, type, object);
  EXPECT_EQ(heap.counts(type).in_use_bytes, 0);
}

TEST(TypedHeapTest, ALimitIsKept) {
  constexpr std::size_t kLimit = 64 * 1024;
  HostType type("limited", kLimit);
  HostType none("none", 0);
  HostHeap heap{HostGround()};
  ASSERT_TRUE(heap.add(type));
  ASSERT_TRUE(heap.add(none));
  HostLane& lane = *heap.take_lane();
  EXPECT_EQ(heap.allocate(lane, none, 1), nullptr);
  EXPECT_EQ(heap.allocate(lane, none, 0, Flags::kUseReserve), nullptr);
  // More than there may ever be: nobody waits for that.
  EXPECT_EQ(heap.allocate(lane, type, kLimit + 1), nullptr);
  EXPECT_EQ(heap.allocate(lane, type, ~std::size_t{0}), nullptr);
  EXPECT_EQ(heap.allocate(lane, type, ~std::size_t{0}, Flags::kPowerOfTwo),
            nullptr);
  std::vector<void*> objects;
  while (void* object = heap.allocate(lane, type, 1000, Flags::kNoWait)) {
    objects.push_back(object);
    ASSERT_LE(heap.counts(type).in_use_bytes, kLimit - kLimit / 16);
  }
  EXPECT_EQ(objects.size(), (kLimit - kLimit / 16) / 1024);
  EXPECT_EQ(heap.allocate(lane, type, 1000, Flags::kNullOk), nullptr);
  while (void* object = heap.allocate(lane, type, 1000,
                                      Flags::kNoWait | Flags::kUseReserve)) {
    objects.push_back(object);
  }
  EXPECT_EQ(objects.size(), kLimit / 1024);
  for (void* object : objects) heap.free(lane, type, object);
  EXPECT_EQ(heap.counts(type).in_use_bytes, 0);
  void* again = heap.allocate(lane, type, 1000, Flags::kNoWait);
  EXPECT_NE(again, nullptr);
  heap.free(lane, type, again);
}

TEST(TypedHeapTest, WhoMayWaitGetsWhatOthersFree) {
  constexpr std::size_t kLimit = 16 * 1024;
  HostType type("limited", kLimit);
  HostHeap heap{HostGround()};
  ASSERT_TRUE(heap.add(type));
  constexpr int kRounds = 3'000;
  std::atomic<bool> failed{false};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        HostLane& lane = *heap.take_lane();
        for (int round = 0; round < kRounds; ++round) {
          // Two of these fit, not four.
          void* object = heap.allocate(lane, type, 7'000);
          if (object == nullptr) {
            failed = true;
            return;
          }
          std::memset(object, round, 7'000);
          heap.free(lane, type, object);
        }
      });
    }
  }
  EXPECT_FALSE(failed);
  EXPECT_EQ(heap.counts(type).in_use_bytes, 0);
  EXPECT_EQ(heap.counts(type).allocations, 4 * kRounds);
}

// The host's memory, up to so many chunks.
std::atomic<int> chunks_left{0};
class SmallGround : public HostGround {
 public:
  [[nodiscard]] void* map(std::size_t bytes, std::size_t alignment) const {
    const bool is_chunk = bytes == kChunkBytes;
    if (is_chunk && chunks_left.fetch_sub(1, std::memory_order_relaxed) <= 0) {
      return nullptr;
    }
    return HostGround::map(bytes, alignment);
  }
};

// More threads than there is memory for, each of which keeps its lane's slabs
// unless somebody waits.
TEST(TypedHeapTest, WhoWaitsForMemoryGetsWhatOtherLanesHaveAtHand) {
  chunks_left = 1;
  MallocType<SmallGround> type("type");
  TypedHeap<SmallGround> heap{SmallGround()};
  ASSERT_TRUE(heap.add(type));
  constexpr int kThreads = 4;
  constexpr int kRounds = 40;
  std::atomic<int> done{0};
  std::atomic<bool> failed{false};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        TypedLane<SmallGround>& lane = *heap.take_lane();
        for (int round = 0; round < kRounds; ++round) {
          // Nearly half of all units, in a slab's size of each thread's own.
          const std::size_t bytes = std::size_t{1000} << i;
          std::vector<void*> objects;
          for (std::size_t sum = 0; sum < 800'000; sum += bytes) {
            // A whole set, or none: two who each have half would wait forever.
            void* object =
                heap.allocate(lane, type, bytes,
                              objects.empty() ? Flags::kNone : Flags::kNoWait);
            if (object == nullptr && objects.empty()) failed = true;
            if (object == nullptr) break;
            objects.push_back(object);
          }
          for (void* object : objects) heap.free(lane, type, object);
        }
        done.fetch_add(1);
        // Its owner is idle from now on, but for this.
        while (done.load() != kThreads) {
          (void)heap.relieve(lane);
          std::this_thread::yield();
        }
      });
    }
  }
  EXPECT_FALSE(failed);
  EXPECT_EQ(heap.counts(type).in_use_bytes, 0);
}

// What is refused for want of memory leaves its room to others.
TEST(TypedHeapTest, WithoutMemoryALimitStaysAsItWas) {
  chunks_left = 0;
  MallocType<SmallGround> type("type", 1 << 20);
  TypedHeap<SmallGround> heap{SmallGround()};
  ASSERT_TRUE(heap.add(type));
  TypedLane<SmallGround>& lane = *heap.take_lane();
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(heap.allocate(lane, type, 500'000, Flags::kNoWait), nullptr);
  }
  EXPECT_FALSE(heap.relieve(lane));
  chunks_left = 1;
  void* object = heap.allocate(lane, type, 500'000, Flags::kNoWait);
  EXPECT_NE(object, nullptr);
  heap.free(lane, type, object);
}

TEST(TypedHeapTest, TypesBeyondTheMostAreRefused) {
  std::vector<std::unique_ptr<HostType>> types;
  HostHeap heap{HostGround()};
  for (std::uint32_t i = 0; i < HostLane::kMaxTypes; ++i) {
    types.push_back(std::make_unique<HostType>("one of many"));
    ASSERT_TRUE(heap.add(*types.back()));
  }
  HostType another("one too many");
  EXPECT_FALSE(heap.add(another));
}

}  // namespace
}  // namespace odo::kmalloc
