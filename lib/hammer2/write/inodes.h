// SPDX-License-Identifier: BSD-3-Clause
// Members of Volume that hold inodes and change their attributes; see volume.h.
//
// Contexts: as volume.h says.
#pragma once

#include "lib/hammer2/write/volume.h"

namespace odo::hammer2::write {

namespace detail {

// As InodeMeta::comp_algo keeps it.
[[nodiscard]] inline std::uint8_t encode_algorithm(unsigned method,
                                                   unsigned level) {
  return static_cast<std::uint8_t>(method | level << 4U);
}

}  // namespace detail

// Blocks that aren't file data always have a check code: a file's data may do
// without, a volume that can't tell damage from structure may not.
template <Ground G>
std::uint8_t Volume<G>::metadata_methods(const format::Inode& of,
                                         CompMethod comp) {
  auto check = static_cast<CheckMethod>(of.meta.check_algo & 15);
  if (check < CheckMethod::kIscsi32 || check > CheckMethod::kFreemap) {
    check = CheckMethod::kXxhash64;
  }
  return format::encode_methods(check, comp);
}

// Holds the inode of a chain, which stays in memory meanwhile.
template <Ground G>
Result<OpenInode*> Volume<G>::open_chain(Chain& chain, OpenInode* pfs) {
  if (chain.open != nullptr) {
    ++chain.open->holds;
    return chain.open;
  }
  void* memory = ground_.allocate(sizeof(OpenInode), alignof(OpenInode));
  if (memory == nullptr) return fail(no_memory(sizeof(OpenInode)));
  auto* inode = ::new (memory) OpenInode;
  inode->chain = &chain;
  inode->pfs = pfs != nullptr ? pfs : inode;
  inode->inum = chain.inode().meta.inum;
  inode->holds = 1;
  if (pfs != nullptr) ++pfs->holds;
  chain.open = inode;
  ++chain.pins;
  open_.push_back(*inode);
  return inode;
}

template <Ground G>
void Volume<G>::release(OpenInode& inode) {
  ODO_ASSERT(inode.holds != 0);
  if (--inode.holds != 0) return;
  // Data that wait to be written keep their inode; see store_block().
  if (inode.unlinked) {
    while (DataBlock* block = inode.blocks.first()) free_block(*block);
    drop_subtree(*inode.chain);
  }
  if (inode.blocks.first() == nullptr) close_inode(inode);
}

template <Ground G>
void Volume<G>::close_inode(OpenInode& inode) {
  Chain* chain = inode.chain;
  OpenInode* pfs = inode.pfs != &inode ? inode.pfs : nullptr;
  const bool unlinked = inode.unlinked;
  open_.erase(inode);
  inode.~OpenInode();
  ground_.deallocate(&inode, sizeof(OpenInode), alignof(OpenInode));
  chain->open = nullptr;
  --chain->pins;
  if (unlinked) chains_.free(*chain);
  if (pfs != nullptr) release(*pfs);
}

template <Ground G>
Result<Position> Volume<G>::find_inum(OpenInode& root, std::uint64_t inum) {
  if (inum >= format::kDirhashVisible) {
    return fail(Error{.code = Code::kNotFound});
  }
  ODO_TRY(const Position at, chains_.find(*root.chain, inum, inum));
  if (!at.found()) return fail(Error{.code = Code::kNotFound});
  if (at.ref().type != format::BlockType::kInode) {
    return fail(error_at(Code::kBadBlockType, at.ref(), inum));
  }
  return at;
}

template <Ground G>
Result<OpenInode*> Volume<G>::by_inum(OpenInode& root, std::uint64_t inum) {
  ODO_TRY_VOID(settle_memory());
  return take_inum(*root.pfs, inum);
}

// In the middle of an operation, which has settled already.
template <Ground G>
Result<OpenInode*> Volume<G>::take_inum(OpenInode& pfs, std::uint64_t inum) {
  if (inum == format::kRootInum) {
    hold(pfs);
    return &pfs;
  }
  ODO_TRY(const Position at, find_inum(pfs, inum));
  ODO_TRY(Chain * chain, chains_.child(*at.chain, at.index));
  if (chain->inode().meta.inum != inum) {
    return fail(error_at(Code::kBadInode, chain->ref, inum));
  }
  return open_chain(*chain, &pfs);
}

template <Ground G>
Attributes Volume<G>::attributes(const OpenInode& inode) const {
  Attributes attributes;
  hammer2::detail::fill_attributes(Bytes(inode.chain->bytes, inode.chain->size),
                                   inode.chain->ref, attributes);
  return attributes;
}

template <Ground G>
void Volume<G>::touch(OpenInode& inode, std::uint64_t now) {
  format::InodeMeta& meta = inode.chain->inode().meta;
  meta.mtime_us = now;
  meta.ctime_us = now;
  chains_.mark_dirty(*inode.chain);
}

template <Ground G>
Result<void> Volume<G>::set_attributes(OpenInode& inode,
                                       const Changes& changes) {
  const auto known = [](auto method, auto most) { return method <= most; };
  if ((changes.comp && !known(*changes.comp, CompMethod::kZlib)) ||
      (changes.comp_level && *changes.comp_level > 9) ||
      (changes.check && !known(*changes.check, CheckMethod::kFreemap))) {
    return fail(Error{.code = Code::kInvalid});
  }
  // How file data are stored the log doesn't say.
  const bool storing = changes.comp || changes.comp_level || changes.check;
  ODO_TRY_VOID(storing ? begin(Need::kNormal, 0) : make_room(Need::kNormal, 0));
  format::InodeMeta& meta = inode.chain->inode().meta;
  if (changes.mode) meta.mode = *changes.mode & 07777;
  if (changes.uid) meta.uid = format::uuid_of_unix_id(*changes.uid);
  if (changes.gid) meta.gid = format::uuid_of_unix_id(*changes.gid);
  if (changes.uflags) meta.uflags = *changes.uflags;
  if (changes.atime_us) meta.atime_us = *changes.atime_us;
  if (changes.mtime_us) meta.mtime_us = *changes.mtime_us;
  if (changes.btime_us) meta.btime_us = *changes.btime_us;
  if (changes.comp) {
    meta.comp_algo =
        detail::encode_algorithm(static_cast<unsigned>(*changes.comp),
                                 changes.comp_level ? *changes.comp_level : 0);
  }
  if (changes.check) {
    meta.check_algo = static_cast<std::uint8_t>(*changes.check);
  }
  meta.ctime_us = changes.ctime_us ? *changes.ctime_us : ground_.now_us();
  chains_.mark_dirty(*inode.chain);
  note_change(inode, 0, 0);
  return {};
}

}  // namespace odo::hammer2::write
