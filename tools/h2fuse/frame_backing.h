// SPDX-License-Identifier: BSD-3-Clause
// Memory for frames by large pages, of which a cache that fills meets a fault
// for each 2 MiB instead of each 4 KiB. What is smaller comes from the heap.
//
// Contexts: any thread.
// Bounds: the mapping, whose pages are touched in the order of first use. What
//   is freed stays mapped and is used again first.
// Failure: null when the mapping is used up.
#pragma once

#include <cstddef>
#include <mutex>
#include <new>

#include "lib/base/bits.h"
#include "lib/hammer2/cache/frame.h"
#include "lib/objcache/host/heap_backing.h"
#include "tools/h2/volume.h"

namespace odo::h2fuse {

class FrameMapping {
 public:
  // Room for so many frames, and for what an object cache keeps beside them.
  explicit FrameMapping(std::size_t frames) : memory_(frames * kMostBytes) {}

  [[nodiscard]] void* allocate(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    if (free_ != nullptr) {
      Free* const first = free_;
      free_ = first->next;
      return first;
    }
    bytes = align_up(bytes, alignof(hammer2::cache::FrameMemory));
    if (bytes > memory_.bytes().size() - used_) return nullptr;
    used_ += bytes;
    return memory_.bytes().data() + (used_ - bytes);
  }
  void free(void* frame) {
    const std::lock_guard lock(mutex_);
    free_ = ::new (frame) Free{free_};
  }

 private:
  struct Free {
    Free* next;
  };

  static constexpr std::size_t kMostBytes =
      sizeof(hammer2::cache::FrameMemory) + 256;

  h2::ReaderMemory memory_;
  std::mutex mutex_;
  std::size_t used_ = 0;
  Free* free_ = nullptr;
};

class FrameBacking {
 public:
  explicit FrameBacking(FrameMapping& mapping) : mapping_(&mapping) {}

  [[nodiscard]] void* allocate(std::size_t bytes, std::size_t align) const {
    return is_frame(bytes) ? mapping_->allocate(bytes)
                           : heap_.allocate(bytes, align);
  }
  void free(void* memory, std::size_t bytes) const {
    if (is_frame(bytes)) {
      mapping_->free(memory);
    } else {
      heap_.free(memory, bytes);
    }
  }

 private:
  [[nodiscard]] static bool is_frame(std::size_t bytes) {
    return bytes >= sizeof(hammer2::cache::FrameMemory);
  }

  FrameMapping* mapping_;
  objcache::HeapBacking heap_;
};

static_assert(objcache::Backing<FrameBacking>);

}  // namespace odo::h2fuse
