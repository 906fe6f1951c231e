// SPDX-License-Identifier: BSD-3-Clause
// The host's page source: anonymous memory of the operating system.
//
// Contexts: any thread.
// Failure: map(): null when the system refuses.
#pragma once

#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "lib/base/check.h"
#include "lib/kmalloc/host/sanitizers.h"
#include "lib/kmalloc/platform.h"
#include "lib/platform/host/host_platform.h"

namespace odo::kmalloc {

class HostGround : public platform::HostPlatform {
 public:
  [[nodiscard]] void* map(std::size_t bytes, std::size_t alignment) const {
    void* memory = map_anywhere(bytes);
    if (memory == nullptr || is_at(memory, alignment)) return memory;
    // As it came it does not fit: more, of which what sticks out goes back.
    munmap(memory, bytes);
    if (bytes > ~std::size_t{0} - alignment) return nullptr;
    const std::size_t all = bytes + alignment;
    auto* wide = static_cast<std::byte*>(map_anywhere(all));
    if (wide == nullptr) return nullptr;
    const auto address = reinterpret_cast<std::uintptr_t>(wide);
    const std::size_t before = (alignment - address % alignment) % alignment;
    if (before != 0) munmap(wide, before);
    munmap(wide + before + bytes, all - before - bytes);
    return wide + before;
  }
  // To free is not to change errno, even if the system does not take it back.
  void unmap(void* memory, std::size_t bytes) const {
    const int before = errno;
    note_mapped(memory, bytes);
    munmap(memory, bytes);
    errno = before;
  }
  [[nodiscard]] bool release(void* memory, std::size_t bytes) const {
    const int before = errno;
    const bool done = madvise(memory, bytes, MADV_DONTNEED) == 0;
    errno = before;
    return done;
  }

  // The same memory with another size, where it is or at another multiple of
  // `alignment`, without a copy; null if that can't be done.
  [[nodiscard]] void* remap(void* memory, std::size_t bytes,
                            std::size_t new_bytes,
                            std::size_t alignment) const {
    const int before = errno;
    void* at = mremap(memory, bytes, new_bytes, 0);
    if (at == MAP_FAILED) {
      // If it can't go there the system may have taken the room back already.
      void* room = map(new_bytes, alignment);
      if (room == nullptr) return nullptr;
      at =
          mremap(memory, bytes, new_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, room);
    }
    errno = before;
    return at == MAP_FAILED ? nullptr : at;
  }

  // Each may split a mapping in two or three, of which the system allows a
  // process only so many (vm.max_map_count).
  [[nodiscard]] bool protect(void* memory, std::size_t bytes) const {
    const int before = errno;
    const bool done = mprotect(memory, bytes, PROT_NONE) == 0;
    errno = before;
    return done;
  }
  // Of one whole mapping: no more are needed, so this does not fail.
  void unprotect(void* memory, std::size_t bytes) const {
    const int before = errno;
    ODO_CHECK(mprotect(memory, bytes, PROT_READ | PROT_WRITE) == 0);
    errno = before;
  }

  void relax() const { relax_or_yield(); }

  // One line, without asking for memory.
  void kmalloc_fault(const MemoryFault& fault) const {
    std::fprintf(stderr, "memory at %p, of %zu bytes", fault.address,
                 fault.bytes);
    if (fault.type != nullptr) std::fprintf(stderr, " for \"%s\"", fault.type);
    std::fprintf(stderr, ": %s", misuse_text(fault.what));
    if (fault.here.line() != 0) {
      std::fprintf(stderr, ", at %s:%u", fault.here.file_name(),
                   fault.here.line());
    }
    if (fault.there.line() != 0) {
      std::fprintf(stderr, ", since %s:%u", fault.there.file_name(),
                   fault.there.line());
    }
    std::fputc('\n', stderr);
    std::abort();
  }

 private:
  [[nodiscard]] static bool is_at(const void* memory, std::size_t alignment) {
    return reinterpret_cast<std::uintptr_t>(memory) % alignment == 0;
  }
  [[nodiscard]] static void* map_anywhere(std::size_t bytes) {
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? nullptr : memory;
  }
};

static_assert(KmallocPlatform<HostGround>);

}  // namespace odo::kmalloc
