// SPDX-License-Identifier: BSD-3-Clause
// The kernel's heap: lib/kmalloc over page frames in the direct map.
//
// What it gives is contiguous in physical memory, so that devices may be told
// of it. Chunks of 2 MiB are taken as they are needed and are not cleared.
//
// Contexts: thread and interrupt (no NMI), any CPU that has a lane: each call
//   keeps interrupts off while it works, so that who interrupts never meets a
//   half-done one.
// Ownership: an object is its user's until it is freed.
// Failure: null or empty when there is no memory, even after all that is at
//   hand for other sizes was given back. What was freed twice, or never
//   allocated, is told with its address and size, and panics.
// Complexity: as lib/kmalloc/heap.h.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#include "lib/base/bytes.h"
#include "lib/kmalloc/heap.h"
#include "lib/kmalloc/platform.h"
#include "lib/platform/host/atomic.h"

namespace odo::x86 {

struct CpuHeap;
struct PerCpu;

class HeapGround {
 public:
  template <class T>
  using Atomic = platform::HostAtomic<T>;
  // To clear one chunk takes half as many steps as the kernel's whole boot.
  static constexpr bool kMapsZeros = false;

  void relax() const;
  [[nodiscard]] void* map(std::size_t bytes, std::size_t alignment) const;
  void unmap(void* memory, std::size_t bytes) const;
  // Part of a chunk stays where it is: only whole ones go back.
  [[nodiscard]] bool release(void* memory, std::size_t bytes) const;
  void kmalloc_fault(const kmalloc::MemoryFault& fault) const;
};
static_assert(kmalloc::KmallocPlatform<HeapGround>);

struct HeapStats {
  std::uint64_t objects;         // that are allocated
  std::uint64_t object_bytes;    // theirs, as they were rounded up
  std::uint64_t mapped_bytes;    // taken from the frame allocator
  std::uint64_t kept_bytes;      // of those, in no slab or large object
  std::uint64_t returned_bytes;  // given back to it so far
};

class KernelHeap {
 public:
  // Every alignment up to this one costs nothing.
  static constexpr std::size_t kAlignment = 8;

  KernelHeap();
  KernelHeap(const KernelHeap&) = delete;
  KernelHeap& operator=(const KernelHeap&) = delete;

  // At a multiple of `alignment`, a power of two; content unspecified.
  [[nodiscard]] void* allocate(std::size_t bytes,
                               std::size_t alignment = kAlignment);
  [[nodiscard]] void* allocate_zeroed(std::size_t bytes);
  [[nodiscard]] MutableBytes allocate_bytes(
      std::size_t bytes, std::size_t alignment = kAlignment) {
    auto* memory = static_cast<std::byte*>(allocate(bytes, alignment));
    return memory == nullptr ? MutableBytes() : MutableBytes(memory, bytes);
  }
  // Null is freed without effect.
  void free(void* object);

  template <class T, class... Args>
  [[nodiscard]] T* make(Args&&... args) {
    void* memory = allocate(sizeof(T), alignof(T));
    if (memory == nullptr) return nullptr;
    return ::new (memory) T(std::forward<Args>(args)...);
  }
  template <class T>
  void destroy(T* object) {
    if (object == nullptr) return;
    std::destroy_at(object);
    free(object);
  }

  // What this CPU has at hand goes home, where mistakes are found, and whole
  // chunks that are free but the last one go back.
  void reclaim();
  // Sums over CPUs that go on meanwhile: exact when they rest.
  [[nodiscard]] HeapStats stats();

  [[nodiscard]] kmalloc::Lane<HeapGround>* take_lane() {
    return heap_.take_lane();
  }

 private:
  template <class Allocate>
  [[nodiscard]] void* get(Allocate allocate);

  kmalloc::Heap<HeapGround> heap_;
};

// What a CPU allocates from and frees to. Only that CPU does, and writes the
// counts, which others read for sums: each wraps, a sum over all of them is
// right.
struct CpuHeap {
  kmalloc::Lane<HeapGround>* lane = nullptr;
  std::atomic<std::uint64_t> objects{0};
  std::atomic<std::uint64_t> object_bytes{0};
  CpuHeap* next = nullptr;  // of all there are
};

// After init_ram(), with the boot CPU's lane. Stops the machine if there is no
// memory for it.
void init_heap();
// For PerCpu::heap of another CPU; null when there is no memory.
[[nodiscard]] CpuHeap* make_cpu_heap();

// What the CPU has done so far. It goes on meanwhile: each number is one that
// was true, not all of them at once.
[[nodiscard]] kmalloc::LaneCounts lane_counts(const PerCpu& cpu);

[[nodiscard]] KernelHeap& kernel_heap();

}  // namespace odo::x86
