// SPDX-License-Identifier: BSD-3-Clause
// What the inodes and directory entries of one PFS must say about each other:
// link counts, types, parents, numbers. The walk tells it of each; finish()
// judges when all have been seen.
//
// Contexts: thread, one at a time.
// Failure: where blocks of the index or of directories couldn't be read, what
//   can't be decided without them isn't judged, and a note says so.
// Complexity: finish() is linear in the number of inodes.
// Origin: hammer2_inode.c and hammer2_vnops.c (nlinks, iparent); directories
//   keep a link count of 1 in genuine images.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/hammer2/check/examine.h"
#include "lib/hammer2/check/inodes.h"
#include "lib/hammer2/check/reporter.h"
#include "lib/hammer2/format/inode.h"

namespace odo::hammer2::audit {

template <Observer O>
class PfsAudit {
 public:
  explicit PfsAudit(Reporter<O>& reporter) : reporter_(reporter) {}

  void init(MutableBytes memory) { table_.reset(memory); }
  [[nodiscard]] InodeTable& table() { return table_; }

  void begin() {
    table_.clear();
    lost_index_ = false;
    lost_entries_ = false;
    table_full_ = false;
    last_inum_ = 0;
    highest_inum_ = 0;
    root_seen_ = false;
  }

  // The root, whose inode says which number was given last.
  void root(const InodeRecord& inode, std::uint64_t last_inum) {
    last_inum_ = last_inum;
    root_seen_ = true;
    if (InodeRecord* record = add(format::kRootInum)) {
      fill(*record, inode);
      record->entries = 1;
      record->parent = format::kRootInum;
      record->entry_type = inode.type;
    }
  }

  void inode(const InodeRecord& inode, const format::Blockref& ref) {
    if (inode.inum >= format::kDirhashVisible) {
      reporter_.emit(Rule::kInodeNumber,
                     error_at(Code::kBadInode, ref, inode.inum));
      return;
    }
    if (inode.inum > highest_inum_) highest_inum_ = inode.inum;
    InodeRecord* record = add(inode.inum);
    if (record == nullptr) return;
    if (record->present) {
      reporter_.emit(Rule::kDuplicateInode,
                     error_at(Code::kBadInode, ref, inode.inum));
      return;
    }
    fill(*record, inode);
  }

  void entry(const format::Blockref& ref, std::uint64_t directory,
             std::uint64_t inum, format::ObjectType type) {
    if (inum == 0 || inum >= format::kDirhashVisible) {
      Error at = error_at(Code::kMissingInode, ref, directory);
      at.found = inum;
      reporter_.emit(Rule::kMissingInode, at);
      return;
    }
    InodeRecord* record = add(inum);
    if (record == nullptr) return;
    if (record->entries++ == 0) {
      record->parent = directory;
      record->key = ref.key;
      record->entry_type = type;
    } else if (record->entry_type != type) {
      record->type_clash = true;
    }
  }

  // The block of `task` can't be followed.
  void lost(const Task& task) {
    if (task.tree == Tree::kSuperRoot) lost_index_ = lost_entries_ = true;
    if (task.tree != Tree::kDirectory) return;
    const bool index = in_index(task);
    switch (task.ref.type) {
      case format::BlockType::kInode:
        if (!index) {
          lost_entries_ = true;
        } else if (InodeRecord* record = add(task.ref.key)) {
          record->present = true;
          record->offset = task.ref.offset();
        }
        break;
      case format::BlockType::kIndirect:
        lost_index_ |= index;
        lost_entries_ = true;
        break;
      default:
        break;
    }
  }
  // Entries of a block that can't be used.
  void lost_some(bool index) {
    lost_index_ |= index;
    lost_entries_ = true;
  }

  void finish() {
    if (table_full_) {
      reporter_.emit(Rule::kIncomplete, Error{.code = Code::kNoMemory},
                     text("inodes of this PFS: too many for the memory"));
      return;
    }
    // Of a directory that can't be read, the entries are lost.
    for (const InodeRecord& record : table_.slots()) {
      if (record.inum != InodeRecord::kEmpty && record.present &&
          !record.readable &&
          (record.entries == 0 ||
           record.entry_type == format::ObjectType::kDirectory)) {
        lost_entries_ = true;
      }
    }
    for (InodeRecord& record : table_.slots()) {
      if (record.inum != InodeRecord::kEmpty) judge(record);
    }
    find_detached();
    if (root_seen_ && highest_inum_ > last_inum_ &&
        highest_inum_ != format::kRootInum) {
      Error at{.code = Code::kBadInode};
      at.inum = format::kRootInum;
      reporter_.emit(Rule::kLastInode, at, last_inum_, highest_inum_);
    }
    if (lost_index_) {
      reporter_.emit_note(
          Rule::kIncomplete,
          text("entries without an inode: a part of the index is lost"));
    }
    if (lost_entries_) {
      reporter_.emit_note(
          Rule::kIncomplete,
          text("missing directory entries: a part of a directory is lost"));
    }
  }

 private:
  template <std::size_t N>
  [[nodiscard]] static constexpr std::string_view text(
      const char (&literal)[N]) {
    return {literal, N - 1};
  }

  [[nodiscard]] InodeRecord* add(std::uint64_t inum) {
    InodeRecord* record = table_full_ ? nullptr : table_.find_or_add(inum);
    if (record == nullptr) table_full_ = true;
    return record;
  }
  // Keeps what entries have said.
  static void fill(InodeRecord& record, const InodeRecord& inode) {
    record.nlinks = inode.nlinks;
    record.iparent = inode.iparent;
    record.offset = inode.offset;
    record.type = inode.type;
    record.present = true;
    record.readable = true;
  }

  [[nodiscard]] static Error at_inode(const InodeRecord& record) {
    Error at{.code = Code::kBadInode};
    at.type = format::BlockType::kInode;
    at.bytes = format::kInodeBytes;
    at.offset = record.offset;
    at.inum = record.inum;
    return at;
  }

  void judge(const InodeRecord& record) {
    if (!record.present) {
      if (lost_index_) return;
      Error at{.code = Code::kMissingInode};
      at.type = format::BlockType::kDirent;
      at.inum = record.parent;
      at.key = record.key;
      at.found = record.inum;
      reporter_.emit(Rule::kMissingInode, at);
      return;
    }
    if (!record.readable) return;
    const bool too_few = record.entries < record.nlinks;
    if (record.entries == 0) {
      // Legal: `hammer2 destroy` takes the entry and leaves the inode's count.
      if (!lost_entries_) reporter_.emit(Rule::kUnlinked, at_inode(record));
    } else if (record.entries != record.nlinks && !(too_few && lost_entries_)) {
      reporter_.emit(Rule::kLinkCount, at_inode(record), record.nlinks,
                     record.entries);
    }
    if (record.entries == 0) return;
    if (record.type_clash || record.entry_type != record.type) {
      reporter_.emit(Rule::kEntryType, at_inode(record),
                     static_cast<std::uint64_t>(record.entry_type),
                     static_cast<std::uint64_t>(record.type));
    }
    if (record.type == format::ObjectType::kDirectory &&
        record.inum != format::kRootInum && record.iparent != record.parent) {
      reporter_.emit(Rule::kParent, at_inode(record), record.iparent,
                     record.parent);
    }
  }

  // Climbs from each directory until it is known where that leads; a climb that
  // meets itself has found directories that hold only each other.
  void find_detached() {
    constexpr std::uint32_t kKnown = 1;
    std::uint32_t stamp = kKnown;
    for (InodeRecord& start : table_.slots()) {
      if (start.inum == InodeRecord::kEmpty || start.mark != 0) continue;
      if (start.type != format::ObjectType::kDirectory) continue;
      ++stamp;
      InodeRecord* at = &start;
      while (at != nullptr && at->mark == 0) {
        at->mark = stamp;
        if (at->inum == format::kRootInum || at->entries == 0) break;
        at = table_.find(at->parent);
      }
      // Marks of this climb met again, other than at the root.
      if (at != nullptr && at->mark == stamp && at->entries != 0 &&
          at->inum != format::kRootInum) {
        reporter_.emit(Rule::kDetached, at_inode(*at));
      }
    }
  }

  Reporter<O>& reporter_;
  InodeTable table_;
  std::uint64_t last_inum_ = 0;
  std::uint64_t highest_inum_ = 0;
  bool lost_index_ = false;    // inodes may be missing
  bool lost_entries_ = false;  // directory entries may be missing
  bool table_full_ = false;
  bool root_seen_ = false;
};

}  // namespace odo::hammer2::audit
