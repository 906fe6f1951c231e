// SPDX-License-Identifier: BSD-3-Clause
// Members of Volume that read and change what is in files; see volume.h.
//
// A file's last block is stored as the smallest power of two that holds what
// there is of it; what lies behind, up to 64 KiB, reads as zeros. A file of up
// to 512 bytes stands in its inode.
//
// Contexts: as volume.h says.
// Origin: hammer2_vnops.c (embedded data, block sizes), hammer2_strategy.c
//   (compression and its limits, zero blocks).
#pragma once

#include <algorithm>
#include <bit>

#include "lib/hammer2/write/volume.h"

namespace odo::hammer2::write {

// --- Data that wait to be written --------------------------------------------

// Leaves them to whoever is encoding them.
template <Ground G>
void Volume<G>::let_go_of_bytes(DataBlock& block) {
  if (block.outgoing != nullptr) {
    block.outgoing->block = nullptr;
    block.outgoing = nullptr;
  } else if (block.bytes != nullptr) {
    ground_.deallocate(block.bytes, block.size, kDataAlign);
  }
  block.bytes = nullptr;
}

template <Ground G>
Result<void> Volume<G>::enlarge(DataBlock& block, std::uint32_t size) {
  return size <= block.size ? Result<void>{} : replace_bytes(block, size);
}

// A copy of the block's bytes, and zeros up to `size`, in their place.
template <Ground G>
Result<void> Volume<G>::replace_bytes(DataBlock& block, std::uint32_t size) {
  void* memory = ground_.allocate(size, kDataAlign);
  if (memory == nullptr) return fail(no_memory(size));
  auto* bytes = static_cast<std::byte*>(memory);
  copy_bytes(MutableBytes(bytes, size), Bytes(block.bytes, block.size));
  let_go_of_bytes(block);
  zero_bytes(MutableBytes(bytes, size).subspan(block.size));
  data_bytes_ += size - block.size;
  block.bytes = bytes;
  block.size = size;
  return {};
}

// The block at `offset` of a file, with room for `size` bytes and marked to be
// written; with the content that it has, if `old` content is wanted.
template <Ground G>
Result<DataBlock*> Volume<G>::data_block(OpenInode& file, std::uint64_t offset,
                                         std::uint32_t size, bool old) {
  if (DataBlock* block = file.blocks.find(offset)) {
    ODO_TRY_VOID(enlarge(*block, size));
    if (block->outgoing != nullptr) {
      ODO_TRY_VOID(replace_bytes(*block, block->size));
    }
    return block;
  }
  void* memory = ground_.allocate(sizeof(DataBlock), alignof(DataBlock));
  if (memory == nullptr) return fail(no_memory(sizeof(DataBlock)));
  auto* block = ::new (memory) DataBlock;
  block->owner = &file;
  block->offset = offset;
  (void)file.blocks.insert(*block);
  dirty_data_.push_back(*block);
  ++data_blocks_;
  const auto give_up = [&](const Error& error) -> Result<DataBlock*> {
    free_block(*block);
    return fail(error);
  };
  if (const auto done = enlarge(*block, size); !done) {
    return give_up(done.error());
  }
  if (!old) return block;
  const Result<Position> at =
      chains_.find(*file.chain, offset, offset + (kBlockBytes - 1));
  if (!at) return give_up(at.error());
  if (!at->found()) return block;
  // Blocks that others wrote may cover less than 64 KiB.
  if (at->ref().key != offset || at->ref().keybits != format::kLogicalRadix) {
    return give_up(error_at(Code::kBadKey, at->ref(), file.inum));
  }
  const auto pin = media_.store().fetch(at->ref(), hammer2::Tree::kFile,
                                        KeyRange{}, file.inum);
  if (!pin) return give_up(pin.error());
  const Bytes content = pin->bytes();
  const std::uint64_t end = file.chain->inode().meta.size;
  const std::uint64_t valid = end > offset ? end - offset : 0;
  const std::size_t kept = std::min<std::uint64_t>(content.size(), valid);
  if (const auto done = enlarge(*block, data_block_bytes(kept)); !done) {
    return give_up(done.error());
  }
  copy_bytes(MutableBytes(block->bytes, block->size), content.first(kept));
  return block;
}

template <Ground G>
void Volume<G>::free_block(DataBlock& block) {
  block.owner->blocks.erase(block);
  dirty_data_.erase(block);
  --data_blocks_;
  data_bytes_ -= block.size;
  let_go_of_bytes(block);
  block.~DataBlock();
  ground_.deallocate(&block, sizeof(DataBlock), alignof(DataBlock));
}

// --- Blocks on their way to the medium ---------------------------------------

// Has the file's tree say where the block lies, or, without a place, that it is
// a hole.
template <Ground G>
Result<void> Volume<G>::replace_data(OpenInode& file,
                                     const format::Blockref& ref) {
  ODO_TRY(const Position at,
          chains_.find(*file.chain, ref.key, ref.key + (kBlockBytes - 1)));
  if (!at.found()) {
    if (ref.data_off == 0) return {};
    return chains_.insert(*file.chain, ref);
  }
  if (at.ref().key != ref.key || at.ref().keybits != format::kLogicalRadix) {
    return fail(error_at(Code::kBadKey, at.ref(), file.inum));
  }
  if (at.ref().data_off != ref.data_off) retire(at.ref());
  if (ref.data_off == 0) {
    chains_.remove(at, [this](const format::Blockref& gone) { retire(gone); });
  } else {
    at.ref() = ref;
    chains_.mark_dirty(*at.chain);
  }
  return {};
}

// A block with the same bytes that is there already: `ref` then refers to it.
template <Ground G>
Result<bool> Volume<G>::find_twin(const PreparedBlock& block,
                                  format::Blockref& ref) {
  const auto size = static_cast<std::uint32_t>(block.bytes.size());
  const format::Blockref* found =
      dedup_.find(block.ref, static_cast<unsigned>(std::countr_zero(size)));
  if (found == nullptr) return false;
  const format::Blockref twin = *found;
  // The code says that they are the same; the bytes must say so, too.
  const std::uint32_t device_block = media_.coarsest_block_bytes();
  const std::uint64_t begin = align_down(twin.offset(), device_block);
  const std::uint64_t end = align_up(twin.offset() + size, device_block);
  const MutableBytes there = twin_.span().first(end - begin);
  if (const auto read = media_.read(begin, there); !read) {
    dedup_.forget(twin);
    return false;
  }
  if (!equal_bytes(Bytes(there).subspan(twin.offset() - begin, size),
                   block.bytes)) {
    return false;
  }
  if (is_fresh(twin) && !dedup_.share(twin.data_off)) return false;
  ref = twin;
  return true;
}

// Puts a block on the medium and into the file's tree, or a hole.
template <Ground G>
Result<void> Volume<G>::place_data(OpenInode& file, std::uint64_t offset,
                                   const PreparedBlock& block) {
  format::Blockref ref = block.ref;
  bool written = false;
  if (!block.bytes.empty()) {
    ODO_TRY(const bool twin, find_twin(block, ref));
    if (!twin) {
      const auto radix =
          static_cast<unsigned>(std::countr_zero(block.bytes.size()));
      ODO_TRY(const std::uint64_t place, freemap_.allocate(ref.type, radix));
      ref.data_off = place | radix;
      ref.mirror_tid = open_tid_;
      ref.modify_tid = modify_tid_;
      ODO_TRY_VOID(media_.write(place, block.bytes));
      written = true;
    }
  }
  ref.key = offset;
  const Result<void> done = replace_data(file, ref);
  if (!written) return done;
  if (done) {
    dedup_.remember(ref);
  } else {
    retire(ref);
  }
  return done;
}

// Bytes of the block that will be stored; the block is enlarged to that.
template <Ground G>
Result<std::uint32_t> Volume<G>::stored_size(DataBlock& block) {
  const format::InodeMeta& meta = block.owner->chain->inode().meta;
  ODO_ASSERT(meta.size > block.offset);
  const std::uint64_t length =
      std::min<std::uint64_t>(meta.size - block.offset, kBlockBytes);
  const std::uint32_t size = data_block_bytes(length);
  ODO_TRY_VOID(enlarge(block, size));
  return size;
}

// The block is as it was prepared; it waits no longer.
template <Ground G>
Result<void> Volume<G>::finish_block(DataBlock& block,
                                     const PreparedBlock& prepared) {
  OpenInode& file = *block.owner;
  ODO_TRY_VOID(place_data(file, block.offset, prepared));
  free_block(block);
  if (file.holds == 0 && file.blocks.first() == nullptr) close_inode(file);
  return {};
}

template <Ground G>
Result<bool> Volume<G>::take_block(OutgoingBlock& out) {
  if (read_only()) return fail(Error{.code = Code::kReadOnly});
  for (DataBlock& block : dirty_data_) {
    if (block.outgoing != nullptr || block.owner->unlinked) continue;
    ODO_TRY(const std::uint32_t size, stored_size(block));
    out = {.block = &block,
           .bytes = block.bytes,
           .allocated = block.size,
           .size = size,
           .methods = DataMethods::of(block.owner->chain->inode().meta)};
    block.outgoing = &out;
    return true;
  }
  return false;
}

template <Ground G>
Result<void> Volume<G>::store_block(OutgoingBlock& out,
                                    const PreparedBlock& prepared) {
  Result<void> done;
  if (DataBlock* block = out.block) {
    const Result<std::uint32_t> size = stored_size(*block);
    if (!size) {
      done = fail(size.error());
    } else if (out.block != nullptr && *size == out.size) {
      // Of a file that has grown since, more of the block is stored.
      done = finish_block(*block, prepared);
    }
    if (out.block != nullptr) {
      // It waits on, with its bytes.
      block->outgoing = nullptr;
      return done;
    }
  }
  ground_.deallocate(out.bytes, out.allocated, kDataAlign);
  return done;
}

template <Ground G>
Result<void> Volume<G>::store_block(DataBlock& block) {
  ODO_TRY(const std::uint32_t size, stored_size(block));
  return finish_block(
      block, encoder_.prepare(DataMethods::of(block.owner->chain->inode().meta),
                              Bytes(block.bytes, size), outgoing_.span()));
}

template <Ground G>
Result<void> Volume<G>::write_prepared(OpenInode& file, std::uint64_t offset,
                                       std::uint64_t length,
                                       const PreparedBlock& block) {
  format::InodeMeta& meta = file.chain->inode().meta;
  if (meta.type != ObjectType::kRegular) {
    return fail(Error{.code = Code::kNotRegular});
  }
  const bool last = length < kBlockBytes;
  if (!is_aligned(offset, kBlockBytes) || length == 0 || length > kBlockBytes ||
      (last && offset + length < meta.size) ||
      offset > kMaxFileBytes - length) {
    return fail(Error{.code = Code::kInvalid});
  }
  ODO_TRY_VOID(begin(Need::kNormal, 2));
  if ((meta.op_flags & format::kInodeDirectData) != 0) {
    ODO_TRY_VOID(unembed(file));
  }
  if (DataBlock* waiting = file.blocks.find(offset)) free_block(*waiting);
  ODO_TRY_VOID(place_data(file, offset, block));
  meta.size = std::max(meta.size, offset + length);
  touch(file, ground_.now_us());
  return {};
}

// Stores blocks, the oldest first, until at most `keep_bytes` wait.
template <Ground G>
Result<void> Volume<G>::store_old_blocks(std::size_t keep_bytes) {
  for (auto it = dirty_data_.begin();
       it != dirty_data_.end() && data_bytes_ > keep_bytes;) {
    DataBlock& block = *it;
    ++it;
    // Nobody will find the blocks of a file without a name after a sync():
    // these wait for as long as memory lasts.
    if (keep_bytes == 0 && block.owner->unlinked) continue;
    ODO_TRY_VOID(store_block(block));
  }
  return {};
}

// --- Writing -----------------------------------------------------------------

// A file that has outgrown its inode gets a tree.
template <Ground G>
Result<void> Volume<G>::unembed(OpenInode& file) {
  format::Inode& inode = file.chain->inode();
  if (inode.meta.size != 0) {
    ODO_TRY(DataBlock * block,
            data_block(file, 0, format::kMinAllocBytes, false));
    copy_bytes(MutableBytes(block->bytes, block->size),
               Bytes(inode.payload.data).first(inode.meta.size));
  }
  inode.meta.op_flags = static_cast<std::uint8_t>(inode.meta.op_flags &
                                                  ~format::kInodeDirectData);
  inode.payload.data = {};
  file.chain->tree = hammer2::Tree::kFile;
  file.chain->count = 0;
  chains_.mark_dirty(*file.chain);
  return {};
}

template <Ground G>
Result<void> Volume<G>::write(OpenInode& file, std::uint64_t offset,
                              Bytes from) {
  const format::InodeMeta& meta = file.chain->inode().meta;
  if (meta.type == ObjectType::kDirectory) {
    return fail(Error{.code = Code::kIsDirectory});
  }
  if (meta.type != ObjectType::kRegular) {
    return fail(Error{.code = Code::kNotRegular});
  }
  if (!range_inside(offset, from.size(), kMaxFileBytes)) {
    return fail(Error{.code = Code::kFileTooLarge});
  }
  if (from.empty()) return {};
  ODO_TRY_VOID(make_room(Need::kNormal, from.size() / kBlockBytes + 2));
  ODO_TRY_VOID(write_content(file, offset, from, ground_.now_us()));
  note_change(file, offset, from.size());
  return {};
}

template <Ground G>
Result<void> Volume<G>::write_content(OpenInode& file, std::uint64_t offset,
                                      Bytes from, std::uint64_t now) {
  format::Inode& inode = file.chain->inode();
  const std::uint64_t end = offset + from.size();
  if ((inode.meta.op_flags & format::kInodeDirectData) != 0) {
    if (end <= format::kEmbeddedBytes) {
      copy_bytes(MutableBytes(inode.payload.data).subspan(offset), from);
      inode.meta.size = std::max(inode.meta.size, end);
      touch(file, now);
      return {};
    }
    ODO_TRY_VOID(unembed(file));
  }
  // All blocks are there before any is changed.
  const std::uint64_t first = align_down(offset, kBlockBytes);
  for (std::uint64_t base = first; base < end; base += kBlockBytes) {
    const std::uint64_t last = std::min<std::uint64_t>(end - base, kBlockBytes);
    const bool covered =
        base >= offset && (end - base >= kBlockBytes || end >= inode.meta.size);
    const bool old = !covered && base < inode.meta.size;
    const bool known = file.blocks.find(base) != nullptr;
    const Result<DataBlock*> block =
        data_block(file, base, data_block_bytes(last), old);
    if (!block) {
      while (DataBlock* made = file.blocks.lower_bound(first)) {
        if (made->offset >= end || !made->unwritten) break;
        free_block(*made);
      }
      return fail(block.error());
    }
    if (!known) (*block)->unwritten = true;
  }
  std::uint64_t at = offset;
  while (!from.empty()) {
    const std::uint64_t base = align_down(at, kBlockBytes);
    DataBlock* block = file.blocks.find(base);
    const std::size_t piece =
        std::min<std::uint64_t>(from.size(), base + kBlockBytes - at);
    copy_bytes(MutableBytes(block->bytes, block->size).subspan(at - base),
               from.first(piece));
    block->unwritten = false;
    from = from.subspan(piece);
    at += piece;
  }
  inode.meta.size = std::max(inode.meta.size, end);
  touch(file, now);
  return {};
}

// --- Truncation --------------------------------------------------------------

// Frees what is in memory below a chain, and what this transaction took for it.
template <Ground G>
void Volume<G>::drop_subtree(Chain& chain) {
  Chain* at = &chain;
  at->visit = 0;
  for (;;) {
    Chain* down = nullptr;
    while (at->visit < at->count && down == nullptr) {
      const std::uint32_t i = at->visit++;
      down = at->children[i];
      if (down == nullptr) retire(at->refs()[i]);
    }
    if (down != nullptr) {
      at = down;
      at->visit = 0;
      continue;
    }
    if (at == &chain) return;
    Chain* above = at->parent;
    retire(at->ref);
    chains_.detach(*at);
    chains_.free(*at);
    at = above;
  }
}

// Takes away all that a file's tree has from `from` on, a multiple of 64 KiB.
template <Ground G>
Result<void> Volume<G>::cut_blocks(OpenInode& file, std::uint64_t from) {
  for (;;) {
    // The last reference on the way down that lies beyond, whole.
    Chain* at = file.chain;
    for (;;) {
      if (at->count == 0) return {};
      const std::uint32_t i = at->count - 1;
      const format::Blockref ref = at->refs()[i];
      if (ref.key >= from) {
        if (Chain* below = at->children[i]) {
          drop_subtree(*below);
          chains_.detach(*below);
          chains_.free(*below);
        }
        retire(ref);
        chains_.remove({.chain = at, .index = i},
                       [this](const format::Blockref& gone) { retire(gone); });
        break;
      }
      if (range_of(ref).last < from ||
          ref.type != format::BlockType::kIndirect) {
        return {};
      }
      ODO_TRY(at, chains_.child(*at, i));
    }
  }
}

template <Ground G>
Result<void> Volume<G>::truncate(OpenInode& file, std::uint64_t size) {
  format::Inode& inode = file.chain->inode();
  if (inode.meta.type == ObjectType::kDirectory) {
    return fail(Error{.code = Code::kIsDirectory});
  }
  if (inode.meta.type != ObjectType::kRegular) {
    return fail(Error{.code = Code::kNotRegular});
  }
  if (size > kMaxFileBytes) return fail(Error{.code = Code::kFileTooLarge});
  if (size == inode.meta.size) return {};
  const bool shorter = size < inode.meta.size;
  ODO_TRY_VOID(begin(shorter ? Need::kRemoval : Need::kNormal, 2));
  const std::uint64_t now = ground_.now_us();
  if ((inode.meta.op_flags & format::kInodeDirectData) != 0) {
    if (size > format::kEmbeddedBytes) {
      ODO_TRY_VOID(unembed(file));
    } else if (shorter) {
      zero_bytes(MutableBytes(inode.payload.data).subspan(size));
    }
  } else if (shorter) {
    // Behind the new end there must be zeros for the day the file grows again.
    const std::uint64_t base = align_down(size, kBlockBytes);
    if (size != base) {
      ODO_TRY(const Position at,
              chains_.find(*file.chain, base, base + (kBlockBytes - 1)));
      if (at.found() || file.blocks.find(base) != nullptr) {
        ODO_TRY(DataBlock * block,
                data_block(file, base, data_block_bytes(size - base), true));
        zero_bytes(
            MutableBytes(block->bytes, block->size).subspan(size - base));
      }
    }
    const std::uint64_t cut = size == base ? base : base + kBlockBytes;
    ODO_TRY_VOID(cut_blocks(file, cut));
    while (DataBlock* block = file.blocks.lower_bound(cut)) free_block(*block);
  }
  inode.meta.size = size;
  touch(file, now);
  return {};
}

// --- Reading -----------------------------------------------------------------

template <Ground G>
Result<std::size_t> Volume<G>::read(OpenInode& file, std::uint64_t offset,
                                    MutableBytes to) {
  const ObjectType type = file.chain->inode().meta.type;
  if (type == ObjectType::kDirectory) {
    return fail(Error{.code = Code::kIsDirectory});
  }
  if (type != ObjectType::kRegular) {
    return fail(Error{.code = Code::kNotRegular});
  }
  ODO_TRY_VOID(settle_memory());
  return read_content(file, offset, to);
}

template <Ground G>
Result<std::size_t> Volume<G>::read_link(OpenInode& link, MutableBytes to) {
  if (link.chain->inode().meta.type != ObjectType::kSymlink) {
    return fail(Error{.code = Code::kNotSymlink});
  }
  ODO_TRY_VOID(settle_memory());
  return read_content(link, 0, to);
}

template <Ground G>
Result<std::size_t> Volume<G>::read_content(OpenInode& file,
                                            std::uint64_t offset,
                                            MutableBytes to) {
  const format::Inode& inode = file.chain->inode();
  if (offset >= inode.meta.size) return std::size_t{0};
  const std::size_t wanted =
      std::min<std::uint64_t>(to.size(), inode.meta.size - offset);
  to = to.first(wanted);
  if ((inode.meta.op_flags & format::kInodeDirectData) != 0) {
    copy_bytes(to, Bytes(inode.payload.data).subspan(offset, wanted));
    return wanted;
  }
  using Leaf = const format::Blockref*;
  const auto leaf_at = [&](std::uint64_t first,
                           std::uint64_t last) -> Result<Leaf> {
    ODO_TRY(const Position at, chains_.find(*file.chain, first, last));
    return at.found() ? &at.ref() : nullptr;
  };
  while (!to.empty()) {
    const std::uint64_t base = align_down(offset, kBlockBytes);
    const std::uint64_t inside = offset - base;
    const std::size_t piece =
        std::min<std::uint64_t>(to.size(), kBlockBytes - inside);
    const MutableBytes part = to.first(piece);
    const auto fill = [&](Bytes content) {
      const Bytes rest =
          content.subspan(std::min<std::uint64_t>(inside, content.size()));
      const std::size_t kept = std::min(piece, rest.size());
      copy_bytes(part, rest.first(kept));
      zero_bytes(part.subspan(kept));
    };
    if (const DataBlock* block = file.blocks.find(base)) {
      fill(Bytes(block->bytes, block->size));
    } else {
      ODO_TRY_VOID(hammer2::read_stored(media_.store(), file.inum, offset, part,
                                        leaf_at));
    }
    to = to.subspan(piece);
    offset += piece;
  }
  return wanted;
}

template <Ground G>
Result<std::uint64_t> Volume<G>::next_data(OpenInode& file,
                                           std::uint64_t offset) {
  const format::Inode& inode = file.chain->inode();
  const std::uint64_t size = inode.meta.size;
  if (offset >= size || (inode.meta.op_flags & format::kInodeDirectData) != 0) {
    return std::min(offset, size);
  }
  ODO_TRY(const Position at, chains_.find(*file.chain, offset, size - 1));
  std::uint64_t next = at.found() ? std::max(at.ref().key, offset) : size;
  if (const DataBlock* block =
          file.blocks.lower_bound(align_down(offset, kBlockBytes))) {
    next = std::min(next, std::max(block->offset, offset));
  }
  return std::min(next, size);
}

template <Ground G>
Result<std::uint64_t> Volume<G>::next_hole(OpenInode& file,
                                           std::uint64_t offset) {
  const std::uint64_t size = file.chain->inode().meta.size;
  while (offset < size) {
    ODO_TRY(const std::uint64_t data, next_data(file, offset));
    if (data > offset) return offset;
    if ((file.chain->inode().meta.op_flags & format::kInodeDirectData) != 0) {
      return size;
    }
    offset = align_down(offset, kBlockBytes) + kBlockBytes;
  }
  return size;
}

}  // namespace odo::hammer2::write
