// SPDX-License-Identifier: BSD-3-Clause
// Guard pages: who runs past a slab's or a large allocation's end is stopped,
// and nobody meets a guard that is not there any more.
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "lib/kmalloc/guards.h"
#include "lib/kmalloc/hardened_heap.h"
#include "lib/kmalloc/heap.h"
#include "lib/kmalloc/host/ground.h"

namespace odo::kmalloc {
namespace {

// Host memory that knows what is mapped, and what is a guard.
class Pages {
 public:
  void mapped(void* memory, std::size_t bytes) {
    const std::scoped_lock lock(mutex_);
    mapped_[address(memory)] = bytes;
  }
  void unmapped(void* memory, std::size_t bytes) {
    const std::scoped_lock lock(mutex_);
    const auto it = mapped_.find(address(memory));
    ASSERT_TRUE(it != mapped_.end() && it->second == bytes);
    EXPECT_FALSE(any_in(guards_, address(memory), bytes));
    mapped_.erase(it);
  }
  void released(void* memory, std::size_t bytes) {
    const std::scoped_lock lock(mutex_);
    EXPECT_FALSE(any_in(guards_, address(memory), bytes));
  }
  // Whether it may be.
  [[nodiscard]] bool protects(void* memory, std::size_t bytes) {
    const std::scoped_lock lock(mutex_);
    EXPECT_EQ(address(memory) % kPageBytes, 0);
    EXPECT_TRUE(bytes != 0 && bytes % kPageBytes == 0);
    EXPECT_TRUE(any_in(mapped_, address(memory), bytes));
    EXPECT_FALSE(any_in(guards_, address(memory), bytes));
    if (good_guards == 0) return false;
    --good_guards;
    guards_[address(memory)] = bytes;
    return true;
  }
  void unprotected(void* memory, std::size_t bytes) {
    const std::scoped_lock lock(mutex_);
    const auto it = guards_.find(address(memory));
    ASSERT_TRUE(it != guards_.end() && it->second == bytes);
    guards_.erase(it);
  }
  [[nodiscard]] std::size_t guard_bytes() const {
    std::size_t sum = 0;
    for (const auto& [at, bytes] : guards_) sum += bytes;
    return sum;
  }
  [[nodiscard]] bool is_empty() const {
    return mapped_.empty() && guards_.empty();
  }

  std::size_t good_guards = ~std::size_t{0};  // before all fail

 private:
  using Ranges = std::map<std::uintptr_t, std::size_t>;

  [[nodiscard]] static std::uintptr_t address(const void* memory) {
    return reinterpret_cast<std::uintptr_t>(memory);
  }
  [[nodiscard]] static bool any_in(const Ranges& ranges, std::uintptr_t at,
                                   std::size_t bytes) {
    const auto after = ranges.lower_bound(at + bytes);
    if (after == ranges.begin()) return false;
    const auto& [first, count] = *std::prev(after);
    return first + count > at;
  }

  std::mutex mutex_;
  Ranges mapped_;
  Ranges guards_;
};
Pages* pages = nullptr;

class GuardGround : public HostGround {
 public:
  static constexpr bool kGuards = true;

  [[nodiscard]] void* map(std::size_t bytes, std::size_t alignment) const {
    void* memory = HostGround::map(bytes, alignment);
    if (memory != nullptr) pages->mapped(memory, bytes);
    return memory;
  }
  void unmap(void* memory, std::size_t bytes) const {
    pages->unmapped(memory, bytes);
    HostGround::unmap(memory, bytes);
  }
  [[nodiscard]] bool release(void* memory, std::size_t bytes) const {
    pages->released(memory, bytes);
    return HostGround::release(memory, bytes);
  }
  [[nodiscard]] bool protect(void* memory, std::size_t bytes) const {
    if (!pages->protects(memory, bytes)) return false;
    EXPECT_TRUE(HostGround::protect(memory, bytes));
    return true;
  }
  void unprotect(void* memory, std::size_t bytes) const {
    pages->unprotected(memory, bytes);
    HostGround::unprotect(memory, bytes);
  }
};

// --- what it costs who does not want it --------------------------------------

// Says that it wants guards, but can't make any.
class WishfulGround : public platform::HostPlatform {
 public:
  static constexpr bool kGuards = true;
  [[nodiscard]] void* map(std::size_t bytes, std::size_t alignment) const;
  void unmap(void* memory, std::size_t bytes) const;
  [[nodiscard]] bool release(void* memory, std::size_t bytes) const;
  void kmalloc_fault(const MemoryFault& fault) const;
};
class UnguardedGround : public WishfulGround {
 public:
  static constexpr bool kGuards = false;
};
static_assert(!KmallocPlatform<WishfulGround>);
static_assert(KmallocPlatform<UnguardedGround>);
static_assert(KmallocPlatform<GuardGround>);
static_assert(std::is_empty_v<Guards<HostGround>>);
static_assert(std::is_empty_v<GuardFlags<false, kPages>>);
static_assert(sizeof(SlabFields<HostGround>) < sizeof(SlabFields<GuardGround>));

// --- the heap ----------------------------------------------------------------

// Deaths in programs of their own, as there are threads. They are expected:
// that a sanitizer looks up what a report's lines are called takes most of the
// time.
void die_quickly() {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (const char* name : {"ASAN_OPTIONS", "TSAN_OPTIONS"}) {
    const char* now = std::getenv(name);
    const std::string quick =
        std::string(now != nullptr ? now : "") + ":symbolize=0";
    ASSERT_EQ(setenv(name, quick.c_str(), 1), 0);
  }
}

// The processor has stopped it; a sanitizer says so in its own way.
bool has_faulted(int status) {
#if defined(ODO_KMALLOC_ASAN) || defined(ODO_KMALLOC_TSAN)
  return status != 0;
#else
  return ::testing::KilledBySignal(SIGSEGV)(status);
#endif
}

class GuardTest : public ::testing::Test {
 protected:
  using HeapT = Heap<GuardGround>;
  using LaneT = Lane<GuardGround>;

  GuardTest() {
    die_quickly();
    pages = &pages_;
    heap_.emplace(GuardGround());
    lane_ = heap_->take_lane();
  }
  ~GuardTest() override {
    heap_->leave_lane(*lane_);
    heap_.reset();
    EXPECT_TRUE(pages_.is_empty());
    pages = nullptr;
  }
  [[nodiscard]] unsigned char* allocate(std::size_t bytes) {
    return static_cast<unsigned char*>(
        heap_->allocate(*lane_, bytes, [this] { return lane_; }));
  }
  void free(void* object) {
    heap_->free(*lane_, object, [this] { return lane_; });
  }

  Pages pages_;
  std::optional<HeapT> heap_;
  LaneT* lane_ = nullptr;
};
using GuardDeathTest = GuardTest;

TEST_F(GuardDeathTest, PastASlabsEnd) {
  for (const std::size_t bytes :
       {std::size_t{8}, std::size_t{48}, std::size_t{448}, std::size_t{2048},
        std::size_t{20'000}, std::size_t{32'768}}) {
    unsigned char* object = allocate(bytes);
    const Slab<GuardGround> slab = Slab<GuardGround>::of(object);
    auto* guard = reinterpret_cast<unsigned char*>(slab.guard());
    // All of its objects are its users', and the guard goes up to the next
    // slab.
    std::vector<void*> others;
    unsigned char* last = object;
    while (others.size() + 1 < slab.info().objects) {
      unsigned char* other = allocate(bytes);
      std::size_t index = 0;
      ASSERT_TRUE(slab.index_of(other, index)) << bytes;
      std::memset(other, 0x5a, bytes);
      last = other > last ? other : last;
      others.push_back(other);
    }
    EXPECT_LT(guard - (last + slab.info().bytes), 4096) << bytes;
    EXPECT_EXIT(std::memset(last, 1, bytes + 4096), has_faulted, "");
    EXPECT_EXIT(*guard = 1, has_faulted, "");
    EXPECT_EXIT(guard[slab.guard_bytes() - 1] = 1, has_faulted, "");
    free(object);
    for (void* other : others) free(other);
  }
  // Where a page is a multiple of the size there is nothing between.
  unsigned char* object = allocate(4096);
  EXPECT_EQ(
      reinterpret_cast<unsigned char*>(Slab<GuardGround>::of(object).guard()) -
          object,
      std::ptrdiff_t{4096} * Slab<GuardGround>::of(object).info().objects);
  free(object);
}

TEST_F(GuardDeathTest, PastALargeAllocationsEnd) {
  for (const std::size_t bytes :
       {std::size_t{40'000}, std::size_t{1'000'000}, std::size_t{1} << 20,
        std::size_t{3'000'000}}) {
    for (const std::size_t alignment :
         {std::size_t{4096}, std::size_t{65'536}, std::size_t{4} << 20}) {
      auto* object = static_cast<volatile unsigned char*>(
          heap_->allocate_large(bytes, alignment, false));
      ASSERT_NE(object, nullptr);
      const std::size_t usable =
          heap_->usable_bytes(const_cast<unsigned char*>(object));
      EXPECT_GE(usable, bytes);
      EXPECT_LT(usable, bytes + 4096);
      object[usable - 1] = 1;
      EXPECT_EXIT((void)object[usable], has_faulted, "");
      EXPECT_EXIT(object[usable] = 1, has_faulted, "");
      EXPECT_EXIT(object[usable + 4095] = 1, has_faulted, "");
      free(const_cast<unsigned char*>(object));
    }
  }
}

TEST_F(GuardTest, ALargeOneKeepsItsGuardWhenResized) {
  unsigned char* object = allocate(100'000);
  const std::size_t usable = heap_->usable_bytes(object);
  EXPECT_TRUE(heap_->resize(object, usable));
  EXPECT_FALSE(heap_->resize(object, usable + 1));
  EXPECT_TRUE(heap_->resize(object, 60'000));
  EXPECT_FALSE(heap_->resize(object, 40'000));
  EXPECT_EQ(heap_->usable_bytes(object), usable);
  free(object);
  object = allocate(3'000'000);
  EXPECT_EQ(heap_->move(object, 30'000'000), nullptr);
  free(object);
}

// Pages that were guards are given out again, to slabs of other classes and to
// large allocations, and go back: all of what is allocated is written.
TEST_F(GuardTest, GuardsComeAndGoWithWhatTheyAreBehind) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 20; ++round) {
    std::vector<std::pair<unsigned char*, unsigned char>> live;
    for (int i = 0; i < 3'000; ++i) {
      const std::size_t bytes =
          random() % 20 == 0 ? random() % 200'000
                             : random() % (std::size_t{1} << random() % 16);
      unsigned char* object = allocate(bytes);
      ASSERT_NE(object, nullptr);
      const auto fill = static_cast<unsigned char>(random());
      std::memset(object, fill, heap_->usable_bytes(object));
      live.emplace_back(object, fill);
      if (random() % 3 != 0) continue;
      std::swap(live[random() % live.size()], live.back());
      free(live.back().first);
      live.pop_back();
    }
    EXPECT_EQ(heap_->guard_counts().bytes, pages_.guard_bytes());
    EXPECT_GT(heap_->guard_counts().bytes, 0);
    for (const auto& [object, fill] : live) {
      ASSERT_EQ(*object, fill);
      ASSERT_EQ(object[heap_->usable_bytes(object) - 1], fill);
      free(object);
    }
    (void)heap_->reclaim(*lane_, round % 2 == 0 ? ~std::size_t{0} : 0);
    EXPECT_EQ(heap_->guard_counts().bytes, 0);
    EXPECT_EQ(heap_->counts().in_use, 0);
  }
  EXPECT_EQ(heap_->guard_counts().missing, 0);
}

TEST_F(GuardTest, FreedFromOtherLanes) {
  constexpr std::size_t kThreads = 4;
  std::vector<std::atomic<void*>> shared(512);
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937_64 random(t);
        LaneT* lane = heap_->take_lane();
        const auto own = [lane] { return lane; };
        for (int i = 0; i < 20'000; ++i) {
          const std::size_t bytes =
              random() % (random() % 50 == 0 ? 100'000 : 3'000);
          void* object = heap_->allocate(*lane, bytes, own);
          std::memset(object, 0x5a, heap_->usable_bytes(object));
          heap_->free(*lane, shared[random() % 512].exchange(object), own);
        }
        heap_->leave_lane(*lane);
      });
    }
  }
  for (auto& object : shared) free(object.load());
  (void)heap_->reclaim(*lane_, ~std::size_t{0});
  EXPECT_EQ(heap_->guard_counts().bytes, 0);
}

TEST_F(GuardTest, WhatCannotBeGuardedIsCountedAndServes) {
  pages_.good_guards = 3;
  std::vector<void*> objects;
  for (std::size_t bytes = 8; bytes < 3'000'000; bytes *= 3) {
    unsigned char* object = allocate(bytes);
    ASSERT_NE(object, nullptr);
    std::memset(object, 0x5a, heap_->usable_bytes(object));
    objects.push_back(object);
  }
  // Each has a slab or a run of its own.
  EXPECT_EQ(heap_->guard_counts().missing, objects.size() - 3);
  for (void* object : objects) free(object);
  (void)heap_->reclaim(*lane_, ~std::size_t{0});
  EXPECT_EQ(heap_->guard_counts().bytes, 0);
}

// --- the host ----------------------------------------------------------------

class PlainGuardGround : public HostGround {
 public:
  static constexpr bool kGuards = true;
};

TEST(HostGuardTest, TheSystemHasOnlySoManyMappings) {
#if defined(ODO_KMALLOC_ASAN) || defined(ODO_KMALLOC_TSAN)
  GTEST_SKIP() << "a sanitizer needs mappings of its own";
#endif
  std::size_t most = 0;
  std::ifstream("/proc/sys/vm/max_map_count") >> most;
  if (most == 0 || most > 200'000) GTEST_SKIP() << "too many";
  Heap<PlainGuardGround> heap{PlainGuardGround()};
  Lane<PlainGuardGround>* lane = heap.take_lane();
  const auto own = [lane] { return lane; };
  // A mapping between two guards; and there is no memory for the test itself
  // once they are used up.
  const std::size_t slabs = most / 2 + 100;
  constexpr std::size_t kBytes = 4096;
  const std::size_t each = kGuardedClassInfo[class_of(kBytes)].objects;
  std::vector<void*> objects;
  objects.reserve(slabs * each);
  while (objects.size() < slabs * each) {
    void* object = heap.allocate(*lane, kBytes, own);
    if (object == nullptr) break;
    objects.push_back(object);
  }
  const GuardCounts counts = heap.guard_counts();
  const std::size_t got = objects.size();
  for (void* object : objects) heap.free(*lane, object, own);
  (void)heap.reclaim(*lane, ~std::size_t{0});
  EXPECT_EQ(got, slabs * each);
  EXPECT_GT(counts.bytes / kPageBytes, most / 2 - 1'000);
  EXPECT_GT(counts.missing, 0);
  EXPECT_EQ(heap.guard_counts().bytes, 0);
  heap.leave_lane(*lane);
}

// --- with all the rest -------------------------------------------------------

class HardGuardGround : public GuardGround {
 public:
  static constexpr bool kHardened = true;
};

TEST(HardenedGuardDeathTest, StopsAtOnceWhatTheRedzoneFindsLater) {
  die_quickly();
  Pages all;
  pages = &all;
  {
    HardenedHeap<HardGuardGround> heap{HardGuardGround(), 0x1234'5678};
    HardenedLane<HardGuardGround>& lane = *heap.take_lane();
    for (const std::size_t bytes :
         {std::size_t{100}, std::size_t{5'000}, std::size_t{100'000},
          std::size_t{3'000'000}}) {
      auto* object =
          static_cast<unsigned char*>(heap.allocate(lane, "name", bytes));
      ASSERT_NE(object, nullptr);
      std::memset(object, 1, bytes);
      // Nobody frees or verifies it.
      EXPECT_EXIT(std::memset(object, 1, bytes + 512 * 1024), has_faulted, "");
      EXPECT_DEATH(
          {
            object[bytes] = 1;
            heap.free(lane, object);
          },
          "written to behind its end");
      heap.free(lane, object);
    }
    EXPECT_GT(heap.heap().guard_counts().bytes, 0);
    EXPECT_EQ(heap.heap().guard_counts().missing, 0);
  }
  EXPECT_TRUE(all.is_empty());
  pages = nullptr;
}

}  // namespace
}  // namespace odo::kmalloc
