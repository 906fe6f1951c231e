// SPDX-License-Identifier: BSD-3-Clause
// Where a tree's nodes come from.
//
// A heap of lib/kmalloc, an arena (arena.h) or the program's operator new
// (free_store.h) will do. A tree asks for two sizes only: a leaf's and an inner
// node's.
//
// Failure: allocate() returns null; the tree is then as it was.
#pragma once

#include <concepts>
#include <cstddef>

namespace odo::btree {

template <class A>
concept NodeAllocator =
    requires(A& allocator, void* node, std::size_t bytes, std::size_t align) {
      // `bytes` of memory at a multiple of `align`, a power of two; or null.
      { allocator.allocate(bytes, align) } -> std::same_as<void*>;
      // With the numbers that it was allocated with.
      { allocator.deallocate(node, bytes, align) } -> std::same_as<void>;
    };

// Nodes from a heap that others own, for as long as the tree lives. Any type
// with the two calls of a kmalloc heap will do:
//   void* allocate_aligned(std::size_t bytes, std::size_t align)   or null
//   void free(void* memory)
template <class Heap>
class HeapNodes {
 public:
  explicit HeapNodes(Heap& heap) : heap_(&heap) {}

  [[nodiscard]] void* allocate(std::size_t bytes, std::size_t align) {
    return heap_->allocate_aligned(bytes, align);
  }
  void deallocate(void* node, std::size_t /*bytes*/, std::size_t /*align*/) {
    heap_->free(node);
  }

 private:
  Heap* heap_;
};

}  // namespace odo::btree
