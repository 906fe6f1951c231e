// SPDX-License-Identifier: BSD-3-Clause
// A heap that finds out what is done to it, at a price: for tests, and for
// kernels that would rather stop than be taken over.
//
// Behind each object lies a mark: a secret, the size that was asked for, the
// malloc type's name and the place; between the two at least eight bytes that
// nobody may write. What is freed is filled with a pattern and waits in a
// quarantine before it is given out again, and then the pattern has to be
// intact. Addresses are looked at only when they are known to be the heap's. In
// which order a slab's objects are given out is random.
//
//   object                     | slack, at least 8 | mark 40 bytes
//   |<----- bytes asked ------>|                   |<- end of the block
//
// Free objects are bits elsewhere, so there are no links in them to be encoded.
// With a ground that has guard pages (guards.h), who runs on past the end of a
// slab, or of a large object's pages, is stopped at once.
//
// Contexts: a lane's owner.
// Ownership: as heap.h.
// Failure: null without memory; what is wrong is a fault that names the type,
// the
//   place of the free and that of the allocation, or of the first free.
// Complexity: as heap.h, and the size of an object with each free.
// Origin: redzones and quarantine as in Serebryany et al., "AddressSanitizer: A
//   Fast Address Sanity Checker", USENIX 2012.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <source_location>

#include "lib/kmalloc/heap.h"

namespace odo::kmalloc {

using Where = std::source_location;

template <KmallocPlatform P>
class HardenedLane {
 public:
  // Objects that wait.
  static constexpr std::size_t kQuarantine = 256;

  explicit HardenedLane(Lane<P>& lane) : lane_(&lane) {}

 private:
  template <KmallocPlatform>
  friend class HardenedHeap;

  Lane<P>* lane_;
  HardenedLane* next_ = nullptr;
  std::size_t at_ = 0;
  void* waiting_[kQuarantine] = {};
};

template <KmallocPlatform P>
class HardenedHeap {
  static_assert(kIsHardened<P>, "the ground has to say that it is");

 public:
  using LaneT = HardenedLane<P>;

  // The secret is a number that an attacker does not know.
  HardenedHeap(P ground, std::uint64_t secret)
      : ground_(ground), heap_(ground), secret_(secret) {}
  HardenedHeap(const HardenedHeap&) = delete;
  HardenedHeap& operator=(const HardenedHeap&) = delete;
  // Nobody uses it, and nothing is allocated.
  ~HardenedHeap() {
    for (LaneT* lane = lanes_; lane != nullptr;) {
      LaneT* next = lane->next_;
      for (void*& object : lane->waiting_) let_go(*lane, object);
      heap_.leave_lane(*lane->lane_);
      lane->~LaneT();
      ground_.unmap(lane, kLaneBytes);
      lane = next;
    }
  }

  // For as long as the heap lives; null without memory. One at a time.
  [[nodiscard]] LaneT* take_lane() {
    void* memory = ground_.map(kLaneBytes, kPageBytes);
    if (memory == nullptr) return nullptr;
    Lane<P>* lane = heap_.take_lane();
    if (lane == nullptr) {
      ground_.unmap(memory, kLaneBytes);
      return nullptr;
    }
    auto* made = new (memory) LaneT(*lane);
    made->next_ = lanes_;
    lanes_ = made;
    return made;
  }

  // `type` says what for, in static storage.
  [[nodiscard]] void* allocate(LaneT& lane, const char* type, std::size_t bytes,
                               Where where = Where::current()) {
    if (bytes > Heap<P>::kMaxBytes) return nullptr;
    Lane<P>& own = *lane.lane_;
    void* object = heap_.allocate(own, bytes + kSlack + sizeof(Mark),
                                  [&] { return &own; });
    if (object == nullptr) return nullptr;
    const Mark mark{.secret = secret_of(object, kLive),
                    .bytes = bytes,
                    .type = type,
                    .allocated = where,
                    .freed = Where()};
    write_mark(object, mark);
    fill(object, bytes, block_bytes(object) - sizeof(Mark), kRedzone);
    return object;
  }
  // Null without effect.
  void free(LaneT& lane, void* object, Where where = Where::current()) {
    if (object == nullptr) return;
    Mark mark = check(object, where);
    mark.secret = secret_of(object, kFreed);
    mark.freed = where;
    write_mark(object, mark);
    fill(object, 0, block_bytes(object) - sizeof(Mark), kPattern);
    // The one that has waited longest goes.
    void*& place = lane.waiting_[lane.at_];
    lane.at_ = (lane.at_ + 1) % LaneT::kQuarantine;
    let_go(lane, place);
    place = object;
  }
  // A fault if something is wrong with an object that is in use.
  void verify(const void* object, Where where = Where::current()) {
    (void)check(object, where);
  }
  // What was asked for.
  [[nodiscard]] std::size_t bytes_of(const void* object,
                                     Where where = Where::current()) {
    return check(object, where).bytes;
  }
  [[nodiscard]] Heap<P>& heap() { return heap_; }

 private:
  struct Mark {
    std::uint64_t secret;
    std::size_t bytes;
    const char* type;
    Where allocated;
    Where freed;
  };
  static constexpr std::size_t kSlack = 8;
  static constexpr std::uint64_t kLive = 0;
  static constexpr std::uint64_t kFreed = 0x5851'f42d'4c95'7f2d;
  static constexpr unsigned char kRedzone = 0xcb;
  static constexpr unsigned char kPattern = 0xd5;
  static constexpr std::size_t kLaneBytes = align_up(sizeof(LaneT), kPageBytes);

  [[nodiscard]] std::uint64_t secret_of(const void* object,
                                        std::uint64_t state) const {
    return secret_ ^
           reinterpret_cast<std::uintptr_t>(object) * 0x9e37'79b9'7f4a'7c15ULL ^
           state;
  }
  [[nodiscard]] std::size_t block_bytes(const void* object) const {
    return heap_.usable_bytes(object);
  }
  void write_mark(void* object, const Mark& mark) const {
    __builtin_memcpy(mark_of(object), &mark, sizeof mark);
  }
  [[nodiscard]] Mark read_mark(const void* object) const {
    Mark mark;
    __builtin_memcpy(&mark, mark_of(const_cast<void*>(object)), sizeof mark);
    return mark;
  }
  [[nodiscard]] std::byte* mark_of(void* object) const {
    return static_cast<std::byte*>(object) + block_bytes(object) - sizeof(Mark);
  }
  static void fill(void* object, std::size_t from, std::size_t to,
                   unsigned char with) {
    __builtin_memset(static_cast<std::byte*>(object) + from, with, to - from);
  }
  [[nodiscard]] static bool is_filled(const void* object, std::size_t from,
                                      std::size_t to, unsigned char with) {
    const auto* bytes = static_cast<const unsigned char*>(object);
    for (std::size_t i = from; i < to; ++i) {
      if (bytes[i] != with) return false;
    }
    return true;
  }

  // Of an object in use, whose mark it returns.
  Mark check(const void* object, Where where) {
    if (!heap_.is_object(object)) [[unlikely]] {
      fault({.what =
                 heap_.is_inside(object) ? Misuse::kInterior : Misuse::kNotOurs,
             .address = object,
             .bytes = 0,
             .here = where});
    }
    const Mark mark = read_mark(object);
    MemoryFault report{.what = Misuse::kOverrun,
                       .address = object,
                       .bytes = mark.bytes,
                       .type = mark.type,
                       .here = where,
                       .there = mark.allocated};
    if (mark.secret == secret_of(object, kFreed)) [[unlikely]] {
      report.what = Misuse::kDoubleFree;
      report.there = mark.freed;
      fault(report);
    }
    if (mark.secret != secret_of(object, kLive)) [[unlikely]] {
      // Nothing that stands there can be believed; it may never have been
      // given out at all.
      fault({.what = Misuse::kOverrun,
             .address = object,
             .bytes = block_bytes(object),
             .here = where});
    }
    const std::size_t end = block_bytes(object) - sizeof(Mark);
    if (mark.bytes > end || !is_filled(object, mark.bytes, end, kRedzone))
        [[unlikely]] {
      fault(report);
    }
    return mark;
  }
  // Out of the quarantine.
  void let_go(LaneT& lane, void*& place) {
    void* object = place;
    if (object == nullptr) return;
    place = nullptr;
    const Mark mark = read_mark(object);
    const std::size_t end = block_bytes(object) - sizeof(Mark);
    if (mark.secret != secret_of(object, kFreed) ||
        !is_filled(object, 0, end, kPattern)) [[unlikely]] {
      const bool known = mark.secret == secret_of(object, kFreed);
      fault({.what = Misuse::kWrittenFree,
             .address = object,
             .bytes = known ? mark.bytes : block_bytes(object),
             .type = known ? mark.type : nullptr,
             .here = known ? mark.freed : Where(),
             .there = known ? mark.allocated : Where()});
    }
    Lane<P>& own = *lane.lane_;
    heap_.free(own, object, [&own] { return &own; });
  }
  [[noreturn]] ODO_NOINLINE void fault(const MemoryFault& report) {
    ground_.kmalloc_fault(report);
    ODO_PANIC("memory was misused");
  }

  [[no_unique_address]] P ground_;
  Heap<P> heap_;
  std::uint64_t secret_;
  LaneT* lanes_ = nullptr;
};

}  // namespace odo::kmalloc
