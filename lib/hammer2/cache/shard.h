// SPDX-License-Identifier: BSD-3-Clause
// Frames with hash chains over their blocks: all of a small cache, or one of
// the parts that a cache is cut into so that its users don't meet.
//
// A full shard empties the frame that has gone unused longest, as a clock hand
// finds it.
//
// Contexts: find() wants the shard's token, shared or not; everything else
//   wants it exclusively. A cache for one thread has no token.
// Invariants (and those of frame.h, F):
//   C1. a published slot is in exactly one hash chain; no other slot is;
//   C2. a frame with pins is never emptied;
//   C3. no two published slots have one id: of two readers who read the same
//       block at once, the first to publish wins.
// Ownership: the caller keeps the tables; frames' memory is the source's.
// Failure: reserve() answers no room when every frame is pinned, or when there
//   is no memory for the first.
// Complexity: find O(1) expected; reserve O(frames) at worst, with a bound of
//   two turns of the hand.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/hammer2/cache/block_id.h"
#include "lib/hammer2/cache/frame.h"
#include "lib/hammer2/cache/pin.h"
#include "lib/hammer2/format/constants.h"

namespace odo::hammer2::cache {

template <CachePlatform P>
class Shard {
 public:
  using Pin = cache::Pin<P>;
  using Room = cache::Room<P>;

  // Of the tables; they begin at a multiple of it.
  static constexpr std::size_t kTableAlign = alignof(Frame<P>);
  // Bytes of tables for so many frames.
  [[nodiscard]] static constexpr std::size_t table_bytes_for(
      std::size_t frames) {
    return align_up(
        frames * sizeof(Frame<P>) + buckets_for(frames) * sizeof(Link),
        kTableAlign);
  }

  Shard() = default;
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  // Lays out tables for up to `frames` frames, all of them vacant. Whatever was
  // here is forgotten.
  void init(MutableBytes tables, std::size_t frames);

  // Frames that the shard may have, and those that it has.
  [[nodiscard]] std::size_t most_frames() const { return frames_.size(); }
  [[nodiscard]] std::size_t frames() const { return frames_held_; }

  // The block of that identity, or a Pin that isn't held.
  [[nodiscard]] Pin find(const BlockId& id) {
    const Link link = find_link(id);
    if (link == kNoLink) return Pin();
    frame_of(link).note_use();
    return pin_of(link);
  }

  // Makes room for a block of 2^radix bytes (radix 10 to 16).
  template <FrameSource Source>
  [[nodiscard]] Room reserve(unsigned radix, Source& source);
  // The room's block from here on, or the one that was published under this id
  // while this one was read.
  [[nodiscard]] Pin publish(const Room& room, const BlockId& id,
                            std::uint32_t count);
  void discard(const Room& room);

  // Gives up to `target` frames that nobody has pinned back to the source, the
  // longest unused first. Says how many.
  template <FrameExchange Source>
  std::size_t reclaim(std::size_t target, Source& source);

 private:
  // A frame of inodes has a bucket for each: to walk along a chain is to wait
  // for memory at each step.
  static constexpr std::size_t kBucketsPerFrame = kSlotsPerFrame;
  static constexpr std::uint32_t kNoFrame = ~std::uint32_t{0};

  [[nodiscard]] static constexpr std::size_t buckets_for(std::size_t frames) {
    return std::bit_floor(frames * kBucketsPerFrame);
  }
  [[nodiscard]] Link& bucket_of(const BlockId& id) {
    return buckets_[hash_of(id) & (buckets_.size() - 1)];
  }
  [[nodiscard]] Frame<P>& frame_of(Link link) {
    return frames_[link / kSlotsPerFrame];
  }
  [[nodiscard]] Slot& slot_of(Link link) {
    return frame_of(link).memory->slots[link % kSlotsPerFrame];
  }
  [[nodiscard]] std::uint32_t number_of(const Frame<P>& frame) const {
    return static_cast<std::uint32_t>(&frame - frames_.data());
  }
  [[nodiscard]] Link find_link(const BlockId& id) {
    Link link = bucket_of(id);
    while (link != kNoLink) {
      const Slot& slot = slot_of(link);
      if (slot.id == id) break;
      link = slot.next;
    }
    return link;
  }
  [[nodiscard]] Pin pin_of(Link link) {
    Frame<P>& frame = frame_of(link);
    const std::uint32_t slot = link % kSlotsPerFrame;
    frame.pin();
    return Pin(frame,
               Bytes(frame.bytes_of(slot), std::size_t{1} << frame.radix),
               frame.memory->slots[slot].count);
  }

  template <FrameSource Source>
  [[nodiscard]] Frame<P>* fill_vacancy(Source& source);
  [[nodiscard]] Frame<P>* empty_one();
  void empty(Frame<P>& frame);
  void unlink(Link link);

  std::span<Frame<P>> frames_;
  std::span<Link> buckets_;
  // The frame that blocks of each radix are being added to.
  std::array<std::uint32_t, format::kMaxRadix + 1> open_frame_ = {};
  std::size_t hand_ = 0;
  std::size_t frames_held_ = 0;
  std::uint32_t vacant_ = kNoFrame;  // the first of a list
};

template <CachePlatform P>
void Shard<P>::init(MutableBytes tables, std::size_t frames) {
  ODO_ASSERT(frames != 0 && tables.size() >= table_bytes_for(frames));
  std::byte* at = tables.data();
  ODO_ASSERT(is_aligned(reinterpret_cast<std::uintptr_t>(at), kTableAlign));
  auto* const first_frame = reinterpret_cast<Frame<P>*>(at);
  for (std::size_t i = 0; i < frames; ++i) {
    auto* const frame = ::new (first_frame + i) Frame<P>();
    frame->next_vacant =
        i + 1 == frames ? kNoFrame : static_cast<std::uint32_t>(i + 1);
  }
  frames_ = {first_frame, frames};
  auto* const first_bucket =
      reinterpret_cast<Link*>(at + frames * sizeof(Frame<P>));
  const std::size_t buckets = buckets_for(frames);
  for (std::size_t i = 0; i < buckets; ++i) {
    ::new (first_bucket + i) Link(kNoLink);
  }
  buckets_ = {first_bucket, buckets};
  open_frame_.fill(kNoFrame);
  hand_ = 0;
  frames_held_ = 0;
  vacant_ = 0;
}

template <CachePlatform P>
void Shard<P>::unlink(Link link) {
  for (Link* at = &bucket_of(slot_of(link).id); *at != kNoLink;
       at = &slot_of(*at).next) {
    if (*at == link) {
      *at = slot_of(link).next;
      return;
    }
  }
  ODO_PANIC("a published slot is in its hash chain (C1)");
}

template <CachePlatform P>
void Shard<P>::empty(Frame<P>& frame) {
  const std::uint32_t number = number_of(frame);
  for (; frame.published != 0; frame.published &= frame.published - 1) {
    const auto slot =
        static_cast<std::uint32_t>(std::countr_zero(frame.published));
    unlink(number * kSlotsPerFrame + slot);
  }
  if (open_frame_[frame.radix] == number) open_frame_[frame.radix] = kNoFrame;
  frame.taken = 0;
  frame.radix = 0;
}

// The frame that the clock's hand comes to, emptied; null if all are pinned.
template <CachePlatform P>
Frame<P>* Shard<P>::empty_one() {
  // Two turns: the first may only clear reference marks.
  for (std::size_t steps = 2 * frames_.size(); steps != 0; --steps) {
    Frame<P>& frame = frames_[hand_];
    hand_ = hand_ + 1 == frames_.size() ? 0 : hand_ + 1;
    if (frame.memory == nullptr || frame.is_pinned() || frame.forget_use()) {
      continue;
    }
    empty(frame);
    return &frame;
  }
  return nullptr;
}

template <CachePlatform P>
template <FrameSource Source>
Frame<P>* Shard<P>::fill_vacancy(Source& source) {
  if (vacant_ == kNoFrame) return nullptr;
  Frame<P>& frame = frames_[vacant_];
  frame.memory = source.take();
  if (frame.memory == nullptr) return nullptr;
  vacant_ = frame.next_vacant;
  ++frames_held_;
  return &frame;
}

template <CachePlatform P>
template <FrameSource Source>
Room<P> Shard<P>::reserve(unsigned radix, Source& source) {
  ODO_ASSERT(radix >= format::kMinRadix && radix <= format::kMaxRadix);
  std::uint32_t& open = open_frame_[radix];
  if (open == kNoFrame || !frames_[open].has_room()) {
    Frame<P>* fresh = fill_vacancy(source);
    if (fresh == nullptr) fresh = empty_one();
    if (fresh == nullptr) return Room();
    fresh->radix = static_cast<std::uint8_t>(radix);
    open = number_of(*fresh);
  }
  Frame<P>& frame = frames_[open];
  const auto slot = static_cast<std::uint32_t>(std::countr_one(frame.taken));
  frame.taken |= std::uint64_t{1} << slot;
  frame.pin();  // C2 while the caller fills it
  return Room(frame, slot);
}

template <CachePlatform P>
Pin<P> Shard<P>::publish(const Room& room, const BlockId& id,
                         std::uint32_t count) {
  ODO_ASSERT(room.held());
  if (const Link other = find_link(id); other != kNoLink) [[unlikely]] {
    discard(room);
    return pin_of(other);  // C3
  }
  Frame<P>& frame = *room.frame_;
  Link& bucket = bucket_of(id);
  ::new (&frame.memory->slots[room.slot_])
      Slot{.id = id, .next = bucket, .count = count};
  bucket = number_of(frame) * kSlotsPerFrame + room.slot_;
  frame.published |= std::uint64_t{1} << room.slot_;
  return Pin(frame, room.space_, count);  // the reservation's pin
}

template <CachePlatform P>
void Shard<P>::discard(const Room& room) {
  ODO_ASSERT(room.held());
  room.frame_->taken &= ~(std::uint64_t{1} << room.slot_);
  room.frame_->unpin();
}

template <CachePlatform P>
template <FrameExchange Source>
std::size_t Shard<P>::reclaim(std::size_t target, Source& source) {
  std::size_t given = 0;
  while (given < target) {
    Frame<P>* const frame = empty_one();
    if (frame == nullptr) break;
    source.give(*frame->memory);
    frame->memory = nullptr;
    frame->next_vacant = vacant_;
    vacant_ = number_of(*frame);
    --frames_held_;
    ++given;
  }
  return given;
}

}  // namespace odo::hammer2::cache
