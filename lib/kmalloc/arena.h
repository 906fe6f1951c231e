// SPDX-License-Identifier: BSD-3-Clause
// Where slabs get their units from, and large allocations their pages: chunks
// of the page source, cut up under one lock.
//
// What is freed stays mapped, as it will be wanted again, but not without
// limit: when more of it was touched than kKeptBytes and an eighth of what is
// in use, its contents go back to the page source; a chunk that is wholly free
// goes back itself, if another one is.
//
// Contexts: lanes' owners. The page source is called without the lock.
// Ownership: the arena's until given out; chunks die with the arena.
// Invariants:
//   A1. units and pages that are given out are in no free mask; what is on its
//       way to the page source is in none either;
//   A2. chunks with free units or pages are on their list, full ones are not.
// Failure: null when the page source has nothing left.
// Complexity: units: the chunks on the list; pages: their masks.
// Origin: first fit over bit masks; see Wilson et al., "Dynamic Storage
//   Allocation: A Survey", 1995, section 3.4.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include "lib/base/bits.h"
#include "lib/base/check.h"
#include "lib/base/list.h"
#include "lib/kmalloc/chunk.h"
#include "lib/kmalloc/chunk_map.h"
#include "lib/kmalloc/guards.h"
#include "lib/kmalloc/run_mask.h"

namespace odo::kmalloc {

// Units of one chunk.
template <KmallocPlatform P>
struct UnitRun {
  SlabChunk<P>* chunk = nullptr;
  unsigned first = 0;
};

// A chunk of large allocations: in its first page this, in the others they.
template <KmallocPlatform P>
struct RunChunk : ChunkFront<P>, GuardFlags<kIsGuarded<P>, kPages> {
  RunChunk() : ChunkFront<P>(ChunkFront<P>::Kind::kRuns) {}

  ListHook hook;
  RunMask<kPages> free;
  RunMask<kPages> touched;  // of those, the ones that may not be zero
  // Of the allocation that begins at a page, with its guard; 0 elsewhere.
  std::uint16_t pages[kPages] = {};
};
// An allocation with a mapping of its own: in front of it this.
template <KmallocPlatform P>
struct HugeChunk : ChunkFront<P>, GuardFlags<kIsGuarded<P>, 1> {
  HugeChunk() : ChunkFront<P>(ChunkFront<P>::Kind::kHuge) {}

  void* mapping = nullptr;
  std::size_t mapped_bytes = 0;
  void* object = nullptr;
  std::size_t object_bytes = 0;
};

// In bytes; of a moment.
struct ArenaCounts {
  std::size_t mapped = 0;    // chunks and huge allocations
  std::size_t in_use = 0;    // slabs and large allocations
  std::size_t kept = 0;      // free, but touched: not given back
  std::size_t released = 0;  // given back so far, or unmapped
};

template <KmallocPlatform P>
class Arena {
 public:
  using Chunk = SlabChunk<P>;
  // What stays at hand whatever is in use.
  static constexpr std::size_t kKeptBytes = std::size_t{8} * 1024 * 1024;

  constexpr explicit Arena(P ground) : ground_(ground), lock_(ground) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  // Everything that was given out has come back.
  ~Arena() {
    while (Chunk* chunk = slabs_.pop_front()) destroy(*chunk);
    while (RunChunk<P>* chunk = runs_.pop_front()) destroy(*chunk);
    map_.end(ground_);
  }

  // --- slabs -----------------------------------------------------------------
  // 1, 2, 4 or 8 units that follow each other. The chunk is null if there are
  // none.
  [[nodiscard]] UnitRun<P> take_units(unsigned count) {
    platform::SpinGuard guard(lock_);
    while (true) {
      for (Chunk& chunk : slabs_) {
        const unsigned first = find_units(chunk.free, count);
        if (first == kUnits) continue;
        const std::uint64_t mask = units_mask(first, count);
        counts_.kept -= kUnitBytes * count_of(chunk.touched & mask);
        counts_.in_use += kUnitBytes * count;
        chunk.free &= ~mask;
        chunk.touched &= ~mask;
        if (chunk.free == 0) slabs_.erase(chunk);
        return {&chunk, first};
      }
      lock_.unlock();
      void* memory = map_chunk(kChunkBytes, kChunkBytes);
      lock_.lock();
      if (memory == nullptr) return {};
      auto* chunk = new (memory) Chunk;
      chunk->free = ~units_mask(0, kHeaderUnits<P>);
      counts_.mapped += kChunkBytes;
      slabs_.push_front(*chunk);
    }
  }
  void give_units(Chunk& chunk, unsigned first, unsigned count) {
    const std::uint64_t mask = units_mask(first, count);
    lock_.lock();
    if (chunk.free == 0) slabs_.push_back(chunk);
    chunk.free |= mask;
    chunk.touched |= mask;
    counts_.in_use -= kUnitBytes * count;
    counts_.kept += kUnitBytes * count;
    if (chunk.free == ~units_mask(0, kHeaderUnits<P>) &&
        &slabs_.front() != &slabs_.back()) {
      slabs_.erase(chunk);
      counts_.kept -= kUnitBytes * count_of(chunk.touched);
      forget(kChunkBytes);
      lock_.unlock();
      destroy(chunk);
      return;
    }
    unlock_and_trim();
  }

  // --- large -----------------------------------------------------------------
  // More than kMaxSmallBytes, from a multiple of `alignment` on; zeroed if the
  // caller wants that. Null if there is no memory for it.
  [[nodiscard]] void* take_large(std::size_t bytes, std::size_t alignment,
                                 bool zeroed) {
    if (bytes > kMostRunBytes || alignment > kMostRunBytes) {
      void* object = take_huge(bytes, alignment);
      if (!kMapsZeros<P> && zeroed && object != nullptr) {
        __builtin_memset(object, 0, bytes);
      }
      return object;
    }
    const std::size_t pages = pages_of(bytes + kGuardBytes);
    const std::size_t step =
        alignment <= kPageBytes ? 1 : alignment / kPageBytes;
    lock_.lock();
    while (true) {
      for (RunChunk<P>& chunk : runs_) {
        const std::size_t first = chunk.free.find(pages, step);
        if (first == kPages) continue;
        const std::size_t dirty = chunk.touched.count(first, pages);
        counts_.kept -= kPageBytes * dirty;
        counts_.in_use += kPageBytes * pages;
        chunk.free.clear(first, pages);
        chunk.touched.clear(first, pages);
        chunk.pages[first] = static_cast<std::uint16_t>(pages);
        if (chunk.free.empty()) runs_.erase(chunk);
        lock_.unlock();
        std::byte* at = page_at(chunk, first);
        if constexpr (kIsGuarded<P>) {
          chunk.has_guard[first] =
              guard(page_at(chunk, first + pages - 1), kPageBytes);
        }
        if (zeroed && (dirty != 0 || !kMapsZeros<P>)) {
          __builtin_memset(at, 0, bytes);
        }
        return at;
      }
      lock_.unlock();
      void* memory = map_chunk(kChunkBytes, kChunkBytes);
      if (memory == nullptr) return nullptr;
      auto* chunk = new (memory) RunChunk<P>;
      chunk->free.set(1, kPages - 1);
      lock_.lock();
      counts_.mapped += kChunkBytes;
      runs_.push_front(*chunk);
    }
  }
  // Its usable size; 0 if nothing large begins there.
  [[nodiscard]] static std::size_t large_bytes(const void* object) {
    ChunkFront<P>& front = front_of_large(object);
    if (front.kind == ChunkFront<P>::Kind::kHuge) {
      const auto& huge = static_cast<HugeChunk<P>&>(front);
      return huge.object == object ? huge.object_bytes : 0;
    }
    if (front.kind != ChunkFront<P>::Kind::kRuns) return 0;
    const auto& chunk = static_cast<RunChunk<P>&>(front);
    const auto offset = reinterpret_cast<std::uintptr_t>(object) % kChunkBytes;
    if (offset % kPageBytes != 0) return 0;
    const std::size_t pages = chunk.pages[offset / kPageBytes];
    return pages == 0 ? 0 : pages * kPageBytes - kGuardBytes;
  }
  // False if nothing large begins there.
  [[nodiscard]] bool give_large(void* object) {
    ChunkFront<P>& front = front_of_large(object);
    if (large_bytes(object) == 0) return false;
    if (front.kind == ChunkFront<P>::Kind::kHuge) {
      give_huge(static_cast<HugeChunk<P>&>(front));
      return true;
    }
    auto& chunk = static_cast<RunChunk<P>&>(front);
    const std::size_t first =
        reinterpret_cast<std::uintptr_t>(object) % kChunkBytes / kPageBytes;
    lock_.lock();
    const std::size_t pages = chunk.pages[first];
    if (pages == 0) {  // somebody else was quicker
      lock_.unlock();
      return false;
    }
    chunk.pages[first] = 0;
    if constexpr (kIsGuarded<P>) {
      // Not under the lock; nobody else has the pages yet.
      lock_.unlock();
      if (chunk.has_guard[first]) {
        unguard(page_at(chunk, first + pages - 1), kPageBytes);
      }
      lock_.lock();
    }
    put_pages(chunk, first, pages);
    return true;
  }
  // Changes the size of a run where it is; false if that can't be done. Guards
  // stay where they are.
  [[nodiscard]] bool resize_large(void* object, std::size_t bytes) {
    ChunkFront<P>& front = front_of_large(object);
    if (kIsGuarded<P> || front.kind != ChunkFront<P>::Kind::kRuns) {
      const std::size_t now = large_bytes(object);
      // A huge one stays if it is neither too small nor half empty.
      return bytes <= now && bytes > now / 2;
    }
    auto& chunk = static_cast<RunChunk<P>&>(front);
    if (bytes > kMostRunBytes) return false;
    const std::size_t pages = pages_of(bytes);
    const std::size_t first =
        reinterpret_cast<std::uintptr_t>(object) % kChunkBytes / kPageBytes;
    lock_.lock();
    const std::size_t now = chunk.pages[first];
    if (pages < now) {
      chunk.pages[first] = static_cast<std::uint16_t>(pages);
      put_pages(chunk, first + pages, now - pages);
      return true;
    }
    const std::size_t more = pages - now;
    const bool fits =
        first + pages <= kPages && chunk.free.has_all(first + now, more);
    if (fits && more != 0) {
      counts_.kept -= kPageBytes * chunk.touched.count(first + now, more);
      counts_.in_use += kPageBytes * more;
      chunk.free.clear(first + now, more);
      chunk.touched.clear(first + now, more);
      chunk.pages[first] = static_cast<std::uint16_t>(pages);
      if (chunk.free.empty()) runs_.erase(chunk);
    }
    lock_.unlock();
    return fits;
  }

  // Another size of a huge one, at another address if need be, without a copy;
  // null if that can't be done, and then it is as it was.
  [[nodiscard]] void* move_huge(void* object, std::size_t bytes) {
    if constexpr (!kIsGuarded<P> &&
                  requires(P p) { p.remap(object, bytes, bytes, bytes); }) {
      ChunkFront<P>& front = front_of_large(object);
      if (front.kind != ChunkFront<P>::Kind::kHuge) return nullptr;
      const auto& huge = static_cast<const HugeChunk<P>&>(front);
      const auto before =
          static_cast<std::size_t>(static_cast<std::byte*>(object) -
                                   static_cast<std::byte*>(huge.mapping));
      if (bytes <= kMostRunBytes || bytes > kMostHugeBytes - before) {
        return nullptr;
      }
      const std::size_t total = before + align_up(bytes, kPageBytes);
      const std::size_t last = huge.mapped_bytes;
      map_.remove(&huge);
      void* memory = ground_.remap(huge.mapping, last, total, kChunkBytes);
      if (memory == nullptr) {
        map_.add(&huge);
        return nullptr;
      }
      std::byte* moved = static_cast<std::byte*>(memory) + before;
      auto& now = static_cast<HugeChunk<P>&>(front_of_large(moved));
      map_.add(&now);
      now.mapping = memory;
      now.mapped_bytes = total;
      now.object = moved;
      now.object_bytes = total - before;
      platform::SpinGuard guard(lock_);
      counts_.mapped = counts_.mapped - last + total;
      counts_.in_use = counts_.in_use - last + total;
      return moved;
    } else {
      return nullptr;
    }
  }

  // --- guards ----------------------------------------------------------------
  [[nodiscard]] bool guard(void* memory, std::size_t bytes) {
    return guards_.guard(ground_, memory, bytes);
  }
  void unguard(void* memory, std::size_t bytes) {
    guards_.unguard(ground_, memory, bytes);
  }
  [[nodiscard]] GuardCounts guard_counts() const { return guards_.counts(); }

  // --- for hardened heaps ----------------------------------------------------
  // Whether a chunk's header is where an address leads.
  [[nodiscard]] bool has_chunk_of(const void* address) const {
    return map_.has(address);
  }

  // --- pressure --------------------------------------------------------------
  // Gives back what is free, but no more than it takes to reach the target;
  // how many bytes that were.
  std::size_t reclaim(std::size_t target_bytes) {
    std::size_t done = 0;
    while (done < target_bytes) {
      const std::size_t now = release_some();
      if (now == 0) break;
      done += now;
    }
    return done;
  }

  // As Heap's before_fork() and so on.
  void hold() ODO_ACQUIRE(lock_) { lock_.lock(); }
  void let_go() ODO_RELEASE(lock_) { lock_.unlock(); }
  void let_go_in_copy() {
    // Who waited for it is not there any more, and would never be served.
    std::destroy_at(&lock_);
    std::construct_at(&lock_, ground_);
  }

  [[nodiscard]] ArenaCounts counts() {
    platform::SpinGuard guard(lock_);
    return counts_;
  }

 private:
  static constexpr std::size_t kGuardBytes = Guards<P>::kBytes;
  static constexpr std::size_t kMostRunBytes = std::size_t{1024} * 1024;
  static constexpr std::size_t kMostHugeBytes =
      ~std::size_t{0} - 2 * kChunkBytes;

  [[nodiscard]] static constexpr std::uint64_t units_mask(unsigned first,
                                                          unsigned count) {
    return ((std::uint64_t{1} << count) - 1) << first;
  }
  [[nodiscard]] static constexpr std::size_t count_of(std::uint64_t mask) {
    return static_cast<std::size_t>(std::popcount(mask));
  }
  // The first of `count` bits in a row, or kUnits.
  [[nodiscard]] static constexpr unsigned find_units(std::uint64_t free,
                                                     unsigned count) {
    for (unsigned have = 1; have < count; have *= 2) free &= free >> have;
    return static_cast<unsigned>(std::countr_zero(free));
  }
  [[nodiscard]] static std::size_t pages_of(std::size_t bytes) {
    return (bytes + kPageBytes - 1) / kPageBytes;
  }
  [[nodiscard]] static std::byte* page_at(RunChunk<P>& chunk,
                                          std::size_t page) {
    return reinterpret_cast<std::byte*>(&chunk) + page * kPageBytes;
  }
  // An object at a chunk's beginning has its front in the chunk before.
  [[nodiscard]] static ChunkFront<P>& front_of_large(const void* object) {
    return ChunkFront<P>::of(static_cast<const std::byte*>(object) - 1);
  }
  void forget(std::size_t bytes) {
    counts_.mapped -= bytes;
    counts_.released += bytes;
  }

  // Under the lock, which this gives up.
  void put_pages(RunChunk<P>& chunk, std::size_t first, std::size_t pages)
      ODO_RELEASE(lock_) {
    if (chunk.free.empty()) runs_.push_back(chunk);
    chunk.free.set(first, pages);
    chunk.touched.set(first, pages);
    counts_.in_use -= kPageBytes * pages;
    counts_.kept += kPageBytes * pages;
    if (&runs_.front() != &runs_.back() && chunk.free.has_all(1, kPages - 1)) {
      runs_.erase(chunk);
      counts_.kept -= kPageBytes * chunk.touched.count(1, kPages - 1);
      forget(kChunkBytes);
      lock_.unlock();
      destroy(chunk);
      return;
    }
    unlock_and_trim();
  }

  [[nodiscard]] void* take_huge(std::size_t bytes, std::size_t alignment) {
    // In front of the object a page for the header; or, if the object has to
    // begin with a chunk, as much as its alignment.
    const std::size_t front = alignment <= kPageBytes ? kPageBytes : alignment;
    if (front > kMostHugeBytes / 2 || bytes > kMostHugeBytes - front) {
      return nullptr;
    }
    const std::size_t total = front + align_up(bytes, kPageBytes) + kGuardBytes;
    const std::size_t align = front > kChunkBytes ? front : kChunkBytes;
    void* memory = map_chunk(total, align, front - 1);
    if (memory == nullptr) return nullptr;
    std::byte* object = static_cast<std::byte*>(memory) + front;
    // The front of the chunk that the byte before the object is in.
    auto* huge = new (&ChunkFront<P>::of(object - 1)) HugeChunk<P>;
    huge->mapping = memory;
    huge->mapped_bytes = total;
    huge->object = object;
    huge->object_bytes = total - front - kGuardBytes;
    if constexpr (kIsGuarded<P>) {
      huge->has_guard[0] = guard(object + huge->object_bytes, kPageBytes);
    }
    platform::SpinGuard guard(lock_);
    counts_.mapped += total;
    counts_.in_use += total;
    return object;
  }
  void give_huge(HugeChunk<P>& huge) {
    const std::size_t bytes = huge.mapped_bytes;
    void* mapping = huge.mapping;
    lock_.lock();
    counts_.in_use -= bytes;
    forget(bytes);
    lock_.unlock();
    if constexpr (kIsGuarded<P>) {
      if (huge.has_guard[0]) {
        unguard(static_cast<std::byte*>(huge.object) + huge.object_bytes,
                kPageBytes);
      }
    }
    map_.remove(&huge);
    huge.~HugeChunk<P>();
    ground_.unmap(mapping, bytes);
  }
  template <class C>
  void destroy(C& chunk) {
    map_.remove(&chunk);
    chunk.~C();
    ground_.unmap(&chunk, kChunkBytes);
  }
  // `at` bytes from its beginning lies the chunk that addresses will lead to.
  [[nodiscard]] void* map_chunk(std::size_t bytes, std::size_t alignment,
                                std::size_t at = 0) {
    if (!map_.prepare(ground_)) return nullptr;
    void* memory = ground_.map(bytes, alignment);
    if (memory != nullptr) map_.add(static_cast<std::byte*>(memory) + at);
    return memory;
  }

  // Nearly always there is nothing to do, and no reason to take the lock again.
  void unlock_and_trim() ODO_RELEASE(lock_) {
    bool enough = keeps_enough();
    lock_.unlock();
    while (!enough && release_some() != 0) {
      platform::SpinGuard guard(lock_);
      enough = keeps_enough();
    }
  }
  [[nodiscard]] bool keeps_enough() const {
    return counts_.kept <= kKeptBytes + counts_.in_use / 8;
  }
  // Of one chunk, a run of what is free and touched; how many bytes.
  std::size_t release_some() {
    lock_.lock();
    for (Chunk& chunk : slabs_) {
      if (chunk.touched == 0) continue;
      const auto first = static_cast<unsigned>(std::countr_zero(chunk.touched));
      const auto count =
          static_cast<unsigned>(std::countr_one(chunk.touched >> first));
      const std::uint64_t mask =
          count == kUnits ? ~std::uint64_t{0} : units_mask(first, count);
      chunk.free &= ~mask;  // A1: nobody takes them meanwhile
      chunk.touched &= ~mask;
      const bool was_last = chunk.free == 0;
      if (was_last) slabs_.erase(chunk);
      const std::size_t bytes = kUnitBytes * count;
      counts_.kept -= bytes;
      lock_.unlock();
      const bool released = ground_.release(chunk.unit_at(first), bytes);
      lock_.lock();
      if (chunk.free == 0) slabs_.push_back(chunk);
      chunk.free |= mask;
      if (!released) {
        chunk.touched |= mask;
        counts_.kept += bytes;
        lock_.unlock();
        return 0;
      }
      counts_.released += bytes;
      lock_.unlock();
      return bytes;
    }
    for (RunChunk<P>& chunk : runs_) {
      const std::size_t first = chunk.touched.find(1, 1);
      if (first == kPages) continue;
      const std::size_t count = chunk.touched.length(first);
      chunk.free.clear(first, count);
      chunk.touched.clear(first, count);
      if (chunk.free.empty()) runs_.erase(chunk);
      const std::size_t bytes = kPageBytes * count;
      counts_.kept -= bytes;
      lock_.unlock();
      const bool zero = ground_.release(page_at(chunk, first), bytes);
      lock_.lock();
      if (chunk.free.empty()) runs_.push_back(chunk);
      chunk.free.set(first, count);
      if (!zero) {
        // It is as it was, and will be cleared by who takes it.
        chunk.touched.set(first, count);
        counts_.kept += bytes;
        lock_.unlock();
        return 0;
      }
      counts_.released += bytes;
      lock_.unlock();
      return bytes;
    }
    lock_.unlock();
    return 0;
  }

  [[no_unique_address]] P ground_;
  platform::SpinLock<P> lock_;
  List<Chunk, &Chunk::hook> slabs_;
  List<RunChunk<P>, &RunChunk<P>::hook> runs_;
  ArenaCounts counts_;
  [[no_unique_address]] ChunkMap<P> map_;
  [[no_unique_address]] Guards<P> guards_;
};

}  // namespace odo::kmalloc
