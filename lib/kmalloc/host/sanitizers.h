// SPDX-License-Identifier: BSD-3-Clause
// What the sanitizers are told, in builds that have them; else nothing.
//
// AddressSanitizer: what is free, or behind what was asked for, is poisoned; of
// objects of slabs, which is where it matters. ThreadSanitizer: two threads
// that use one CPU's lane are in order, which no atomic tells it.
//
// Contexts: any.
#pragma once

#include <cstddef>

#include "lib/base/annotations.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ODO_KMALLOC_ASAN
#include <sanitizer/asan_interface.h>
#endif
#if __has_feature(thread_sanitizer)
#define ODO_KMALLOC_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#endif

namespace odo::kmalloc {

// An object is its user's from here on: `bytes` of it.
ODO_ALWAYS_INLINE void note_allocated([[maybe_unused]] void* object,
                                      [[maybe_unused]] std::size_t bytes) {
#if defined(ODO_KMALLOC_ASAN)
  if (object != nullptr) __asan_unpoison_memory_region(object, bytes);
#elif defined(ODO_KMALLOC_TSAN)
  if (object != nullptr) __tsan_acquire(object);
#endif
}
// And no longer: `bytes` are all of it, 0 of one that is no slab's.
ODO_ALWAYS_INLINE void note_freed([[maybe_unused]] void* object,
                                  [[maybe_unused]] std::size_t bytes) {
#if defined(ODO_KMALLOC_ASAN)
  if (bytes == 0) return;
  // The report of a second free is that of a use.
  (void)*static_cast<volatile char*>(object);
  __asan_poison_memory_region(object, bytes);
#elif defined(ODO_KMALLOC_TSAN)
  if (object != nullptr) __tsan_release(object);
#endif
}
// Memory that comes from the system, or goes back to it.
ODO_ALWAYS_INLINE void note_mapped([[maybe_unused]] void* memory,
                                   [[maybe_unused]] std::size_t bytes) {
#if defined(ODO_KMALLOC_ASAN)
  __asan_unpoison_memory_region(memory, bytes);
#endif
}

}  // namespace odo::kmalloc
