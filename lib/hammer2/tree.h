// SPDX-License-Identifier: BSD-3-Clause
// Finding leaves by key in the tree below an inode.
//
// Contexts: thread; may block where the device does. Iterative: at most three
//   blocks are pinned at a time, whatever the depth; a finger keeps one.
// Failure: what fetching a block on the way says.
//   A search that passes over blocks that hold nothing until it has looked at
//   kMaxSearchBlocks is kTooDeep: no writer leaves many such blocks behind.
// Complexity: O(depth) blocks, mostly cached, for each indirect block that
//   turns out to hold nothing in range; since ranges of siblings don't overlap
//   (V1) no block is visited twice for that. O(1) blocks where a finger lies in
//   the block that holds the leaf.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "lib/base/bytes.h"
#include "lib/hammer2/cache/block_id.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/format/inode.h"
#include "lib/hammer2/validate.h"

namespace odo::hammer2 {

// Indirect blocks that one search looks at, those above others each time.
inline constexpr unsigned kMaxSearchBlocks = 4096;

// The lowest indirect block that a search came to, pinned, where the next ones,
// whose keys tend to be its neighbours, look first. It knows the root that it
// lies below, so that one may serve several trees; media must not change.
template <class Store>
class Finger {
 public:
  using Pin = typename Store::Pin;

  // Points nowhere: before the store's cache goes, or is made anew.
  void forget() { pin_.forget(); }

  // Points to the block `pin`, which covers `range` below `root`.
  void point(const BlockId& root, const KeyRange& range, Pin pin) {
    root_ = root;
    range_ = range;
    pin_ = std::move(pin);
  }

  // Puts the leaf that first_leaf() would find into `leaf`, if it is one of
  // this block.
  [[nodiscard]] bool find(const BlockId& root, std::uint64_t first,
                          std::uint64_t last, format::Blockref& leaf) const {
    if (!pin_.held() || first < range_.first || first > range_.last ||
        root != root_) {
      return false;
    }
    const RefArray refs(pin_.bytes(), pin_.count());
    const std::size_t i = refs.lower_bound(first);
    if (i == refs.size() || refs.key(i) > last ||
        refs.type(i) == format::BlockType::kIndirect) {
      return false;
    }
    refs.copy(i, leaf);
    return true;
  }

 private:
  BlockId root_;
  KeyRange range_;
  Pin pin_;
};

// Puts into `leaf` the leaf with the lowest key whose range touches
// [first, last] in the tree below the inode that `inode` refers to, which was
// reached in a tree of kind `in`. False if there is none. `leaf` and `inode`
// may be one object. `inum` is for errors; where one is answered, `leaf` is the
// reference that couldn't be followed. `finger`, if there is one, is where to
// look first, and is moved to where the leaf was found.
template <class Store>
[[nodiscard]] Result<bool> first_leaf(Store& store,
                                      const format::Blockref& inode, Tree in,
                                      std::uint64_t inum, std::uint64_t first,
                                      std::uint64_t last,
                                      format::Blockref& leaf,
                                      Finger<Store>* finger = nullptr) {
  const BlockId id = finger != nullptr ? store.identify(inode, in) : BlockId{};
  if (finger != nullptr && finger->find(id, first, last, leaf)) return true;
  const auto fetched = store.fetch(inode, in, KeyRange{}, inum);
  if (!fetched) {
    leaf = inode;
    return fail(fetched.error());
  }
  const auto& root = *fetched;
  const Tree tree = store.tree_below(in, root);
  if (tree == Tree::kNone) return false;
  unsigned blocks = 0;
  for (;;) {
    typename Store::Pin pin;  // the indirect block at hand, if any
    KeyRange range;
    for (;;) {
      const RefArray refs =
          pin.held()
              ? RefArray(pin.bytes(), pin.count())
              : RefArray(root.bytes().subspan(offsetof(format::Inode, payload)),
                         root.count());
      const std::size_t i = refs.lower_bound(first);
      if (i == refs.size() || refs.key(i) > last) break;
      refs.copy(i, leaf);
      if (leaf.type != format::BlockType::kIndirect) {
        if (finger != nullptr && pin.held()) {
          finger->point(id, range, std::move(pin));
        }
        return true;
      }
      if (++blocks > kMaxSearchBlocks) {
        return fail(error_at(Code::kTooDeep, leaf, inum));
      }
      range = range_of(leaf);
      ODO_TRY(pin, store.fetch(leaf, tree, range, inum));
    }
    // Nothing here. Below the root that settles only this block's range: go on
    // behind it, from the top.
    if (!pin.held() || range.last >= last) return false;
    first = range.last + 1;
  }
}

}  // namespace odo::hammer2
