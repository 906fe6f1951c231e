// SPDX-License-Identifier: BSD-3-Clause
// The members of FileSystem; see filesystem.h, which includes this.
//
// Contexts: as filesystem.h says.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
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

template <block::BlockDevice Device, CheckPolicy Checks, class Cache>
Result<void> FileSystem<Device, Checks, Cache>::find_pfs(std::string_view label,
                                                         Pfs& out) {
  DirCursor cursor;
  for (;;) {
    ODO_TRY(const bool found, next_pfs(cursor, out));
    if (!found) return fail(Error{.code = Code::kNoSuchPfs});
    if (out.label() == label) return {};
  }
}

template <block::BlockDevice Device, CheckPolicy Checks, class Cache>
Result<void> FileSystem<Device, Checks, Cache>::default_pfs(Pfs& out) {
  constexpr std::array<std::string_view, 3> kUsual = {"ROOT", "DATA", "BOOT"};
  // Keys of the last PFS seen of each sort, and of the best usual label.
  std::uint64_t any_key = 0;
  std::uint64_t own_key = 0;
  std::uint64_t usual_key = 0;
  std::size_t any = 0;
  std::size_t own = 0;
  std::size_t usual = kUsual.size();
  DirCursor cursor;
  for (;;) {
    ODO_TRY(const bool found, next_pfs(cursor, out));
    if (!found) break;
    const std::uint64_t key = out.root.key;
    any_key = key;
    ++any;
    if (out.label() != kLocalLabel &&
        out.subtype == format::PfsSubtype::kNone) {
      own_key = key;
      ++own;
    }
    for (std::size_t i = 0; i < usual; ++i) {
      if (out.label() == kUsual[i]) {
        usual_key = key;
        usual = i;
      }
    }
  }
  DirCursor chosen;
  if (any == 1) {
    chosen.next_key = any_key;
  } else if (own == 1) {
    chosen.next_key = own_key;
  } else if (usual != kUsual.size()) {
    chosen.next_key = usual_key;
  } else {
    return fail(Error{.code = Code::kNoDefaultPfs});
  }
  ODO_TRY(const bool found, next_pfs(chosen, out));
  if (!found) return fail(Error{.code = Code::kNoDefaultPfs});
  return {};
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
  ODO_TRY(const bool found, first_leaf(store_, any.pfs_root, Tree::kDirectory,
                                       format::kRootInum, inum, inum, leaf_));
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
                     ~std::uint64_t{0}, leaf_));
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

// --- Paths -------------------------------------------------------------------

template <block::BlockDevice Device, CheckPolicy Checks, class Cache>
Result<void> FileSystem<Device, Checks, Cache>::resolve(const Node& start,
                                                        std::string_view name,
                                                        FollowLast follow,
                                                        Node& out) {
  if (name.empty()) return fail(Error{.code = Code::kNotFound});
  Path path(name, path_buffer_);
  if (path.absolute()) {
    ODO_TRY_VOID(
        fill_node(start.pfs_root, start.pfs_root, Error::kUnknown, out));
  } else {
    out = start;
  }
  unsigned links = 0;
  std::string_view component;
  bool directory_wanted = path.absolute();
  while (path.next(component)) {
    ODO_TRY_VOID(lookup(out, component, next_));
    directory_wanted = !path.at_last();
    if (next_.is(ObjectType::kSymlink) &&
        (directory_wanted || follow == FollowLast::kYes)) {
      if (++links > kMaxSymlinks) {
        return fail(Error{.code = Code::kSymlinkLoop});
      }
      ODO_TRY_VOID(follow_link(path, out));
    } else {
      out = next_;
    }
  }
  if (directory_wanted && !out.is(ObjectType::kDirectory)) {
    return fail(Error{.code = Code::kNotDirectory});
  }
  return {};
}

// Puts the target of the symlink next_ in front of `path`, to be walked from
// `at`, the directory that holds it.
template <block::BlockDevice Device, CheckPolicy Checks, class Cache>
Result<void> FileSystem<Device, Checks, Cache>::follow_link(Path& path,
                                                            Node& at) {
  const std::uint64_t length = next_.attributes.size;
  // An empty target names nothing.
  if (length == 0) return fail(Error{.code = Code::kNotFound});
  if (length > Path::kBufferBytes) {
    return fail(Error{.code = Code::kNameTooLong});
  }
  const MutableBytes room = path.make_room(static_cast<std::size_t>(length));
  if (room.empty()) return fail(Error{.code = Code::kNameTooLong});
  ODO_TRY_VOID(read_body(next_, 0, room));
  if (!path.absolute()) return {};
  return fill_node(at.pfs_root, at.pfs_root, Error::kUnknown, at);
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
