// SPDX-License-Identifier: BSD-3-Clause
// A cache of constructed objects: constructors and destructors run only when
// memory comes and goes, not when an object is taken and put back.
//
//   objcache::ObjCache<Vnode, Ground, Memory> vnodes("vnode", {.limit = 1000});
//   if (auto vnode = vnodes.get()) use(*vnode);  // back at the end of the
//   scope
//
// An object keeps its state while it is in the cache: put it back as the next
// user may find it. docs/objcache.md tells the whole protocol, with the table
// of pairs.
//
// Contexts: get(), get_raw(), put(): any that the ground's enter_lane() keeps
//   apart on one lane. A get that misses calls the backing and constructs; a
//   put may call the backing for a magazine, or destroy. get_or_wait(): threads
//   that may sleep. reclaim(), populate(), and a get at the limit or without
//   memory: threads, as they call heavy_fence(). statistics(): any.
// Ownership: the cache owns every object that is not out. It does not move, and
//   outlives its handles and every call.
// Invariants: those of lane.h (L), depot.h (D), stock.h (S) and
//   C1. an object is in one magazine, or out, or in the hands of one call;
//   C2. whoever asks for attention (attention_ > 0) and then passes
//       heavy_fence(): no lane touches its magazines without a lock from then
//       on, until attention_ is 0 again;
//   C3. while somebody waits, attention_ > 0, no object is in any magazine, and
//       the limit is reached; so each put finds the waiter.
// Ordering: docs/objcache.md; letters in the source.
// Failure: a get is empty-handed when there is no memory, the constructor
//   refuses, or the limit is reached; get_or_wait() only for the first two. A
//   put never fails: without memory for a magazine it destroys the object.
// Complexity: O(1), and one lock for each magazine of objects; a get at the
//   limit and a reclaim look at every lane.
// Origin: Bonwick and Adams, "Magazines and Vmem" (USENIX 2001); DragonFly's
//   sys/kern/kern_objcache.c for limits, waiting and linear memory. There the
//   limit is raised by what lanes may hide and reclaim sees its own CPU only;
//   here lanes are visited.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>
#include <utility>

#include "lib/base/annotations.h"
#include "lib/objcache/block.h"
#include "lib/objcache/depot.h"
#include "lib/objcache/handle.h"
#include "lib/objcache/lane.h"
#include "lib/objcache/magazine.h"
#include "lib/objcache/platform.h"
#include "lib/objcache/stock.h"
#include "lib/platform/spinlock.h"

namespace odo::objcache {

struct Options {
  // Objects that may exist at once, in use or not.
  std::uint64_t limit = std::numeric_limits<std::uint64_t>::max();
};

struct LaneStatistics {
  std::uint64_t gets = 0;  // those that got something
  std::uint64_t puts = 0;
  std::uint64_t exchanges = 0;  // of magazines, with the depot
};

// Exact while no call is under way.
struct Statistics : LaneStatistics {
  std::uint64_t constructed = 0;
  std::uint64_t destroyed = 0;
  std::uint64_t contended = 0;  // depot locks found taken
  std::uint32_t capacity = 0;   // of new magazines
  std::uint64_t in_use = 0;     // gets - puts
  std::uint64_t existing = 0;   // constructed - destroyed
};

template <class T, ObjCachePlatform P, Backing B,
          LifeOf<T> Life = DefaultLife<T>, Tuning Tuned = Tuning{},
          DepotLock<P> Lock = platform::SpinLock<P>>
class ObjCache {
 public:
  using Object = T;
  using Handle = objcache::Handle<ObjCache>;

  // `name` is kept: static storage.
  explicit ObjCache(const char* name, Options options = {}, P platform = P(),
                    B backing = B(), Life life = Life())
      : platform_(platform),
        name_(name),
        backing_(std::move(backing)),
        life_(std::move(life)),
        stock_(platform, options.limit),
        depots_(make_depots(platform,
                            std::make_integer_sequence<unsigned, kDepots>())) {}
  ObjCache(const ObjCache&) = delete;
  ObjCache& operator=(const ObjCache&) = delete;
  // Nobody else uses it any more, and no object is out.
  ~ObjCache();

  // An object on loan; empty if there is none to be had.
  [[nodiscard]] Handle get() { return Handle(*this, get_raw()); }
  // The same, but sleeps while the limit is reached.
  [[nodiscard]] Handle get_or_wait() ODO_MAY_BLOCK
  requires CanPark<P>
  {
    return Handle(*this, get_raw_or_wait());
  }

  // For those who keep the object elsewhere; null if there is none.
  [[nodiscard]] ODO_ALWAYS_INLINE T* get_raw() {
    Lane<P>& lane = enter();
    if (nobody_asks() && lane.can_pop()) [[likely]] {
      lane.witness.touch();
      void* object = lane.pop();
      lane.gets.add_one();
      leave(lane);
      return give_out(object);
    }
    return get_slow(lane, AtLimit::kFail);
  }
  [[nodiscard]] ODO_ALWAYS_INLINE T* get_raw_or_wait() ODO_MAY_BLOCK
  requires CanPark<P>
  {
    Lane<P>& lane = enter();
    if (nobody_asks() && lane.can_pop()) [[likely]] {
      lane.witness.touch();
      void* object = lane.pop();
      lane.gets.add_one();
      leave(lane);
      return give_out(object);
    }
    return get_slow(lane, AtLimit::kWait);
  }

  ODO_ALWAYS_INLINE void put(T& object, const Where& here = Where::current()) {
    take_in(object, here);
    Lane<P>& lane = enter();
    lane.puts.add_one();
    if (nobody_asks() && lane.can_push()) [[likely]] {
      lane.witness.touch();
      lane.push(&object);
      leave(lane);
      return;
    }
    put_slow(lane, &object);
  }

  // Destroys up to `target` objects that nobody uses, from every lane, and
  // gives their memory and that of all empty magazines to the backing. Says how
  // many it destroyed.
  std::uint64_t reclaim(std::uint64_t target);

  // Makes objects in the caller's memory, which the cache then keeps until its
  // end, with magazines for them. Says how many fit in; those beyond the limit
  // are not constructed before there is room for them.
  std::size_t populate(std::span<std::byte> memory);

  [[nodiscard]] Statistics statistics();
  [[nodiscard]] LaneStatistics lane_statistics(unsigned lane) {
    Lane<P>& one = lanes_[lane];
    return {one.gets.read(), one.puts.read(), one.exchanges.read()};
  }
  [[nodiscard]] const char* name() const { return name_; }

 private:
  using Note = std::conditional_t<Tuned.checks, CheckedNote<P>, NoNote>;
  using ObjectBlock = Block<T, Note>;
  using ClusterDepot = Depot<P, Tuned, Lock>;
  using CacheStock = Stock<P, Lock>;
  enum class AtLimit : std::uint8_t { kFail, kWait };

  static constexpr unsigned kDepots = [] {
    if constexpr (HasClusters<P>) {
      return unsigned{P::kClusters};
    } else {
      return 1U;
    }
  }();

  // The lane's section for those who only want a lock in it.
  class Section {
   public:
    explicit Section(P& platform) : platform_(platform) {
      platform_.enter_lane();
    }
    Section(const Section&) = delete;
    Section& operator=(const Section&) = delete;
    ~Section() { platform_.exit_lane(); }

   private:
    P& platform_;
  };

  // Asks every lane for attention for as long as it lives (C2).
  class Attention {
   public:
    explicit Attention(ObjCache& cache) : cache_(cache) {
      // Relaxed: the fence orders it before the looks at busy (F).
      (void)cache_.attention_.fetch_add(1, std::memory_order_relaxed);
      cache_.platform_.heavy_fence();
    }
    Attention(const Attention&) = delete;
    Attention& operator=(const Attention&) = delete;
    ~Attention() {
      // A: release, with nobody_asks(): the lane finds what we left in it.
      (void)cache_.attention_.fetch_sub(1, std::memory_order_release);
    }

   private:
    ObjCache& cache_;
  };

  template <unsigned... Index>
  static std::array<ClusterDepot, kDepots> make_depots(
      const P& platform, std::integer_sequence<unsigned, Index...> /*all*/) {
    return {((void)Index, ClusterDepot(platform))...};
  }

  // --- the fast path's parts
  // Into the section of our lane, which is busy from here on.
  ODO_ALWAYS_INLINE Lane<P>& enter() {
    platform_.enter_lane();
    Lane<P>& lane = lanes_[platform_.lane()];
    // F: then the light fence, then attention_; who asks for attention does it
    // the other way round.
    lane.busy.store(true, std::memory_order_relaxed);
    platform_.light_fence();
    return lane;
  }
  [[nodiscard]] ODO_ALWAYS_INLINE bool nobody_asks() const {
    // A: acquire, with ~Attention().
    return attention_.load(std::memory_order_acquire) == 0;
  }
  // No longer busy, but still in the section.
  ODO_ALWAYS_INLINE void calm(Lane<P>& lane) {
    // B: release, with the visitor's look in visit().
    lane.busy.store(false, std::memory_order_release);
  }
  ODO_ALWAYS_INLINE void leave(Lane<P>& lane) {
    calm(lane);
    platform_.exit_lane();
  }
  ODO_ALWAYS_INLINE T* give_out(void* object) {
    if constexpr (Tuned.checks) {
      if (object != nullptr) note_out(object);
    }
    return static_cast<T*>(object);
  }
  ODO_ALWAYS_INLINE void take_in(T& object, const Where& here) {
    if constexpr (Tuned.checks) note_in(object, here);
  }

  // --- the slow path: objcache_impl.h
  ODO_NOINLINE T* get_slow(Lane<P>& lane, AtLimit at_limit);
  ODO_NOINLINE void put_slow(Lane<P>& lane, void* object);
  ODO_NOINLINE void note_out(void* object);
  ODO_NOINLINE void note_in(T& object, const Where& here);

  void* get_near(Lane<P>& lane);
  void* get_far(AtLimit at_limit);
  bool look_everywhere(Waiter& waiter, AtLimit at_limit);
  void* find_anywhere() ODO_REQUIRES(stock_);
  void visit(unsigned cluster, ClusterDepot& depot) ODO_REQUIRES(depot);
  void sleep_until_served(Waiter& waiter);
  bool put_near(Lane<P>& lane, void* object);
  bool put_locked(Lane<P>& lane, void* object, MagazineList& outgrown);

  [[nodiscard]] bool take_unit();
  void* make();
  void discard(void* object);
  [[nodiscard]] bool add_magazine();
  void free_magazines(MagazineList magazines);
  std::uint64_t discard_some(std::uint64_t target);
  void wake(Wake whom);
  void count_get();
  [[noreturn]] void misused(const ObjCacheFault& fault);

  [[nodiscard]] unsigned cluster_of(unsigned lane) {
    if constexpr (HasClusters<P>) {
      return platform_.cluster(lane);
    } else {
      (void)lane;
      return 0;
    }
  }
  [[nodiscard]] unsigned my_cluster() { return cluster_of(platform_.lane()); }

  // Read by everybody all the time, and seldom written.
  alignas(kLineBytes)
      typename P::template Atomic<std::uint32_t> attention_{std::uint32_t{0}};
  [[no_unique_address]] P platform_;
  const char* const name_;
  [[no_unique_address]] B backing_;
  [[no_unique_address]] Life life_;

  CacheStock stock_;
  std::array<ClusterDepot, kDepots> depots_;
  std::array<Lane<P>, P::kMaxLanes> lanes_;
};

}  // namespace odo::objcache

#include "lib/objcache/objcache_impl.h"
