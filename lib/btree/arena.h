// SPDX-License-Identifier: BSD-3-Clause
// Nodes side by side in large blocks: fewer calls to the allocator below, and
// fewer entries in the processor's TLB where blocks are huge pages. Nodes that
// trees give up are kept for the next ones; blocks go back when the arena ends.
//
//   btree::NodeArena<btree::FreeStore> arena;
//   struct Choice : btree::Options<Key> {
//     using Allocator = btree::ArenaNodes<btree::FreeStore>;
//   };
//   btree::BTreeMap<Key, Value, Choice> map{btree::ArenaNodes(arena)};
//
// Contexts: any; one caller at a time, also when several trees share an arena.
// Ownership: the arena outlives its trees.
// Failure: null when the allocator below has no block.
// Complexity: O(1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#include "lib/btree/allocator.h"

namespace odo::btree {

template <NodeAllocator Source>
class NodeArena {
 public:
  // Blocks are of `block_bytes`, and aligned to that if it is a power of two.
  explicit NodeArena(const Source& source = Source(),
                     std::size_t block_bytes = std::size_t{2} << 20)
      : source_(source), block_bytes_(block_bytes) {}
  NodeArena(const NodeArena&) = delete;
  NodeArena& operator=(const NodeArena&) = delete;
  NodeArena(NodeArena&&) = delete;
  NodeArena& operator=(NodeArena&&) = delete;
  ~NodeArena() {
    while (blocks_ != nullptr) {
      Block* next = blocks_->next;
      source_.deallocate(blocks_, blocks_->bytes, block_alignment());
      blocks_ = next;
    }
  }

  [[nodiscard]] void* allocate(std::size_t bytes, std::size_t align) {
    Kept* kept = kept_for(bytes);
    if (kept != nullptr && kept->first != nullptr) {
      Free* node = kept->first;
      kept->first = node->next;
      return node;
    }
    if (void* node = carve(bytes, align)) return node;
    if (!add_block(bytes + align + sizeof(Block))) return nullptr;
    return carve(bytes, align);
  }

  void deallocate(void* node, std::size_t bytes, std::size_t /*align*/) {
    Kept* kept = kept_for(bytes);
    // A tree has two sizes of node: a third, of other trees, is forgotten
    // until the arena ends once kSizes are in use.
    if (kept == nullptr) return;
    kept->first = ::new (node) Free{kept->first};
  }

 private:
  struct Block {
    Block* next;
    std::size_t bytes;
  };
  struct Free {
    Free* next;
  };
  struct Kept {
    std::size_t bytes = 0;
    Free* first = nullptr;
  };
  static constexpr std::size_t kSizes = 8;

  [[nodiscard]] std::size_t block_alignment() const {
    const bool power = (block_bytes_ & (block_bytes_ - 1)) == 0;
    return power ? block_bytes_ : alignof(std::max_align_t);
  }

  Kept* kept_for(std::size_t bytes) {
    for (Kept& kept : kept_) {
      if (kept.bytes == 0) kept.bytes = bytes;
      if (kept.bytes == bytes) return &kept;
    }
    return nullptr;
  }

  void* carve(std::size_t bytes, std::size_t align) {
    void* at = free_;
    if (at == nullptr || std::align(align, bytes, at, left_) == nullptr) {
      return nullptr;
    }
    free_ = static_cast<std::byte*>(at) + bytes;
    left_ -= bytes;
    return at;
  }

  bool add_block(std::size_t least) {
    const std::size_t bytes = least > block_bytes_ ? least : block_bytes_;
    void* memory = source_.allocate(bytes, block_alignment());
    if (memory == nullptr) return false;
    blocks_ = ::new (memory) Block{blocks_, bytes};
    free_ = static_cast<std::byte*>(memory) + sizeof(Block);
    left_ = bytes - sizeof(Block);
    return true;
  }

  [[no_unique_address]] Source source_;
  std::size_t block_bytes_;
  Block* blocks_ = nullptr;
  std::byte* free_ = nullptr;
  std::size_t left_ = 0;
  Kept kept_[kSizes];
};

// A tree's hold on an arena.
template <NodeAllocator Source>
class ArenaNodes {
 public:
  explicit ArenaNodes(NodeArena<Source>& arena) : arena_(&arena) {}

  [[nodiscard]] void* allocate(std::size_t bytes, std::size_t align) {
    return arena_->allocate(bytes, align);
  }
  void deallocate(void* node, std::size_t bytes, std::size_t align) {
    arena_->deallocate(node, bytes, align);
  }

 private:
  NodeArena<Source>* arena_;
};

}  // namespace odo::btree
