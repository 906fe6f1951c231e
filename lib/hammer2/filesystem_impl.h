// SPDX-License-Identifier: BSD-3-Clause
// The members of FileSystem; see filesystem.h, which includes this.
//
// Contexts: as filesystem.h says.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/hammer2/dir_entry.h"
#include "lib/hammer2/filesystem.h"
#include "lib/hammer2/format/dirhash.h"
#include "lib/hammer2/inode_fields.h"
#include "lib/hammer2/stored_data.h"

namespace odo::hammer2 {

template <block::BlockDevice Device, CheckPolicy Checks, class Cache>
Result<void> FileSystem<Device, Checks, Cache>::open(
    std::span<Device* const> devices, MutableBytes memory) {
  if (memory.size() < kMinMemoryBytes) {
    Error error{.code = Code::kNoMemory};
    error.found = memory.size();
    error.expected = kMinMemoryBytes;
    return fail(error);
  }
  const std::size_t rest = memory.size() - Path::kBufferBytes;
  path_buffer_ = memory.subspan(rest);
  forget_fingers();
  return store_.open(devices, memory.first(rest));
}

// --- PFSs --------------------------------------------------------------------

template <block::BlockDevice Device, CheckPolicy Checks, class Cache>
Result<bool> FileSystem<Device, Checks, Cache>::next_pfs(DirCursor& cursor,
                                                         Pfs& out) {
  if (cursor.at_end) return false;
  ODO_TRY(
      const bool found,
      first_leaf(store_, store_.super_root(), Tree::kVolume, Error::kUnknown,
                 cursor.next_key, ~std::uint64_t{0}, leaf_));
  if (!found) {
    cursor.at_end = true;
    return false;
  }
  ODO_TRY(const Pin pin,
          store_.fetch(leaf_, Tree::kDirectory, KeyRange{}, Error::kUnknown));
  ODO_TRY_VOID(detail::fill_pfs(pin.bytes(), leaf_, out));
  cursor.pass(leaf_.key);
  return true;
}

// --- Nodes -------------------------------------------------------------------

// A node from its inode's reference. `expected_inum` is kUnknown where the
// reference's key isn't the inode's number.
template <block::BlockDevice Device, CheckPolicy Checks, class Cache>
Result<void> FileSystem<Device, Checks, Cache>::fill_node(
    const format::Blockref& ref, const format::Blockref& pfs_root,
    std::uint64_t expected_inum, Node& out) {
  ODO_TRY(const Pin pin,
          store_.fetch(ref, Tree::kDirectory, KeyRange{}, expected_inum));
  detail::fill_attributes(pin.bytes(), ref, out.attributes);
  if (expected_inum != Error::kUnknown &&
      out.attributes.inum != expected_inum) {
    return fail(error_at(Code::kBadInode, ref, expected_inum));
  }
  // `ref` or `pfs_root` may be part of `out`.
  const format::Blockref root = pfs_root;
  out.ref = ref;
  out.pfs_root = root;
  return {};
}

template <block::BlockDevice Device, CheckPolicy Checks, class Cache>
Result<void> FileSystem<Device, Checks, Cache>::root(const Pfs& pfs,
                                                     Node& out) {
  return fill_node(pfs.root, pfs.root, Error::kUnknown, out);
}

template <block::BlockDevice Device, CheckPolicy Checks, class Cache>
Result<void> FileSystem<Device, Checks, Cache>::node_by_inum(const Node& any,
                                                             std::uint64_t inum,
                                                             Node& out) {
  if (inum == format::kRootInum) {
    return fill_node(any.pfs_root, any.pfs_root, Error::kUnknown, out);
  }
  if (inum >= format::kDirhashVisible) {
    return fail(Error{.code = Code::kNotFound});
  }
  ODO_TRY(const bool found,
          first_leaf(store_, any.pfs_root, Tree::kDirectory, format::kRootInum,
                     inum, inum, leaf_, kept(inodes_)));
  if (!found) return fail(Error{.code = Code::kNotFound});
  if (leaf_.type != format::BlockType::kInode) {
    return fail(error_at(Code::kBadBlockType, leaf_, inum));
  }
  return fill_node(leaf_, any.pfs_root, inum, out);
}

// --- Directories -------------------------------------------------------------

template <block::BlockDevice Device, CheckPolicy Checks, class Cache>
Result<bool> FileSystem<Device, Checks, Cache>::read_directory(
    const Node& directory, DirCursor& cursor, DirEntry& out) {
  if (!directory.is(ObjectType::kDirectory)) {
    return fail(Error{.code = Code::kNotDirectory});
  }
  if (cursor.at_end) return false;
  ODO_TRY(const bool found,
          first_leaf(store_, directory.ref, Tree::kDirectory, directory.inum(),
                     std::max(cursor.next_key, format::kDirhashVisible),
                     ~std::uint64_t{0}, leaf_, kept(entries_)));
  if (!found) {
    cursor.at_end = true;
    return false;
  }
  ODO_TRY_VOID(fill_entry(store_, leaf_, directory.inum(), out));
  cursor.pass(leaf_.key);
  return true;
}

template <block::BlockDevice Device, CheckPolicy Checks, class Cache>
Result<void> FileSystem<Device, Checks, Cache>::lookup(const Node& directory,
                                                       std::string_view name,
                                                       Node& out) {
  if (!directory.is(ObjectType::kDirectory)) {
    return fail(Error{.code = Code::kNotDirectory});
  }
  if (name.size() > kMaxNameBytes) {
    return fail(Error{.code = Code::kNameTooLong});
  }
  if (name == kDot) {
    out = directory;
    return {};
  }
  if (name == kDotDot) {
    if (directory.ref.data_off == directory.pfs_root.data_off) {
      out = directory;
      return {};
    }
    ODO_TRY_VOID(
        node_by_inum(directory, directory.attributes.parent_inum, out));
    if (!out.is(ObjectType::kDirectory)) {
      return fail(error_at(Code::kBadInode, out.ref, out.inum()));
    }
    return {};
  }
  const std::uint64_t hash = format::dirhash(name);
  const std::uint64_t last = hash | format::kDirhashCollisionMask;
  std::uint64_t first = hash & ~format::kDirhashCollisionMask;
  for (;;) {
    ODO_TRY(const bool found,
            first_leaf(store_, directory.ref, Tree::kDirectory,
                       directory.inum(), first, last, leaf_));
    if (!found) return fail(Error{.code = Code::kNotFound});
    ODO_TRY_VOID(fill_entry(store_, leaf_, directory.inum(), entry_));
    if (entry_.name() == name) break;
    if (leaf_.key == last) return fail(Error{.code = Code::kNotFound});
    first = leaf_.key + 1;
  }
  if (leaf_.type == format::BlockType::kInode) {
    return fill_node(leaf_, directory.pfs_root, Error::kUnknown, out);
  }
  Error missing = error_at(Code::kMissingInode, leaf_, directory.inum());
  missing.found = entry_.inum;
  const Result<void> node = node_by_inum(directory, entry_.inum, out);
  if (!node && node.error().code == Code::kNotFound) return fail(missing);
  return node;
}

// --- Data --------------------------------------------------------------------

template <block::BlockDevice Device, CheckPolicy Checks, class Cache>
Result<std::size_t> FileSystem<Device, Checks, Cache>::read(
    const Node& file, std::uint64_t offset, MutableBytes to) {
  if (file.is(ObjectType::kDirectory)) {
    return fail(Error{.code = Code::kIsDirectory});
  }
  if (!file.is(ObjectType::kRegular)) {
    return fail(Error{.code = Code::kNotRegular});
  }
  return read_body(file, offset, to);
}

template <block::BlockDevice Device, CheckPolicy Checks, class Cache>
Result<std::size_t> FileSystem<Device, Checks, Cache>::read_link(
    const Node& link, MutableBytes to) {
  if (!link.is(ObjectType::kSymlink)) {
    return fail(Error{.code = Code::kNotSymlink});
  }
  return read_body(link, 0, to);
}

// What a file or symlink holds, wherever it is kept.
template <block::BlockDevice Device, CheckPolicy Checks, class Cache>
Result<std::size_t> FileSystem<Device, Checks, Cache>::read_body(
    const Node& node, std::uint64_t offset, MutableBytes to) {
  const std::uint64_t size = node.attributes.size;
  if (offset >= size || to.empty()) return std::size_t{0};
  to = to.first(std::min<std::uint64_t>(to.size(), size - offset));
  ODO_TRY(const Pin pin,
          store_.fetch(node.ref, Tree::kDirectory, KeyRange{}, node.inum()));
  if (Store::tree_below(Tree::kDirectory, pin) == Tree::kFile) {
    return read_blocks(node, offset, to);
  }
  // validate_inode() has seen to it that an embedded file's size fits.
  copy_bytes(to, pin.bytes().subspan(offsetof(format::Inode, payload) + offset,
                                     to.size()));
  return to.size();
}

// Tells the device which blocks come next, if it looks so. What is wrong with
// them is for whoever reads them to say.
template <block::BlockDevice Device, CheckPolicy Checks, class Cache>
void FileSystem<Device, Checks, Cache>::read_ahead(const Node& node,
                                                   std::uint64_t offset,
                                                   std::size_t length)
requires block::PrefetchingDevice<Device>
{
  auto [at, end] =
      ahead_.on_read(node.ref.data_off, offset, length, node.attributes.size);
  DeviceHints<Device> hints;
  while (at < end && !hints.full()) {
    const Result<bool> found = first_leaf(store_, node.ref, Tree::kDirectory,
                                          node.inum(), at, end - 1, leaf_);
    if (!found || !*found) return;
    store_.will_fetch(leaf_, Tree::kFile, hints);
    const std::uint64_t last = range_of(leaf_).last;
    if (last >= end) return;
    at = last + 1;
  }
}

// Block by block; `to` ends inside the file. What no block covers is a hole.
template <block::BlockDevice Device, CheckPolicy Checks, class Cache>
Result<std::size_t> FileSystem<Device, Checks, Cache>::read_blocks(
    const Node& node, std::uint64_t offset, MutableBytes to) {
  const std::size_t wanted = to.size();
  if constexpr (block::PrefetchingDevice<Device>) {
    read_ahead(node, offset, wanted);
  }
  using Leaf = const format::Blockref*;
  ODO_TRY_VOID(read_stored(
      store_, node.inum(), offset, to,
      [&](std::uint64_t first, std::uint64_t last) -> Result<Leaf> {
        ODO_TRY(const bool found, first_leaf(store_, node.ref, Tree::kDirectory,
                                             node.inum(), first, last, leaf_));
        return found ? &leaf_ : nullptr;
      }));
  return wanted;
}

}  // namespace odo::hammer2
