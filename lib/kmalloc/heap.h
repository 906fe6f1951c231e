// SPDX-License-Identifier: BSD-3-Clause
// The allocator: lanes, the depot and the arena between them, and what goes
// past the lanes.
//
//   Heap<P> heap(ground);
//   Lane<P>& lane = *heap.take_lane();         // once for each CPU or thread
//   void* object = heap.allocate(lane, 100, mine);
//   heap.free(lane, object, mine);
//
// Each call names the lane that the caller owns. Where a thread may not have
// got one yet it passes an empty Lane, and as the last argument a function that
// gives the lane to go on with; it is called where the fast way ends. If it has
// a function done(lane), that is called afterwards.
//
// Contexts: a lane's owner; one that can be interrupted by another user of the
//   lane keeps it out.
// Ownership: an object is its user's until it is freed, through whatever lane.
// Failure: null when there is no memory. A free of what is not allocated is a
//   fault, at once or when the object goes home: until then it may have been
//   given out once more.
// Complexity: O(1) up to kMaxSmallBytes; above, as arena.h.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>

#include "lib/base/bits.h"
#include "lib/kmalloc/lane.h"

namespace odo::kmalloc {

template <KmallocPlatform P>
class Heap {
 public:
  using LaneT = Lane<P>;
  // No allocation is larger.
  static constexpr std::size_t kMaxBytes = ~std::size_t{0} / 4;

  constexpr explicit Heap(P ground) : ground_(ground), arena_(ground) {}
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;
  // No lane has an owner, and nothing is allocated.
  ~Heap();

  // --- lanes -----------------------------------------------------------------
  // One that somebody left, or a new one; null if there is no memory.
  [[nodiscard]] LaneT* take_lane();
  // The owner ends: what it has at hand goes home.
  void leave_lane(LaneT& lane) { lane.abandon(); }

  // --- to allocate -----------------------------------------------------------
  template <class Own>
  [[nodiscard]] ODO_ALWAYS_INLINE void* allocate(LaneT& lane, std::size_t bytes,
                                                 Own own) {
    if (bytes > kMaxSmallBytes) [[unlikely]]
      return allocate_large(bytes, kPageBytes, false, own);
    return allocate_class(lane, class_of(bytes), own);
  }
  // Of a class that the caller knows.
  template <class Own>
  [[nodiscard]] ODO_ALWAYS_INLINE void* allocate_class(LaneT& lane,
                                                       std::uint32_t cls,
                                                       Own own) {
    void* object = lane.pop(cls);
    if (object == nullptr) [[unlikely]]
      return allocate_slowly(cls, own);
    return object;
  }
  // At a multiple of `alignment`, a power of two.
  template <class Own>
  [[nodiscard]] ODO_ALWAYS_INLINE void* allocate_aligned(LaneT& lane,
                                                         std::size_t bytes,
                                                         std::size_t alignment,
                                                         Own own) {
    if (is_small(bytes, alignment)) [[likely]]
      return allocate(lane, aligned_bytes(bytes, alignment), own);
    return allocate_large(bytes, alignment, false, own);
  }
  template <class Own>
  [[nodiscard]] ODO_ALWAYS_INLINE void* allocate_zeroed(LaneT& lane,
                                                        std::size_t bytes,
                                                        Own own) {
    if (bytes > kMaxSmallBytes) [[unlikely]]
      return allocate_large(bytes, kPageBytes, true, own);
    void* object = allocate(lane, bytes, own);
    if (object != nullptr) __builtin_memset(object, 0, bytes);
    return object;
  }
  // As many as there is memory for; how many. One look at the class for all.
  template <class Own>
  [[nodiscard]] std::size_t allocate_batch(LaneT& lane, std::size_t bytes,
                                           std::span<void*> into, Own own) {
    std::size_t have = 0;
    while (have < into.size()) {
      void* object = allocate(lane, bytes, own);
      if (object == nullptr) break;
      into[have++] = object;
    }
    return have;
  }

  // --- to free ---------------------------------------------------------------
  // Null is freed without effect.
  template <class Own>
  ODO_ALWAYS_INLINE void free(LaneT& lane, void* object, Own own) {
    if (!free_at_hand(lane, object)) [[unlikely]]
      free_slowly(object, own);
  }
  // The fast way alone, for who has a slow one that takes no more arguments
  // than the object: false, and nothing is done, where free() has to do it.
  [[nodiscard]] ODO_ALWAYS_INLINE static bool free_at_hand(LaneT& lane,
                                                           void* object) {
    return may_be_small(object) && lane.push(object);
  }
  [[nodiscard]] ODO_ALWAYS_INLINE static bool free_sized_at_hand(
      LaneT& lane, void* object, std::size_t bytes) {
    return bytes <= kMaxSmallBytes && may_be_small(object) &&
           lane.push(object, class_of(bytes));
  }
  // Of an object whose size is known: the one that was asked for, or any of the
  // same class; with an alignment, aligned_bytes() of the two.
  template <class Own>
  ODO_ALWAYS_INLINE void free_sized(LaneT& lane, void* object,
                                    std::size_t bytes, Own own) {
    if (!free_sized_at_hand(lane, object, bytes)) [[unlikely]]
      free_sized_slowly(object, bytes, own);
  }
  template <class Own>
  void free_batch(LaneT& lane, std::span<void* const> objects, Own own) {
    for (void* object : objects) free(lane, object, own);
  }

  // --- what has nothing to do with lanes -------------------------------------
  // What is larger than kMaxSmallBytes, or is to begin at a multiple of more.
  [[nodiscard]] ODO_NOINLINE void* allocate_large(std::size_t bytes,
                                                  std::size_t alignment,
                                                  bool zeroed) {
    return allocate_large_with(bytes, alignment, zeroed,
                               [this] { (void)reclaim_unowned(0); });
  }
  // Null, or a large one; false if it is an object of a slab.
  [[nodiscard]] bool free_if_large(void* object) {
    if (object == nullptr) return true;
    if (class_if_small(object) != kClasses) return false;
    if (!arena_.give_large(object)) fault(Misuse::kNotOurs, object, 0);
    return true;
  }
  // Then it is no slab's object: it is null, or its front is elsewhere.
  [[nodiscard]] ODO_ALWAYS_INLINE static bool begins_chunk(const void* object) {
    return reinterpret_cast<std::uintptr_t>(object) % kChunkBytes == 0;
  }

  // False: it is null, begins a chunk, or lies in a chunk's first unit, which
  // is never a slab's. Who goes on to ask what the unit is has the number.
  [[nodiscard]] ODO_ALWAYS_INLINE static bool may_be_small(const void* object) {
    return ChunkFront<P>::unit_of(object) != 0;
  }

  // --- about an allocation ---------------------------------------------------
  // Of an object of a slab, its class's size; else 0.
  [[nodiscard]] static std::size_t small_bytes(const void* object) {
    const std::uint32_t cls = class_if_small(object);
    return cls < kClasses ? class_bytes(cls) : 0;
  }
  // What may be used of it.
  [[nodiscard]] std::size_t usable_bytes(const void* object) const {
    if (object == nullptr) return 0;
    const std::size_t small = small_bytes(object);
    return small != 0 ? small : Arena<P>::large_bytes(object);
  }
  // Of a hardened ground's heap, for any address at all: whether something that
  // was allocated, or may be, begins there; and whether it lies in the heap's
  // memory.
  [[nodiscard]] bool is_object(const void* address) const
  requires kIsHardened<P>
  {
    if (address == nullptr) return false;
    if (begins_chunk(address)) {
      return arena_.has_chunk_of(static_cast<const std::byte*>(address) - 1) &&
             Arena<P>::large_bytes(address) != 0;
    }
    if (!arena_.has_chunk_of(address)) return false;
    if (class_if_small(address) == kClasses) {
      return Arena<P>::large_bytes(address) != 0;
    }
    std::size_t index = 0;
    return Slab<P>::of(address).index_of(address, index);
  }
  [[nodiscard]] bool is_inside(const void* address) const
  requires kIsHardened<P>
  {
    return arena_.has_chunk_of(address);
  }
  // What an allocation takes, of at most kMaxBytes.
  [[nodiscard]] static std::size_t real_bytes(std::size_t bytes,
                                              std::size_t alignment) {
    if (is_small(bytes, alignment)) {
      return class_bytes(class_of(aligned_bytes(bytes, alignment)));
    }
    return align_up(bytes > kMaxSmallBytes ? bytes : kMaxSmallBytes + 1,
                    kPageBytes);
  }
  // Another size without another address; false if that can't be. A smaller one
  // that would leave less than half in use is refused, too.
  [[nodiscard]] bool resize(void* object, std::size_t bytes) {
    if (const std::size_t now = small_bytes(object); now != 0) {
      return bytes <= now && bytes > now / 2;
    }
    check_large(object);
    if (bytes <= kMaxSmallBytes) {
      return bytes > Arena<P>::large_bytes(object) / 2;
    }
    return arena_.resize_large(object, bytes);
  }

  // Of what resize() could not make larger, and what its user copies: how much
  // of the new object to ask for. Runs of pages grow where they are: what half
  // fills the smallest one is better off there.
  [[nodiscard]] static constexpr std::size_t bytes_to_grow(std::size_t bytes) {
    constexpr std::size_t kLeast = align_up(kMaxSmallBytes + 1, kPageBytes);
    return bytes > kLeast / 2 && bytes < kLeast ? kLeast : bytes;
  }

  // Where resize() says no: the address of what holds the same then, if that
  // takes no copy; else null. Very large ones alone.
  [[nodiscard]] void* move(void* object, std::size_t bytes) {
    if (class_if_small(object) < kClasses) return nullptr;
    check_large(object);
    return bytes > kMaxBytes ? nullptr : arena_.move_huge(object, bytes);
  }

  // --- pressure --------------------------------------------------------------
  // Gives back up to `target_bytes` of what is free: what this lane has at
  // hand, and lanes that nobody has, and the arena. How many bytes that were.
  std::size_t reclaim(LaneT& lane, std::size_t target_bytes) {
    // The others first: what they have at hand may be this one's.
    flush_left_lanes();
    lane.flush();
    return give_back(target_bytes);
  }
  // The same without a lane of the caller's. With a target of 0 everything is
  // the arena's, and nothing the page source's.
  std::size_t reclaim_unowned(std::size_t target_bytes) {
    flush_left_lanes();
    return give_back(target_bytes);
  }
  [[nodiscard]] ArenaCounts counts() { return arena_.counts(); }
  [[nodiscard]] GuardCounts guard_counts() const
  requires kIsGuarded<P>
  {
    return arena_.guard_counts();
  }

  // --- fork() ----------------------------------------------------------------
  // Around the copying of a process of which one thread goes on. The lanes of
  // the others stay owned in the copy, by nobody: what is freed to them is
  // lost there.
  void before_fork() ODO_NO_THREAD_SAFETY_ANALYSIS { arena_.hold(); }
  void after_fork() ODO_NO_THREAD_SAFETY_ANALYSIS { arena_.let_go(); }
  void after_fork_in_copy() { arena_.let_go_in_copy(); }

 private:
  static constexpr std::size_t kLaneBytes =
      align_up(sizeof(LaneT) + kStackEntries * sizeof(void*), kPageBytes);

  std::size_t give_back(std::size_t target_bytes) {
    empty_depot();
    return arena_.reclaim(target_bytes);
  }
  void empty_depot() {
    while (SlabFields<P>* unit = depot_.take()) {
      auto& chunk = static_cast<SlabChunk<P>&>(ChunkFront<P>::of(unit));
      arena_.give_units(chunk, unit->unit, 1);
    }
  }
  void flush_left_lanes() {
    for (LaneT* other = lanes_.load(std::memory_order_acquire);
         other != nullptr; other = other->next_) {
      if (!other->adopt()) continue;
      other->flush();
      other->abandon();
    }
  }
  // Whether some class serves it.
  [[nodiscard]] ODO_ALWAYS_INLINE static constexpr bool is_small(
      std::size_t bytes, std::size_t alignment) {
    return bytes <= kMaxSmallBytes && alignment <= kMaxSmallBytes &&
           aligned_bytes(bytes, alignment) <= kMaxSmallBytes;
  }
  [[nodiscard]] static std::uint32_t class_if_small(const void* object) {
    if (begins_chunk(object)) return kClasses;
    const std::uint32_t info = ChunkFront<P>::info_of(object);
    return info < kClasses ? info : kClasses;
  }
  template <class Own>
  [[nodiscard]] ODO_NOINLINE void* allocate_slowly(std::uint32_t cls, Own own) {
    LaneT* lane = own();
    if (lane == nullptr) return nullptr;
    void* object = lane->fill_and_pop(cls);
    if (object == nullptr) [[unlikely]] {
      (void)reclaim(*lane, 0);
      object = lane->fill_and_pop(cls);
    }
    done(own, *lane);
    return object;
  }
  // The same where the caller has a lane: what that has at hand may be enough.
  template <class Own>
  [[nodiscard]] ODO_NOINLINE void* allocate_large(std::size_t bytes,
                                                  std::size_t alignment,
                                                  bool zeroed, Own own) {
    return allocate_large_with(bytes, alignment, zeroed, [&] {
      LaneT* lane = own();
      if (lane == nullptr) return;
      (void)reclaim(*lane, 0);
      done(own, *lane);
    });
  }
  template <class MakeRoom>
  [[nodiscard]] void* allocate_large_with(std::size_t bytes,
                                          std::size_t alignment, bool zeroed,
                                          MakeRoom make_room) {
    if (bytes > kMaxBytes || alignment > kMaxBytes) return nullptr;
    if (bytes <= kMaxSmallBytes) bytes = kMaxSmallBytes + 1;
    void* object = arena_.take_large(bytes, alignment, zeroed);
    if (object != nullptr) [[likely]]
      return object;
    make_room();
    return arena_.take_large(bytes, alignment, zeroed);
  }
  template <class Own>
  ODO_NOINLINE void free_slowly(void* object, Own own) {
    if (free_if_large(object)) return;
    LaneT* lane = own();
    if (lane == nullptr) return;  // no memory for a lane: it is lost
    if (!lane->push(object)) lane->push_slowly(object);
    done(own, *lane);
  }
  // For who has a lane no longer than it takes.
  template <class Own>
  static void done(Own own, LaneT& lane) {
    if constexpr (requires { own.done(lane); }) own.done(lane);
  }
  template <class Own>
  ODO_NOINLINE void free_sized_slowly(void* object, std::size_t bytes,
                                      Own own) {
    if (object == nullptr) return;
    const std::uint32_t cls = class_if_small(object);
    const bool right =
        cls < kClasses
            ? bytes <= kMaxSmallBytes && class_of(bytes) == cls
            : bytes > kMaxSmallBytes && bytes <= Arena<P>::large_bytes(object);
    if (!right) [[unlikely]]
      fault(Misuse::kWrongSize, object, usable_bytes(object));
    free_slowly(object, own);
  }
  void check_large(const void* object) {
    if (Arena<P>::large_bytes(object) == 0) [[unlikely]]
      fault(Misuse::kNotOurs, object, 0);
  }
  [[noreturn]] ODO_NOINLINE void fault(Misuse what, const void* object,
                                       std::size_t bytes) {
    ground_.kmalloc_fault(MemoryFault{what, object, bytes});
    ODO_PANIC("memory was misused");
  }

  [[no_unique_address]] P ground_;
  Arena<P> arena_;
  Depot<P> depot_;
  // All that there ever were: pushed, never taken out.
  typename P::template Atomic<LaneT*> lanes_{nullptr};
};

template <KmallocPlatform P>
Heap<P>::~Heap() {
  // Relaxed: whoever destroys it knows of all that was done with it.
  LaneT* lane = lanes_.load(std::memory_order_relaxed);
  for (LaneT* one = lane; one != nullptr; one = one->next_) one->flush();
  empty_depot();
  while (lane != nullptr) {
    LaneT* next = lane->next_;
    lane->~LaneT();
    ground_.unmap(lane, kLaneBytes);
    lane = next;
  }
}

template <KmallocPlatform P>
Lane<P>* Heap<P>::take_lane() {
  // Acquire: the lanes' fields, with the release below.
  for (LaneT* lane = lanes_.load(std::memory_order_acquire); lane != nullptr;
       lane = lane->next_) {
    if (lane->adopt()) return lane;
  }
  void* memory = ground_.map(kLaneBytes, kPageBytes);
  if (memory == nullptr) return nullptr;
  auto* entries =
      reinterpret_cast<void**>(static_cast<std::byte*>(memory) + sizeof(LaneT));
  auto* lane = new (memory) LaneT(arena_, depot_, entries, ground_);
  LaneT* head = lanes_.load(std::memory_order_relaxed);
  do {
    lane->next_ = head;
    // Release: what was made above, to who looks through the list.
  } while (!lanes_.compare_exchange_weak(head, lane, std::memory_order_release,
                                         std::memory_order_relaxed));
  return lane;
}

}  // namespace odo::kmalloc
