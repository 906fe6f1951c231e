// SPDX-License-Identifier: BSD-3-Clause
// What object caches ask of the ground they stand on, of the memory behind them
// and of those who make objects; and what they tell the ground when they are
// misused.
//
// Contexts: each function says its own.
// Failure: allocate() and construct() may fail; nothing of a ground does.
//   objcache_fault() does not return to the caller's work.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <new>
#include <source_location>
#include <type_traits>

#include "lib/platform/concepts.h"

namespace odo::objcache {

using Where = std::source_location;

inline constexpr std::size_t kLineBytes = 128;  // two: lines come in pairs

// How a cache is built; a template argument.
struct Tuning {
  // Rounds in a magazine: at first, and at most.
  std::uint32_t min_capacity = 16;
  std::uint32_t max_capacity = 128;
  // Magazines double in capacity once a depot's lock was found taken this often
  // in one window of exchanges.
  std::uint32_t contended_to_grow = 8;
  std::uint32_t window_exchanges = 64;
  // Keep a note beside each object, so that a double put, a put of what is not
  // this cache's and an object handed out twice are found.
#if defined(NDEBUG)
  bool checks = false;
#else
  bool checks = true;
#endif
};

enum class Misuse : std::uint8_t {
  kDoublePut,    // put, but in the cache already
  kForeignPut,   // put, but not from this cache
  kHandedTwice,  // given out, but out already: who had it still uses it
  kObjectsOut    // the cache was destroyed while objects are out
};

[[nodiscard]] constexpr const char* misuse_text(Misuse what) {
  switch (what) {
    case Misuse::kDoublePut:
      return "an object was put back twice";
    case Misuse::kForeignPut:
      return "an object was put back that is not from here";
    case Misuse::kHandedTwice:
      return "an object was given out that is out already";
    case Misuse::kObjectsOut:
      return "destroyed while objects are out";
  }
  return "misused";
}

// One misuse. `object` is null for kObjectsOut, where `count` says how many.
// `here` is where it was found, `there` where the object was put before, with
// line 0 if that is not known.
struct ObjCacheFault {
  Misuse what;
  const char* cache;
  const void* object;
  std::uint64_t count;
  Where here;
  Where there;
};

// lane() is the index of the lane that the caller runs on, below lanes(), which
// may grow up to kMaxLanes but never shrinks. A lane is a CPU, or on the host a
// thread. Between enter_lane() and exit_lane(), which nest, the caller keeps
// its lane and nobody else runs on it: no other thread, and no interrupt
// handler that uses caches.
//
// Counter is a statistic: one lane writes it, anybody reads it, nothing depends
// on its order.
//
// Contexts: heavy_fence: threads, outside a lane's section. All others: any.
template <class P>
concept ObjCachePlatform = platform::HasAtomics<P> && platform::CanRelax<P> &&
                           platform::HasFencePair<P> &&
                           requires(P& ground, typename P::Counter& counter,
                                    const ObjCacheFault& fault) {
                             { P::kMaxLanes } -> std::convertible_to<unsigned>;
                             { ground.lane() } -> std::same_as<unsigned>;
                             { ground.lanes() } -> std::same_as<unsigned>;
                             { ground.enter_lane() } -> std::same_as<void>;
                             { ground.exit_lane() } -> std::same_as<void>;
                             { counter.add_one() } -> std::same_as<void>;
                             { counter.read() } -> std::same_as<std::uint64_t>;
                             {
                               ground.objcache_fault(fault)
                             } -> std::same_as<void>;
                           };

// Needed by gets that wait. park(word, seen) sleeps until unpark_all(word), or
// returns at once if the word is not `seen`; it may return for no reason.
// Contexts: park: threads that may sleep; unpark_all: any.
template <class P>
concept CanPark =
    requires(P& ground, typename P::template Atomic<std::uint32_t>& word,
             std::uint32_t seen) {
      { ground.park(word, seen) } -> std::same_as<void>;
      { ground.unpark_all(word) } -> std::same_as<void>;
    };

// A ground whose lanes lie in clusters that share a cache or a memory
// controller says which lane lies where; each cluster then has a depot.
template <class P>
concept HasClusters = requires(P& ground, unsigned lane) {
  { P::kClusters } -> std::convertible_to<unsigned>;
  { ground.cluster(lane) } -> std::same_as<unsigned>;
};

// Where objects and magazines live. allocate() gives null when there is
// nothing; free() takes back what it gave, with the same size.
// Contexts: wherever the cache is used, but never in a lane's section and
// never under a lock of the cache.
template <class B>
concept Backing = requires(B& backing, void* memory, std::size_t bytes) {
  { backing.allocate(bytes, bytes) } -> std::same_as<void*>;
  { backing.free(memory, bytes) } -> std::same_as<void>;
};

// For caches that live off populate() alone.
struct NoBacking {
  void* allocate(std::size_t /*bytes*/, std::size_t /*align*/) {
    return nullptr;
  }
  void free(void* /*memory*/, std::size_t /*bytes*/) {}
};

// Makes and ends objects: construct() makes a T at that place, or gives null.
// Contexts: as Backing.
template <class L, class T>
concept LifeOf = requires(L& life, void* place, T& object) {
  { life.construct(place) } -> std::same_as<T*>;
  { life.destroy(object) } -> std::same_as<void>;
};

template <class T>
struct DefaultLife {
  static_assert(std::is_nothrow_default_constructible_v<T>);
  T* construct(void* place) { return ::new (place) T(); }
  void destroy(T& object) { object.~T(); }
};

// A lock for depots: lib/platform's SpinLock is one. Held for a few dozen
// instructions; but while lanes are visited, for as long as the busiest of them
// needs to leave its section.
template <class L, class P>
concept DepotLock = std::constructible_from<L, P> && requires(L& lock) {
  lock.lock();
  { lock.try_lock() } -> std::same_as<bool>;
  lock.unlock();
};

}  // namespace odo::objcache
