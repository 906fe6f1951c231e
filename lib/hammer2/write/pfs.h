// SPDX-License-Identifier: BSD-3-Clause
// Members of Volume that deal with whole PFSs; see volume.h.
//
// A snapshot is a PFS whose root inode has the references of another's: all
// below is shared until either changes it.
//
// Contexts: as volume.h says.
// Origin: hammer2_ioctl.c (pfs_create, pfs_snapshot, pfs_delete).
#pragma once

#include <algorithm>

#include "lib/hammer2/format/dirhash.h"
#include "lib/hammer2/write/pfs_root.h"
#include "lib/hammer2/write/volume.h"

namespace odo::hammer2::write {

template <Ground G>
Result<bool> Volume<G>::next_pfs(DirCursor& cursor, Pfs& out) {
  if (cursor.at_end) return false;
  ODO_TRY_VOID(settle_memory());
  ODO_TRY(const Position at, chains_.find(chains_.super_root(), cursor.next_key,
                                          ~std::uint64_t{0}));
  if (!at.found()) {
    cursor.at_end = true;
    return false;
  }
  ODO_TRY(Chain * chain, chains_.child(*at.chain, at.index));
  ODO_TRY_VOID(hammer2::detail::fill_pfs(Bytes(chain->bytes, chain->size),
                                         chain->ref, out));
  cursor.pass(chain->ref.key);
  return true;
}

template <Ground G>
Result<void> Volume<G>::check_label(std::string_view label) {
  if (label.size() > kMaxNameBytes) {
    return fail(Error{.code = Code::kNameTooLong});
  }
  if (!name_possible(label)) return fail(Error{.code = Code::kInvalid});
  return {};
}

// The root of that label, null if there is none, and a key that is free for it.
template <Ground G>
Result<typename Volume<G>::LabelSlot> Volume<G>::find_label(
    std::string_view label) {
  LabelSlot slot;
  slot.free_key = format::dirhash(label);
  const std::uint64_t last = slot.free_key | format::kDirhashCollisionMask;
  for (std::uint64_t first = slot.free_key & ~format::kDirhashCollisionMask;;) {
    ODO_TRY(const Position at, chains_.find(chains_.super_root(), first, last));
    if (!at.found()) return slot;
    const std::uint64_t key = at.ref().key;
    ODO_TRY(Chain * chain, chains_.child(*at.chain, at.index));
    if (hammer2::detail::inode_name(Bytes(chain->bytes, chain->size)) ==
        label) {
      slot.chain = chain;
      return slot;
    }
    if (key == slot.free_key) ++slot.free_key;
    if (key == last) return slot;
    first = key + 1;
  }
}

template <Ground G>
Result<Chain*> Volume<G>::existing_root(std::string_view label) {
  ODO_TRY(const LabelSlot slot, find_label(label));
  if (slot.chain == nullptr) return fail(Error{.code = Code::kNoSuchPfs});
  if (slot.chain->inode().meta.type != ObjectType::kDirectory) {
    return fail(error_at(Code::kBadInode, slot.chain->ref));
  }
  return slot.chain;
}

template <Ground G>
Result<OpenInode*> Volume<G>::open_pfs(std::string_view label) {
  ODO_TRY_VOID(settle_memory());
  ODO_TRY(Chain * chain, existing_root(label));
  return open_chain(*chain, nullptr);
}

// Puts a root into the super-root, under a label that is not in use.
template <Ground G>
Result<void> Volume<G>::add_root(Chain& chain, std::string_view label) {
  ODO_TRY(const LabelSlot slot, find_label(label));
  if (slot.chain != nullptr) return fail(Error{.code = Code::kExists});
  name_root(chain.inode(), label, slot.free_key);
  chain.ref.key = slot.free_key;
  chain.ref.flags = format::kRefPfsRoot;
  return chains_.insert(chains_.super_root(), chain.ref, &chain);
}

template <Ground G>
void Volume<G>::new_identity(format::Inode& inode) {
  for (format::Uuid* uuid : {&inode.meta.pfs_clid, &inode.meta.pfs_fsid}) {
    ground_.fill_random(mutable_bytes_of(*uuid));
    mark_random(*uuid);
  }
}

template <Ground G>
Result<Chain*> Volume<G>::make_root() {
  ODO_TRY(Chain * chain, chains_.make_inode(hammer2::Tree::kSuperRoot));
  chain->tree = hammer2::Tree::kDirectory;
  return chain;
}

template <Ground G>
Result<void> Volume<G>::create_pfs(std::string_view label) {
  ODO_TRY_VOID(check_label(label));
  ODO_TRY_VOID(begin(Need::kNormal, 0));
  ODO_TRY(Chain * chain, make_root());
  chain->inode() = new_root(label, ground_.now_us());
  new_identity(chain->inode());
  const Result<void> added = add_root(*chain, label);
  if (!added) chains_.free(*chain);
  return added;
}

template <Ground G>
Result<void> Volume<G>::snapshot(OpenInode& root, std::string_view label) {
  ODO_TRY_VOID(check_label(label));
  ODO_TRY_VOID(begin(Need::kNormal, 0));
  OpenInode& pfs = *root.pfs;
  // So that no block is shared that could still be written in its place.
  ODO_TRY_VOID(commit());
  changes_.spoil();
  ODO_TRY(Chain * chain, make_root());
  chain->inode() = pfs.chain->inode();
  chain->count = pfs.chain->count;
  format::InodeMeta& meta = chain->inode().meta;
  meta.pfs_type = format::PfsType::kMaster;
  meta.pfs_subtype = format::PfsSubtype::kSnapshot;
  meta.pfs_lsnap_tid = open_tid_;
  new_identity(chain->inode());
  const Result<void> added = add_root(*chain, label);
  if (!added) {
    chains_.free(*chain);
    return added;
  }
  pfs.chain->inode().meta.pfs_lsnap_tid = open_tid_;
  chains_.mark_dirty(*pfs.chain);
  return {};
}

// Whatever is in memory of a PFS that is going away, with its own root.
template <Ground G>
Result<void> Volume<G>::drop_root(Chain& chain) {
  if (chain.open != nullptr) return fail(Error{.code = Code::kBusy});
  ODO_TRY(const Position at,
          chains_.find(chains_.super_root(), chain.ref.key, chain.ref.key));
  drop_subtree(chain);
  chains_.detach(chain);
  remove_entry(at);
  return {};
}

template <Ground G>
Result<void> Volume<G>::delete_pfs(std::string_view label) {
  ODO_TRY_VOID(begin(Need::kRemoval, 0));
  // Files with data to be written hold their PFS.
  ODO_TRY_VOID(store_old_blocks(0));
  ODO_TRY(Chain * chain, existing_root(label));
  ODO_TRY_VOID(drop_root(*chain));
  chains_.free(*chain);
  return {};
}

template <Ground G>
Result<void> Volume<G>::rename_pfs(std::string_view from, std::string_view to) {
  ODO_TRY_VOID(check_label(to));
  ODO_TRY_VOID(begin(Need::kNormal, 0));
  ODO_TRY(Chain * chain, existing_root(from));
  ODO_TRY(const LabelSlot target, find_label(to));
  if (target.chain != nullptr) return fail(Error{.code = Code::kExists});
  ODO_TRY(const Position at,
          chains_.find(chains_.super_root(), chain->ref.key, chain->ref.key));
  const format::Blockref old = at.ref();
  chains_.detach(*chain);
  chains_.remove(at, [this](const format::Blockref& ref) { retire(ref); });
  name_root(chain->inode(), to, target.free_key);
  chain->ref.key = target.free_key;
  if (const auto done = chains_.insert(chains_.super_root(), chain->ref, chain);
      !done) {
    // Where it was there is room.
    name_root(chain->inode(), from, old.key);
    chain->ref.key = old.key;
    const auto undone = chains_.insert(chains_.super_root(), old, chain);
    ODO_CHECK(undone.has_value());
    return done;
  }
  chains_.mark_dirty(*chain);
  return {};
}

template <Ground G>
Result<void> Volume<G>::roll_back(std::string_view label,
                                  std::string_view source) {
  ODO_TRY_VOID(begin(Need::kNormal, 0));
  ODO_TRY_VOID(commit());
  changes_.spoil();
  ODO_TRY(Chain * to, existing_root(label));
  if (to->open != nullptr) return fail(Error{.code = Code::kBusy});
  ODO_TRY(Chain * from, existing_root(source));
  if (to == from) return {};
  drop_subtree(*to);
  format::Inode& inode = to->inode();
  const format::Inode& wanted = from->inode();
  inode.meta.mode = wanted.meta.mode;
  inode.meta.uid = wanted.meta.uid;
  inode.meta.gid = wanted.meta.gid;
  inode.meta.uflags = wanted.meta.uflags;
  inode.meta.mtime_us = wanted.meta.mtime_us;
  inode.meta.ctime_us = ground_.now_us();
  inode.meta.comp_algo = wanted.meta.comp_algo;
  inode.meta.check_algo = wanted.meta.check_algo;
  // Numbers that were given out once are not given out again.
  inode.meta.pfs_inum = std::max(inode.meta.pfs_inum, wanted.meta.pfs_inum);
  inode.payload = wanted.payload;
  to->count = from->count;
  chains_.mark_dirty(*to);
  return {};
}

}  // namespace odo::hammer2::write
