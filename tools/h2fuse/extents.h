// SPDX-License-Identifier: BSD-3-Clause
// Where a file has data and where holes, for SEEK_DATA and SEEK_HOLE.
//
// Contexts: thread, the reader's.
// Failure: hammer2::Error, as reading the file would give.
// Complexity: next_data() one look-up; next_hole() one for each block of data
// on the way.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "lib/hammer2/error.h"
#include "lib/hammer2/tree.h"
#include "lib/hammer2/types.h"
#include "tools/h2/volume.h"

namespace odo::h2fuse {

// nullopt where there is none.
using Offset = std::optional<std::uint64_t>;

namespace detail {

// Whether the file's content is blocks in a tree. What is kept in the inode has
// no holes.
[[nodiscard]] inline hammer2::Result<bool> has_tree(h2::FileSystem& fs,
                                                    const hammer2::Node& file) {
  using hammer2::Tree;
  ODO_TRY(const auto inode,
          fs.blocks().fetch(file.ref, Tree::kDirectory, hammer2::KeyRange{},
                            file.inum()));
  return fs.blocks().tree_below(Tree::kDirectory, inode) == Tree::kFile;
}

}  // namespace detail

// The first offset of data at or after `offset`, which lies in the file;
// nullopt where only a hole follows.
[[nodiscard]] inline hammer2::Result<Offset> next_data(
    h2::FileSystem& fs, const hammer2::Node& file, std::uint64_t offset) {
  ODO_TRY(const bool tree, detail::has_tree(fs, file));
  if (!tree) return offset;
  hammer2::format::Blockref leaf;
  ODO_TRY(
      const bool found,
      hammer2::first_leaf(fs.blocks(), file.ref, hammer2::Tree::kDirectory,
                          file.inum(), offset, file.attributes.size - 1, leaf));
  if (!found) return std::nullopt;
  return std::max(leaf.key, offset);
}

// The first offset of a hole at or after `offset`, which lies in the file; the
// end of the file counts as one.
[[nodiscard]] inline hammer2::Result<Offset> next_hole(
    h2::FileSystem& fs, const hammer2::Node& file, std::uint64_t offset) {
  const std::uint64_t size = file.attributes.size;
  ODO_TRY(const bool tree, detail::has_tree(fs, file));
  if (!tree) return size;
  while (offset < size) {
    hammer2::format::Blockref leaf;
    ODO_TRY(
        const bool found,
        hammer2::first_leaf(fs.blocks(), file.ref, hammer2::Tree::kDirectory,
                            file.inum(), offset, offset, leaf));
    if (!found) return offset;
    const std::uint64_t last = hammer2::range_of(leaf).last;
    if (last >= size) break;
    offset = last + 1;
  }
  return size;
}

}  // namespace odo::h2fuse
