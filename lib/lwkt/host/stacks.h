// SPDX-License-Identifier: BSD-3-Clause
// Stacks for threads of a Linux program.
//
// Policy: a stack of 16 KiB or more has a guard page below it, which makes an
// overflow a fault that names the thread. That costs two of the process's
// mappings (vm.max_map_count, 65,530 by default), so about 32,000 threads can
// have one. Smaller stacks are cut from slabs of 2 MiB without guards: what
// looks for their overflow is the switch, after the fact. They are for very
// many threads that do little; resident they take what they touch.
//
// Contexts: any thread of the program.
// Ownership: slabs are kept until the program ends.
// Failure: out of address space, mappings or memory: an empty span.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <map>
#include <mutex>
#include <span>

#include "lib/base/check.h"

namespace odo::lwkt {

class HostStacks {
 public:
  static constexpr std::size_t kPageBytes = 4096;
  static constexpr std::size_t kGuardedFrom = std::size_t{16} * 1024;
  static constexpr std::size_t kSlabBytes = std::size_t{2} * 1024 * 1024;

  [[nodiscard]] static std::span<std::byte> map(std::size_t bytes) {
    if (bytes == 0 || bytes > kMaxBytes) return {};
    return bytes >= kGuardedFrom ? map_guarded(bytes) : all().cut(bytes);
  }
  static void unmap(std::span<std::byte> stack) {
    if (stack.size() >= kGuardedFrom) {
      const int failed =
          munmap(stack.data() - kPageBytes, stack.size() + kPageBytes);
      ODO_CHECK(failed == 0);
    } else {
      all().give(stack);
    }
  }

 private:
  static constexpr std::size_t kMaxBytes = std::size_t{1} << 30;
  struct Free {
    Free* next;
  };
  struct Size {
    Free* free = nullptr;
    std::byte* slab = nullptr;  // what is left of the newest
    std::size_t left = 0;
  };

  [[nodiscard]] static std::byte* get(std::size_t bytes, int protection) {
    void* memory = mmap(nullptr, bytes, protection,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? nullptr : static_cast<std::byte*>(memory);
  }
  [[nodiscard]] static std::span<std::byte> map_guarded(std::size_t bytes) {
    bytes = (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
    std::byte* memory = get(bytes + kPageBytes, PROT_NONE);
    if (memory == nullptr) return {};
    if (mprotect(memory + kPageBytes, bytes, PROT_READ | PROT_WRITE) != 0) {
      munmap(memory, bytes + kPageBytes);
      return {};
    }
    return {memory + kPageBytes, bytes};
  }

  [[nodiscard]] std::span<std::byte> cut(std::size_t bytes) {
    bytes = (bytes + kAlign - 1) / kAlign * kAlign;
    const std::scoped_lock lock(mutex_);
    Size& size = sizes_[bytes];
    if (size.free != nullptr) {
      Free* stack = size.free;
      size.free = stack->next;
      return {reinterpret_cast<std::byte*>(stack), bytes};
    }
    if (size.left < bytes) {
      // Twice as much, so that an aligned slab lies in it: one large page each.
      std::byte* memory = get(2 * kSlabBytes, PROT_READ | PROT_WRITE);
      if (memory == nullptr) return {};
      const auto at = reinterpret_cast<std::uintptr_t>(memory);
      const std::size_t skip = (kSlabBytes - at % kSlabBytes) % kSlabBytes;
      if (skip != 0) munmap(memory, skip);
      if (skip != kSlabBytes) {
        munmap(memory + skip + kSlabBytes, kSlabBytes - skip);
      }
      size.slab = memory + skip;
      size.left = kSlabBytes;
      (void)madvise(size.slab, kSlabBytes, MADV_HUGEPAGE);
    }
    std::byte* stack = size.slab;
    size.slab += bytes;
    size.left -= bytes;
    return {stack, bytes};
  }
  void give(std::span<std::byte> stack) {
    const std::scoped_lock lock(mutex_);
    Size& size = sizes_[stack.size()];
    size.free = new (stack.data()) Free{size.free};
  }

  // Never destroyed: threads may outlive main().
  [[nodiscard]] static HostStacks& all() {
    static auto* const stacks = new HostStacks;
    return *stacks;
  }

  static constexpr std::size_t kAlign = 64;

  std::mutex mutex_;
  std::map<std::size_t, Size> sizes_;
};

}  // namespace odo::lwkt
