// SPDX-License-Identifier: BSD-3-Clause
// A frame: 64 KiB of memory that holds blocks of one size, and the record that
// a shard keeps of it.
//
// 64 inodes, 16 indirect blocks of 4 KiB or one data block of 64 KiB share a
// frame. Frames are bigger than the blocks in them because neighbours on media
// are used together. docs/hammer2-cache.md draws the states of frame and slot.
//
// Contexts: pin(), unpin(), is_pinned() as their comments say; everything else
//   of a frame belongs to its shard.
// Invariants:
//   F1. a record outlives every pin of its frame. The memory may go to another
//       shard once is_pinned() has said no; so unpin() touches the record
//       alone;
//   F2. bytes of a taken slot that isn't published are its reader's; those of a
//       published slot don't change.
// Ordering: docs/hammer2-cache.md; letters in the source.
#pragma once

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>

#include "lib/base/check.h"
#include "lib/hammer2/cache/block_id.h"
#include "lib/hammer2/format/constants.h"

namespace odo::hammer2::cache {

inline constexpr std::size_t kFrameBytes = format::kMaxAllocBytes;
inline constexpr std::uint32_t kSlotsPerFrame =
    kFrameBytes / format::kMinAllocBytes;
static_assert(kSlotsPerFrame == 64, "a frame's slots are the bits of a word");

// A slot's number in its shard, to be kept in hash chains.
using Link = std::uint32_t;
inline constexpr Link kNoLink = ~Link{0};

struct Slot {
  BlockId id;
  Link next;  // in the hash chain
  std::uint32_t count;
};

// What a frame consists of, wherever its memory comes from.
struct FrameMemory {
  // Writes nothing: memory that nobody uses stays untouched.
  FrameMemory() noexcept {}  // NOLINT(modernize-use-equals-default)

  alignas(64) std::byte bytes[kFrameBytes];
  union {
    Slot slots[kSlotsPerFrame];  // written when published
  };
};

// Gives frames; take() answers null when there is no memory.
template <class F>
concept FrameSource = requires(F& frames) {
  { frames.take() } -> std::same_as<FrameMemory*>;
};
// Takes back what it gave, too, and gives what nobody took again to whoever it
// has its memory from.
template <class F>
concept FrameExchange =
    FrameSource<F> && requires(F& frames, FrameMemory& memory) {
      { frames.give(memory) } -> std::same_as<void>;
      { frames.release_idle() } -> std::same_as<void>;
    };

// What a cache asks of its ground: part of platform::HasAtomics, so that a
// cache for one thread needs no atomics at all.
template <class P>
concept CachePlatform =
    requires(typename P::template Atomic<std::uint32_t>& number,
             typename P::template Atomic<bool>& mark, std::memory_order order) {
      { number.load(order) } -> std::same_as<std::uint32_t>;
      { number.fetch_add(1U, order) } -> std::same_as<std::uint32_t>;
      { number.fetch_sub(1U, order) } -> std::same_as<std::uint32_t>;
      { mark.load(order) } -> std::same_as<bool>;
      { mark.store(true, order) } -> std::same_as<void>;
    };

// A shard's record of a frame. Without memory it is vacant. A cache line each:
// pins come and go on all CPUs.
template <CachePlatform P>
class alignas(64) Frame {
 public:
  Frame() = default;
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

  FrameMemory* memory = nullptr;
  std::uint64_t taken = 0;      // bit i: slot i holds a block or waits for one
  std::uint64_t published = 0;  // bit i: slot i is in a hash chain
  std::uint32_t next_vacant = 0;
  std::uint8_t radix = 0;  // of its blocks; 0 when there are none

  [[nodiscard]] std::uint32_t slots() const {
    return static_cast<std::uint32_t>(kFrameBytes >> radix);
  }
  [[nodiscard]] bool has_room() const {
    return taken != ~std::uint64_t{0} >> (kSlotsPerFrame - slots());
  }
  [[nodiscard]] std::byte* bytes_of(std::uint32_t slot) const {
    return memory->bytes + (std::size_t{slot} << radix);
  }

  // Keeps the frame as it is. The shard's holders alone, shared or not.
  void pin() {
    // Relaxed: who empties frames excludes us by the shard's token.
    (void)pins_.fetch_add(1, std::memory_order_relaxed);
  }
  // Any thread, without the token.
  void unpin() {
    // U: release, with is_pinned(): we have read what we wanted.
    const std::uint32_t before = pins_.fetch_sub(1, std::memory_order_release);
    ODO_ASSERT(before != 0);
  }
  // The shard's exclusive holder alone: once it says no, that stays so.
  [[nodiscard]] bool is_pinned() const {
    // U: acquire, with unpin(): whoever had a pin is done with the bytes.
    return pins_.load(std::memory_order_acquire) != 0;
  }

  // Whether it was used since the clock's hand was here. A hint: relaxed.
  void note_use() {
    // Looked at first: a frame that everybody uses stays in their caches.
    if (!referenced_.load(std::memory_order_relaxed)) {
      referenced_.store(true, std::memory_order_relaxed);
    }
  }
  [[nodiscard]] bool forget_use() {
    const bool was = referenced_.load(std::memory_order_relaxed);
    if (was) referenced_.store(false, std::memory_order_relaxed);
    return was;
  }

 private:
  typename P::template Atomic<std::uint32_t> pins_{std::uint32_t{0}};
  typename P::template Atomic<bool> referenced_{false};
};

}  // namespace odo::hammer2::cache
