// SPDX-License-Identifier: BSD-3-Clause
// Where a file has data and where holes, for SEEK_DATA and SEEK_HOLE.
//
// Contexts: thread, the reader's. FileSystem is any of filesystem.h's kind.
// Failure: hammer2::Error, as reading the file would give.
// Complexity: next_data() one look-up; next_hole() one for each block of data
// on the way.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "lib/hammer2/block_store.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/tree.h"
#include "lib/hammer2/types.h"
#include "lib/hammer2/validate.h"

namespace odo::hammer2 {

// nullopt where there is none.
using Offset = std::optional<std::uint64_t>;

namespace detail {

// Whether the file's content is blocks in a tree. What is kept in the inode has
// no holes.
template <class FileSystem>
[[nodiscard]] Result<bool> has_tree(FileSystem& fs, const Node& file) {
  ODO_TRY(const auto inode, fs.blocks().fetch(file.ref, Tree::kDirectory,
                                              KeyRange{}, file.inum()));
  return fs.blocks().tree_below(Tree::kDirectory, inode) == Tree::kFile;
}

}  // namespace detail

// The first offset of data at or after `offset`, which lies in the file;
// nullopt where only a hole follows.
template <class FileSystem>
[[nodiscard]] Result<Offset> next_data(FileSystem& fs, const Node& file,
                                       std::uint64_t offset) {
  ODO_TRY(const bool tree, detail::has_tree(fs, file));
  if (!tree) return offset;
  format::Blockref leaf;
  ODO_TRY(const bool found,
          first_leaf(fs.blocks(), file.ref, Tree::kDirectory, file.inum(),
                     offset, file.attributes.size - 1, leaf));
  if (!found) return std::nullopt;
  return std::max(leaf.key, offset);
}

// The first offset of a hole at or after `offset`, which lies in the file; the
// end of the file counts as one.
template <class FileSystem>
[[nodiscard]] Result<Offset> next_hole(FileSystem& fs, const Node& file,
                                       std::uint64_t offset) {
  const std::uint64_t size = file.attributes.size;
  ODO_TRY(const bool tree, detail::has_tree(fs, file));
  if (!tree) return size;
  while (offset < size) {
    format::Blockref leaf;
    ODO_TRY(const bool found,
            first_leaf(fs.blocks(), file.ref, Tree::kDirectory, file.inum(),
                       offset, offset, leaf));
    if (!found) return offset;
    const std::uint64_t last = range_of(leaf).last;
    if (last >= size) break;
    offset = last + 1;
  }
  return size;
}

}  // namespace odo::hammer2
