// SPDX-License-Identifier: BSD-3-Clause
// Nodes from the program's operator new: what a tree uses unless told
// otherwise. A freestanding program that has no operator new names another
// allocator in the tree's options and never needs this one.
#pragma once

#include <cstddef>
#include <new>

namespace odo::btree {

struct FreeStore {
  [[nodiscard]] static void* allocate(std::size_t bytes, std::size_t align) {
    if (align <= __STDCPP_DEFAULT_NEW_ALIGNMENT__) {
      return ::operator new(bytes, std::nothrow);
    }
    return ::operator new(bytes, std::align_val_t{align}, std::nothrow);
  }

  static void deallocate(void* node, std::size_t /*bytes*/, std::size_t align) {
    if (align <= __STDCPP_DEFAULT_NEW_ALIGNMENT__) {
      ::operator delete(node);
    } else {
      ::operator delete(node, std::align_val_t{align});
    }
  }
};

}  // namespace odo::btree
