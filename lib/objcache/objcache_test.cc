// SPDX-License-Identifier: BSD-3-Clause
// What one thread, or two that take turns, can see of object caches. The
// interleavings are the simulator's business (objcache_sim_test.cc).
#include "lib/objcache/objcache.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "lib/objcache/host/ground.h"
#include "lib/objcache/host/heap_backing.h"
#include "lib/objcache/kmalloc_backing.h"
#include "lib/platform/archetype.h"

namespace odo::objcache {
namespace {

// Grounds, memory, makers and locks with nothing but what the concepts list.
struct Archetype : platform::ArchetypeAtomics,
                   platform::ArchetypeRelax,
                   platform::ArchetypeFences {
  static constexpr unsigned kMaxLanes = 1;
  struct Counter {
    void add_one() {}
    std::uint64_t read() { return 0; }
  };
  unsigned lane() { return 0; }
  unsigned lanes() { return 1; }
  void enter_lane() {}
  void exit_lane() {}
  void objcache_fault(const ObjCacheFault& /*fault*/) {}
};
struct ParkingArchetype : Archetype {
  static constexpr unsigned kClusters = 2;
  unsigned cluster(unsigned /*lane*/) { return 1; }
  void park(Atomic<std::uint32_t>& /*word*/, std::uint32_t /*seen*/) {}
  void unpark_all(Atomic<std::uint32_t>& /*word*/) {}
};
struct ArchetypeMemory {
  void* allocate(std::size_t /*bytes*/, std::size_t /*align*/) {
    return nullptr;
  }
  void free(void* /*memory*/, std::size_t /*bytes*/) {}
};
// Neither made by default nor copied.
class Thing {
 public:
  explicit Thing(int value) : value_(value) {}
  Thing(const Thing&) = delete;
  Thing& operator=(const Thing&) = delete;
  [[nodiscard]] int value() const { return value_; }

 private:
  int value_;
};
struct ArchetypeLife {
  Thing* construct(void* place) { return ::new (place) Thing(1); }
  void destroy(Thing& thing) { thing.~Thing(); }
};
struct ArchetypeLock {
  explicit ArchetypeLock(const Archetype& /*ground*/) {}
  void lock() {}
  bool try_lock() { return true; }
  void unlock() {}
};
static_assert(ObjCachePlatform<Archetype> && !CanPark<Archetype> &&
              !HasClusters<Archetype>);
static_assert(CanPark<ParkingArchetype> && HasClusters<ParkingArchetype>);
constexpr Tuning kChecked = {.checks = true};
constexpr Tuning kUnchecked = {.checks = false};

}  // namespace

template class ObjCache<Thing, Archetype, ArchetypeMemory, ArchetypeLife,
                        kChecked, ArchetypeLock>;
template class ObjCache<Thing, ParkingArchetype, ArchetypeMemory, ArchetypeLife,
                        kUnchecked>;

namespace {

static_assert(sizeof(Lane<HostGround>) == kLineBytes);
static_assert(sizeof(Block<char[256], NoNote>) == 256);

// Counts its constructions; keeps its state in the cache.
struct Counted {
  static inline int constructed = 0;
  static inline int destroyed = 0;

  Counted() noexcept { ++constructed; }
  ~Counted() { ++destroyed; }
  std::uint64_t state = 0;
  std::byte rest[248] = {};
};

// A heap that can run dry, and knows what it gave out.
class LimitedHeap {
 public:
  explicit LimitedHeap(std::uint64_t& left) : left_(&left) {}
  void* allocate(std::size_t bytes, std::size_t align) {
    if (*left_ == 0) return nullptr;
    --*left_;
    return heap_.allocate(bytes, align);
  }
  void free(void* memory, std::size_t bytes) {
    ++*left_;
    heap_.free(memory, bytes);
  }

 private:
  std::uint64_t* left_;
  HeapBacking heap_;
};

constexpr Tuning kSmall = {
    .min_capacity = 2, .max_capacity = 8, .checks = true};
using Cache =
    ObjCache<Counted, HostGround, HeapBacking, DefaultLife<Counted>, kSmall>;
using LimitedCache =
    ObjCache<Counted, HostGround, LimitedHeap, DefaultLife<Counted>, kSmall>;

class ObjCacheTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Counted::constructed = 0;
    Counted::destroyed = 0;
  }
  // The cache's own numbers agree with what objects saw.
  template <class AnyCache>
  static void expect_exact(AnyCache& cache, std::uint64_t gets,
                           std::uint64_t puts) {
    const Statistics now = cache.statistics();
    EXPECT_EQ(now.gets, gets);
    EXPECT_EQ(now.puts, puts);
    EXPECT_EQ(now.in_use, gets - puts);
    EXPECT_EQ(now.constructed,
              static_cast<std::uint64_t>(Counted::constructed));
    EXPECT_EQ(now.destroyed, static_cast<std::uint64_t>(Counted::destroyed));
    EXPECT_EQ(now.existing, now.constructed - now.destroyed);
  }
};

TEST_F(ObjCacheTest, ConstructsAtTheEdgesOnly) {
  {
    Cache cache("counted");
    Counted* first = cache.get_raw();
    ASSERT_NE(first, nullptr);
    first->state = 42;
    cache.put(*first);
    for (int i = 0; i < 100; ++i) {
      Counted* again = cache.get_raw();
      EXPECT_EQ(again, first);  // the warmest one
      EXPECT_EQ(again->state, 42u);
      cache.put(*again);
    }
    EXPECT_EQ(Counted::constructed, 1);
    EXPECT_EQ(Counted::destroyed, 0);
    expect_exact(cache, 101, 101);
    EXPECT_STREQ(cache.name(), "counted");
  }
  EXPECT_EQ(Counted::destroyed, 1);
}

TEST_F(ObjCacheTest, ManyObjectsGoThroughTheDepot) {
  Cache cache("counted");
  std::set<Counted*> out;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 50; ++i) {
      EXPECT_TRUE(out.insert(cache.get_raw()).second);
    }
    for (Counted* object : out) cache.put(*object);
    out.clear();
  }
  EXPECT_EQ(Counted::constructed, 50);
  expect_exact(cache, 150, 150);
  EXPECT_GE(cache.statistics().exchanges, 50u / 2);
}

TEST_F(ObjCacheTest, HandlesPutBack) {
  Cache cache("counted");
  {
    auto one = cache.get();
    ASSERT_TRUE(one);
    one->state = 7;
    auto other = std::move(one);
    EXPECT_EQ(other->state, 7u);
    EXPECT_EQ((*other).state, 7u);
    EXPECT_FALSE(one);  // NOLINT(bugprone-use-after-move): what it is then
    auto second = cache.get();
    second = std::move(other);  // puts its own back
    EXPECT_EQ(cache.statistics().in_use, 1u);
    EXPECT_EQ(second.get()->state, 7u);
    second.reset();
    EXPECT_EQ(cache.statistics().in_use, 0u);
    auto third = cache.get_or_wait();
    Counted* kept = third.release();
    ASSERT_NE(kept, nullptr);
    cache.put(*kept);
  }
  expect_exact(cache, 3, 3);
  Cache::Handle empty;
  EXPECT_FALSE(empty);
}

TEST_F(ObjCacheTest, TheLimitIsExact) {
  Cache cache("counted", {.limit = 3});
  auto a = cache.get();
  auto b = cache.get();
  auto c = cache.get();
  EXPECT_TRUE(a && b && c);
  EXPECT_FALSE(cache.get());
  EXPECT_FALSE(cache.get());
  expect_exact(cache, 3, 0);  // failed ones don't count
  b.reset();
  EXPECT_TRUE(cache.get());
  EXPECT_EQ(Counted::constructed, 3);
}

TEST_F(ObjCacheTest, AtTheLimitIdleObjectsOfOtherThreadsAreFound) {
  Cache cache("counted", {.limit = 5});
  std::thread([&] {
    std::vector<Cache::Handle> all;
    for (int i = 0; i < 5; ++i) all.push_back(cache.get());
  }).join();
  std::vector<Cache::Handle> all;
  for (int i = 0; i < 5; ++i) {
    all.push_back(cache.get());
    EXPECT_TRUE(all.back());
  }
  EXPECT_FALSE(cache.get());
  EXPECT_EQ(Counted::constructed, 5);
}

TEST_F(ObjCacheTest, AWaiterGetsWhatIsPutBack) {
  Cache cache("counted", {.limit = 1});
  auto only = cache.get();
  Counted* const object = only.get();
  std::thread waiter([&] {
    auto got = cache.get_or_wait();
    EXPECT_EQ(got.get(), object);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  only.reset();
  waiter.join();
  expect_exact(cache, 2, 2);
}

TEST_F(ObjCacheTest, ReclaimDestroysSoMany) {
  Cache cache("counted");
  std::vector<Cache::Handle> all(20);
  for (auto& one : all) one = cache.get();
  all.resize(5);
  EXPECT_EQ(cache.reclaim(4), 4u);
  EXPECT_EQ(Counted::destroyed, 4);
  EXPECT_EQ(cache.reclaim(0), 0u);
  // Those of the own lane, too, but none that is out.
  EXPECT_EQ(cache.reclaim(100), 11u);
  EXPECT_EQ(cache.statistics().existing, 5u);
  all.clear();
  expect_exact(cache, 20, 20);
}

TEST_F(ObjCacheTest, ReclaimReachesEveryLane) {
  Cache cache("counted");
  std::array<std::thread, 3> threads;
  for (auto& thread : threads) {
    thread = std::thread([&] { (void)cache.get(); });
  }
  for (auto& thread : threads) thread.join();
  const std::uint64_t existing = cache.statistics().existing;
  EXPECT_EQ(cache.reclaim(~std::uint64_t{0}), existing);
  expect_exact(cache, 3, 3);
}

TEST_F(ObjCacheTest, WithoutMemoryAGetIsEmptyAndAPutDestroys) {
  std::uint64_t left = 1;
  {
    LimitedCache cache("counted", {}, HostGround(), LimitedHeap(left));
    Counted* object = cache.get_raw();
    ASSERT_NE(object, nullptr);
    EXPECT_FALSE(cache.get());
    EXPECT_FALSE(cache.get_or_wait());  // nobody will bring memory
    cache.put(*object);                 // no magazine to put it in
    EXPECT_EQ(Counted::destroyed, 1);
    expect_exact(cache, 1, 1);
    left = 100;
    EXPECT_TRUE(cache.get());
    EXPECT_EQ(cache.reclaim(1), 1u);
    EXPECT_EQ(left, 100u);  // magazines, too
    EXPECT_TRUE(cache.get());
  }
  EXPECT_EQ(left, 100u);
}

// A maker that may refuse.
struct Refusing {
  bool* refuses;
  Counted* construct(void* place) {
    return *refuses ? nullptr : ::new (place) Counted();
  }
  void destroy(Counted& object) { object.~Counted(); }
};

TEST_F(ObjCacheTest, ARefusedConstructionIsAnEmptyGet) {
  bool refuses = true;
  ObjCache<Counted, HostGround, HeapBacking, Refusing> cache(
      "counted", {.limit = 1}, HostGround(), HeapBacking(), Refusing{&refuses});
  EXPECT_FALSE(cache.get());
  EXPECT_EQ(cache.statistics().existing, 0u);
  refuses = false;
  EXPECT_TRUE(cache.get());
  expect_exact(cache, 1, 1);
}

TEST_F(ObjCacheTest, PopulatedCachesNeedNoBacking) {
  using Linear =
      ObjCache<Counted, HostGround, NoBacking, DefaultLife<Counted>, kSmall>;
  std::vector<std::byte> memory(8192);
  // At any address.
  const auto block = std::span(memory).subspan(3);
  Linear cache("linear");
  const std::size_t fit = cache.populate(block);
  EXPECT_GT(fit, 20u);
  EXPECT_EQ(Counted::constructed, static_cast<int>(fit));
  for (int round = 0; round < 2; ++round) {
    std::vector<Linear::Handle> all;
    for (std::size_t i = 0; i < fit; ++i) {
      all.push_back(cache.get());
      ASSERT_TRUE(all.back()) << i;
      const auto* at = reinterpret_cast<const std::byte*>(all.back().get());
      EXPECT_TRUE(at >= block.data() && at < block.data() + block.size());
    }
    EXPECT_FALSE(cache.get());
  }
  EXPECT_EQ(Counted::destroyed, 0);
  // Memory of objects that were destroyed is used again.
  EXPECT_EQ(cache.reclaim(7), 7u);
  std::vector<Linear::Handle> all(fit);
  for (auto& one : all) EXPECT_TRUE(one = cache.get());
  EXPECT_FALSE(cache.get());
}

TEST_F(ObjCacheTest, PopulateKeepsToTheLimit) {
  std::vector<std::byte> memory(8192);
  Cache cache("linear", {.limit = 2});
  EXPECT_GT(cache.populate(memory), 2u);
  EXPECT_EQ(Counted::constructed, 2);
  auto a = cache.get();
  auto b = cache.get();
  EXPECT_TRUE(a && b);
  EXPECT_FALSE(cache.get());
}

TEST_F(ObjCacheTest, PopulateTakesAnyMemory) {
  Cache cache("linear");
  EXPECT_EQ(cache.populate({}), 0u);
  for (std::size_t bytes = 1; bytes < 1024; bytes *= 2) {
    std::vector<std::byte> some(bytes);
    Cache other("linear");
    EXPECT_LE(other.populate(some) * sizeof(Counted), bytes);
  }
}

// A lock that somebody always seems to hold.
class Contended {
 public:
  explicit Contended(const HostGround& ground) : lock_(ground) {}
  void lock() ODO_NO_THREAD_SAFETY_ANALYSIS { lock_.lock(); }
  [[nodiscard]] static bool try_lock() { return false; }
  void unlock() ODO_NO_THREAD_SAFETY_ANALYSIS { lock_.unlock(); }

 private:
  platform::SpinLock<HostGround> lock_;
};

TEST_F(ObjCacheTest, ContentionMakesMagazinesLarger) {
  const auto run = [](auto& cache) {
    for (int round = 0; round < 10; ++round) {
      std::vector<Counted*> all;
      for (int i = 0; i < 40; ++i) all.push_back(cache.get_raw());
      for (Counted* one : all) cache.put(*one);
    }
    return cache.statistics();
  };
  Cache quiet("quiet");
  const Statistics alone = run(quiet);
  EXPECT_EQ(alone.capacity, kSmall.min_capacity);
  EXPECT_EQ(alone.contended, 0u);
  ObjCache<Counted, HostGround, HeapBacking, DefaultLife<Counted>, kSmall,
           Contended>
      loud("loud");
  const Statistics fought = run(loud);
  EXPECT_EQ(fought.capacity, kSmall.max_capacity);
  EXPECT_GT(fought.contended, 0u);
  EXPECT_LT(fought.exchanges, alone.exchanges / 2);
}

// Lanes of two clusters, taken in turn by one thread.
struct TwoClusters : HostGround {
  static constexpr unsigned kMaxLanes = 2;
  static constexpr unsigned kClusters = 2;
  static inline unsigned current = 0;
  [[nodiscard]] unsigned lane() const { return current; }
  [[nodiscard]] unsigned lanes() const { return 2; }
  [[nodiscard]] unsigned cluster(unsigned lane) const { return lane; }
};

TEST_F(ObjCacheTest, AClusterFindsTheObjectsOfAnother) {
  ObjCache<Counted, TwoClusters, HeapBacking, DefaultLife<Counted>, kSmall>
      cache("clusters", {.limit = 10});
  TwoClusters::current = 0;
  std::vector<Counted*> all;
  for (int i = 0; i < 10; ++i) all.push_back(cache.get_raw());
  for (Counted* one : all) cache.put(*one);
  TwoClusters::current = 1;
  for (Counted*& one : all) {
    one = cache.get_raw();
    ASSERT_NE(one, nullptr);
  }
  EXPECT_EQ(cache.lane_statistics(0).puts, 10u);
  EXPECT_EQ(cache.lane_statistics(1).gets, 10u);
  for (Counted* one : all) cache.put(*one);
  expect_exact(cache, 20, 20);
}

TEST_F(ObjCacheTest, OverAlignedAndTinyObjects) {
  struct alignas(256) Wide {
    char c = 0;
  };
  std::vector<std::byte> memory(4096);  // outlives its cache
  ObjCache<Wide, HostGround, HeapBacking> wide("wide");
  ObjCache<char, HostGround, HeapBacking> tiny("tiny");
  EXPECT_GT(wide.populate(memory), 0u);
  std::vector<Wide*> all;
  for (int i = 0; i < 40; ++i) {
    all.push_back(wide.get_raw());
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(all.back()) % 256, 0u);
  }
  for (Wide* one : all) wide.put(*one);
  auto a = tiny.get();
  auto b = tiny.get();
  EXPECT_NE(a.get(), b.get());
}

// --- misuse

const auto kAborts = ::testing::KilledBySignal(SIGABRT);
using ObjCacheDeathTest = ObjCacheTest;

TEST_F(ObjCacheDeathTest, PutTwice) {
  Cache cache("inode");
  Counted* object = cache.get_raw();
  cache.put(*object);
  EXPECT_EXIT(cache.put(*object), kAborts,
              "\"inode\": an object was put back twice\n"
              ".*objcache_test.cc.*\n.*put before at .*objcache_test.cc");
}

TEST_F(ObjCacheDeathTest, PutToTheWrongCache) {
  Cache mine("mine");
  Cache other("other");
  auto object = mine.get();
  EXPECT_EXIT(other.put(*object), kAborts,
              "\"other\": an object was put back that is not from here");
}

TEST_F(ObjCacheDeathTest, DestroyedWithObjectsOut) {
  EXPECT_EXIT(
      {
        auto cache = std::make_unique<Cache>("inode");
        (void)cache->get_raw();
        (void)cache->get_raw();
        cache.reset();
      },
      kAborts, "\"inode\": destroyed while objects are out \\(2\\)");
}

// --- memory of a kmalloc heap of one's own

struct alignas(128) Aligned {
  char bytes[200];
};
struct HeapLane {
  kmalloc::Lane<kmalloc::HostGround>* lane;
  kmalloc::Lane<kmalloc::HostGround>* operator()() const { return lane; }
};

TEST(ObjCacheBackingTest, LivesOnAKmallocHeap) {
  kmalloc::Heap<kmalloc::HostGround> heap{kmalloc::HostGround()};
  const HeapLane here{heap.take_lane()};
  ASSERT_NE(here.lane, nullptr);
  {
    using Backing = KmallocBacking<kmalloc::HostGround, HeapLane>;
    ObjCache<Aligned, HostGround, Backing> cache("aligned", {}, HostGround(),
                                                 Backing(heap, here));
    std::vector<Aligned*> objects;
    for (int i = 0; i < 100; ++i) {
      objects.push_back(cache.get_raw());
      ASSERT_NE(objects.back(), nullptr);
      EXPECT_EQ(
          reinterpret_cast<std::uintptr_t>(objects.back()) % alignof(Aligned),
          0);
    }
    EXPECT_NE(heap.usable_bytes(objects.front()), 0);
    for (Aligned* object : objects) cache.put(*object);
  }
  here.lane->flush();
  EXPECT_LE(heap.counts().in_use,
            kmalloc::Depot<kmalloc::HostGround>::kSlots * kmalloc::kUnitBytes);
  heap.leave_lane(*here.lane);
}

}  // namespace
}  // namespace odo::objcache
