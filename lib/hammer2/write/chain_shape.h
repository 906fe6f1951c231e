// SPDX-License-Identifier: BSD-3-Clause
// Members of ChainCache that change the shape of trees; see chain_cache.h,
// which includes this and says how trees grow.
//
// Contexts: as chain_cache.h says.
#pragma once

#include <bit>

#include "lib/hammer2/write/chain_cache.h"

namespace odo::hammer2::write {

// --- Slots -------------------------------------------------------------------

template <Ground G>
void ChainCache<G>::open_slot(Chain& chain, std::uint32_t index,
                              const format::Blockref& ref, Chain* child) {
  ODO_ASSERT(chain.count < chain.capacity && index <= chain.count);
  format::Blockref* refs = chain.refs();
  std::copy_backward(refs + index, refs + chain.count, refs + chain.count + 1);
  std::copy_backward(chain.children + index, chain.children + chain.count,
                     chain.children + chain.count + 1);
  refs[index] = ref;
  chain.children[index] = child;
  ++chain.count;
  if (child != nullptr) {
    child->parent = &chain;
    ++chain.resident;
  }
}

template <Ground G>
void ChainCache<G>::close_slot(Chain& chain, std::uint32_t index) {
  format::Blockref* refs = chain.refs();
  if (Chain* child = chain.children[index]) {
    child->parent = nullptr;
    --chain.resident;
  }
  std::copy(refs + index + 1, refs + chain.count, refs + index);
  std::copy(chain.children + index + 1, chain.children + chain.count,
            chain.children + index);
  --chain.count;
  refs[chain.count] = {};
  chain.children[chain.count] = nullptr;
}

// Moves references [first, last) of `from` behind those of `to`.
template <Ground G>
void ChainCache<G>::move_tail(Chain& from, std::uint32_t first,
                              std::uint32_t last, Chain& to) {
  ODO_ASSERT(to.count + (last - first) <= to.capacity);
  for (std::uint32_t i = first; i < last; ++i) {
    Chain* child = from.children[i];
    to.refs()[to.count] = from.refs()[i];
    to.children[to.count] = child;
    ++to.count;
    if (child == nullptr) continue;
    child->parent = &to;
    --from.resident;
    ++to.resident;
  }
  format::Blockref* refs = from.refs();
  std::copy(refs + last, refs + from.count, refs + first);
  std::copy(from.children + last, from.children + from.count,
            from.children + first);
  const std::uint32_t left = from.count - (last - first);
  for (std::uint32_t i = left; i < from.count; ++i) {
    refs[i] = {};
    from.children[i] = nullptr;
  }
  from.count = left;
}

// A free slot, by a larger body if need be. False if it can't be larger.
template <Ground G>
Result<bool> ChainCache<G>::make_room(Chain& chain) {
  if (!chain.full()) return true;
  if (chain.is_inode() || chain.size >= most_bytes(chain.tree)) return false;
  ODO_TRY_VOID(resize(chain, chain.size * 2));
  return true;
}

template <Ground G>
Result<Chain*> ChainCache<G>::make_indirect(const Chain& above,
                                            const KeyRange& range) {
  ODO_TRY(Chain * made, make(format::BlockType::kIndirect, kLeastNodeBytes));
  made->ref.key = range.first;
  made->ref.keybits = static_cast<std::uint8_t>(range.bits);
  made->tree = above.tree;
  made->in = above.tree;
  made->dirty = true;
  count_dirty(*made, 1);
  return made;
}

// --- Growing -----------------------------------------------------------------

template <Ground G>
Result<void> ChainCache<G>::insert(Chain& inode, const format::Blockref& leaf,
                                   Chain* made) {
  for (;;) {
    Chain* at = &inode;
    std::uint32_t i = 0;
    for (;;) {
      i = at->lower_bound(leaf.key);
      if (i == at->count || at->refs()[i].key > leaf.key ||
          at->refs()[i].type != format::BlockType::kIndirect) {
        break;
      }
      ODO_TRY(at, child(*at, i));
    }
    const Result<bool> done = insert_here(*at, i, leaf, made);
    if (!done) {
      // Blocks that were made for this leaf and are of no use to any other.
      prune(*at, [](const format::Blockref&) {});
      return fail(done.error());
    }
    if (*done) return {};
  }
}

// False where the shape has changed, so that the caller has to look again.
template <Ground G>
Result<bool> ChainCache<G>::insert_here(Chain& chain, std::uint32_t index,
                                        const format::Blockref& leaf,
                                        Chain* made) {
  if (index < chain.count && chain.refs()[index].key <= range_of(leaf).last) {
    return fail(error_at(Code::kBadKey, chain.refs()[index]));  // not free
  }
  ODO_TRY(const bool down, reach_down(chain, index, leaf));
  if (down) return false;
  ODO_TRY(const bool room, make_room(chain));
  if (!room) {
    ODO_TRY_VOID(split(chain, leaf.key));
    return false;
  }
  open_slot(chain, index, leaf, made);
  mark_dirty(chain);
  return true;
}

// How many levels of indirect blocks there are from `chain` on down.
template <Ground G>
Result<unsigned> ChainCache<G>::level_of(Chain& chain) {
  unsigned level = 1;
  Chain* at = &chain;
  while (at->count != 0 && at->refs()[0].type == format::BlockType::kIndirect) {
    ODO_TRY(at, child(*at, 0));
    ++level;
  }
  return level;
}

// The largest range that holds `leaf`, fits into `chain`, and touches neither
// neighbour of slot `index`, where the leaf belongs.
template <Ground G>
KeyRange ChainCache<G>::widest_gap(Chain& chain, std::uint32_t index,
                                   const format::Blockref& leaf) {
  const unsigned most =
      chain.is_inode() ? format::kKeyBits - 1 : chain.range().bits - 1;
  KeyRange widest = range_of(leaf);
  for (unsigned bits = leaf.keybits + 1U; bits <= most; ++bits) {
    const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
    const KeyRange range = {
        .first = leaf.key & ~mask, .last = leaf.key | mask, .bits = bits};
    if ((index > 0 && range_of(chain.refs()[index - 1]).last >= range.first) ||
        (index < chain.count && chain.refs()[index].key <= range.last)) {
      break;
    }
    widest = range;
  }
  return widest;
}

// Where the references beside slot `index` are indirect blocks, a leaf goes
// below a block, too: one of these that has room and can cover it, or new ones.
// True if the shape has changed, so that the caller has to look again.
template <Ground G>
Result<bool> ChainCache<G>::reach_down(Chain& chain, std::uint32_t index,
                                       const format::Blockref& leaf) {
  const auto is_beside = [&](std::uint32_t i) {
    const format::Blockref& ref = chain.refs()[i];
    return ref.type == format::BlockType::kIndirect &&
           ((ref.key ^ leaf.key) & kHalf) == 0;
  };
  std::uint32_t beside = index;
  if (index > 0 && is_beside(index - 1)) {
    beside = index - 1;
  } else if (index == chain.count || !is_beside(index)) {
    return false;
  }
  ODO_TRY(Chain * neighbour, child(chain, beside));
  const unsigned most =
      chain.is_inode() ? format::kKeyBits - 1 : chain.range().bits - 1;
  const bool has_room =
      !neighbour->full() || neighbour->size < most_bytes(neighbour->tree);
  // The range of both, if nothing else lies there.
  const auto bits =
      static_cast<unsigned>(std::bit_width(neighbour->ref.key ^ leaf.key));
  if (has_room && bits <= most) {
    const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
    const std::uint64_t first = leaf.key & ~mask;
    const std::uint64_t last = leaf.key | mask;
    const std::uint32_t low = chain.lower_bound(first);
    const bool alone = low == beside && (beside + 1 == chain.count ||
                                         chain.refs()[beside + 1].key > last);
    if (alone) {
      neighbour->ref.key = first;
      neighbour->ref.keybits = static_cast<std::uint8_t>(bits);
      chain.refs()[beside].key = first;
      chain.refs()[beside].keybits = neighbour->ref.keybits;
      mark_dirty(*neighbour);
      return true;
    }
  }
  KeyRange gap = widest_gap(chain, index, leaf);
  if (gap.bits <= leaf.keybits) return false;
  ODO_TRY(unsigned levels, level_of(*neighbour));
  ODO_TRY(const bool room, make_room(chain));
  if (!room) {
    ODO_TRY_VOID(split(chain, leaf.key));
    return true;
  }
  Chain* above = &chain;
  std::uint32_t slot = index;
  for (; levels > 0 && gap.bits > leaf.keybits; --levels) {
    const Result<Chain*> made_or = make_indirect(*above, gap);
    if (!made_or) {
      prune(*above, [](const format::Blockref&) {});
      return fail(made_or.error());
    }
    Chain* made = *made_or;
    open_slot(*above, slot, made->ref, made);
    mark_dirty(*above);
    above = made;
    slot = 0;
    const unsigned inner = gap.bits - 1;
    const std::uint64_t mask = (std::uint64_t{1} << inner) - 1;
    gap = {.first = leaf.key & ~mask, .last = leaf.key | mask, .bits = inner};
  }
  return true;
}

// Makes room near `key` in the full block `chain`, or in one above it.
template <Ground G>
Result<void> ChainCache<G>::split(Chain& chain, std::uint64_t key) {
  Chain* at = &chain;
  for (;;) {
    if (at->is_inode()) return push_down(*at);
    Chain& parent = *at->parent;
    KeyRange range = at->range();
    const std::uint32_t slot = parent.index_of(at->ref.key);
    const std::uint64_t low_key = at->refs()[0].key;
    const std::uint64_t high_key = range_of(at->refs()[at->count - 1]).last;
    // The smallest range of all that is here; bits that both keys share.
    while (range.bits > 1) {
      const std::uint64_t half = std::uint64_t{1} << (range.bits - 1);
      const std::uint64_t middle = range.first + half;
      if (low_key < middle && high_key >= middle) break;
      range.bits -= 1;
      if (low_key >= middle) range.first = middle;
      range.last = range.first + (half - 1);
      if (key < range.first || key > range.last) break;
    }
    if (range.bits != at->range().bits &&
        (key < range.first || key > range.last)) {
      at->ref.key = range.first;
      at->ref.keybits = static_cast<std::uint8_t>(range.bits);
      parent.refs()[slot].key = range.first;
      parent.refs()[slot].keybits = at->ref.keybits;
      mark_dirty(*at);
      return {};
    }
    ODO_TRY(const bool room, make_room(parent));
    if (!room) {
      at = &parent;
      continue;
    }
    // Half of it goes to a new block.
    const unsigned bits = range.bits - 1;
    const std::uint64_t middle = range.first + (std::uint64_t{1} << bits);
    const KeyRange upper = {.first = middle, .last = range.last, .bits = bits};
    ODO_TRY(Chain * made, make_indirect(*at, upper));
    const std::uint32_t first = at->lower_bound(middle);
    const std::uint32_t moved = at->count - first;
    while (made->capacity < moved) {
      if (const auto grown = resize(*made, made->size * 2); !grown) {
        free(*made);
        return grown;
      }
    }
    move_tail(*at, first, at->count, *made);
    at->ref.key = range.first;
    at->ref.keybits = static_cast<std::uint8_t>(bits);
    parent.refs()[slot].key = range.first;
    parent.refs()[slot].keybits = at->ref.keybits;
    open_slot(parent, slot + 1, made->ref, made);
    mark_dirty(*at);
    mark_dirty(parent);
    return {};
  }
}

// An inode's references of that half of all keys which has more of them go into
// a block of its own.
template <Ground G>
Result<void> ChainCache<G>::push_down(Chain& inode) {
  ODO_ASSERT(inode.full());
  const std::uint32_t middle = inode.lower_bound(kHalf);
  const bool lower = middle >= inode.count - middle;
  const std::uint32_t first = lower ? 0 : middle;
  const std::uint32_t last = lower ? middle : inode.count;
  const KeyRange range = {.first = lower ? 0 : kHalf,
                          .last = lower ? kHalf - 1 : ~std::uint64_t{0},
                          .bits = format::kKeyBits - 1};
  ODO_TRY(Chain * made, make_indirect(inode, range));
  move_tail(inode, first, last, *made);
  open_slot(inode, first, made->ref, made);
  mark_dirty(inode);
  return {};
}

// --- Shrinking ---------------------------------------------------------------

template <Ground G>
template <class Emptied>
void ChainCache<G>::remove(Position at, Emptied&& emptied) {
  mark_dirty(*at.chain);
  close_slot(*at.chain, at.index);
  prune(*at.chain, emptied);
}

// Drops indirect blocks that hold nothing, from `from` up.
template <Ground G>
template <class Emptied>
void ChainCache<G>::prune(Chain& from, Emptied&& emptied) {
  Chain* chain = &from;
  while (!chain->is_inode() && chain->count == 0) {
    Chain* parent = chain->parent;
    const std::uint32_t slot = parent->index_of(chain->ref.key);
    emptied(parent->refs()[slot]);
    close_slot(*parent, slot);
    free(*chain);
    chain = parent;
  }
}

}  // namespace odo::hammer2::write
