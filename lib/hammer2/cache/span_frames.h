// SPDX-License-Identifier: BSD-3-Clause
// Frames cut from memory of the caller's, one after the other.
//
// Contexts: thread, one at a time.
// Invariants: a frame's memory is touched when it is taken, not before.
// Ownership: the caller keeps the memory, and keeps it while frames are in use.
// Failure: null when all are taken.
#pragma once

#include <cstddef>
#include <new>

#include "lib/base/bytes.h"
#include "lib/hammer2/cache/frame.h"

namespace odo::hammer2::cache {

class SpanFrames {
 public:
  SpanFrames() = default;
  // `memory` begins at a multiple of alignof(FrameMemory).
  explicit SpanFrames(MutableBytes memory) : left_(memory) {}

  [[nodiscard]] FrameMemory* take() {
    if (left_.size() < sizeof(FrameMemory)) return nullptr;
    auto* const memory = ::new (left_.data()) FrameMemory();
    left_ = left_.subspan(sizeof(FrameMemory));
    return memory;
  }

 private:
  MutableBytes left_;
};

}  // namespace odo::hammer2::cache
