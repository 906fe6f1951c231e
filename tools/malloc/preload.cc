// SPDX-License-Identifier: BSD-3-Clause
// libodomalloc.so: the C and C++ allocation functions by way of lib/kmalloc, to
// be preloaded into programs that know nothing of it.
//
//   LD_PRELOAD=libodomalloc.so program
//
// Programs of our own link it in (//tools/malloc). A sanitizer has an allocator
// of its own: there this is nothing.
//
// It needs no C++ library, which programs in C would have to load for nothing:
// what throws is in the library that whoever calls operator new has. The forms
// that do not throw do not call the program's new handler either.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ODO_NO_MALLOC
#endif
#endif

#if !defined(ODO_NO_MALLOC)

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>

#include "lib/base/bits.h"
#include "lib/kmalloc/host/cpu_heap.h"
#include "lib/kmalloc/host/thread_heap.h"

// The C++ library's, where there is one.
[[noreturn, gnu::weak]] void throw_bad_alloc() asm("_ZSt17__throw_bad_allocv");
[[gnu::weak]] std::new_handler find_new_handler() asm("_ZSt15get_new_handlerv");

namespace {

using odo::align_up;
using odo::is_power_of_two;
using odo::kmalloc::class_of;
using odo::kmalloc::class_of_at_16;
using odo::kmalloc::CpuHeap;
using odo::kmalloc::kMaxSmallBytes;
using odo::kmalloc::ThreadHeap;

// CpuHeap's area if there is a lane for each CPU; 0 if each thread has one.
constinit std::ptrdiff_t cpu_area = 0;
constinit bool is_decided = false;

// With the first allocation, when the program has one thread. To find out may
// take memory: until we know it comes from the thread's lane.
void decide() {
  if (is_decided) return;
  is_decided = true;
  const char* wish = getenv("ODO_MALLOC_LANES");
  const bool threads = wish != nullptr && std::strcmp(wish, "threads") == 0;
  if (!threads && CpuHeap::is_there()) cpu_area = CpuHeap::area();
  // The child of a fork() has one thread: the heap's locks are not to be held
  // by another one then. As early as can be: what is told of a fork before us
  // may still allocate.
  pthread_atfork([] { CpuHeap::before_fork(); }, [] { CpuHeap::after_fork(); },
                 [] { CpuHeap::after_fork_in_copy(); });
}

// What begins at a multiple of 16 is right for every type of C.
ODO_ALWAYS_INLINE std::size_t rounded(std::size_t bytes) {
  return align_up(bytes, 16);
}
ODO_ALWAYS_INLINE void* checked(void* object) {
  if (object == nullptr) [[unlikely]]
    errno = ENOMEM;
  return object;
}
ODO_ALWAYS_INLINE void* pop(std::uint32_t cls) {
  const std::ptrdiff_t area = cpu_area;
  if (area != 0) [[likely]]
    return CpuHeap::pop(cls, area);
  return ThreadHeap::pop(cls);
}
// Of a class up to kMaxSmallBytes that keeps the alignment, or large.
ODO_NOINLINE void* allocate_slowly(std::size_t bytes, std::size_t alignment,
                                   bool zeroed) {
  decide();
  if (bytes > kMaxSmallBytes || alignment > kMaxSmallBytes) {
    return checked(ThreadHeap::heap().allocate_large(bytes, alignment, zeroed));
  }
  const std::uint32_t cls = class_of_at_16(bytes);
  void* object = cpu_area != 0 ? CpuHeap::allocate_class(cls)
                               : ThreadHeap::allocate_class(cls);
  if (zeroed && object != nullptr) std::memset(object, 0, bytes);
  return checked(object);
}
ODO_NOINLINE void* allocate_slowly(std::size_t bytes) {
  return allocate_slowly(bytes, 16, false);
}
ODO_ALWAYS_INLINE void* allocate(std::size_t bytes) {
  // The table of all up to this is one load; what is larger is not hurried.
  constexpr std::size_t kTabled = odo::kmalloc::detail::kTabledBytes;
  void* object = nullptr;
  if (bytes <= kTabled) [[likely]] {
    object = pop(class_of_at_16(bytes));
  } else if (bytes <= kMaxSmallBytes) {
    object = pop(class_of(bytes));
  }
  if (object == nullptr) [[unlikely]]
    return allocate_slowly(bytes);
  return object;
}
ODO_ALWAYS_INLINE void deallocate(void* object) {
  const std::ptrdiff_t area = cpu_area;
  if (area != 0) [[likely]] {
    CpuHeap::free(object, area);
  } else {
    ThreadHeap::free(object);
  }
}
void* allocate_aligned(std::size_t alignment, std::size_t bytes) {
  if (bytes > PTRDIFF_MAX || alignment > PTRDIFF_MAX) return checked(nullptr);
  if (alignment < 16) alignment = 16;
  const std::size_t all = align_up(bytes, alignment);
  return allocate_slowly(all == 0 ? alignment : all, alignment, false);
}
[[nodiscard]] std::size_t page_bytes() {
  return static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

// Until there is memory, or the program's handler gives up.
template <class Allocate>
void* allocate_or_throw(Allocate allocate) {
  while (true) {
    void* object = allocate();
    if (object != nullptr) [[likely]]
      return object;
    const std::new_handler handler = find_new_handler();
    if (handler == nullptr) throw_bad_alloc();
    handler();
  }
}

}  // namespace

#define ODO_EXPORT [[gnu::visibility("default")]]

extern "C" {

ODO_EXPORT void* malloc(std::size_t bytes) { return allocate(bytes); }
ODO_EXPORT void free(void* object) { deallocate(object); }

ODO_EXPORT void* calloc(std::size_t count, std::size_t each) {
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(count, each, &bytes) || bytes > PTRDIFF_MAX) {
    return checked(nullptr);
  }
  if (bytes > kMaxSmallBytes) return allocate_slowly(bytes, 16, true);
  void* object = allocate(bytes);
  if (object != nullptr) std::memset(object, 0, bytes);
  return object;
}

ODO_EXPORT void* realloc(void* object, std::size_t bytes) {
  if (object == nullptr) return allocate(bytes);
  if (bytes == 0) {
    deallocate(object);
    return nullptr;
  }
  if (bytes > PTRDIFF_MAX) return checked(nullptr);
  if (ThreadHeap::resize(object, rounded(bytes))) return object;
  void* moved = ThreadHeap::move(object, rounded(bytes));
  if (moved != nullptr) return moved;
  const std::size_t before = ThreadHeap::usable_bytes(object);
  moved = allocate(bytes > before ? ThreadHeap::bytes_to_grow(bytes) : bytes);
  if (moved == nullptr) return nullptr;
  std::memcpy(moved, object, before < bytes ? before : bytes);
  deallocate(object);
  return moved;
}
ODO_EXPORT void* reallocarray(void* object, std::size_t count,
                              std::size_t each) {
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(count, each, &bytes)) return checked(nullptr);
  return realloc(object, bytes);
}

ODO_EXPORT int posix_memalign(void** into, std::size_t alignment,
                              std::size_t bytes) {
  if (!is_power_of_two(alignment) || alignment % sizeof(void*) != 0) {
    return EINVAL;
  }
  const int before = errno;  // which this leaves alone
  void* object = allocate_aligned(alignment, bytes);
  errno = before;
  if (object == nullptr) return ENOMEM;
  *into = object;
  return 0;
}
ODO_EXPORT void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  if (!is_power_of_two(alignment)) {
    errno = EINVAL;
    return nullptr;
  }
  return allocate_aligned(alignment, bytes);
}
// As glibc's: an alignment that is no power of two is rounded up to one, and 0
// is none.
ODO_EXPORT void* memalign(std::size_t alignment, std::size_t bytes) {
  constexpr std::size_t kLargestPower = SIZE_MAX / 2 + 1;
  if (alignment > kLargestPower) {
    errno = EINVAL;
    return nullptr;
  }
  return allocate_aligned(std::bit_ceil(alignment), bytes);
}
ODO_EXPORT void* valloc(std::size_t bytes) {
  return allocate_aligned(page_bytes(), bytes);
}
ODO_EXPORT void* pvalloc(std::size_t bytes) {
  const std::size_t page = page_bytes();
  if (bytes > PTRDIFF_MAX) return checked(nullptr);
  return allocate_aligned(page, align_up(bytes, page));
}
ODO_EXPORT std::size_t malloc_usable_size(void* object) {
  return ThreadHeap::usable_bytes(object);
}
ODO_EXPORT int malloc_trim(std::size_t /*keep*/) {
  constexpr std::size_t kAll = ~std::size_t{0};
  const std::size_t bytes =
      cpu_area != 0 ? CpuHeap::reclaim(kAll) : ThreadHeap::reclaim(kAll);
  return bytes != 0 ? 1 : 0;
}

}  // extern "C"

// --- C++ ---------------------------------------------------------------------

#define ODO_NEW_(NAME)                                                        \
  ODO_EXPORT void* operator NAME(std::size_t bytes) {                         \
    return allocate_or_throw([=] { return allocate(bytes); });                \
  }                                                                           \
  ODO_EXPORT void* operator NAME(std::size_t bytes,                           \
                                 const std::nothrow_t&) noexcept {            \
    return allocate(bytes);                                                   \
  }                                                                           \
  ODO_EXPORT void* operator NAME(std::size_t bytes, std::align_val_t align) { \
    return allocate_or_throw(                                                 \
        [=] { return allocate_aligned(std::size_t(align), bytes); });         \
  }                                                                           \
  ODO_EXPORT void* operator NAME(std::size_t bytes, std::align_val_t align,   \
                                 const std::nothrow_t&) noexcept {            \
    return allocate_aligned(std::size_t(align), bytes);                       \
  }
#define ODO_DELETE_(NAME)                                                      \
  ODO_EXPORT void operator NAME(void* object) noexcept { deallocate(object); } \
  ODO_EXPORT void operator NAME(void* object,                                  \
                                const std::nothrow_t&) noexcept {              \
    deallocate(object);                                                        \
  }                                                                            \
  ODO_EXPORT void operator NAME(void* object, std::align_val_t) noexcept {     \
    deallocate(object);                                                        \
  }                                                                            \
  ODO_EXPORT void operator NAME(void* object, std::align_val_t,                \
                                const std::nothrow_t&) noexcept {              \
    deallocate(object);                                                        \
  }                                                                            \
  /* The size saves no more than a shift, and some programs lie about it. */   \
  ODO_EXPORT void operator NAME(void* object, std::size_t) noexcept {          \
    deallocate(object);                                                        \
  }                                                                            \
  ODO_EXPORT void operator NAME(void* object, std::size_t,                     \
                                std::align_val_t) noexcept {                   \
    deallocate(object);                                                        \
  }

ODO_NEW_(new)
ODO_NEW_(new[])
ODO_DELETE_(delete)
ODO_DELETE_(delete[])

#endif  // !defined(ODO_NO_MALLOC)
