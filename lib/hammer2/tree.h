// SPDX-License-Identifier: BSD-3-Clause
// Finding leaves by key in the tree below an inode.
//
// Contexts: thread; may block where the device does. Iterative: at most three
//   blocks are pinned at a time, whatever the depth.
// Failure: what fetching a block on the way says.
//   A search that passes over blocks that hold nothing until it has looked at
//   kMaxSearchBlocks is kTooDeep: no writer leaves many such blocks behind.
// Complexity: O(depth) blocks, mostly cached, for each indirect block that
//   turns out to hold nothing in range; since ranges of siblings don't overlap
//   (V1) no block is visited twice for that.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/base/bytes.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/format/inode.h"
#include "lib/hammer2/validate.h"

namespace odo::hammer2 {

// Indirect blocks that one search looks at, those above others each time.
inline constexpr unsigned kMaxSearchBlocks = 4096;

// Puts into `leaf` the leaf with the lowest key whose range touches
// [first, last] in the tree below the inode that `inode` refers to, which was
// reached in a tree of kind `in`. False if there is none. `leaf` and `inode`
// may be one object. `inum` is for errors; where one is answered, `leaf` is the
// reference that couldn't be followed.
template <class Store>
[[nodiscard]] Result<bool> first_leaf(Store& store,
                                      const format::Blockref& inode, Tree in,
                                      std::uint64_t inum, std::uint64_t first,
                                      std::uint64_t last,
                                      format::Blockref& leaf) {
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
      if (leaf.type != format::BlockType::kIndirect) return true;
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
