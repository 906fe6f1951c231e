// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/heap.h"

#include <array>

#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/log.h"
#include "kernel/x86_64/per_cpu.h"
#include "kernel/x86_64/ram.h"
#include "kernel/x86_64/traps.h"
#include "lib/base/check.h"

namespace odo::x86 {
namespace {

// A raw place: there are no constructors that run before the kernel does, and
// no destructors after it.
alignas(KernelHeap) constinit std::array<std::byte, sizeof(KernelHeap)> place{};
constinit KernelHeap* heap = nullptr;

using Lane = kmalloc::Lane<HeapGround>;

constinit CpuHeap boot_heap{};
constinit std::atomic<CpuHeap*> all_heaps{nullptr};

// CPUs are made one after the other, and looked at by all.
void add_to_list(CpuHeap& one) {
  one.next = all_heaps.load(std::memory_order_relaxed);
  all_heaps.store(&one, std::memory_order_release);
}

// Its own CPU alone writes it: no more than a load and a store.
void count(std::atomic<std::uint64_t>& number, std::uint64_t change) {
  number.store(number.load(std::memory_order_relaxed) + change,
               std::memory_order_relaxed);
}

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

KernelHeap::KernelHeap() : heap_(HeapGround()) {}

void* KernelHeap::allocate(std::size_t bytes, std::size_t alignment) {
  return get([&](Lane& lane) {
    return heap_.allocate_aligned(lane, bytes, alignment,
                                  [&] { return &lane; });
  });
}

void* KernelHeap::allocate_zeroed(std::size_t bytes) {
  return get([&](Lane& lane) {
    return heap_.allocate_zeroed(lane, bytes, [&] { return &lane; });
  });
}

void KernelHeap::free(void* object) {
  if (object == nullptr) return;
  const InterruptsOff guard;
  CpuHeap& mine = *this_cpu().heap;
  // Before: of a large one nothing is known afterwards.
  const std::size_t bytes = heap_.usable_bytes(object);
  heap_.free(*mine.lane, object, [&] { return mine.lane; });
  count(mine.objects, ~std::uint64_t{0});
  count(mine.object_bytes, -std::uint64_t{bytes});
}

void KernelHeap::reclaim() {
  const InterruptsOff guard;
  static_cast<void>(heap_.reclaim(*this_cpu().heap->lane, ~std::size_t{0}));
}

HeapStats KernelHeap::stats() {
  const InterruptsOff guard;
  const kmalloc::ArenaCounts counts = heap_.counts();
  // What was never touched is as much at hand as what was.
  HeapStats sum{0, 0, counts.mapped, counts.mapped - counts.in_use,
                counts.released};
  // Acquire, with the release in add_to_list().
  for (const CpuHeap* one = all_heaps.load(std::memory_order_acquire);
       one != nullptr; one = one->next) {
    sum.objects += one->objects.load(std::memory_order_relaxed);
    sum.object_bytes += one->object_bytes.load(std::memory_order_relaxed);
  }
  return sum;
}

template <class Allocate>
void* KernelHeap::get(Allocate allocate) {
  const InterruptsOff guard;
  CpuHeap& mine = *this_cpu().heap;
  void* object = allocate(*mine.lane);
  if (object == nullptr) return nullptr;
  count(mine.objects, 1);
  count(mine.object_bytes, heap_.usable_bytes(object));
  return object;
}

void init_heap() {
  heap = ::new (place.data()) KernelHeap();
  boot_heap.lane = heap->take_lane();
  if (boot_heap.lane == nullptr) stop_with("no memory for the heap");
  boot_cpu.heap = &boot_heap;
  add_to_list(boot_heap);
}

CpuHeap* make_cpu_heap() {
  auto* made = heap->make<CpuHeap>();
  if (made == nullptr) return nullptr;
  made->lane = heap->take_lane();
  if (made->lane == nullptr) {
    heap->destroy(made);
    return nullptr;
  }
  add_to_list(*made);
  return made;
}

kmalloc::LaneCounts lane_counts(const PerCpu& cpu) {
  const kmalloc::LaneCounts& counts = cpu.heap->lane->counts();
  // Its CPU writes them as plain words, which no load here can break.
  const auto read = [](const std::uint64_t& count) {
    return __atomic_load_n(&count, __ATOMIC_RELAXED);
  };
  return {read(counts.fills),    read(counts.drains), read(counts.posts),
          read(counts.harvests), read(counts.made),   read(counts.unmade)};
}

KernelHeap& kernel_heap() { return *heap; }

}  // namespace odo::x86
