// SPDX-License-Identifier: BSD-3-Clause
// Memory for object caches from the program's kmalloc heap.
//
// Contexts: any thread. Stateless.
// Failure: null when there is no memory.
#pragma once

#include <cstddef>

#include "lib/kmalloc/host/thread_heap.h"
#include "lib/objcache/platform.h"

namespace odo::objcache {

struct HeapBacking {
  [[nodiscard]] void* allocate(std::size_t bytes, std::size_t align) const {
    return kmalloc::ThreadHeap::allocate_aligned(bytes, align);
  }
  void free(void* memory, std::size_t /*bytes*/) const {
    kmalloc::ThreadHeap::free(memory);
  }
};

static_assert(Backing<HeapBacking>);

}  // namespace odo::objcache
