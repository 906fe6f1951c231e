// SPDX-License-Identifier: BSD-3-Clause
// Members of Volume that keep the intent log; see volume.h and
// docs/hammer2-write.md.
//
// Contexts: as volume.h says.
#pragma once

#include <algorithm>

#include "lib/hammer2/write/volume.h"

namespace odo::hammer2::write {

// --- Writing -----------------------------------------------------------------

// `bytes` of content are new, and attributes may be. What has no name is
// promised to nobody.
template <Ground G>
void Volume<G>::note_change(const OpenInode& inode, std::uint64_t offset,
                            std::uint64_t bytes) {
  if (!log_.enabled() || inode.unlinked) return;
  changes_.note({.pfs = inode.pfs->chain->ref.key,
                 .inum = inode.inum,
                 .offset = offset,
                 .bytes = bytes});
}

// Into the group that is being made; false where there is no room.
template <Ground G>
Result<bool> Volume<G>::log_change(const PendingChange& change) {
  ODO_TRY(OpenInode * inode, logged_inode(change.pfs, change.inum));
  const auto added = [&]() -> Result<bool> {
    if (change.bytes != 0) {
      const MutableBytes to =
          log_.add({.kind = LogKind::kData,
                    .bytes = static_cast<std::uint32_t>(change.bytes),
                    .pfs = change.pfs,
                    .inum = change.inum,
                    .offset = change.offset});
      if (to.empty()) return false;
      ODO_TRY(const std::size_t got, read_content(*inode, change.offset, to));
      if (got != to.size()) return false;
    }
    const MutableBytes to = log_.add({.kind = LogKind::kAttributes,
                                      .bytes = sizeof(LogAttributes),
                                      .pfs = change.pfs,
                                      .inum = change.inum,
                                      .offset = 0});
    if (to.empty()) return false;
    const format::InodeMeta& meta = inode->chain->inode().meta;
    const LogAttributes attributes = {.ctime_us = meta.ctime_us,
                                      .mtime_us = meta.mtime_us,
                                      .atime_us = meta.atime_us,
                                      .btime_us = meta.btime_us,
                                      .uid = meta.uid,
                                      .gid = meta.gid,
                                      .mode = meta.mode,
                                      .uflags = meta.uflags};
    copy_bytes(to, bytes_of(attributes));
    return true;
  }();
  release(*inode);
  return added;
}

template <Ground G>
Result<std::optional<SyncTicket>> Volume<G>::begin_log() {
  constexpr std::nullopt_t kNot = std::nullopt;
  if (read_only()) return fail(Error{.code = Code::kReadOnly});
  if (!log_.enabled() || changes_.spoilt() || sync_.pending()) return kNot;
  if (changes_.all().empty()) {
    return SyncTicket{
        .logged = log_.durable() == log_.appended() ? 0 : log_.appended()};
  }
  ODO_TRY(const bool possible, log_.take_blocks(freemap_));
  // Opening anew must have room for all of it at once.
  std::uint64_t quads = 0;
  for (const PendingChange& change : changes_.all()) {
    quads += change.bytes / kBlockBytes + 2;
  }
  if (!possible || !has_room(Need::kNormal, logged_quads_ + quads)) return kNot;
  log_.begin();
  for (const PendingChange& change : changes_.all()) {
    const Result<bool> added = log_change(change);
    // A header is tried then, and meets with the same.
    if (!added.value_or(false)) return kNot;
  }
  ODO_TRY(const bool appended, log_.append());
  if (!appended) return kNot;
  changes_.clear();
  logged_quads_ += quads;
  return SyncTicket{.logged = log_.appended()};
}

// A header that has it all is durable.
template <Ground G>
void Volume<G>::rebase_log() {
  log_.rebase({.tid = header().mirror_tid, .crc = header().icrc_volheader});
  logged_quads_ = 0;
}

// --- Reading back ------------------------------------------------------------

// Held.
template <Ground G>
Result<OpenInode*> Volume<G>::logged_inode(std::uint64_t pfs,
                                           std::uint64_t inum) {
  ODO_TRY(const Position at, chains_.find(chains_.super_root(), pfs, pfs));
  if (!at.found()) return fail(Error{.code = Code::kNotFound});
  ODO_TRY(Chain * chain, chains_.child(*at.chain, at.index));
  if (!chain->is_inode() ||
      chain->inode().meta.type != ObjectType::kDirectory) {
    return fail(error_at(Code::kBadInode, chain->ref));
  }
  ODO_TRY(OpenInode * root, open_chain(*chain, nullptr));
  const Result<OpenInode*> inode = take_inum(*root, inum);
  release(*root);
  return inode;
}

template <Ground G>
Result<void> Volume<G>::redo(const LogRecord& record, Bytes content) {
  ODO_TRY_VOID(settle_memory());
  const Result<OpenInode*> found = logged_inode(record.pfs, record.inum);
  // None that we log names nothing.
  if (!found && found.error().code == Code::kNotFound) return {};
  if (!found) return fail(found.error());
  OpenInode& inode = **found;
  format::InodeMeta& meta = inode.chain->inode().meta;
  Result<void> done;
  if (record.kind == LogKind::kData) {
    if (meta.type == ObjectType::kRegular && !content.empty() &&
        range_inside(record.offset, content.size(), kMaxFileBytes)) {
      done = write_content(inode, record.offset, content, meta.mtime_us);
    }
  } else if (content.size() == sizeof(LogAttributes)) {
    LogAttributes attributes;
    copy_bytes(mutable_bytes_of(attributes), content);
    meta.ctime_us = attributes.ctime_us;
    meta.mtime_us = attributes.mtime_us;
    meta.atime_us = attributes.atime_us;
    meta.btime_us = attributes.btime_us;
    meta.uid = attributes.uid;
    meta.gid = attributes.gid;
    meta.mode = attributes.mode & 07777;
    meta.uflags = attributes.uflags;
    chains_.mark_dirty(*inode.chain);
  }
  release(inode);
  return done;
}

template <Ground G>
Result<void> Volume<G>::redo_group(Bytes records) {
  while (records.size() >= sizeof(LogRecord)) {
    LogRecord record;
    copy_bytes(mutable_bytes_of(record), records.first(sizeof record));
    records = records.subspan(sizeof record);
    const std::size_t padded = align_up(std::size_t{record.bytes}, 8);
    if (padded > records.size()) return {};
    ODO_TRY_VOID(redo(record, records.first(record.bytes)));
    records = records.subspan(padded);
  }
  return {};
}

// Does anew what the log says, and makes it durable. Nothing is written over
// that the log has, so that whoever is cut off in the middle begins again.
template <Ground G>
Result<void> Volume<G>::redo_log() {
  const LogBase base{.tid = header().mirror_tid,
                     .crc = header().icrc_volheader};
  ODO_TRY(const bool any, log_.find(base, freemap_.allocator_beg()));
  if (any) {
    if (log_mutation<G>() != LogMutation::kBlocksFree) {
      for (const std::uint64_t block : log_.blocks()) {
        ODO_TRY_VOID(freemap_.mark_taken(block, format::kMaxRadix));
      }
    }
    for (;;) {
      ODO_TRY(const Bytes records, log_.next());
      if (records.empty()) break;
      ODO_TRY_VOID(redo_group(records));
    }
    log_.forget_blocks();
    ODO_TRY_VOID(commit());
  }
  rebase_log();
  return {};
}

}  // namespace odo::hammer2::write
