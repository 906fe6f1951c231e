// SPDX-License-Identifier: BSD-3-Clause
// Verified blocks for the readers of one filesystem, on any number of threads:
// one memory for all, and a block that one has read is there for the others.
//
//   SharedCache<Platform, Token, Frames> cache(frames);
//   ODO_TRY_VOID(cache.init(tables, limit, readers));
//   FileSystem<Device, VerifyChecks, decltype(cache)&> fs({}, cache);
//
// A cache is cut into shards by where on media a block lies. Whoever looks for
// a block holds its shard's token shared; whoever makes room, publishes or
// reclaims holds it alone. Blocks are read, and pins let go, without a token.
// docs/hammer2-cache.md tells the whole protocol, with the pairs of orders.
//
// Contexts: threads; every call but frames() may wait for a token, under which
//   the caller's others lapse. init(): before anybody uses the cache.
// Invariants (and those of cache/shard.h, C, and cache/frame.h, F):
//   S1. blocks are of one filesystem: ids don't name it;
//   S2. a shard has frames for all that every reader may pin at once, so that
//       reserve() finds one;
//   S3. two readers that miss the same block at once both read it, and share
//       what the first of them publishes.
// Ownership: the caller keeps the tables and the source of frames, which both
//   outlive the cache; pins and rooms go before it. The source has as many
//   frames for the cache as init() is told.
// Failure: init(): kNoMemory, with the least that would do. reserve(): no room
//   when the source has no memory for a shard's first frames.
// Complexity: as cache/shard.h; one token an operation.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/base/annotations.h"
#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/hammer2/block_cache.h"
#include "lib/hammer2/cache/block_id.h"
#include "lib/hammer2/cache/frame.h"
#include "lib/hammer2/cache/shard.h"
#include "lib/hammer2/error.h"
#include "lib/tokens/platform.h"

namespace odo::hammer2 {

inline constexpr tokens::TokenClass kShardTokenClass{"HAMMER2 blocks"};

// A token of the calling thread's, with the lock methods of the standard
// library: tokens::ThreadToken is one.
template <class T>
concept ShardToken = std::constructible_from<T, const tokens::TokenClass&> &&
                     requires(T& token) {
                       token.lock();
                       token.unlock();
                       token.lock_shared();
                       token.unlock_shared();
                     };

namespace detail {

template <ShardToken Token>
class ODO_SCOPED_CAPABILITY HoldShard {
 public:
  explicit HoldShard(Token& token) ODO_ACQUIRE(token) : token_(token) {
    token_.lock();
  }
  HoldShard(const HoldShard&) = delete;
  HoldShard& operator=(const HoldShard&) = delete;
  ~HoldShard() ODO_RELEASE() { token_.unlock(); }

 private:
  Token& token_;
};

template <ShardToken Token>
class ODO_SCOPED_CAPABILITY ShareShard {
 public:
  explicit ShareShard(Token& token) ODO_ACQUIRE_SHARED(token) : token_(token) {
    token_.lock_shared();
  }
  ShareShard(const ShareShard&) = delete;
  ShareShard& operator=(const ShareShard&) = delete;
  ~ShareShard() ODO_RELEASE() { token_.unlock_shared(); }

 private:
  Token& token_;
};

}  // namespace detail

template <cache::CachePlatform P, ShardToken Token, cache::FrameExchange Frames>
class SharedCache {
 public:
  using Pin = cache::Pin<P>;
  using Room = cache::Room<P>;

  static constexpr std::size_t kMaxShards = 16;
  // What a reader pins at most: three blocks on the way down a tree (tree.h)
  // and room for the next.
  static constexpr std::size_t kFramesPerReader = 4;

  explicit SharedCache(Frames& frames) : source_(frames) {}
  SharedCache(const SharedCache&) = delete;
  SharedCache& operator=(const SharedCache&) = delete;
  // Nobody uses the cache any more, and no pin is held.
  ~SharedCache() { (void)reclaim(frames()); }

  // Bytes of tables for `frames`, however they are aligned.
  [[nodiscard]] static constexpr std::size_t table_bytes_for(
      std::size_t frames) {
    return cache::Shard<P>::table_bytes_for(frames) +
           (kMaxShards + 1) * cache::Shard<P>::kTableAlign;
  }

  // At most `frames` frames, for `readers` at the same time, of which 0 ask for
  // no promise (S2). Once.
  [[nodiscard]] Result<void> init(MutableBytes tables, std::size_t frames,
                                  std::size_t readers);

  // What init() was told, rounded down to a multiple of shards.
  [[nodiscard]] std::size_t frames() const { return frames_; }
  [[nodiscard]] std::size_t shards() const { return shards_in_use_; }

  // The block of that identity, or a Pin that isn't held.
  [[nodiscard]] Pin find(const BlockId& id) ODO_MAY_BLOCK {
    Part& part = part_of(id);
    const detail::ShareShard hold(part.token);
    return part.shard.find(id);
  }

  // Room for a block of 2^radix bytes (radix 10 to 16), or none. It is the
  // caller's to fill, without a token.
  [[nodiscard]] Room reserve(const BlockId& id, unsigned radix) ODO_MAY_BLOCK {
    Part& part = part_of(id);
    const detail::HoldShard hold(part.token);
    return part.shard.reserve(radix, source_);
  }
  // The block in `room` from here on, or the same one if another reader was
  // first (S3).
  [[nodiscard]] Pin publish(const Room& room, const BlockId& id,
                            std::uint32_t count) ODO_MAY_BLOCK {
    Part& part = part_of(id);
    const detail::HoldShard hold(part.token);
    return part.shard.publish(room, id, count);
  }
  void discard(const Room& room, const BlockId& id) ODO_MAY_BLOCK {
    Part& part = part_of(id);
    const detail::HoldShard hold(part.token);
    part.shard.discard(room);
  }

  // Empties up to `target` frames that nobody has pinned, alike in all shards,
  // and gives their memory back. Says how many. The cache takes frames again
  // when it needs them.
  std::size_t reclaim(std::size_t target) ODO_MAY_BLOCK;

 private:
  struct alignas(64) Part {
    Token token{kShardTokenClass};
    cache::Shard<P> shard ODO_GUARDED_BY(token);
  };

  [[nodiscard]] Part& part_of(const BlockId& id) {
    return parts_[cache::region_hash_of(id) >> 1 >> hash_shift_];
  }

  Frames& source_;
  std::size_t frames_ = 0;
  std::size_t shards_in_use_ = 1;
  // Leaves of a hash's lower 63 bits the upper ones that number a shard.
  unsigned hash_shift_ = 63;
  std::array<Part, kMaxShards> parts_;
};

template <cache::CachePlatform P, ShardToken Token, cache::FrameExchange Frames>
Result<void> SharedCache<P, Token, Frames>::init(MutableBytes tables,
                                                 std::size_t frames,
                                                 std::size_t readers) {
  const std::size_t least =
      std::max<std::size_t>(kFramesPerReader * readers, 1);
  if (frames < least) {
    Error error{.code = Code::kNoMemory};
    error.found = frames * cache::kFrameBytes;
    error.expected = least * cache::kFrameBytes;
    return fail(error);
  }
  ODO_CHECK(tables.size() >= table_bytes_for(frames));
  constexpr std::size_t kAlign = cache::Shard<P>::kTableAlign;
  const auto address = reinterpret_cast<std::uintptr_t>(tables.data());
  tables = tables.subspan(align_up(address, kAlign) - address);
  shards_in_use_ = std::min(kMaxShards, std::bit_floor(frames / least));
  hash_shift_ = 63 - static_cast<unsigned>(std::countr_zero(shards_in_use_));
  const std::size_t each = frames / shards_in_use_;  // at least `least`: S2
  const std::size_t table_bytes = cache::Shard<P>::table_bytes_for(each);
  for (Part& part : std::span(parts_).first(shards_in_use_)) {
    const detail::HoldShard hold(part.token);
    part.shard.init(tables.first(table_bytes), each);
    tables = tables.subspan(table_bytes);
  }
  frames_ = each * shards_in_use_;
  return {};
}

template <cache::CachePlatform P, ShardToken Token, cache::FrameExchange Frames>
std::size_t SharedCache<P, Token, Frames>::reclaim(std::size_t target) {
  target = std::min(target, frames_);
  std::size_t given = 0;
  for (bool more = true; more && given < target;) {
    more = false;
    const std::size_t share =
        (target - given + shards_in_use_ - 1) / shards_in_use_;
    for (Part& part : std::span(parts_).first(shards_in_use_)) {
      const detail::HoldShard hold(part.token);
      const std::size_t got =
          part.shard.reclaim(std::min(share, target - given), source_);
      given += got;
      more = more || got != 0;
    }
  }
  if (given != 0) source_.release_idle();
  return given;
}

}  // namespace odo::hammer2
