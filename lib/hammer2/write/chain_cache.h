// SPDX-License-Identifier: BSD-3-Clause
// The inodes and indirect blocks that are in memory, as one tree from the
// super-root down, and changes to the trees of references in them.
//
// A tree grows as a B-tree does, within the format's rule that an indirect
// block covers an aligned range of keys: a full block narrows its range to what
// it holds, or parts with half of it to a new block beside it; when there is no
// room beside it, the block above does so first; at the top, an inode's four
// references go down into a new block. So all leaves of a tree that was made
// here are about as deep, and keys that come in rising order fill blocks whole.
// A tree of any other shape that the format allows is taken as it is.
//
// Contexts: thread, one at a time; may block where devices do.
// Invariants:
//   C1. a dirty chain's parent is dirty;
//   C2. a chain's references obey V1 to V4 (validate.h).
// Bounds: as the caller trims; an operation loads O(depth) blocks. Iterative.
// Failure: what reading a block says; kNoMemory, with everything as it was.
// Complexity: look-up, insertion and removal O(depth) blocks, with a move of up
//   to 64 KiB in one of them.
// Origin: hammer2_chain.c; the shape of trees is our own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>

#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/base/list.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/tree.h"
#include "lib/hammer2/write/chain.h"
#include "lib/hammer2/write/media.h"
#include "lib/hammer2/write/memory.h"

namespace odo::hammer2::write {

template <Ground G>
class ChainCache {
 public:
  ChainCache(G& ground, Media<G>& media) : ground_(ground), media_(media) {}
  ChainCache(const ChainCache&) = delete;
  ChainCache& operator=(const ChainCache&) = delete;
  ~ChainCache() { close(); }

  [[nodiscard]] Result<void> open();
  void close();

  [[nodiscard]] Chain& super_root() { return *super_root_; }

  // Bytes that chains take, and those of them that have to be written.
  [[nodiscard]] std::size_t memory_bytes() const { return memory_bytes_; }
  // What writing all dirty chains may take at most, in extents of 64 KiB.
  [[nodiscard]] std::uint64_t dirty_quads() const {
    return (2 * dirty_small_bytes_ + format::kMaxAllocBytes - 1) /
               format::kMaxAllocBytes +
           dirty_large_;
  }

  // The block that reference `index` of `parent` refers to.
  [[nodiscard]] Result<Chain*> child(Chain& parent, std::uint32_t index);

  // The leaf with the lowest key whose range touches [first, last] below an
  // inode; a Position that isn't found if there is none.
  [[nodiscard]] Result<Position> find(Chain& inode, std::uint64_t first,
                                      std::uint64_t last);

  // Puts a leaf below an inode; nothing there touches its range. A child that
  // is in memory already comes as `made`, without a parent yet.
  [[nodiscard]] Result<void> insert(Chain& inode, const format::Blockref& leaf,
                                    Chain* made = nullptr);

  // Takes a leaf out, and indirect blocks that hold nothing then. A child in
  // memory must have gone before, or go with detach(). `emptied` is called
  // with the reference of each block that is dropped.
  template <class Emptied>
  void remove(Position at, Emptied&& emptied);

  // Has the chain written, with all above it, by the next flush.
  void mark_dirty(Chain& chain);
  void mark_clean(Chain& chain);

  // A new inode, in no tree yet, dirty.
  [[nodiscard]] Result<Chain*> make_inode(Tree in);

  // Parts an inode in memory from its parent's pointer to it; the reference is
  // the caller's to remove.
  void detach(Chain& chain);

  // Frees a chain without children in memory.
  void free(Chain& chain);

  // Frees clean chains without children and pins, the least lately used first,
  // until no more than `bytes` are taken or none is left.
  void trim(std::size_t bytes);

  // Gives the body of an indirect block another size.
  [[nodiscard]] Result<void> resize(Chain& chain, std::uint32_t size);

  // The largest that an indirect block of that tree is made.
  [[nodiscard]] static std::uint32_t most_bytes(Tree tree) {
    return tree == Tree::kFile ? format::kMaxAllocBytes : kMostNodeBytes;
  }

  static constexpr std::uint32_t kLeastNodeBytes = 4096;
  // Small enough that a change of one entry doesn't cost much.
  static constexpr std::uint32_t kMostNodeBytes = 16384;

 private:
  using Lru = List<Chain, &Chain::lru>;

  static constexpr std::size_t kAlign = 16;
  static constexpr std::uint64_t kHalf = format::kDirhashVisible;

  [[nodiscard]] static std::size_t body_bytes(std::uint32_t size,
                                              std::uint32_t capacity) {
    return size + capacity * sizeof(Chain*);
  }
  [[nodiscard]] static std::uint32_t capacity_of(format::BlockType type,
                                                 std::uint32_t size) {
    return type == format::BlockType::kInode ? format::kBlocksetCount
                                             : size / format::kBlockrefBytes;
  }

  [[nodiscard]] Result<Chain*> make(format::BlockType type, std::uint32_t size);
  [[nodiscard]] Result<Chain*> load(const format::Blockref& ref, Tree in,
                                    const KeyRange& range);
  void count_dirty(const Chain& chain, std::int64_t sign);
  void touch(Chain& chain);

  void open_slot(Chain& chain, std::uint32_t index, const format::Blockref& ref,
                 Chain* child);
  void close_slot(Chain& chain, std::uint32_t index);
  void move_tail(Chain& from, std::uint32_t first, std::uint32_t last,
                 Chain& to);
  template <class Emptied>
  void prune(Chain& from, Emptied&& emptied);
  [[nodiscard]] Result<bool> insert_here(Chain& chain, std::uint32_t index,
                                         const format::Blockref& leaf,
                                         Chain* made);
  [[nodiscard]] Result<bool> make_room(Chain& chain);
  [[nodiscard]] Result<void> split(Chain& chain, std::uint64_t key);
  [[nodiscard]] Result<void> push_down(Chain& inode);
  [[nodiscard]] Result<Chain*> make_indirect(const Chain& above,
                                             const KeyRange& range);
  [[nodiscard]] Result<unsigned> level_of(Chain& chain);
  [[nodiscard]] Result<bool> reach_down(Chain& chain, std::uint32_t index,
                                        const format::Blockref& leaf);
  [[nodiscard]] static KeyRange widest_gap(Chain& chain, std::uint32_t index,
                                           const format::Blockref& leaf);

  G& ground_;
  Media<G>& media_;
  Chain* super_root_ = nullptr;
  Lru lru_;  // all but the super-root, the least lately used first
  std::size_t memory_bytes_ = 0;
  std::uint64_t dirty_small_bytes_ = 0;
  std::uint64_t dirty_large_ = 0;  // blocks of 64 KiB
};

}  // namespace odo::hammer2::write

#include "lib/hammer2/write/chain_cache_impl.h"
#include "lib/hammer2/write/chain_shape.h"
