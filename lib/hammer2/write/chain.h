// SPDX-License-Identifier: BSD-3-Clause
// An inode or an indirect block in memory, as it is to be on the medium: its
// bytes, and the blocks below it that are in memory too.
//
// Contexts: thread, one at a time.
// Shapes: the references in use stand side by side in the order of their keys
//   from the first slot on, with a pointer for each; what follows them is zero.
// Ownership: ChainCache makes and frees chains. A pointer to one is good until
//   the cache's next trim(), or for as long as it is pinned.
// Origin: DragonFly's hammer2_chain, without its locks and flags.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/base/list.h"
#include "lib/hammer2/format/inode.h"
#include "lib/hammer2/validate.h"

namespace odo::hammer2::write {

struct OpenInode;

struct Chain {
  Chain* parent = nullptr;  // null: the super-root, or an inode without a name
  // What the parent says of the block; while the chain is dirty, all but its
  // place, code, sizes and counts is already as it will be.
  format::Blockref ref = {};
  std::byte* bytes = nullptr;
  Chain** children = nullptr;  // of each reference, null if not in memory
  OpenInode* open = nullptr;
  std::uint32_t size = 0;      // of bytes
  std::uint32_t capacity = 0;  // references that fit
  std::uint32_t count = 0;     // references in use
  std::uint32_t resident = 0;  // children in memory
  std::uint32_t pins = 0;      // while there are any, trim() leaves it
  std::uint32_t visit = 0;     // how far a walk has come
  Tree tree = Tree::kNone;     // what its references are
  Tree in = Tree::kNone;       // what it is a reference of
  bool dirty = false;
  ListHook lru = {};

  [[nodiscard]] bool is_inode() const {
    return ref.type == format::BlockType::kInode;
  }
  [[nodiscard]] format::Inode& inode() {
    ODO_ASSERT(is_inode());
    return *reinterpret_cast<format::Inode*>(bytes);
  }
  [[nodiscard]] const format::Inode& inode() const {
    ODO_ASSERT(is_inode());
    return *reinterpret_cast<const format::Inode*>(bytes);
  }
  [[nodiscard]] format::Blockref* refs() {
    return reinterpret_cast<format::Blockref*>(
        is_inode() ? bytes + offsetof(format::Inode, payload) : bytes);
  }
  [[nodiscard]] std::span<const format::Blockref> used() {
    return {refs(), count};
  }
  [[nodiscard]] bool full() const { return count == capacity; }

  // The keys that may stand here.
  [[nodiscard]] KeyRange range() const {
    return is_inode() ? KeyRange{} : range_of(ref);
  }
  // The first reference whose range ends at or after `key`; count if none.
  [[nodiscard]] std::uint32_t lower_bound(std::uint64_t key) {
    const auto all = used();
    return static_cast<std::uint32_t>(
        std::partition_point(all.begin(), all.end(),
                             [key](const format::Blockref& ref) {
                               return range_of(ref).last < key;
                             }) -
        all.begin());
  }
  // Where the reference of that very key stands.
  [[nodiscard]] std::uint32_t index_of(std::uint64_t key) {
    const std::uint32_t i = lower_bound(key);
    ODO_CHECK(i < count && refs()[i].key == key);
    return i;
  }
};

// A reference in a chain.
struct Position {
  Chain* chain = nullptr;
  std::uint32_t index = 0;

  [[nodiscard]] bool found() const { return chain != nullptr; }
  [[nodiscard]] format::Blockref& ref() const { return chain->refs()[index]; }
};

}  // namespace odo::hammer2::write
