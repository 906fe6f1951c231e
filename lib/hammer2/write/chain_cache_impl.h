// SPDX-License-Identifier: BSD-3-Clause
// Members of ChainCache that bring chains into memory and out of it, and find
// leaves; see chain_cache.h, which includes this.
//
// Contexts: as chain_cache.h says.
#pragma once

#include "lib/hammer2/write/chain_cache.h"

namespace odo::hammer2::write {

template <Ground G>
Result<void> ChainCache<G>::open() {
  close();
  format::Blockref ref = media_.volumes().super_root();
  ref.mirror_tid = std::min(ref.mirror_tid, media_.volumes().info().mirror_tid);
  ODO_TRY(super_root_, load(ref, Tree::kVolume, KeyRange{}));
  return {};
}

template <Ground G>
void ChainCache<G>::close() {
  while (!lru_.empty()) {
    // Children first: those of a chain may stand anywhere in the list.
    Chain* chain = &lru_.front();
    while (chain->resident != 0) {
      for (std::uint32_t i = 0; i < chain->count; ++i) {
        if (chain->children[i] != nullptr) {
          chain = chain->children[i];
          break;
        }
      }
    }
    if (chain->parent != nullptr) detach(*chain);
    free(*chain);
  }
  if (super_root_ != nullptr) free(*super_root_);
  super_root_ = nullptr;
  dirty_small_bytes_ = 0;
  dirty_large_ = 0;
}

template <Ground G>
Result<Chain*> ChainCache<G>::make(format::BlockType type, std::uint32_t size) {
  const std::uint32_t capacity = capacity_of(type, size);
  const std::size_t body = body_bytes(size, capacity);
  void* memory = ground_.allocate(sizeof(Chain), alignof(Chain));
  if (memory == nullptr) return fail(no_memory(sizeof(Chain)));
  auto* chain = ::new (memory) Chain;
  void* bytes = ground_.allocate(body, kAlign);
  if (bytes == nullptr) {
    ground_.deallocate(chain, sizeof(Chain), alignof(Chain));
    return fail(no_memory(body));
  }
  __builtin_memset(bytes, 0, body);
  chain->ref.type = type;
  chain->bytes = static_cast<std::byte*>(bytes);
  chain->children = reinterpret_cast<Chain**>(chain->bytes + size);
  chain->size = size;
  chain->capacity = capacity;
  memory_bytes_ += sizeof(Chain) + body;
  lru_.push_back(*chain);
  return chain;
}

template <Ground G>
void ChainCache<G>::free(Chain& chain) {
  ODO_ASSERT(chain.resident == 0 && chain.parent == nullptr);
  mark_clean(chain);
  if (chain.lru.is_linked()) lru_.erase(chain);
  const std::size_t body = body_bytes(chain.size, chain.capacity);
  memory_bytes_ -= sizeof(Chain) + body;
  ground_.deallocate(chain.bytes, body, kAlign);
  chain.~Chain();
  ground_.deallocate(&chain, sizeof(Chain), alignof(Chain));
}

template <Ground G>
void ChainCache<G>::touch(Chain& chain) {
  if (!chain.lru.is_linked()) return;
  lru_.erase(chain);
  lru_.push_back(chain);
}

template <Ground G>
void ChainCache<G>::trim(std::size_t bytes) {
  // A chain whose children go becomes free to go itself in the same pass only
  // if it comes later in the list, which parents do: a look-up touches them
  // first, but a load puts children behind them. Hence several passes.
  bool progress = true;
  while (memory_bytes_ > bytes && progress) {
    progress = false;
    for (auto it = lru_.begin(); it != lru_.end() && memory_bytes_ > bytes;) {
      Chain& chain = *it;
      ++it;
      if (chain.dirty || chain.resident != 0 || chain.pins != 0 ||
          chain.parent == nullptr) {
        continue;
      }
      detach(chain);
      free(chain);
      progress = true;
    }
  }
}

template <Ground G>
void ChainCache<G>::detach(Chain& chain) {
  Chain& parent = *chain.parent;
  parent.children[parent.index_of(chain.ref.key)] = nullptr;
  --parent.resident;
  chain.parent = nullptr;
}

template <Ground G>
Result<Chain*> ChainCache<G>::load(const format::Blockref& ref, Tree in,
                                   const KeyRange& range) {
  auto& store = media_.store();
  ODO_TRY(const auto pin, store.fetch(ref, in, range, Error::kUnknown));
  ODO_TRY(Chain * chain,
          make(ref.type, static_cast<std::uint32_t>(pin.bytes().size())));
  if (&lru_.back() == chain && super_root_ == nullptr) lru_.erase(*chain);
  chain->ref = ref;
  chain->in = in;
  copy_bytes(MutableBytes(chain->bytes, chain->size), pin.bytes());
  chain->tree = chain->is_inode() ? store.tree_below(in, pin) : in;
  if (chain->tree == Tree::kNone) return chain;
  // References side by side, whatever gaps the writer left.
  format::Blockref* refs = chain->refs();
  std::uint32_t used = 0;
  for (std::uint32_t i = 0; i < chain->capacity; ++i) {
    if (refs[i].type == format::BlockType::kEmpty) continue;
    if (used != i) refs[used] = refs[i];
    // No block is newer than what refers to it, whatever it says: what an open
    // transaction wrote is told by its number.
    refs[used].mirror_tid = std::min(refs[used].mirror_tid, ref.mirror_tid);
    ++used;
  }
  chain->count = used;
  zero_bytes(
      std::as_writable_bytes(std::span(refs + used, chain->capacity - used)));
  return chain;
}

template <Ground G>
Result<Chain*> ChainCache<G>::child(Chain& parent, std::uint32_t index) {
  ODO_ASSERT(index < parent.count);
  if (Chain* there = parent.children[index]) {
    touch(*there);
    return there;
  }
  const format::Blockref& ref = parent.refs()[index];
  const KeyRange range =
      ref.type == format::BlockType::kIndirect ? range_of(ref) : KeyRange{};
  ODO_TRY(Chain * chain, load(ref, parent.tree, range));
  chain->parent = &parent;
  parent.children[index] = chain;
  ++parent.resident;
  return chain;
}

template <Ground G>
Result<Position> ChainCache<G>::find(Chain& inode, std::uint64_t first,
                                     std::uint64_t last) {
  unsigned blocks = 0;
  for (;;) {
    Chain* at = &inode;
    for (;;) {
      const std::uint32_t i = at->lower_bound(first);
      if (i == at->count || at->refs()[i].key > last) break;
      if (at->refs()[i].type != format::BlockType::kIndirect) {
        return Position{.chain = at, .index = i};
      }
      if (++blocks > kMaxSearchBlocks) {
        return fail(error_at(Code::kTooDeep, at->refs()[i]));
      }
      ODO_TRY(at, child(*at, i));
    }
    // Nothing here: go on behind this block's range, from the top.
    if (at == &inode) return Position{};
    const std::uint64_t end = at->range().last;
    if (end >= last) return Position{};
    first = end + 1;
  }
}

template <Ground G>
void ChainCache<G>::count_dirty(const Chain& chain, std::int64_t sign) {
  if (chain.size >= format::kMaxAllocBytes) {
    dirty_large_ += static_cast<std::uint64_t>(sign);
  } else {
    dirty_small_bytes_ += static_cast<std::uint64_t>(sign * chain.size);
  }
}

template <Ground G>
void ChainCache<G>::mark_dirty(Chain& chain) {
  for (Chain* at = &chain; at != nullptr && !at->dirty; at = at->parent) {
    at->dirty = true;
    count_dirty(*at, 1);
  }
}

template <Ground G>
void ChainCache<G>::mark_clean(Chain& chain) {
  if (!chain.dirty) return;
  chain.dirty = false;
  count_dirty(chain, -1);
}

template <Ground G>
Result<Chain*> ChainCache<G>::make_inode(Tree in) {
  ODO_TRY(Chain * chain, make(format::BlockType::kInode, format::kInodeBytes));
  chain->in = in;
  mark_dirty(*chain);
  return chain;
}

template <Ground G>
Result<void> ChainCache<G>::resize(Chain& chain, std::uint32_t size) {
  ODO_ASSERT(!chain.is_inode());
  const std::uint32_t capacity = capacity_of(chain.ref.type, size);
  ODO_ASSERT(chain.count <= capacity);
  const std::size_t body = body_bytes(size, capacity);
  void* memory = ground_.allocate(body, kAlign);
  if (memory == nullptr) return fail(no_memory(body));
  __builtin_memset(memory, 0, body);
  auto* bytes = static_cast<std::byte*>(memory);
  auto* children = reinterpret_cast<Chain**>(bytes + size);
  copy_bytes(MutableBytes(bytes, size), std::as_bytes(chain.used()));
  std::copy_n(chain.children, chain.count, children);
  const std::size_t old = body_bytes(chain.size, chain.capacity);
  ground_.deallocate(chain.bytes, old, kAlign);
  memory_bytes_ += body;
  memory_bytes_ -= old;
  if (chain.dirty) count_dirty(chain, -1);
  chain.bytes = bytes;
  chain.children = children;
  chain.size = size;
  chain.capacity = capacity;
  if (chain.dirty) count_dirty(chain, 1);
  return {};
}

}  // namespace odo::hammer2::write
