// SPDX-License-Identifier: BSD-3-Clause
// The pages that a writer holds in memory: which page is in which frame, which
// of them differ from the medium, and which frame is given up next.
//
// Contexts: any; no I/O. The caller owns the memory.
// Complexity: a page is found by looking at all frames: made for dozens.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/base/bytes.h"
#include "lib/btree/media/format.h"

namespace odo::btree::media {

inline constexpr std::uint32_t kNoFrame = ~std::uint32_t{0};

template <std::size_t MaxFrames>
class Frames {
 public:
  explicit Frames(MutableBytes memory) : memory_(memory) {}

  // Cuts the memory into frames, all empty.
  void divide(std::uint32_t page_bytes) {
    page_bytes_ = page_bytes;
    const std::size_t fit = memory_.size() / page_bytes;
    count_ = static_cast<std::uint32_t>(fit < MaxFrames ? fit : MaxFrames);
    clear();
  }
  void clear() {
    for (std::uint32_t f = 0; f < count_; ++f) {
      numbers_[f] = 0;
      states_[f] = {};
    }
  }

  [[nodiscard]] std::uint32_t count() const { return count_; }
  [[nodiscard]] std::byte* bytes(std::uint32_t f) const {
    return memory_.data() + std::size_t{f} * page_bytes_;
  }
  [[nodiscard]] MutableBytes span(std::uint32_t f) const {
    return {bytes(f), page_bytes_};
  }

  // Which frame holds `page`, which is no header.
  [[nodiscard]] std::uint32_t find(std::uint64_t page) const {
    for (std::uint32_t f = 0; f < count_; ++f) {
      if (numbers_[f] == page) return f;
    }
    return kNoFrame;
  }
  void hold(std::uint32_t f, std::uint64_t page) { numbers_[f] = page; }
  void drop(std::uint32_t f) {
    numbers_[f] = 0;
    states_[f].dirty = false;
  }

  [[nodiscard]] bool dirty(std::uint32_t f) const { return states_[f].dirty; }
  void set_dirty(std::uint32_t f, bool dirty) { states_[f].dirty = dirty; }

  // A pinned frame stays until all are let go, at an operation's end.
  void pin(std::uint32_t f) {
    states_[f].pinned = true;
    states_[f].used = ++clock_;
  }
  void unpin_all() {
    for (std::uint32_t f = 0; f < count_; ++f) states_[f].pinned = false;
  }

  // Which frame to give up: an empty one; the clean one that was used longest
  // ago; or of the dirty ones on the lowest level that one, because no page
  // that is dirty then has a parent elsewhere than here (W2 in writer.h).
  [[nodiscard]] std::uint32_t victim() const {
    std::uint32_t best = kNoFrame;
    std::uint64_t best_rank = 0;
    std::uint64_t best_used = 0;
    for (std::uint32_t f = 0; f < count_; ++f) {
      if (states_[f].pinned) continue;
      if (numbers_[f] == 0) return f;
      const std::uint64_t rank = states_[f].dirty ? 1 + level(f) : 0;
      if (best == kNoFrame || rank < best_rank ||
          (rank == best_rank && states_[f].used < best_used)) {
        best = f;
        best_rank = rank;
        best_used = states_[f].used;
      }
    }
    return best;
  }

 private:
  struct State {
    std::uint64_t used = 0;
    bool pinned = false;
    bool dirty = false;
  };

  [[nodiscard]] std::uint32_t level(std::uint32_t f) const {
    return load_le<std::uint8_t>(bytes(f) + offsetof(PageHeader, level));
  }

  MutableBytes memory_;
  std::uint32_t page_bytes_ = 0;
  std::uint32_t count_ = 0;
  std::uint64_t clock_ = 0;
  std::uint64_t numbers_[MaxFrames] = {};  // 0: empty
  State states_[MaxFrames] = {};
};

}  // namespace odo::btree::media
