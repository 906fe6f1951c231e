// SPDX-License-Identifier: BSD-3-Clause
// Memory for object caches from the C library's heap.
//
// Contexts: any thread. Stateless.
// Failure: null when there is no memory.
#pragma once

#include <cstddef>
#include <cstdlib>

#include "lib/base/bits.h"
#include "lib/objcache/platform.h"

namespace odo::objcache {

// Not new and delete: what was aligned beyond the ordinary would need its
// alignment again in free().
struct HeapBacking {
  void* allocate(std::size_t bytes, std::size_t align) const {
    if (align <= alignof(std::max_align_t)) return std::malloc(bytes);
    return std::aligned_alloc(align, align_up(bytes, align));
  }
  void free(void* memory, std::size_t /*bytes*/) const { std::free(memory); }
};

static_assert(Backing<HeapBacking>);

}  // namespace odo::objcache
