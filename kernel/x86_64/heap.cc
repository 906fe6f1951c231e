// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/heap.h"

#include <array>

#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/log.h"
#include "kernel/x86_64/ram.h"
#include "kernel/x86_64/traps.h"
#include "lib/base/check.h"

namespace odo::x86 {
namespace {

// A raw place: there are no constructors that run before the kernel does, and
// no destructors after it.
alignas(KernelHeap) constinit std::array<std::byte, sizeof(KernelHeap)> place{};
constinit KernelHeap* heap = nullptr;

}  // namespace

void HeapGround::relax() const { pause(); }

void* HeapGround::map(std::size_t bytes, std::size_t alignment) const {
  return allocate_ram(bytes, alignment).data();
}

void HeapGround::unmap(void* memory, std::size_t bytes) const {
  free_ram({static_cast<std::byte*>(memory), bytes});
}

bool HeapGround::release(void*, std::size_t) const { return false; }

void HeapGround::kmalloc_fault(const kmalloc::MemoryFault& fault) const {
  log("\nodo: memory at 0x",
      Hex{reinterpret_cast<std::uintptr_t>(fault.address)}, ", of ",
      fault.bytes, " bytes: ", kmalloc::misuse_text(fault.what), "\n");
  ODO_PANIC("memory was misused");
}

KernelHeap::KernelHeap() : heap_(HeapGround()), lane_(heap_.take_lane()) {
  if (lane_ == nullptr) stop_with("no memory for the heap");
}

void* KernelHeap::allocate(std::size_t bytes, std::size_t alignment) {
  return get([&] {
    return heap_.allocate_aligned(*lane_, bytes, alignment,
                                  [this] { return lane_; });
  });
}

void* KernelHeap::allocate_zeroed(std::size_t bytes) {
  return get([&] {
    return heap_.allocate_zeroed(*lane_, bytes, [this] { return lane_; });
  });
}

void KernelHeap::free(void* object) {
  if (object == nullptr) return;
  const InterruptsOff guard;
  // Before: of a large one nothing is known afterwards.
  const std::size_t bytes = heap_.usable_bytes(object);
  heap_.free(*lane_, object, [this] { return lane_; });
  --objects_;
  object_bytes_ -= bytes;
}

void KernelHeap::reclaim() {
  const InterruptsOff guard;
  static_cast<void>(heap_.reclaim(*lane_, ~std::size_t{0}));
}

HeapStats KernelHeap::stats() {
  const InterruptsOff guard;
  const kmalloc::ArenaCounts counts = heap_.counts();
  // What was never touched is as much at hand as what was.
  return {objects_, object_bytes_, counts.mapped, counts.mapped - counts.in_use,
          counts.released};
}

template <class Allocate>
void* KernelHeap::get(Allocate allocate) {
  const InterruptsOff guard;
  void* object = allocate();
  if (object == nullptr) return nullptr;
  ++objects_;
  object_bytes_ += heap_.usable_bytes(object);
  return object;
}

void init_heap() { heap = ::new (place.data()) KernelHeap(); }

KernelHeap& kernel_heap() { return *heap; }

}  // namespace odo::x86
