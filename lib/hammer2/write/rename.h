// SPDX-License-Identifier: BSD-3-Clause
// The member of Volume that moves names; see volume.h.
//
// Contexts: as volume.h says.
// Origin: rename(2) and renameat2(2) for what may replace what.
#pragma once

#include "lib/hammer2/write/volume.h"

namespace odo::hammer2::write {

// Whether `directory` is the directory of that number or lies below it.
template <Ground G>
Result<bool> Volume<G>::is_inside(OpenInode& directory,
                                  std::uint64_t ancestor) {
  // Media may lie: a chain of parents that long is none.
  constexpr unsigned kMostParents = 1U << 16U;
  OpenInode& pfs = *directory.pfs;
  std::uint64_t inum = directory.inum;
  for (unsigned i = 0; i < kMostParents; ++i) {
    if (inum == ancestor) return true;
    if (inum == format::kRootInum) return false;
    ODO_TRY(const Position at, find_inum(pfs, inum));
    ODO_TRY(Chain * chain, chains_.child(*at.chain, at.index));
    inum = chain->inode().meta.iparent;
  }
  return fail(Error{.code = Code::kTooDeep});
}

// After its name has moved.
template <Ground G>
void Volume<G>::move_to(OpenInode& inode, OpenInode& directory,
                        std::uint64_t now) {
  format::InodeMeta& meta = inode.chain->inode().meta;
  meta.iparent = directory.inum;
  meta.ctime_us = now;
  chains_.mark_dirty(*inode.chain);
}

template <Ground G>
Result<void> Volume<G>::rename(OpenInode& from, std::string_view old_name,
                               OpenInode& to, std::string_view new_name,
                               RenameMode mode) {
  ODO_TRY_VOID(check_directory(from));
  ODO_TRY_VOID(check_directory(to));
  ODO_TRY_VOID(check_name(old_name));
  ODO_TRY_VOID(check_name(new_name));
  if (from.pfs != to.pfs) return fail(Error{.code = Code::kInvalid});
  ODO_TRY_VOID(begin(Need::kNormal, 0));
  ODO_TRY(const NameSlot source, find_dirent(from, old_name));
  if (!source.at.found()) return fail(Error{.code = Code::kNotFound});
  ODO_TRY(const NameSlot target, find_dirent(to, new_name));
  if (target.at.found() && mode == RenameMode::kNoReplace) {
    return fail(Error{.code = Code::kExists});
  }
  if (mode == RenameMode::kExchange) {
    if (!target.at.found()) return fail(Error{.code = Code::kNotFound});
    return exchange(from, source.at, to, target.at);
  }
  return replace_entry(from, source.at, to, new_name, target);
}

template <Ground G>
Result<void> Volume<G>::exchange(OpenInode& from, const Position& source,
                                 OpenInode& to, const Position& target) {
  OpenInode& pfs = *from.pfs;
  format::Dirent& one = source.ref().embed.dirent;
  format::Dirent& other = target.ref().embed.dirent;
  if (one.inum == other.inum) return {};
  const auto into_itself = [&](const format::Dirent& moved,
                               OpenInode& folder) -> Result<bool> {
    if (moved.type != ObjectType::kDirectory) return false;
    return is_inside(folder, moved.inum);
  };
  ODO_TRY(const bool old_inside, into_itself(one, to));
  ODO_TRY(const bool new_inside, into_itself(other, from));
  if (old_inside || new_inside) return fail(Error{.code = Code::kInvalid});
  ODO_TRY(OpenInode * first, take_inum(pfs, one.inum));
  const Result<OpenInode*> second = take_inum(pfs, other.inum);
  if (!second) {
    release(*first);
    return fail(second.error());
  }
  std::swap(one.inum, other.inum);
  std::swap(one.type, other.type);
  source.ref().modify_tid = modify_tid_;
  target.ref().modify_tid = modify_tid_;
  chains_.mark_dirty(*source.chain);
  chains_.mark_dirty(*target.chain);
  const std::uint64_t now = ground_.now_us();
  move_to(*first, to, now);
  move_to(**second, from, now);
  touch(from, now);
  touch(to, now);
  release(*first);
  release(**second);
  return {};
}

template <Ground G>
Result<void> Volume<G>::replace_entry(OpenInode& from, const Position& source,
                                      OpenInode& to, std::string_view new_name,
                                      const NameSlot& target) {
  OpenInode& pfs = *from.pfs;
  const format::Dirent moved = source.ref().embed.dirent;
  const std::uint64_t old_key = source.ref().key;
  const bool folder = moved.type == ObjectType::kDirectory;
  if (folder) {
    ODO_TRY(const bool inside, is_inside(to, moved.inum));
    if (inside) return fail(Error{.code = Code::kInvalid});
  }
  OpenInode* replaced = nullptr;
  if (target.at.found()) {
    const format::Dirent old = target.at.ref().embed.dirent;
    if (old.inum == moved.inum) return {};
    const bool onto_folder = old.type == ObjectType::kDirectory;
    if (onto_folder) {
      const Result<bool> inside = is_inside(from, old.inum);
      if (!inside || *inside) {
        return fail(inside ? Error{.code = Code::kNotEmpty} : inside.error());
      }
    }
    ODO_TRY(replaced, take_inum(pfs, old.inum));
    Result<bool> empty = true;
    if (onto_folder) empty = is_empty(*replaced);
    std::optional<Error> error;
    if (folder != onto_folder) {
      error = Error{.code = folder ? Code::kNotDirectory : Code::kIsDirectory};
    } else if (!empty) {
      error = empty.error();
    } else if (!*empty) {
      error = Error{.code = Code::kNotEmpty};
    }
    if (error) {
      release(*replaced);
      return fail(*error);
    }
  }
  const auto give_up = [&](Error error) -> Result<void> {
    if (replaced != nullptr) release(*replaced);
    return fail(error);
  };
  const Result<OpenInode*> inode = take_inum(pfs, moved.inum);
  if (!inode) return give_up(inode.error());
  const std::uint64_t now = ground_.now_us();
  if (replaced != nullptr) {
    format::Blockref& ref = target.at.ref();
    ref.embed.dirent.inum = moved.inum;
    ref.embed.dirent.type = moved.type;
    ref.modify_tid = modify_tid_;
    chains_.mark_dirty(*target.at.chain);
  } else if (const auto added = add_entry(to, new_name, target.free_key,
                                          moved.inum, moved.type);
             !added) {
    release(**inode);
    return give_up(added.error());
  }
  // Once more, as the new entry may have moved it; all of the way to it is in
  // memory, so that nothing can fail.
  const Result<Position> old = chains_.find(*from.chain, old_key, old_key);
  ODO_CHECK(old && old->found());
  remove_entry(*old);
  Result<void> dropped;
  if (replaced != nullptr) {
    dropped = drop_link(*replaced, now);
    release(*replaced);
  }
  move_to(**inode, to, now);
  release(**inode);
  touch(from, now);
  touch(to, now);
  return dropped;
}

}  // namespace odo::hammer2::write
