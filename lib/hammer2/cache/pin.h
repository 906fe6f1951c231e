// SPDX-License-Identifier: BSD-3-Clause
// What a reader holds of a cache: a block that stays in place, or room for one.
//
// Contexts: one thread at a time; a Pin is let go without any lock.
// Ownership: must go before the cache does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "lib/base/bytes.h"
#include "lib/hammer2/cache/frame.h"

namespace odo::hammer2::cache {

template <CachePlatform P>
class Shard;

// A block that stays in place while this lives.
template <CachePlatform P>
class Pin {
 public:
  Pin() = default;
  Pin(Pin&& other) noexcept
      : frame_(std::exchange(other.frame_, nullptr)),
        bytes_(other.bytes_),
        count_(other.count_) {}
  Pin& operator=(Pin&& other) noexcept {
    if (this != &other) {
      release();
      frame_ = std::exchange(other.frame_, nullptr);
      bytes_ = other.bytes_;
      count_ = other.count_;
    }
    return *this;
  }
  ~Pin() { release(); }

  [[nodiscard]] bool held() const { return frame_ != nullptr; }
  [[nodiscard]] Bytes bytes() const { return bytes_; }
  // What publish() was told: blockrefs in use for inodes and indirect blocks.
  [[nodiscard]] std::uint32_t count() const { return count_; }
  void release() {
    if (frame_ != nullptr) frame_->unpin();
    frame_ = nullptr;
  }
  // For a cache that goes, or is made anew: nothing there is touched.
  void forget() { frame_ = nullptr; }

 private:
  friend class Shard<P>;
  // Takes over a pin of the frame.
  Pin(Frame<P>& frame, Bytes bytes, std::uint32_t count)
      : frame_(&frame), bytes_(bytes), count_(count) {}

  Frame<P>* frame_ = nullptr;
  Bytes bytes_;
  std::uint32_t count_ = 0;
};

// A taken slot, pinned, to be filled and then given to publish() or discard().
template <CachePlatform P>
class Room {
 public:
  Room() = default;

  // False where there was none to be had.
  [[nodiscard]] bool held() const { return frame_ != nullptr; }
  [[nodiscard]] MutableBytes space() const { return space_; }

 private:
  friend class Shard<P>;
  Room(Frame<P>& frame, std::uint32_t slot)
      : frame_(&frame),
        space_(frame.bytes_of(slot), std::size_t{1} << frame.radix),
        slot_(slot) {}

  Frame<P>* frame_ = nullptr;
  MutableBytes space_;
  std::uint32_t slot_ = 0;
};

}  // namespace odo::hammer2::cache
