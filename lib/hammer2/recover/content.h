// SPDX-License-Identifier: BSD-3-Clause
// Reads what can be read of a file, going round what can't: every block is
// proven by its check code, and each gap is told of.
//
// Contexts: thread, one at a time; reads block where the device does.
// Bounds: one step a data block or a reference that can't be followed; holes
//   cost nothing, however long the file claims to be.
// Failure: gaps. That the inode itself is bad is the last word about a file.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "lib/base/bytes.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/format/inode.h"
#include "lib/hammer2/tree.h"
#include "lib/hammer2/validate.h"

namespace odo::hammer2::recover {

struct ContentTotals {
  std::uint64_t size = 0;  // of the file
  std::uint64_t data_bytes = 0;
  std::uint64_t lost_bytes = 0;  // of the file, in gaps
  std::uint64_t gaps = 0;
};

// Tells of the content of the file or symlink that `inode` refers to, in order:
// sink.data(offset, bytes), which may answer false to stop, and
// sink.gap(offset, length, error). What neither is told of reads as zeros.
template <class Store, class Sink>
[[nodiscard]] Result<ContentTotals> read_content(Store& store,
                                                 const format::Blockref& inode,
                                                 std::uint64_t inum,
                                                 Sink& sink) {
  ContentTotals totals;
  {
    ODO_TRY(const auto pin,
            store.fetch(inode, Tree::kDirectory, KeyRange{}, inum));
    const auto meta = read_struct<format::InodeMeta>(pin.bytes(), 0);
    totals.size = meta->size;
    if (store.tree_below(Tree::kDirectory, pin) == Tree::kNone) {
      if ((meta->op_flags & format::kInodeDirectData) == 0) {
        totals.size = 0;
        return totals;
      }
      // validate_inode() has seen to it that it fits.
      const Bytes data =
          inode_refs(pin.bytes()).first(static_cast<std::size_t>(meta->size));
      totals.data_bytes = data.size();
      (void)sink.data(std::uint64_t{0}, data);
      return totals;
    }
  }
  format::Blockref leaf;
  std::uint64_t at = 0;
  while (at < totals.size) {
    const auto found = first_leaf(store, inode, Tree::kDirectory, inum, at,
                                  totals.size - 1, leaf);
    if (found && !*found) break;
    const auto gap = [&](const Error& error) {
      const KeyRange range = range_of(leaf);
      const std::uint64_t begin = std::max(range.first, at);
      const std::uint64_t end = std::min(range.last, totals.size - 1) + 1;
      totals.lost_bytes += end - begin;
      ++totals.gaps;
      sink.gap(begin, end - begin, error);
      at = end;
    };
    if (!found) {
      // Nothing is to be had without the inode.
      if (leaf.type == format::BlockType::kInode) return fail(found.error());
      gap(found.error());
      continue;
    }
    const auto pin = store.fetch(leaf, Tree::kFile, KeyRange{}, inum);
    if (!pin) {
      gap(pin.error());
      continue;
    }
    const std::uint64_t left = totals.size - leaf.key;
    const Bytes data = pin->bytes().first(static_cast<std::size_t>(
        std::min<std::uint64_t>(pin->bytes().size(), left)));
    totals.data_bytes += data.size();
    if (!sink.data(leaf.key, data)) break;
    const std::uint64_t last = range_of(leaf).last;
    if (last == ~std::uint64_t{0}) break;
    at = last + 1;
  }
  return totals;
}

}  // namespace odo::hammer2::recover
