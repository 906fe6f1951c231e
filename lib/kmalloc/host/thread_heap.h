// SPDX-License-Identifier: BSD-3-Clause
// One heap for a host program, and a lane for each of its threads.
//
//   void* object = kmalloc::ThreadHeap::allocate(100);
//   kmalloc::ThreadHeap::free(object);
//
// A thread gets its lane with its first allocation, and leaves it to another
// one when it ends. Until then, and after, it has an empty one, so that the
// fast way need not ask whether there is a lane. What ends after that, as the
// C library's own parts of a thread do, takes a lane for each call.
//
// Contexts: any thread; no signal handlers.
// Failure: as heap.h.
// Complexity: as heap.h.
#pragma once

#include <pthread.h>

#include <cstddef>
#include <new>
#include <span>

#include "lib/kmalloc/heap.h"
#include "lib/kmalloc/host/ground.h"

namespace odo::kmalloc {

namespace detail {

// Never destroyed: threads may free until the very end of the program.
template <class T>
union Forever {
  template <class... Args>
  constexpr explicit Forever(Args... args) : object(args...) {}
  ~Forever() {}  // NOLINT(modernize-use-equals-default): it would be none
  T object;
};

}  // namespace detail

class ThreadHeap {
 public:
  using LaneT = Lane<HostGround>;

  [[nodiscard]] ODO_ALWAYS_INLINE static void* allocate(std::size_t bytes) {
    return noted(heap().allocate(*lane_, bytes, Own()), bytes);
  }
  [[nodiscard]] ODO_ALWAYS_INLINE static void* allocate_class(
      std::uint32_t cls) {
    return noted(heap().allocate_class(*lane_, cls, Own()), class_bytes(cls));
  }
  // Null: allocate_class() may have one.
  [[nodiscard]] ODO_ALWAYS_INLINE static void* pop(std::uint32_t cls) {
    return noted(lane_->pop(cls), class_bytes(cls));
  }
  [[nodiscard]] ODO_ALWAYS_INLINE static void* allocate_aligned(
      std::size_t bytes, std::size_t alignment) {
    return noted(heap().allocate_aligned(*lane_, bytes, alignment, Own()),
                 bytes);
  }
  [[nodiscard]] ODO_ALWAYS_INLINE static void* allocate_zeroed(
      std::size_t bytes) {
    if (bytes > kMaxSmallBytes) [[unlikely]]
      return heap().allocate_large(bytes, kPageBytes, true);
    void* object = allocate(bytes);
    if (object != nullptr) __builtin_memset(object, 0, bytes);
    return object;
  }
  ODO_ALWAYS_INLINE static void free(void* object) {
    note_freed(object, noted_bytes(object));
    if (!Heap<HostGround>::free_at_hand(*lane_, object)) [[unlikely]]
      free_slowly(object);
  }
  ODO_ALWAYS_INLINE static void free_sized(void* object, std::size_t bytes) {
    note_freed(object, noted_bytes(object));
    if (!Heap<HostGround>::free_sized_at_hand(*lane_, object, bytes))
        [[unlikely]] {
      free_sized_slowly(object, bytes);
    }
  }
  [[nodiscard]] static std::size_t usable_bytes(const void* object) {
    return heap().usable_bytes(object);
  }
  [[nodiscard]] static bool resize(void* object, std::size_t bytes) {
    if (!heap().resize(object, bytes)) return false;
    note_allocated(object, bytes);
    return true;
  }
  [[nodiscard]] static constexpr std::size_t bytes_to_grow(std::size_t bytes) {
    return Heap<HostGround>::bytes_to_grow(bytes);
  }
  [[nodiscard]] static void* move(void* object, std::size_t bytes) {
    return heap().move(object, bytes);
  }
  static std::size_t reclaim(std::size_t target_bytes) {
    LaneT* lane = own_lane();
    if (lane == nullptr) return 0;
    const std::size_t bytes = heap().reclaim(*lane, target_bytes);
    Own::done(*lane);
    return bytes;
  }

  // All of a slab's object, for who keeps count of what is in use.
  [[nodiscard]] ODO_ALWAYS_INLINE static std::size_t noted_bytes(
      [[maybe_unused]] const void* object) {
#if defined(ODO_KMALLOC_ASAN)
    return Heap<HostGround>::small_bytes(object);
#else
    return 0;
#endif
  }
  [[nodiscard]] ODO_ALWAYS_INLINE static void* noted(void* object,
                                                     std::size_t bytes) {
    note_allocated(object, bytes);
    return object;
  }
  // The empty one that every thread begins with.
  [[nodiscard]] static constexpr LaneT* nobodys_lane() {
    return &nobodys_.object;
  }
  [[nodiscard]] ODO_ALWAYS_INLINE static Heap<HostGround>& heap() {
    return heap_.object;
  }

 private:
  [[nodiscard]] ODO_NOINLINE static LaneT* own_lane() {
    if (!lane_->is_nobodys()) return lane_;
    LaneT* taken = heap().take_lane();
    if (taken == nullptr || has_ended_) return taken;
    lane_ = taken;
    pthread_once(&key_once_, [] { pthread_key_create(&key_, &thread_ends); });
    pthread_setspecific(key_, taken);
    return taken;
  }
  // Functions of their own, so that the object stays in the register in which
  // it came.
  ODO_NOINLINE static void free_slowly(void* object) {
    heap().free(*lane_, object, Own());
  }
  ODO_NOINLINE static void free_sized_slowly(void* object, std::size_t bytes) {
    heap().free_sized(*lane_, object, bytes, Own());
  }
  struct Own {
    LaneT* operator()() const { return own_lane(); }
    static void done(LaneT& lane) {
      if (has_ended_) [[unlikely]]
        heap().leave_lane(lane);
    }
  };
  static void thread_ends(void* lane) {
    has_ended_ = true;
    lane_ = &nobodys_.object;
    heap().leave_lane(*static_cast<LaneT*>(lane));
  }

  ODO_NO_DESTROY static constinit inline detail::Forever<Heap<HostGround>>
      heap_{HostGround()};
  ODO_NO_DESTROY static constinit inline detail::Forever<LaneT> nobodys_{};
  static constinit inline thread_local LaneT* lane_
      [[gnu::tls_model("initial-exec")]] = &nobodys_.object;
  static constinit inline thread_local bool has_ended_
      [[gnu::tls_model("initial-exec")]] = false;
  static inline pthread_once_t key_once_ = PTHREAD_ONCE_INIT;
  static inline pthread_key_t key_;
};

}  // namespace odo::kmalloc
