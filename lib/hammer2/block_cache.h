// SPDX-License-Identifier: BSD-3-Clause
// Verified blocks in memory given by the caller, for one thread. shared_cache.h
// has the one for several.
//
// Contexts: thread, one at a time.
// Ownership: the caller keeps the memory; a Pin must go before the cache does.
// Failure: reserve() answers no room when every frame is pinned.
// Complexity: as cache/shard.h.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/hammer2/cache/block_id.h"
#include "lib/hammer2/cache/frame.h"
#include "lib/hammer2/cache/one_thread.h"
#include "lib/hammer2/cache/shard.h"
#include "lib/hammer2/cache/span_frames.h"

namespace odo::hammer2 {

// What a reader asks of a cache. A Room is to be filled and then given to
// publish() or discard(), under the id that it was reserved for.
template <class C>
concept BlockCaching =
    requires(C& cache, const C& constant, const BlockId& id, unsigned radix,
             const typename C::Room& room, std::uint32_t count) {
      { cache.find(id) } -> std::same_as<typename C::Pin>;
      { cache.reserve(id, radix) } -> std::same_as<typename C::Room>;
      { cache.publish(room, id, count) } -> std::same_as<typename C::Pin>;
      { cache.discard(room, id) } -> std::same_as<void>;
      { constant.frames() } -> std::same_as<std::size_t>;
    };

class BlockCache {
 public:
  using Pin = cache::Pin<cache::OneThread>;
  using Room = cache::Room<cache::OneThread>;

  static constexpr std::size_t kFrameBytes = cache::kFrameBytes;
  static constexpr std::size_t kMinFrames = 8;

  BlockCache() = default;
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  // Bytes of memory for a cache of `frames`, however the memory is aligned.
  [[nodiscard]] static constexpr std::size_t bytes_for(std::size_t frames) {
    return frames * sizeof(cache::FrameMemory) +
           Shard::table_bytes_for(frames) + kAlign;
  }

  // Lays the cache out in `memory` and forgets all blocks. False when the
  // memory holds fewer than kMinFrames.
  [[nodiscard]] bool init(MutableBytes memory) {
    if (memory.size() < bytes_for(kMinFrames)) return false;
    std::size_t frames = memory.size() / sizeof(cache::FrameMemory);
    while (bytes_for(frames) > memory.size()) --frames;
    const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
    memory = memory.subspan(align_up(address, kAlign) - address);
    const std::size_t frame_bytes = frames * sizeof(cache::FrameMemory);
    frames_ = cache::SpanFrames(memory.first(frame_bytes));
    shard_.init(memory.subspan(frame_bytes), frames);
    return true;
  }

  [[nodiscard]] std::size_t frames() const { return shard_.most_frames(); }

  // The block of that identity, or a Pin that isn't held.
  [[nodiscard]] Pin find(const BlockId& id) { return shard_.find(id); }

  // Room for a block of 2^radix bytes (radix 10 to 16), or none.
  [[nodiscard]] Room reserve(const BlockId& /*id*/, unsigned radix) {
    return shard_.reserve(radix, frames_);
  }
  [[nodiscard]] Pin publish(const Room& room, const BlockId& id,
                            std::uint32_t count) {
    return shard_.publish(room, id, count);
  }
  void discard(const Room& room, const BlockId& /*id*/) {
    shard_.discard(room);
  }

 private:
  using Shard = cache::Shard<cache::OneThread>;

  static constexpr std::size_t kAlign = 64;
  static_assert(alignof(cache::FrameMemory) <= kAlign &&
                Shard::kTableAlign <= kAlign &&
                sizeof(cache::FrameMemory) % Shard::kTableAlign == 0);

  Shard shard_;
  cache::SpanFrames frames_;
};

static_assert(BlockCaching<BlockCache>);

}  // namespace odo::hammer2
