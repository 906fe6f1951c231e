// SPDX-License-Identifier: BSD-3-Clause
// The simulated ground for object caches, memory that can be counted and can
// fail, and a world with one cache in it.
//
// Contexts: inside an execution, or in its set-up.
// Ownership: a World belongs to one execution. Its cache is destroyed only if
//   the execution finished: a failed one leaves threads in the middle of
//   things.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

#include "lib/objcache/objcache.h"
#include "lib/platform/sim/explore.h"
#include "lib/platform/sim/memory_source.h"
#include "lib/platform/sim/sim_platform.h"

namespace odo::objcache {

using sim::Engine;

// Who sleeps on which word: what futex(2) promises and no more.
class SimParking {
 public:
  using Word = sim::SimAtomic<std::uint32_t>;

  void park(Word& word, std::uint32_t seen) {
    Engine& engine = Engine::current();
    // A read-modify-write reads the newest value, as the kernel's look does;
    // what it orders beyond that, no caller may rely on.
    if (word.fetch_add(0, std::memory_order_relaxed) != seen) return;
    sleepers_.push_back(engine.self());
    engine.block();
  }
  void unpark_all() {
    // wake() lets others run, who may fall asleep anew: those stay.
    std::vector<sim::ThreadId> woken;
    woken.swap(sleepers_);
    for (const sim::ThreadId thread : woken) Engine::current().wake(thread);
  }

 private:
  std::vector<sim::ThreadId> sleepers_;  // all on one word: a cache has one
};

// As many lanes as CPUs; `Clusters` depots, to which the lanes go in turn.
template <unsigned Clusters = 1>
class SimGround : public sim::SimPlatform {
 public:
  static constexpr unsigned kMaxLanes = 3;
  static constexpr unsigned kClusters = Clusters;
  template <class T>
  using Plain = sim::Plain<T>;

  // Nothing depends on a statistic, so to count is no step of the machine.
  class Counter {
   public:
    void add_one() { ++count_; }
    [[nodiscard]] std::uint64_t read() const { return count_; }

   private:
    std::uint64_t count_ = 0;
  };

  SimGround(SimParking& parking, unsigned lanes)
      : parking_(&parking), lanes_(lanes) {}

  [[nodiscard]] unsigned lane() { return Engine::current().cpu(); }
  [[nodiscard]] unsigned lanes() { return lanes_; }
  [[nodiscard]] unsigned cluster(unsigned lane) { return lane % Clusters; }
  // Threads of one CPU give way to each other only where they block; only
  // interrupts have to be kept out. Setting up, nobody interrupts.
  void enter_lane() {
    if (is_inside()) Engine::current().disable_interrupts();
  }
  void exit_lane() {
    if (is_inside()) Engine::current().enable_interrupts();
  }

  void light_fence() {}
  void heavy_fence(
      const std::source_location& where = std::source_location::current()) {
    Engine::current().fence_everywhere(where);
  }
  void park(SimParking::Word& word, std::uint32_t seen) {
    parking_->park(word, seen);
  }
  void unpark_all(SimParking::Word& /*word*/) { parking_->unpark_all(); }

  void objcache_fault(const ObjCacheFault& fault) {
    // Static, because fail() does not return to clean up.
    static std::string text;
    text = std::string("cache \"") + fault.cache +
           "\": " + misuse_text(fault.what);
    Engine::current().fail(text, fault.here);
  }

 private:
  static bool is_inside() { return Engine::current().self() != 0; }

  SimParking* parking_;
  unsigned lanes_;
};

// A lock of few steps: lib/platform's own is proved there. The word is changed
// by read-modify-writes alone, so that each finds the newest; whether the lock
// is held is decided in the same step.
class ODO_CAPABILITY("spinlock") SimLock {
 public:
  template <class Ground>
  explicit SimLock(const Ground& /*ground*/) {}

  void lock() ODO_ACQUIRE() ODO_NO_THREAD_SAFETY_ANALYSIS {
    while (!try_lock()) Engine::current().relax();
  }
  [[nodiscard]] bool try_lock() ODO_TRY_ACQUIRE(true) {
    // Acquire, with the release in unlock().
    (void)word_.fetch_add(0, std::memory_order_acquire);
    return !std::exchange(held_, true);
  }
  void unlock() ODO_RELEASE() {
    // Release, with the acquire in try_lock().
    (void)word_.fetch_add(1, std::memory_order_release);
    held_ = false;
  }

 private:
  sim::SimAtomic<std::uint32_t> word_{0};
  bool held_ = false;
};

// What is allocated, and whether it may fail.
struct SimMemory : sim::MemorySource {
  explicit SimMemory(Failure failure) : MemorySource(failure, Freed::kReused) {}
};

struct SimBacking {
  SimMemory* memory;

  void* allocate(std::size_t bytes, std::size_t align) {
    return memory->allocate(bytes, align);
  }
  void free(void* block, std::size_t /*bytes*/) { memory->free(block); }
};

// An object that notices two owners at once, and an owner that does not see
// what the one before it did (a data race on `uses`).
struct Item {
  Item() noexcept {}

  bool is_out = false;
  sim::Plain<int> uses{0};

  void begin_use() {
    if (is_out) Engine::current().fail("an object has two owners");
    is_out = true;
    uses.set(uses.get() + 1);
  }
  void end_use() {
    uses.set(uses.get() + 1);
    is_out = false;
  }
};

struct WorldOptions {
  unsigned lanes = 2;
  std::uint64_t limit = ~std::uint64_t{0};
  SimMemory::Failure failure = SimMemory::Failure::kNever;
};

// `Capacity` of magazines, which may grow to twice that.
template <std::uint32_t Capacity, unsigned Clusters = 1, bool Checks = false>
class World {
 public:
  using Ground = SimGround<Clusters>;
  static constexpr Tuning kTuning = {.min_capacity = Capacity,
                                     .max_capacity = 2 * Capacity,
                                     .contended_to_grow = 1,
                                     .window_exchanges = 4,
                                     .checks = Checks};
  using Cache =
      ObjCache<Item, Ground, SimBacking, DefaultLife<Item>, kTuning, SimLock>;

  explicit World(const WorldOptions& options)
      : memory_(options.failure), limit_(options.limit) {
    cache_ = ::new (place_)
        Cache("items", {.limit = options.limit},
              Ground(parking_, options.lanes), SimBacking{&memory_});
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World() = default;

  [[nodiscard]] Cache& cache() { return *cache_; }

  // One loan; false if there was none.
  bool use() {
    Item* item = cache_->get_raw();
    if (item == nullptr) return false;
    use(*item);
    return true;
  }
  void use_after_wait() {
    Item* item = cache_->get_raw_or_wait();
    if (item == nullptr) Engine::current().fail("no object after a wait");
    use(*item);
  }
  // Without a step between: whoever has it too, or did not see the last owner's
  // writes, is found anyway by `uses` or `is_out`.
  void use(Item& item) {
    item.begin_use();
    item.end_use();
    cache_->put(item);
  }
  // The same for `count` objects at once.
  void use_many(unsigned count) {
    std::vector<Item*> items;
    for (unsigned i = 0; i < count; ++i) {
      Item* item = cache_->get_raw();
      if (item == nullptr) break;
      item->begin_use();
      items.push_back(item);
    }
    for (Item* item : items) {
      item->end_use();
      cache_->put(*item);
    }
  }

  // Runs to the end, and then nothing may be lost: no object is out, all that
  // exist are found by reclaim(), and all memory comes back.
  void finish(Engine& m, std::uint64_t gets) {
    if (m.run() != Engine::Outcome::kFinished) return;
    Statistics now = cache_->statistics();
    if (now.gets != gets) m.fail("gets were counted wrongly");
    check_at_rest(m);
  }
  void finish(Engine& m) {
    if (m.run() == Engine::Outcome::kFinished) check_at_rest(m);
  }

 private:
  void check_at_rest(Engine& m) {
    const Statistics now = cache_->statistics();
    if (now.in_use != 0) return m.fail("puts were counted wrongly");
    if (now.existing > limit_) return m.fail("more objects than the limit");
    if (cache_->reclaim(~std::uint64_t{0}) != now.existing) {
      return m.fail("an object was lost");
    }
    if (cache_->statistics().existing != 0) return m.fail("an object is left");
    if (memory_.live() != 0) return m.fail("memory was lost");
    cache_->~Cache();
    if (memory_.live() != 0) m.fail("memory was lost at the end");
  }

  SimParking parking_;
  SimMemory memory_;
  std::uint64_t limit_;
  alignas(Cache) std::byte place_[sizeof(Cache)];
  Cache* cache_ = nullptr;
};

}  // namespace odo::objcache
