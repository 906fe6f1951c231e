// SPDX-License-Identifier: BSD-3-Clause
// The same heap as ThreadHeap's, with a lane for each CPU instead of each
// thread: as many as there are CPUs, however many threads there are, and what
// one thread frees the next on the same CPU allocates.
//
//   if (CpuHeap::is_there()) object = CpuHeap::allocate(100);
//
// The stacks are used by restartable sequences (rseq.h); slabs, which take more
// than one store, under a lock of the lane. Objects of the two heaps may be
// freed to each other.
//
// Contexts: any thread; no signal handlers.
// Failure: as heap.h. is_there() is false where glibc or the kernel has no
//   restartable sequences, or there may be more than kMaxCpus CPUs.
// Complexity: as heap.h.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "lib/kmalloc/host/rseq.h"
#include "lib/kmalloc/host/thread_heap.h"

namespace odo::kmalloc {

namespace detail {

struct alignas(64) CpuSlot {
  platform::SpinLock<HostGround> lock{HostGround()};
};
template <class T, std::size_t N>
[[nodiscard]] constexpr std::array<T, N> all_the_same(T value) {
  std::array<T, N> all{};
  all.fill(value);
  return all;
}

}  // namespace detail

class CpuHeap {
 public:
  using LaneT = Lane<HostGround>;
  using Sequence = Rseq<HostGround>;
  static constexpr std::size_t kMaxCpus = 512;

  [[nodiscard]] static bool is_there() {
    const long cpus = sysconf(_SC_NPROCESSORS_CONF);
    return Sequence::is_there() && cpus > 0 &&
           static_cast<std::size_t>(cpus) <= kMaxCpus;
  }

  [[nodiscard]] ODO_ALWAYS_INLINE static void* allocate(std::size_t bytes) {
    if (bytes > kMaxSmallBytes) [[unlikely]]
      return allocate_large(bytes, kPageBytes, false);
    return allocate_class(class_of(bytes));
  }
  [[nodiscard]] ODO_ALWAYS_INLINE static void* allocate_class(
      std::uint32_t cls) {
    void* object = pop(cls);
    if (object == nullptr) [[unlikely]]
      return allocate_slowly(cls);
    return object;
  }
  // What the fast ways may be given instead of asking for it each time; not 0.
  [[nodiscard]] static std::ptrdiff_t area() { return Sequence::area(); }
  // Null: allocate_slowly() may have one.
  [[nodiscard]] ODO_ALWAYS_INLINE static void* pop(
      std::uint32_t cls, std::ptrdiff_t area = Sequence::area()) {
    void* object = Sequence::pop(area, lanes_.data(), cls);
    note_allocated(object, class_bytes(cls));
    return object;
  }
  // Large ones have nothing to do with lanes.
  [[nodiscard]] static void* allocate_large(std::size_t bytes,
                                            std::size_t alignment,
                                            bool zeroed) {
    return heap().allocate_large(bytes, alignment, zeroed);
  }
  ODO_ALWAYS_INLINE static void free(void* object,
                                     std::ptrdiff_t area = Sequence::area()) {
    note_freed(object, ThreadHeap::noted_bytes(object));
    if (!Heap<HostGround>::may_be_small(object)) [[unlikely]] {
      free_slowly(object);
      return;
    }
    const std::uint32_t cls = ChunkFront<HostGround>::info_of(object);
    if (cls >= kClasses || !Sequence::push(area, lanes_.data(), object, cls))
        [[unlikely]] {
      free_slowly(object);
    }
  }
  [[nodiscard]] static Heap<HostGround>& heap() { return ThreadHeap::heap(); }

  [[nodiscard]] ODO_NOINLINE static void* allocate_slowly(std::uint32_t cls) {
    void* object = fetch(cls);
    if (object == nullptr) [[unlikely]] {
      // Other CPUs' lanes may have what was freed to them.
      (void)reclaim(0);
      object = fetch(cls);
    }
    // To the last one.
    for (std::size_t cpu = 0; object == nullptr && cpu < kMaxCpus; ++cpu) {
      LaneT* lane = __atomic_load_n(&lanes_[cpu], __ATOMIC_ACQUIRE);
      if (lane->is_nobodys()) continue;
      platform::SpinGuard guard(slots_.object[cpu].lock);
      object = lane->take_partial(cls);
    }
    note_allocated(object, class_bytes(cls));
    return object;
  }
  // As Heap's; but for what the CPUs' stacks have at hand, and with the slabs
  // of all CPUs.
  static std::size_t reclaim(std::size_t target_bytes) {
    for (std::size_t cpu = 0; cpu < kMaxCpus; ++cpu) {
      LaneT* lane = __atomic_load_n(&lanes_[cpu], __ATOMIC_ACQUIRE);
      if (lane->is_nobodys()) continue;
      platform::SpinGuard guard(slots_.object[cpu].lock);
      lane->tidy();
    }
    return heap().reclaim_unowned(target_bytes);
  }
  ODO_NOINLINE static void free_slowly(void* object) {
    if (heap().free_if_large(object)) return;
    const Here here = find_lane();
    if (here.lane == nullptr) return;  // no memory for a lane: it is lost
    LaneT& lane = *here.lane;
    const std::uint32_t cls = ChunkFront<HostGround>::info_of(object);
    std::array<void*, kMostBatch + 1> batch;
    platform::SpinGuard guard(here.lock());
    const std::uint32_t count = Sequence::pop_many(
        lanes_.data(), &lane, cls, lane.base_of(cls), batch.data(),
        std::min<std::uint32_t>(lane.half_of(cls), kMostBatch));
    batch[count] = object;
    lane.take_home(batch.data(), count + 1);
    lane.note_drained(cls);
  }

  // --- fork() ----------------------------------------------------------------
  // As Heap's, and of both heaps.
  static void before_fork() ODO_NO_THREAD_SAFETY_ANALYSIS {
    making_.object.lock();  // no lanes come to be meanwhile
    for_locks([](Lock& lock) ODO_NO_THREAD_SAFETY_ANALYSIS { lock.lock(); });
    heap().before_fork();
  }
  static void after_fork() ODO_NO_THREAD_SAFETY_ANALYSIS {
    heap().after_fork();
    for_locks([](Lock& lock) ODO_NO_THREAD_SAFETY_ANALYSIS { lock.unlock(); });
    making_.object.unlock();
  }
  static void after_fork_in_copy() {
    heap().after_fork_in_copy();
    // As the arena's: some may have waited for them.
    for_locks([](Lock& lock) { make_anew(lock); });
    make_anew(making_.object);
  }

 private:
  static constexpr std::size_t kMostBatch = LaneT::kSlice;

  using Slot = detail::CpuSlot;
  using Lock = platform::SpinLock<HostGround>;

  static void make_anew(Lock& lock) {
    std::destroy_at(&lock);
    std::construct_at(&lock, HostGround());
  }

  template <class F>
  static void for_locks(F f) {
    for (std::size_t cpu = 0; cpu < kMaxCpus; ++cpu) {
      if (!lanes_[cpu]->is_nobodys()) f(slots_.object[cpu].lock);
    }
  }

  struct Here {
    LaneT* lane;
    std::uint32_t cpu;
    [[nodiscard]] Lock& lock() const { return slots_.object[cpu].lock; }
  };
  // One object, and others for the CPU's stack; null if there is no memory.
  [[nodiscard]] static void* fetch(std::uint32_t cls) {
    const Here here = find_lane();
    if (here.lane == nullptr) return nullptr;
    LaneT& lane = *here.lane;
    platform::SpinGuard guard(here.lock());
    if (lane.any_told()) lane.harvest();
    std::array<void*, kMostBatch> batch;
    const std::uint32_t want =
        std::min<std::uint32_t>(lane.next_batch(cls), kMostBatch);
    const std::uint32_t have = lane.fetch(cls, batch.data() + want, want);
    if (have == 0) return nullptr;
    // The last one is the caller's; the others, unless we are elsewhere by now,
    // the CPU's.
    void** first = batch.data() + (want - have);
    const std::uint32_t others = have - 1;
    const std::uint32_t pushed =
        Sequence::push_many(lanes_.data(), &lane, cls, first, others);
    lane.take_home(first + pushed, others - pushed);
    return batch[want - 1];
  }
  // The lane of the CPU that we are on just now, which has one by then; null
  // without memory.
  [[nodiscard]] static Here find_lane() {
    const std::uint32_t cpu = Sequence::cpu();
    // Acquire: the lane's fields, with the release below.
    LaneT* lane = __atomic_load_n(&lanes_[cpu], __ATOMIC_ACQUIRE);
    if (!lane->is_nobodys()) [[likely]]
      return {lane, cpu};
    platform::SpinGuard guard(making_.object);
    lane = __atomic_load_n(&lanes_[cpu], __ATOMIC_ACQUIRE);
    if (!lane->is_nobodys()) return {lane, cpu};
    lane = heap().take_lane();
    if (lane == nullptr) return {nullptr, cpu};
    ODO_CHECK(lane->is_laid_out_so());
    __atomic_store_n(&lanes_[cpu], lane, __ATOMIC_RELEASE);
    return {lane, cpu};
  }

  static constinit inline std::array<LaneT*, kMaxCpus> lanes_ =
      detail::all_the_same<LaneT*, kMaxCpus>(ThreadHeap::nobodys_lane());
  // Of CPUs that have a lane.
  ODO_NO_DESTROY static constinit inline detail::Forever<
      std::array<Slot, kMaxCpus>>
      slots_{};
  // Whoever gives a CPU its lane.
  ODO_NO_DESTROY static constinit inline detail::Forever<Lock> making_{
      HostGround()};
};

}  // namespace odo::kmalloc
