// SPDX-License-Identifier: BSD-3-Clause
// Memory for object caches from a kmalloc heap.
//
// `Here` gives the lane that the caller owns: Lane<P>* operator()().
//
// Contexts: as kmalloc/heap.h.
// Failure: null when there is no memory.
#pragma once

#include <cstddef>

#include "lib/kmalloc/heap.h"
#include "lib/objcache/platform.h"

namespace odo::objcache {

template <kmalloc::KmallocPlatform P, class Here>
class KmallocBacking {
 public:
  KmallocBacking(kmalloc::Heap<P>& heap, Here here)
      : heap_(&heap), here_(here) {}

  [[nodiscard]] void* allocate(std::size_t bytes, std::size_t align) {
    kmalloc::Lane<P>* lane = here_();
    if (lane == nullptr) return nullptr;
    return heap_->allocate_aligned(*lane, bytes, align, here_);
  }
  void free(void* memory, std::size_t /*bytes*/) {
    kmalloc::Lane<P>* lane = here_();
    if (lane != nullptr) heap_->free(*lane, memory, here_);
  }

 private:
  kmalloc::Heap<P>* heap_;
  Here here_;
};

}  // namespace odo::objcache
