// SPDX-License-Identifier: BSD-3-Clause
// Verified blocks in memory given by the caller.
//
// The memory is cut into 64 KiB frames. A frame serves one block size at a
// time, so that 64 inodes, 16 indirect blocks of 4 KiB or one data block of
// 64 KiB share it; a full cache empties the frame that has gone unused longest,
// as a clock hand finds it. Frames are bigger than the blocks in them because
// neighbours on media are used together.
//
// Contexts: thread, one at a time.
// Invariants:
//   C1. a published slot is in exactly one hash chain; no other slot is.
//   C2. a frame with pins is never emptied.
//   C3. slots of a frame are taken in order; only the last taken may be
//   unpublished.
// Ownership: the caller keeps the memory; a Pin keeps its block in place and
// must go before the cache does.
// Failure: reserve() answers false when every frame is pinned.
// Complexity: find O(1) expected; reserve O(frames) at worst, with a bound of
// two turns of the hand.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <utility>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/hammer2/format/blockref.h"
#include "lib/hammer2/format/constants.h"

namespace odo::hammer2 {

// Everything about a reference that decides what its block means. Two equal
// ones have the same verified content.
struct BlockId {
  std::uint64_t data_off = 0;
  std::uint64_t key = 0;
  std::array<std::byte, 24> check = {};
  format::BlockType type = format::BlockType::kEmpty;
  std::uint8_t methods = 0;
  std::uint8_t keybits = 0;
  std::uint8_t tree = 0;  // which kind of tree it was reached in

  friend bool operator==(const BlockId&, const BlockId&) = default;
};

class BlockCache {
 public:
  static constexpr std::size_t kFrameBytes = format::kMaxAllocBytes;
  static constexpr std::size_t kMinFrames = 8;

  BlockCache() = default;
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  // A block that stays in place while this lives.
  class Pin {
   public:
    Pin() = default;
    Pin(Pin&& other) noexcept
        : cache_(std::exchange(other.cache_, nullptr)), slot_(other.slot_) {}
    Pin& operator=(Pin&& other) noexcept {
      if (this != &other) {
        release();
        cache_ = std::exchange(other.cache_, nullptr);
        slot_ = other.slot_;
      }
      return *this;
    }
    ~Pin() { release(); }

    [[nodiscard]] bool held() const { return cache_ != nullptr; }
    [[nodiscard]] Bytes bytes() const { return cache_->slot_bytes(slot_); }
    // What publish() was told: blockrefs in use for inodes and indirect blocks.
    [[nodiscard]] std::uint32_t count() const {
      return cache_->slots_[slot_].count;
    }
    void release() {
      if (cache_ != nullptr) cache_->unpin(slot_);
      cache_ = nullptr;
    }

   private:
    friend class BlockCache;
    Pin(BlockCache& cache, std::uint32_t slot) : cache_(&cache), slot_(slot) {
      cache.pin(slot);
    }

    BlockCache* cache_ = nullptr;
    std::uint32_t slot_ = 0;
  };

  // Bytes of memory for a cache of `frames`, however the memory is aligned.
  [[nodiscard]] static constexpr std::size_t bytes_for(std::size_t frames) {
    return frames * kBytesPerFrame + kSlack;
  }

  // Lays the cache out in `memory` and forgets all blocks. False when the
  // memory holds fewer than kMinFrames.
  [[nodiscard]] bool init(MutableBytes memory);

  [[nodiscard]] std::size_t frames() const { return frames_.size(); }

  // The block of that identity, or a Pin that isn't held.
  [[nodiscard]] Pin find(const BlockId& id) {
    const std::uint32_t slot = find_slot(id);
    if (slot == kNoSlot) return Pin();
    frames_[slot / kSlotsPerFrame].referenced = true;
    return Pin(*this, slot);
  }

  // Makes room for a block of 2^radix bytes (radix 10 to 16), to be filled
  // through pending() and then given to publish() or discard(); one at a time.
  [[nodiscard]] bool reserve(unsigned radix);
  [[nodiscard]] MutableBytes pending() { return slot_space(pending_slot_); }
  [[nodiscard]] Pin publish(const BlockId& id, std::uint32_t count);
  void discard();

 private:
  static constexpr std::uint32_t kNoSlot = ~std::uint32_t{0};
  static constexpr std::uint32_t kSlotsPerFrame =
      kFrameBytes / format::kMinAllocBytes;
  static constexpr std::size_t kBucketsPerFrame = 16;
  static constexpr std::uint8_t kUnassigned = 0;

  struct Slot {
    BlockId id;
    std::uint32_t next;  // in the hash chain
    std::uint32_t count;
  };
  struct Frame {
    std::uint32_t pins;
    std::uint8_t radix;  // of its blocks; kUnassigned when empty
    std::uint8_t used;   // slots taken from the front
    bool referenced;
  };
  using Bucket = std::uint32_t;

  static constexpr std::size_t kBytesPerFrame =
      kFrameBytes + sizeof(Frame) + kSlotsPerFrame * sizeof(Slot) +
      kBucketsPerFrame * sizeof(Bucket);
  // Alignment of the arrays, and buckets rounded down to a power of two.
  static constexpr std::size_t kSlack = 64;

  [[nodiscard]] static std::size_t hash_of(const BlockId& id) {
    std::uint64_t h =
        (id.data_off ^ std::uint64_t{id.keybits} << 56) * 0x9e3779b97f4a7c15;
    return h ^ h >> 29;
  }
  [[nodiscard]] Bucket& bucket_of(const BlockId& id) {
    return buckets_[hash_of(id) & (buckets_.size() - 1)];
  }
  [[nodiscard]] std::uint32_t find_slot(const BlockId& id) {
    for (std::uint32_t slot = bucket_of(id); slot != kNoSlot;
         slot = slots_[slot].next) {
      if (slots_[slot].id == id) return slot;
    }
    return kNoSlot;
  }
  [[nodiscard]] MutableBytes slot_space(std::uint32_t slot) {
    const std::size_t frame = slot / kSlotsPerFrame;
    const unsigned radix = frames_[frame].radix;
    return space_.subspan(
        frame * kFrameBytes +
            (static_cast<std::size_t>(slot % kSlotsPerFrame) << radix),
        std::size_t{1} << radix);
  }
  [[nodiscard]] Bytes slot_bytes(std::uint32_t slot) {
    return slot_space(slot);
  }
  void pin(std::uint32_t slot) { ++frames_[slot / kSlotsPerFrame].pins; }
  void unpin(std::uint32_t slot) {
    ODO_ASSERT(frames_[slot / kSlotsPerFrame].pins > 0);
    --frames_[slot / kSlotsPerFrame].pins;
  }
  void empty_frame(std::size_t frame);
  void unlink(std::uint32_t slot);
  [[nodiscard]] bool has_room(const Frame& frame) const {
    return frame.used < (kFrameBytes >> frame.radix);
  }

  std::span<Frame> frames_;
  std::span<Slot> slots_;  // kSlotsPerFrame of each frame
  std::span<Bucket> buckets_;
  MutableBytes space_;
  // The frame that blocks of each radix are being added to.
  std::array<std::uint32_t, format::kMaxRadix + 1> open_frame_ = {};
  std::size_t hand_ = 0;
  std::uint32_t pending_slot_ = kNoSlot;
};

inline bool BlockCache::init(MutableBytes memory) {
  pending_slot_ = kNoSlot;
  hand_ = 0;
  open_frame_.fill(kNoSlot);
  frames_ = {};
  slots_ = {};
  buckets_ = {};
  if (memory.size() < bytes_for(kMinFrames)) return false;
  const std::size_t frames = (memory.size() - kSlack) / kBytesPerFrame;
  // Largest alignment first, so that one adjustment serves all.
  std::byte* at = memory.data();
  const auto address = reinterpret_cast<std::uintptr_t>(at);
  at += align_up(address, std::uintptr_t{kSlack}) - address;
  space_ = MutableBytes(at, frames * kFrameBytes);
  at += frames * kFrameBytes;
  const auto place = [&at]<class T>(std::span<T>& to, std::size_t count,
                                    const T& value) {
    static_assert(alignof(T) <= 8 && sizeof(T) % alignof(T) == 0);
    T* first = reinterpret_cast<T*>(at);
    for (std::size_t i = 0; i < count; ++i) ::new (first + i) T(value);
    to = std::span<T>(first, count);
    at += count * sizeof(T);
  };
  place(slots_, frames * kSlotsPerFrame,
        Slot{.id = {}, .next = kNoSlot, .count = 0});
  place(frames_, frames,
        Frame{.pins = 0, .radix = kUnassigned, .used = 0, .referenced = false});
  place(buckets_, std::bit_floor(frames * kBucketsPerFrame), Bucket{kNoSlot});
  return true;
}

inline void BlockCache::unlink(std::uint32_t slot) {
  for (Bucket* at = &bucket_of(slots_[slot].id); *at != kNoSlot;
       at = &slots_[*at].next) {
    if (*at == slot) {
      *at = slots_[slot].next;
      return;
    }
  }
  ODO_PANIC("a published slot is in its hash chain (C1)");
}

inline void BlockCache::empty_frame(std::size_t frame) {
  Frame& victim = frames_[frame];
  for (std::uint32_t i = 0; i < victim.used; ++i) {
    unlink(static_cast<std::uint32_t>(frame * kSlotsPerFrame + i));
  }
  if (victim.radix != kUnassigned && open_frame_[victim.radix] == frame) {
    open_frame_[victim.radix] = kNoSlot;
  }
  victim =
      Frame{.pins = 0, .radix = kUnassigned, .used = 0, .referenced = false};
}

inline bool BlockCache::reserve(unsigned radix) {
  ODO_ASSERT(radix >= format::kMinRadix && radix <= format::kMaxRadix);
  ODO_ASSERT(pending_slot_ == kNoSlot);
  std::uint32_t& open = open_frame_[radix];
  if (open == kNoSlot || !has_room(frames_[open])) {
    // Two turns: the first may only clear reference marks.
    std::size_t steps = 2 * frames_.size();
    for (;; --steps) {
      if (steps == 0) return false;
      Frame& frame = frames_[hand_];
      const std::size_t here = hand_;
      hand_ = hand_ + 1 == frames_.size() ? 0 : hand_ + 1;
      if (frame.pins != 0) continue;
      if (frame.referenced) {
        frame.referenced = false;
        continue;
      }
      empty_frame(here);
      frame.radix = static_cast<std::uint8_t>(radix);
      open = static_cast<std::uint32_t>(here);
      break;
    }
  }
  Frame& frame = frames_[open];
  pending_slot_ = open * kSlotsPerFrame + frame.used;
  ++frame.used;
  ++frame.pins;  // C2 while the caller fills it
  return true;
}

inline BlockCache::Pin BlockCache::publish(const BlockId& id,
                                           std::uint32_t count) {
  ODO_ASSERT(pending_slot_ != kNoSlot);
  const std::uint32_t slot = std::exchange(pending_slot_, kNoSlot);
  Bucket& bucket = bucket_of(id);
  slots_[slot] = Slot{.id = id, .next = bucket, .count = count};
  bucket = slot;
  Pin pin(*this, slot);
  unpin(slot);  // the reservation's
  return pin;
}

inline void BlockCache::discard() {
  ODO_ASSERT(pending_slot_ != kNoSlot);
  const std::uint32_t slot = std::exchange(pending_slot_, kNoSlot);
  --frames_[slot / kSlotsPerFrame].used;  // C3: it was the last taken
  unpin(slot);
}

}  // namespace odo::hammer2
