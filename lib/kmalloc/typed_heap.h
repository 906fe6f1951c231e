// SPDX-License-Identifier: BSD-3-Clause
// A heap whose users say what their memory is for.
//
//   MallocType<P> kVnodes("vnode", 16 * 1024 * 1024);
//   TypedHeap<P> heap(ground);
//   heap.add(kVnodes);
//   TypedLane<P>& lane = *heap.take_lane();
//   void* vnode = heap.allocate(lane, kVnodes, sizeof(Vnode), Flags::kZero);
//   heap.free(lane, kVnodes, vnode);
//
// Contexts: a lane's owner; waiting: where the ground's park() may be called.
// Ownership: as heap.h. An object is freed to the type it was allocated from.
// Invariants:
//   M1. a limited type's `used_` never passes its limit, and is what is in use
//       and what requests that wait for memory will have;
//   M2. only its owner writes a lane's counts;
//   M3. who sleeps has nothing at hand that another lane could use, and gives
//       on what comes home meanwhile each time it is woken.
// Ordering: MW: who waits says so and then looks for room, who frees makes room
//   and then looks for somebody who waits: both seq_cst, one of the two sees
//   the other.
// Waiting: what is free is so in somebody's lane, out of which nobody else can
//   take it. So while anybody waits an owner gives back all that it has at
//   hand, and wakes who waits, whenever it frees something, finds none at hand
//   for an allocation, or calls relieve(). Who waits goes on when what it wants
//   is free, in whatever lanes, and their owners have done one of these since.
//   Free for all are a slab's units once nothing of it is in use; what is free
//   in other slabs is for their lanes. A request keeps its room below a limit
//   while it waits for memory. Who waits longest is not served first.
// Failure: null with kNoWait, and at the limit with kNullOk; a request that can
//   never be met is null always. Without these who waits for memory waits until
//   some is freed.
// Complexity: as heap.h, and a few instructions for the counts; of a limited
//   type one atomic addition.
// Origin: kmalloc() in DragonFly's sys/kern/kern_slaballoc.c.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>

#include "lib/kmalloc/heap.h"
#include "lib/kmalloc/malloc_type.h"

namespace odo::kmalloc {

// A lane, and what its owner allocated and freed of each type.
template <KmallocPlatform P>
class TypedLane {
 public:
  static constexpr std::uint32_t kMaxTypes = 256;

  explicit TypedLane(Lane<P>& lane) : lane_(&lane) {}
  [[nodiscard]] Lane<P>& lane() const { return *lane_; }

 private:
  friend class TypedHeap<P>;
  using Number = typename P::template Atomic<std::uint64_t>;
  // Read by anybody at any time: relaxed, each number stands for itself. In use
  // wraps below zero in a lane that frees what others allocated.
  struct Counts {
    Number in_use{std::uint64_t{0}};
    Number peak{std::uint64_t{0}};
    Number allocations{std::uint64_t{0}};
    Number frees{std::uint64_t{0}};
  };
  // By the owner alone (M2), so no read-modify-write.
  static std::uint64_t add(Number& number, std::uint64_t value) {
    const std::uint64_t now = number.load(std::memory_order_relaxed) + value;
    number.store(now, std::memory_order_relaxed);
    return now;
  }

  Lane<P>* lane_;
  PlainOn<P, TypedLane*> next_{};
  Counts counts_[kMaxTypes];
};

template <KmallocPlatform P>
class TypedHeap {
 public:
  using Type = MallocType<P>;
  using LaneT = TypedLane<P>;

  explicit TypedHeap(P ground) : ground_(ground), heap_(ground) {}
  ~TypedHeap() {
    for (LaneT* lane = lanes_.load(std::memory_order_acquire);
         lane != nullptr;) {
      LaneT* next = lane->next_;
      heap_.leave_lane(lane->lane());
      lane->~LaneT();
      ground_.unmap(lane, kLaneBytes);
      lane = next;
    }
  }
  TypedHeap(const TypedHeap&) = delete;
  TypedHeap& operator=(const TypedHeap&) = delete;

  // False if there are TypedLane::kMaxTypes already. Not while others use the
  // heap.
  [[nodiscard]] bool add(Type& type) {
    if (types_ == LaneT::kMaxTypes) return false;
    type.index_ = types_++;
    type.next_ = first_;
    first_ = &type;
    return true;
  }
  // For as long as the heap lives; null if there is no memory.
  [[nodiscard]] LaneT* take_lane() {
    void* memory = ground_.map(kLaneBytes, kPageBytes);
    if (memory == nullptr) return nullptr;
    Lane<P>* lane = heap_.take_lane();
    if (lane == nullptr) {
      ground_.unmap(memory, kLaneBytes);
      return nullptr;
    }
    auto* typed = new (memory) LaneT(*lane);
    LaneT* head = lanes_.load(std::memory_order_relaxed);
    do {
      typed->next_ = head;
      // Release: what was made above, to who reads the counts.
    } while (!lanes_.compare_exchange_weak(
        head, typed, std::memory_order_release, std::memory_order_relaxed));
    return typed;
  }

  [[nodiscard]] ODO_ALWAYS_INLINE void* allocate(LaneT& lane, Type& type,
                                                 std::size_t bytes,
                                                 Flags flags = Flags::kNone) {
    if (type.is_limited() || flags != Flags::kNone) {
      return allocate_slowly(lane, type, bytes, flags);
    }
    Lane<P>& own = lane.lane();
    void* object = heap_.allocate(own, bytes, RelievingOwn{this, &lane});
    if (object == nullptr) [[unlikely]]
      return allocate_slowly(lane, type, bytes, flags);
    count_allocation(lane, type, object);
    return object;
  }
  // Null without effect.
  ODO_ALWAYS_INLINE void free(LaneT& lane, Type& type, void* object) {
    if (object == nullptr) return;
    typename LaneT::Counts& counts = lane.counts_[type.index_];
    const std::size_t bytes = heap_.usable_bytes(object);
    (void)LaneT::add(counts.in_use, ~std::uint64_t{bytes} + 1);
    (void)LaneT::add(counts.frees, 1);
    Lane<P>& own = lane.lane();
    heap_.free(own, object, [&own] { return &own; });
    if (type.is_limited()) unreserve(type, bytes);
    if (any_waits()) [[unlikely]]
      wake_waiters(lane);
  }
  // For owners that neither allocate nor free for a while, as when they are
  // idle: if anybody waits, what this lane has at hand is for them. True if
  // somebody did.
  bool relieve(LaneT& lane) {
    if (!any_waits()) [[likely]]
      return false;
    const std::uint64_t before = given_by(lane);
    lane.lane().flush();
    if (given_by(lane) != before) wake_all();
    return true;
  }

  [[nodiscard]] TypeCounts counts(const Type& type) const {
    TypeCounts sum;
    for (const LaneT* lane = lanes_.load(std::memory_order_acquire);
         lane != nullptr; lane = lane->next_) {
      const auto& one = lane->counts_[type.index_];
      sum.in_use_bytes += one.in_use.load(std::memory_order_relaxed);
      sum.peak_bytes += one.peak.load(std::memory_order_relaxed);
      sum.allocations += one.allocations.load(std::memory_order_relaxed);
      sum.frees += one.frees.load(std::memory_order_relaxed);
    }
    return sum;
  }
  // f(type, counts) for each type, the one added last first.
  template <class F>
  void for_each_type(F f) const {
    for (const Type* type = first_; type != nullptr; type = type->next_) {
      f(*type, counts(*type));
    }
  }
  [[nodiscard]] Heap<P>& heap() { return heap_; }

 private:
  static constexpr std::size_t kLaneBytes = align_up(sizeof(LaneT), kPageBytes);
  static constexpr std::size_t kCacheLineBytes = 64;

  void count_allocation(LaneT& lane, const Type& type, const void* object) {
    typename LaneT::Counts& counts = lane.counts_[type.index_];
    const std::uint64_t now =
        LaneT::add(counts.in_use, heap_.usable_bytes(object));
    // A lane that has freed more than it allocated is below zero.
    if (static_cast<std::int64_t>(now) >
        static_cast<std::int64_t>(
            counts.peak.load(std::memory_order_relaxed))) {
      counts.peak.store(now, std::memory_order_relaxed);
    }
    (void)LaneT::add(counts.allocations, 1);
  }

  // The lane, once it has given who waits what it can spare.
  struct RelievingOwn {
    TypedHeap* heap;
    LaneT* lane;
    Lane<P>* operator()() const {
      (void)heap->relieve(*lane);
      return &lane->lane();
    }
  };

  // What one request wants, and whether it has its room below the limit.
  struct Request {
    std::size_t bytes;
    std::size_t alignment;
    Flags flags;
    std::size_t real_bytes;
    bool has_room = false;
  };

  ODO_NOINLINE void* allocate_slowly(LaneT& lane, Type& type, std::size_t bytes,
                                     Flags flags) {
    std::size_t alignment =
        has(flags, Flags::kCacheAlign) ? kCacheLineBytes : 8;
    if (has(flags, Flags::kPowerOfTwo)) {
      if (bytes > Heap<P>::kMaxBytes) return nullptr;
      bytes = std::bit_ceil(bytes < 8 ? 8 : bytes);
      alignment = bytes > alignment ? bytes : alignment;
    }
    if (bytes > Heap<P>::kMaxBytes) return nullptr;
    Request request{bytes, alignment, flags,
                    Heap<P>::real_bytes(bytes, alignment)};
    // What could never be had is not waited for.
    if (request.real_bytes > room_of(type, flags)) return nullptr;
    void* object = try_once(lane, type, request, RelievingOwn{this, &lane});
    if (object != nullptr) return object;
    return gives_up(request) ? refuse(lane, type, request)
                             : wait_for(lane, type, request);
  }
  // After an attempt that failed.
  [[nodiscard]] static bool gives_up(const Request& request) {
    return has(request.flags, Flags::kNoWait) ||
           (!request.has_room && has(request.flags, Flags::kNullOk));
  }
  void* refuse(LaneT& lane, Type& type, const Request& request) {
    // Who was refused the same room meanwhile may have it.
    if (request.has_room && type.is_limited()) {
      unreserve(type, request.real_bytes);
      if (any_waits()) wake_waiters(lane);
    }
    return nullptr;
  }
  void* wait_for(LaneT& lane, Type& type, Request& request) {
    Lane<P>& own = lane.lane();
    (void)waiting_.fetch_add(1, std::memory_order_seq_cst);  // MW
    void* object = nullptr;
    while (true) {
      const std::uint32_t seen = freed_.load(std::memory_order_acquire);
      const std::uint64_t before = given_by(lane);
      object = try_once(lane, type, request, [&own] { return &own; });
      if (object != nullptr) break;
      own.flush();  // M3
      if (given_by(lane) != before) {
        // Two who wait wake each other only as often as they give something.
        wake_all();
        continue;
      }
      if constexpr (CanPark<P>) {
        ground_.park(freed_, seen);
      } else {
        while (freed_.load(std::memory_order_acquire) == seen) {
          ground_.relax();
        }
      }
    }
    (void)waiting_.fetch_sub(1, std::memory_order_relaxed);
    return object;
  }
  template <class Own>
  [[nodiscard]] void* try_once(LaneT& lane, Type& type, Request& request,
                               Own own) {
    if (!request.has_room) {
      if (type.is_limited() &&
          !reserve(type, request.real_bytes, request.flags)) {
        return nullptr;
      }
      request.has_room = true;
    }
    void* object = allocate_some(lane.lane(), request.bytes, request.alignment,
                                 request.flags, own);
    if (object != nullptr) count_allocation(lane, type, object);
    return object;
  }
  template <class Own>
  void* allocate_some(Lane<P>& own, std::size_t bytes, std::size_t alignment,
                      Flags flags, Own mine) {
    const bool zero = has(flags, Flags::kZero);
    if (alignment <= 8) {
      return zero ? heap_.allocate_zeroed(own, bytes, mine)
                  : heap_.allocate(own, bytes, mine);
    }
    void* object = heap_.allocate_aligned(own, bytes, alignment, mine);
    if (zero && object != nullptr) __builtin_memset(object, 0, bytes);
    return object;
  }

  [[nodiscard]] static std::size_t room_of(const Type& type, Flags flags) {
    const std::size_t limit = type.limit_bytes_;
    return has(flags, Flags::kUseReserve) || !type.is_limited()
               ? limit
               : limit - limit / 16;
  }
  // M1: counted before it is there. Relaxed: the number alone matters.
  [[nodiscard]] static bool reserve(Type& type, std::uint64_t bytes,
                                    Flags flags) {
    const std::uint64_t room = room_of(type, flags);
    std::uint64_t used = type.used_.load(std::memory_order_seq_cst);  // MW
    do {
      if (bytes > room || used > room - bytes) return false;
    } while (!type.used_.compare_exchange_weak(used, used + bytes,
                                               std::memory_order_relaxed,
                                               std::memory_order_relaxed));
    return true;
  }
  static void unreserve(Type& type, std::uint64_t bytes) {
    (void)type.used_.fetch_sub(bytes, std::memory_order_seq_cst);  // MW
  }
  // MW at a limit; as to memory a hint, for who comes too late for this one is
  // served the next time.
  [[nodiscard]] ODO_ALWAYS_INLINE bool any_waits() const {
    return waiting_.load(std::memory_order_seq_cst) != 0;
  }
  // Grows when a lane gives something that others can use: units of slabs, or
  // objects to slabs whose owners may sleep.
  [[nodiscard]] static std::uint64_t given_by(const LaneT& lane) {
    const LaneCounts& counts = lane.lane().counts();
    return counts.unmade + counts.posts;
  }
  // After something was freed, or room below a limit made.
  ODO_NOINLINE void wake_waiters(LaneT& lane) {
    lane.lane().flush();
    wake_all();
  }
  void wake_all() {
    // Release: what was given, with the acquire of who waited.
    (void)freed_.fetch_add(1, std::memory_order_release);
    if constexpr (CanPark<P>) ground_.unpark_all(freed_);
  }

  [[no_unique_address]] P ground_;
  Heap<P> heap_;
  Type* first_ = nullptr;
  std::uint32_t types_ = 0;
  typename P::template Atomic<LaneT*> lanes_{nullptr};
  typename P::template Atomic<std::uint32_t> waiting_{0u};
  typename P::template Atomic<std::uint32_t> freed_{0u};
};

}  // namespace odo::kmalloc
