// SPDX-License-Identifier: BSD-3-Clause
// Members of Volume that look names up, make inodes and take them away; see
// volume.h.
//
// Contexts: as volume.h says.
#pragma once

#include <algorithm>

#include "lib/hammer2/dir_entry.h"
#include "lib/hammer2/format/dirhash.h"
#include "lib/hammer2/path.h"
#include "lib/hammer2/write/volume.h"

namespace odo::hammer2::write {

// --- Names -------------------------------------------------------------------

template <Ground G>
Result<void> Volume<G>::check_directory(const OpenInode& inode) {
  if (inode.chain->inode().meta.type != ObjectType::kDirectory) {
    return fail(Error{.code = Code::kNotDirectory});
  }
  if (inode.unlinked) return fail(Error{.code = Code::kNotFound});
  return {};
}

template <Ground G>
Result<void> Volume<G>::check_name(std::string_view name) {
  if (name.size() > kMaxNameBytes) {
    return fail(Error{.code = Code::kNameTooLong});
  }
  if (!name_possible(name)) return fail(Error{.code = Code::kInvalid});
  return {};
}

// Whether a directory's leaf is the entry of that name.
template <Ground G>
Result<bool> Volume<G>::has_name(const format::Blockref& ref,
                                 std::string_view name) {
  if (ref.type == format::BlockType::kDirent) {
    const std::size_t length = ref.embed.dirent.name_len;
    if (length != name.size()) return false;
    if (length <= format::kEmbeddedNameBytes) {
      return std::string_view(ref.check.name.data(), length) == name;
    }
    ODO_TRY(const auto pin, media_.store().fetch(ref, hammer2::Tree::kDirectory,
                                                 KeyRange{}, Error::kUnknown));
    return hammer2::detail::as_text(pin.bytes().first(length)) == name;
  }
  ODO_TRY(const auto pin, media_.store().fetch(ref, hammer2::Tree::kDirectory,
                                               KeyRange{}, Error::kUnknown));
  return hammer2::detail::inode_name(pin.bytes()) == name;
}

template <Ground G>
Result<typename Volume<G>::NameSlot> Volume<G>::find_name(
    OpenInode& directory, std::string_view name) {
  const std::uint64_t hash = format::dirhash(name);
  const std::uint64_t last = hash | format::kDirhashCollisionMask;
  NameSlot slot;
  // Writers count up from the hash; readers look at all keys that share it.
  std::uint64_t expected = hash;
  for (std::uint64_t first = hash & ~format::kDirhashCollisionMask;;) {
    ODO_TRY(const Position at, chains_.find(*directory.chain, first, last));
    const std::uint64_t key = at.found() ? at.ref().key : last + 1;
    if (slot.free_key == 0 && expected <= last && key > expected) {
      slot.free_key = expected;
    }
    if (!at.found()) return slot;
    ODO_TRY(const bool same, has_name(at.ref(), name));
    if (same) {
      slot.at = at;
      return slot;
    }
    if (key == last) return slot;
    if (key >= expected) expected = key + 1;
    first = key + 1;
  }
}

// The same, of a directory that keeps entries and not inodes under its names.
template <Ground G>
Result<typename Volume<G>::NameSlot> Volume<G>::find_dirent(
    OpenInode& directory, std::string_view name) {
  ODO_TRY(const NameSlot slot, find_name(directory, name));
  if (slot.at.found() && slot.at.ref().type != format::BlockType::kDirent) {
    return fail(error_at(Code::kBadBlockType, slot.at.ref(), directory.inum));
  }
  return slot;
}

template <Ground G>
Result<OpenInode*> Volume<G>::lookup(OpenInode& directory,
                                     std::string_view name) {
  ODO_TRY_VOID(check_directory(directory));
  if (name.size() > kMaxNameBytes) {
    return fail(Error{.code = Code::kNameTooLong});
  }
  OpenInode& pfs = *directory.pfs;
  if (name == kDot || (name == kDotDot && &directory == &pfs)) {
    hold(directory);
    return &directory;
  }
  if (name == kDotDot) {
    return by_inum(pfs, directory.chain->inode().meta.iparent);
  }
  ODO_TRY_VOID(settle_memory());
  ODO_TRY(const NameSlot slot, find_name(directory, name));
  if (!slot.at.found()) return fail(Error{.code = Code::kNotFound});
  const format::Blockref& ref = slot.at.ref();
  if (ref.type == format::BlockType::kDirent) {
    Error missing = error_at(Code::kMissingInode, ref, directory.inum);
    missing.found = ref.embed.dirent.inum;
    const Result<OpenInode*> inode = take_inum(pfs, ref.embed.dirent.inum);
    if (!inode && inode.error().code == Code::kNotFound) return fail(missing);
    return inode;
  }
  ODO_TRY(Chain * chain, chains_.child(*slot.at.chain, slot.at.index));
  return open_chain(*chain, &pfs);
}

// --- Entries -----------------------------------------------------------------

template <Ground G>
Result<void> Volume<G>::add_entry(OpenInode& directory, std::string_view name,
                                  std::uint64_t key, std::uint64_t inum,
                                  ObjectType type) {
  if (key == 0) return fail(Error{.code = Code::kNoSpace});
  format::Blockref ref = {};
  ref.type = format::BlockType::kDirent;
  ref.methods = metadata_methods(directory.chain->inode(), CompMethod::kNone);
  ref.key = key;
  ref.mirror_tid = open_tid_;
  ref.modify_tid = modify_tid_;
  ref.embed.dirent.inum = inum;
  ref.embed.dirent.name_len = static_cast<std::uint16_t>(name.size());
  ref.embed.dirent.type = type;
  const Bytes text = std::as_bytes(std::span(name.data(), name.size()));
  if (name.size() <= format::kEmbeddedNameBytes) {
    std::copy(name.begin(), name.end(), ref.check.name.begin());
  } else {
    std::array<std::byte, format::kInodeNameBytes> start = {};
    copy_bytes(start, text);
    const MutableBytes block = outgoing_.span().first(format::kMinAllocBytes);
    zero_bytes(block);
    copy_bytes(block, start);
    ODO_TRY(const std::uint64_t offset,
            freemap_.allocate(ref.type, format::kMinRadix));
    ref.data_off = offset | format::kMinRadix;
    seal(ref, block, checks_);
    ODO_TRY_VOID(media_.write(offset, block));
  }
  return chains_.insert(*directory.chain, ref);
}

template <Ground G>
void Volume<G>::remove_entry(const Position& at) {
  retire(at.ref());
  chains_.remove(at, [this](const format::Blockref& ref) { retire(ref); });
}

template <Ground G>
Result<bool> Volume<G>::is_empty(OpenInode& directory) {
  ODO_TRY(const Position at,
          chains_.find(*directory.chain, format::kDirhashVisible,
                       ~std::uint64_t{0}));
  return !at.found();
}

// --- New inodes --------------------------------------------------------------

template <Ground G>
Result<OpenInode*> Volume<G>::make(OpenInode& directory, std::string_view name,
                                   const NewInode& wanted) {
  return make_symlink(directory, name, {}, wanted);
}

template <Ground G>
Result<OpenInode*> Volume<G>::make_symlink(OpenInode& directory,
                                           std::string_view name,
                                           std::string_view target,
                                           const NewInode& wanted) {
  ODO_TRY_VOID(check_directory(directory));
  ODO_TRY_VOID(check_name(name));
  ODO_TRY_VOID(begin(Need::kNormal, 1 + target.size() / kBlockBytes));
  ODO_TRY(const NameSlot slot, find_name(directory, name));
  if (slot.at.found()) return fail(Error{.code = Code::kExists});

  OpenInode& pfs = *directory.pfs;
  format::InodeMeta& root = pfs.chain->inode().meta;
  const std::uint64_t inum = std::max(root.pfs_inum + 1, format::kFirstInum);
  if (inum >= format::kDirhashVisible) {
    return fail(Error{.code = Code::kNoSpace});
  }
  ODO_TRY(Chain * chain, chains_.make_inode(hammer2::Tree::kDirectory));
  const std::uint64_t now = ground_.now_us();
  const format::InodeMeta& above = directory.chain->inode().meta;
  format::Inode& inode = chain->inode();
  inode.meta.version = format::kInodeVersion;
  inode.meta.type = wanted.type;
  inode.meta.mode = wanted.mode & 07777;
  inode.meta.uid = format::uuid_of_unix_id(wanted.uid);
  inode.meta.gid = format::uuid_of_unix_id(wanted.gid);
  inode.meta.rmajor = wanted.rmajor;
  inode.meta.rminor = wanted.rminor;
  inode.meta.ctime_us = now;
  inode.meta.mtime_us = now;
  inode.meta.atime_us = now;
  inode.meta.btime_us = now;
  inode.meta.inum = inum;
  inode.meta.nlinks = 1;
  inode.meta.iparent = directory.inum;
  inode.meta.name_key = inum;
  inode.meta.comp_algo = above.comp_algo;
  inode.meta.check_algo = above.check_algo;
  const auto own_name = format::own_name(inum);
  std::copy(own_name.begin(), own_name.end(), inode.filename.begin());
  inode.meta.name_len = own_name.size();
  if (wanted.type == ObjectType::kRegular ||
      wanted.type == ObjectType::kSymlink) {
    inode.meta.op_flags = format::kInodeDirectData;
  }
  chain->tree = hammer2::tree_below(hammer2::Tree::kDirectory, wanted.type,
                                    inode.meta.op_flags);
  chain->ref.key = inum;
  // Until it is flushed, as it will be then, but for its place and code.
  chain->ref.methods = metadata_methods(
      inode, static_cast<CompMethod>(inode.meta.comp_algo & 15));
  if (const auto done = chains_.insert(*pfs.chain, chain->ref, chain); !done) {
    chains_.free(*chain);
    return fail(done.error());
  }
  const auto undo = [&](const Error& error) -> Result<OpenInode*> {
    if (const auto at = find_inum(pfs, inum)) {
      chains_.detach(*chain);
      remove_entry(*at);
      chains_.free(*chain);
    }
    return fail(error);
  };
  const Result<OpenInode*> opened = open_chain(*chain, &pfs);
  if (!opened) return undo(opened.error());
  const auto unopen = [&](const Error& error) {
    (*opened)->holds = 0;
    while (DataBlock* block = (*opened)->blocks.first()) free_block(*block);
    drop_subtree(*chain);
    close_inode(**opened);
    return undo(error);
  };
  if (!target.empty()) {
    const Bytes text = std::as_bytes(std::span(target.data(), target.size()));
    const auto written = write_content(**opened, 0, text, now);
    if (!written) return unopen(written.error());
  }
  const auto entered =
      add_entry(directory, name, slot.free_key, inum, wanted.type);
  if (!entered) return unopen(entered.error());
  root.pfs_inum = inum;
  touch(directory, now);
  chains_.mark_dirty(*pfs.chain);
  return *opened;
}

template <Ground G>
Result<void> Volume<G>::link(OpenInode& inode, OpenInode& directory,
                             std::string_view name) {
  ODO_TRY_VOID(check_directory(directory));
  ODO_TRY_VOID(check_name(name));
  format::InodeMeta& meta = inode.chain->inode().meta;
  if (meta.type == ObjectType::kDirectory) {
    return fail(Error{.code = Code::kIsDirectory});
  }
  if (inode.pfs != directory.pfs || inode.unlinked) {
    return fail(
        Error{.code = inode.unlinked ? Code::kNotFound : Code::kInvalid});
  }
  if (meta.nlinks >= kMaxLinks) {
    return fail(Error{.code = Code::kTooManyLinks});
  }
  ODO_TRY_VOID(begin(Need::kNormal, 0));
  ODO_TRY(const NameSlot slot, find_name(directory, name));
  if (slot.at.found()) return fail(Error{.code = Code::kExists});
  ODO_TRY_VOID(
      add_entry(directory, name, slot.free_key, inode.inum, meta.type));
  const std::uint64_t now = ground_.now_us();
  ++meta.nlinks;
  meta.ctime_us = now;
  chains_.mark_dirty(*inode.chain);
  touch(directory, now);
  return {};
}

// --- Removal -----------------------------------------------------------------

// One name less; the last takes the inode out of the index. Its blocks stay for
// whoever holds it.
template <Ground G>
Result<void> Volume<G>::drop_link(OpenInode& inode, std::uint64_t now) {
  format::InodeMeta& meta = inode.chain->inode().meta;
  if (meta.nlinks > 1) {
    --meta.nlinks;
    meta.ctime_us = now;
    chains_.mark_dirty(*inode.chain);
    return {};
  }
  ODO_TRY(const Position at, find_inum(*inode.pfs, inode.inum));
  meta.nlinks = 0;
  meta.ctime_us = now;
  chains_.detach(*inode.chain);
  chains_.remove(at, [this](const format::Blockref& ref) { retire(ref); });
  inode.unlinked = true;
  return {};
}

template <Ground G>
Result<void> Volume<G>::remove_name(OpenInode& directory, std::string_view name,
                                    bool folders) {
  ODO_TRY_VOID(check_directory(directory));
  ODO_TRY_VOID(check_name(name));
  ODO_TRY_VOID(begin(Need::kRemoval, 0));
  ODO_TRY(const NameSlot slot, find_dirent(directory, name));
  if (!slot.at.found()) return fail(Error{.code = Code::kNotFound});
  ODO_TRY(OpenInode * inode,
          take_inum(*directory.pfs, slot.at.ref().embed.dirent.inum));
  const auto refuse = [&](Error error) -> Result<void> {
    release(*inode);
    return fail(error);
  };
  const bool is_folder =
      inode->chain->inode().meta.type == ObjectType::kDirectory;
  if (is_folder != folders) {
    return refuse(
        Error{.code = is_folder ? Code::kIsDirectory : Code::kNotDirectory});
  }
  if (is_folder) {
    const Result<bool> empty = is_empty(*inode);
    if (!empty) return refuse(empty.error());
    if (!*empty) return refuse(Error{.code = Code::kNotEmpty});
  }
  const std::uint64_t now = ground_.now_us();
  remove_entry(slot.at);
  const Result<void> dropped = drop_link(*inode, now);
  touch(directory, now);
  release(*inode);
  return dropped;
}

template <Ground G>
Result<void> Volume<G>::unlink(OpenInode& directory, std::string_view name) {
  return remove_name(directory, name, false);
}

template <Ground G>
Result<void> Volume<G>::remove_directory(OpenInode& directory,
                                         std::string_view name) {
  return remove_name(directory, name, true);
}

// --- Reading -----------------------------------------------------------------

template <Ground G>
Result<bool> Volume<G>::read_directory(OpenInode& directory, DirCursor& cursor,
                                       DirEntry& out) {
  if (directory.chain->inode().meta.type != ObjectType::kDirectory) {
    return fail(Error{.code = Code::kNotDirectory});
  }
  if (cursor.at_end) return false;
  ODO_TRY_VOID(settle_memory());
  ODO_TRY(const Position at,
          chains_.find(*directory.chain,
                       std::max(cursor.next_key, format::kDirhashVisible),
                       ~std::uint64_t{0}));
  if (!at.found()) {
    cursor.at_end = true;
    return false;
  }
  ODO_TRY_VOID(
      hammer2::fill_entry(media_.store(), at.ref(), directory.inum, out));
  cursor.pass(at.ref().key);
  return true;
}

}  // namespace odo::hammer2::write
