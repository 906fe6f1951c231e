// SPDX-License-Identifier: BSD-3-Clause
// Walks everything below the super-root, one PFS after the other, batch by
// batch: the references on top of a stack are claimed in the map of space,
// read and proven on the workers, and then settled in order: findings told,
// inodes and entries counted, references below pushed. While the workers are at
// one batch the one before it is settled and the next one is made.
//
// Contexts: thread, one at a time; blocks where the devices do.
// Bounds: kMaxDepth levels of blocks inside each other, beyond which a block is
//   kTooDeep; kStackTasks references waiting. A block of references is read
//   once in each PFS that reaches it, and of such repetitions there are at most
//   as many as the limit says; a data block is read once for each description
//   of it. So the work is bounded by the distinct references and the limit.
// Invariants:
//   W1. a batch is only as large as the stack has room for all references of
//       its blocks, leaving kReserveTasks free.
//   W2. with less room than that, batches are of one task, the last pushed; a
//       task at depth d leads to fewer than (kMaxDepth - d) * kBlockRefs
//       waiting tasks then, so that the reserve suffices.
// Failure: findings; nothing stops the walk.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/check/xxh64.h"
#include "lib/hammer2/check/arena.h"
#include "lib/hammer2/check/examine.h"
#include "lib/hammer2/check/pfs_audit.h"
#include "lib/hammer2/check/reader.h"
#include "lib/hammer2/check/reporter.h"
#include "lib/hammer2/check/seen_set.h"
#include "lib/hammer2/check/space.h"
#include "lib/hammer2/format/uuid.h"

namespace odo::hammer2::audit {

struct Limits {
  // Blocks of references that are read again because several PFSs share them,
  // and data blocks that are proven again because too many are remembered.
  std::uint64_t shared_blocks = std::uint64_t{1} << 22;
  // Whether compressed data are decompressed, besides being proven by their
  // check codes.
  bool decode = false;
  // Whether data are read at all; everything that leads to them always is.
  bool read_data = true;
};

template <block::BlockDevice Device, CheckPolicy Checks, Executor E, Observer O>
class Walk {
 public:
  static constexpr unsigned kMaxDepth = 128;
  static constexpr std::size_t kBlockRefs =
      format::kMaxAllocBytes / format::kBlockrefBytes;
  static constexpr std::size_t kReserveTasks = kMaxDepth * kBlockRefs;
  static constexpr std::size_t kStackTasks = kReserveTasks + 32768;
  static constexpr std::size_t kMaxPfss = 4096;  // whose ids are compared

  using Volumes = VolumeSet<Device>;
  using Reader = BlockReader<Device, Checks>;
  using Batch = typename Reader::Batch;

  Walk(Volumes& volumes, Reader& reader, SpaceMap& space, Reporter<O>& reporter,
       E& executor, const Limits& limits)
      : volumes_(volumes),
        reader_(reader),
        space_(space),
        reporter_(reporter),
        executor_(executor),
        limits_(limits),
        audit_(reporter) {}

  [[nodiscard]] bool init(Arena& fixed) {
    stack_ = fixed.take<Task>(kStackTasks);
    pfss_ = fixed.take<PfsId>(kMaxPfss);
    return !stack_.empty() && !pfss_.empty() && batches_[0].init(fixed) &&
           batches_[1].init(fixed);
  }
  // Memory for the inodes of a PFS, and for what grows.
  void use(MutableBytes table, Arena& growing) {
    audit_.init(table);
    seen_.init(growing);
    bad_data_.init(growing);
  }

  [[nodiscard]] const Totals& totals() const { return totals_; }

  void run(const format::Blockref& super_root) {
    total_bytes_ = super_root.embed.stats.data_count;
    push(super_root, Tree::kVolume, Error::kUnknown, ~std::uint64_t{0}, 0,
         false);
    std::size_t reading = 0;  // which of the batches
    for (;;) {
      // While one batch is read the one before it is settled, and the next one
      // made of what that has pushed.
      Batch& now = batches_[reading];
      Batch& other = batches_[1 - reading];
      if (now.empty() && other.empty()) {
        if (in_pfs_ && waiting_ == pfs_base_) end_pfs();
        if (waiting_ == 0) break;
        take(now, 0);
      }
      reading_ = !now.empty();
      reader_.run(executor_, now, [&] {
        settle(other);
        other.clear();
        take(other, now.references());
      });
      reading_ = false;
      reading = 1 - reading;
    }
    totals_.used_bytes = space_.used_bytes();
  }

 private:
  struct PfsId {
    std::uint64_t label;  // hash
    format::Uuid fsid;
  };

  [[nodiscard]] static bool is_pfs_root(const Task& task) {
    return task.tree == Tree::kSuperRoot &&
           task.ref.type == format::BlockType::kInode;
  }

  void push(const format::Blockref& ref, Tree tree, std::uint64_t inum,
            std::uint64_t size, unsigned depth, bool rooted) {
    ODO_ASSERT(waiting_ < stack_.size());  // W1, W2
    stack_[waiting_++] = {.ref = ref,
                          .inum = inum,
                          .size = size,
                          .depth = static_cast<std::uint16_t>(depth),
                          .tree = tree,
                          .rooted = rooted};
  }

  // References that the block of `task` may hold.
  [[nodiscard]] static std::size_t references_of(const Task& task) {
    switch (task.ref.type) {
      case format::BlockType::kInode:
        return format::kBlocksetCount;
      case format::BlockType::kIndirect:
        return (std::size_t{1}
                << std::min(task.ref.radix(), format::kMaxRadix)) /
               format::kBlockrefBytes;
      default:
        return 0;
    }
  }

  // Moves tasks from the stack into `batch` and prepares them. `in_flight`
  // references may come of the batch that is being read.
  void take(Batch& batch, std::size_t in_flight) {
    const std::size_t limit = stack_.size() - kReserveTasks;
    const std::size_t taken = waiting_ + in_flight;
    const std::size_t room = limit > taken ? limit - taken : 0;
    const std::size_t base = in_pfs_ ? pfs_base_ : 0;
    std::size_t kept = 0;
    while (!batch.full() && waiting_ > base) {
      const Task& task = stack_[waiting_ - 1];
      // A PFS's root begins something: it goes alone.
      const bool root = is_pfs_root(task);
      const bool alone = batch.empty() && !reading_;
      if (root && !alone) break;
      const std::size_t references = references_of(task);
      if (Batch::keeps(task.ref.type)) {
        kept += std::size_t{1} << std::min(task.ref.radix(), format::kMaxRadix);
      }
      if (!alone && (batch.references() + references > room ||
                     kept > Batch::kKeptBytes)) {
        break;
      }
      --waiting_;
      if (root) begin_pfs();
      batch.add(task, references);
      if (root) break;
    }
    for (std::size_t i = 0; i < batch.size(); ++i) prepare(batch, i);
    reader_.arrange(batch);
  }

  // --- Before a block is read
  // -------------------------------------------------

  void prepare(Batch& batch, std::size_t i) {
    using format::BlockType;
    const Task& task = batch.task(i);
    const format::Blockref& ref = task.ref;
    if (ref.type == BlockType::kDirent) account_entry(task);
    const auto volume = volumes_.locate(ref, task.inum);
    if (!volume) return bad(task, volume.error());
    if (task.depth > kMaxDepth) {
      return bad(task, error_at(Code::kTooDeep, ref, task.inum));
    }
    // All others are held against what refers to them.
    if (task.tree == Tree::kVolume &&
        ref.mirror_tid > volumes_.info().mirror_tid) {
      reporter_.emit(Rule::kMirrorTid, error_at(Code::kBadKey, ref, task.inum),
                     ref.mirror_tid, volumes_.info().mirror_tid);
    }
    const bool data = ref.type == BlockType::kData;
    const Claim claim = space_.claim(
        ref.offset(), ref.radix(), data ? Content::kData : Content::kMeta,
        ref.mirror_tid <= volumes_.info().freemap_tid);
    if (claim == Claim::kOverlap) {
      reporter_.emit(Rule::kDoublyUsed,
                     error_at(Code::kBadBlockOffset, ref, task.inum),
                     text("another block overlaps"));
    }
    if (claim == Claim::kNoMemory && !space_full_) {
      space_full_ = true;
      reporter_.emit(Rule::kIncomplete, Error{.code = Code::kNoMemory},
                     text("space: no memory for its map"));
    }
    if (claim == Claim::kShared) ++totals_.shared_refs;
    if (data) {
      ++totals_.data;
      if (!limits_.read_data) return;
      if (!seen_.insert(ref)) {
        batch.outcome(i).repeated = true;
        return;
      }
      if (claim == Claim::kShared && seen_.full() && !may_repeat()) return;
    } else if (!follow(task, claim)) {
      return;
    }
    batch.need(i, **volume);
  }

  // Whether a block that isn't data is to be read, again perhaps.
  [[nodiscard]] bool follow(const Task& task, Claim claim) {
    const format::Blockref& ref = task.ref;
    const bool twice = in_pfs_ && !is_pfs_root(task)
                           ? !space_.first_in(epoch_, ref.offset())
                           : claim == Claim::kShared;
    if (twice) {
      reporter_.emit(Rule::kDoublyUsed,
                     error_at(Code::kBadBlockOffset, ref, task.inum),
                     text("reached twice in one tree"));
      audit_.lost(task);
      return false;
    }
    if (in_pfs_ && is_pfs_root(task)) {
      (void)space_.first_in(epoch_, ref.offset());
    }
    // Without a map nothing keeps blocks from being reached again and again.
    if ((claim == Claim::kShared || claim == Claim::kNoMemory) &&
        !may_repeat()) {
      audit_.lost(task);
      return false;
    }
    return true;
  }

  [[nodiscard]] bool may_repeat() {
    if (repeated_ < limits_.shared_blocks) {
      ++repeated_;
      return true;
    }
    if (!limit_reached_) {
      limit_reached_ = true;
      reporter_.emit(Rule::kIncomplete, Error{.code = Code::kNoMemory},
                     text("shared blocks: more than the limit"));
    }
    return false;
  }

  void bad(const Task& task, const Error& error) {
    reporter_.emit(Rule::kBlock, error);
    audit_.lost(task);
  }

  // --- After it has been read
  // -------------------------------------------------

  void settle(Batch& batch) {
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (batch.outcome(i).needed) settle(batch, i);
    }
    if (!bad_data_.empty()) repeat_bad_data(batch);
    if (batch.empty()) return;
    reporter_.observer().progress(
        Progress{.bytes = totals_.bytes_read, .total_bytes = total_bytes_});
  }

  void settle(Batch& batch, std::size_t i) {
    const Task& task = batch.task(i);
    const Outcome& outcome = batch.outcome(i);
    ++totals_.blocks_read;
    if (outcome.bad) {
      Error error = error_at(*outcome.bad, task.ref, inum_for(task));
      error.device = outcome.device;
      if (task.ref.type == format::BlockType::kData) {
        bad_data_.insert(task.ref, static_cast<unsigned>(error.code));
      }
      return bad(task, error);
    }
    totals_.bytes_read += std::uint64_t{1} << task.ref.radix();
    switch (task.ref.type) {
      case format::BlockType::kInode:
        settle_inode(task, outcome, batch.kept(i));
        break;
      case format::BlockType::kIndirect: {
        ++totals_.indirects;
        const Block block = indirect_block(task, batch.kept(i));
        settle_refs(block, outcome.odd);
        break;
      }
      case format::BlockType::kDirent:
        if (outcome.odd) {
          reporter_.emit(Rule::kEntryName,
                         error_at(Code::kBadDirent, task.ref, task.inum));
        }
        break;
      default:
        break;
    }
  }

  // What is bad is told of for each file that it belongs to.
  void repeat_bad_data(Batch& batch) {
    constexpr std::array kCodes = {Code::kCheckMismatch,  Code::kDeviceError,
                                   Code::kBadCheckMethod, Code::kBadCompMethod,
                                   Code::kBadCompression, Code::kBadBlockSize};
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (!batch.outcome(i).repeated) continue;
      const Task& task = batch.task(i);
      for (const Code code : kCodes) {
        if (bad_data_.contains(task.ref, static_cast<unsigned>(code))) {
          bad(task, error_at(code, task.ref, task.inum));
        }
      }
    }
  }

  // For errors: the number of an inode that can't say it itself.
  [[nodiscard]] static std::uint64_t inum_for(const Task& task) {
    if (task.ref.type != format::BlockType::kInode) return task.inum;
    return in_index(task) ? task.ref.key : Error::kUnknown;
  }

  void settle_inode(const Task& task, const Outcome& outcome, Bytes bytes);
  void judge_inode(const Task& task, Bytes bytes, InodeRecord& record);
  void judge_pfs_root(const Task& task, Bytes bytes, InodeRecord& record);

  void settle_refs(const Block& block, bool odd) {
    if (odd) {
      examine(block, [&](const Remark& remark) {
        reporter_.emit(block, remark);
        if (remark.rule == Rule::kBlock && block.tree == Tree::kDirectory) {
          audit_.lost_some(block.rooted);
        }
      });
    }
    LastKey last;
    format::Blockref ref;
    const unsigned depth = block.task.depth + 1U;
    for (std::size_t i = 0; i < block.refs.size(); ++i) {
      if (block.refs.empty(i)) continue;
      if (odd && validate_ref(block.refs, i, block.tree, block.range, last)) {
        continue;
      }
      block.refs.copy(i, ref);
      if (ref.type == format::BlockType::kDirent &&
          ref.embed.dirent.name_len <= format::kEmbeddedNameBytes) {
        account_entry({.ref = ref,
                       .inum = block.inum,
                       .size = 0,
                       .depth = 0,
                       .tree = block.tree,
                       .rooted = block.rooted});
        continue;
      }
      push(ref, block.tree, block.inum, block.size, depth, block.rooted);
    }
  }

  void account_entry(const Task& task) {
    ++totals_.dirents;
    if (task.ref.key < format::kDirhashVisible) return;  // not an entry
    audit_.entry(task.ref, task.inum, task.ref.embed.dirent.inum,
                 task.ref.embed.dirent.type);
  }

  // --- PFSs
  // -------------------------------------------------------------------

  void begin_pfs() {
    ODO_ASSERT(!in_pfs_);
    in_pfs_ = true;
    pfs_base_ = waiting_;
    ++epoch_;
    ++totals_.pfss;
    label_length_ = 0;
    audit_.begin();
  }
  void end_pfs() {
    audit_.finish();
    reporter_.observer().pfs_done(label(), audit_.table());
    reporter_.set_pfs({});
    in_pfs_ = false;
  }
  [[nodiscard]] std::string_view label() const {
    return {label_.data(), label_length_};
  }
  void remember_pfs(const Task& task, const format::Uuid& fsid);

  template <std::size_t N>
  [[nodiscard]] static constexpr std::string_view text(
      const char (&literal)[N]) {
    return {literal, N - 1};
  }

  Volumes& volumes_;
  Reader& reader_;
  SpaceMap& space_;
  Reporter<O>& reporter_;
  E& executor_;
  Limits limits_;
  PfsAudit<O> audit_;
  SeenSet seen_;      // data that have been proven, or not
  SeenSet bad_data_;  // of these, the bad ones, by what is wrong
  Totals totals_;
  std::uint64_t total_bytes_ = 0;
  std::array<Batch, 2> batches_;
  bool reading_ = false;  // a batch is being read
  std::span<Task> stack_;
  std::size_t waiting_ = 0;
  std::span<PfsId> pfss_;
  std::size_t pfs_count_ = 0;
  std::uint64_t repeated_ = 0;
  bool limit_reached_ = false;
  bool space_full_ = false;
  bool in_pfs_ = false;
  std::size_t pfs_base_ = 0;  // tasks that wait for the end of this PFS
  std::uint32_t epoch_ = 0;   // number of this PFS
  std::array<char, format::kInodeNameBytes> label_ = {};
  std::size_t label_length_ = 0;
};

// --- Inodes ------------------------------------------------------------------

template <block::BlockDevice Device, CheckPolicy Checks, Executor E, Observer O>
void Walk<Device, Checks, E, O>::settle_inode(const Task& task,
                                              const Outcome& outcome,
                                              Bytes bytes) {
  using format::InodeMeta;
  const auto u64 = [&](std::size_t at) {
    return load_le<std::uint64_t>(bytes.data() + at);
  };
  ++totals_.inodes;
  InodeRecord record;
  record.inum = u64(offsetof(InodeMeta, inum));
  record.nlinks = u64(offsetof(InodeMeta, nlinks));
  record.iparent = u64(offsetof(InodeMeta, iparent));
  record.offset = task.ref.offset();
  record.type =
      static_cast<format::ObjectType>(bytes[offsetof(InodeMeta, type)]);
  if (task.tree == Tree::kSuperRoot) {
    judge_pfs_root(task, bytes, record);
  } else if (task.tree == Tree::kDirectory) {
    judge_inode(task, bytes, record);
  }
  const std::uint64_t data_quota = u64(offsetof(InodeMeta, data_quota));
  const std::uint64_t inode_quota = u64(offsetof(InodeMeta, inode_quota));
  const format::Statistics& stats = task.ref.embed.stats;
  const Error at = error_at(Code::kBadInode, task.ref, record.inum);
  // What is made in a directory takes these from it, up to the super-root.
  if (std::to_integer<unsigned>(bytes[offsetof(InodeMeta, comp_algo)] &
                                std::byte{15}) > 3) {
    reporter_.emit(Rule::kInodeField, at, text("comp_algo"));
  }
  if (std::to_integer<unsigned>(bytes[offsetof(InodeMeta, check_algo)] &
                                std::byte{15}) > 5) {
    reporter_.emit(Rule::kInodeField, at, text("check_algo"));
  }
  if (data_quota != 0 && stats.data_count > data_quota) {
    reporter_.emit(Rule::kQuota, at, stats.data_count, data_quota,
                   text("data_quota"));
  }
  if (inode_quota != 0 && stats.inode_count > inode_quota) {
    reporter_.emit(Rule::kQuota, at, stats.inode_count, inode_quota,
                   text("inode_quota"));
  }
  Block block = inode_block(task, bytes, outcome.below);
  block.inum = record.inum;
  settle_refs(block, outcome.odd);
}

template <block::BlockDevice Device, CheckPolicy Checks, Executor E, Observer O>
void Walk<Device, Checks, E, O>::judge_inode(const Task& task, Bytes bytes,
                                             InodeRecord& record) {
  using format::InodeMeta;
  const auto u8 = [&](std::size_t at) {
    return std::to_integer<unsigned>(bytes[at]);
  };
  const Error at = error_at(Code::kBadInode, task.ref, record.inum);
  const std::string_view name = {
      reinterpret_cast<const char*>(bytes.data()) +
          offsetof(format::Inode, filename),
      load_le<std::uint16_t>(bytes.data() + offsetof(InodeMeta, name_len))};
  if (in_index(task)) {
    if (record.inum != task.ref.key) {
      reporter_.emit(Rule::kInodeNumber, at, record.inum, task.ref.key);
      record.inum = task.ref.key;
    }
    const auto own = format::own_name(task.ref.key);
    if (name != std::string_view(own.data(), own.size()) ||
        load_le<std::uint64_t>(bytes.data() + offsetof(InodeMeta, name_key)) !=
            task.ref.key) {
      reporter_.emit(Rule::kInodeName, at);
    }
  } else {
    // An inode in the place of a directory entry.
    if (!entry_name_fits(task.ref.key, name)) {
      reporter_.emit(Rule::kEntryName, at);
    }
    audit_.entry(task.ref, task.inum, record.inum, record.type);
  }
  const unsigned type = u8(offsetof(InodeMeta, type));
  constexpr unsigned kTypes = 0b110'1111'0110;  // bit t: type t is in use
  if (type > 10 || (kTypes >> type & 1) == 0) {
    reporter_.emit(Rule::kInodeField, at, text("type"));
  }
  if ((u8(offsetof(InodeMeta, op_flags)) & format::kInodePfsRoot) != 0) {
    reporter_.emit(Rule::kInodeField, at, text("op_flags"));
  }
  audit_.inode(record, task.ref);
}

template <block::BlockDevice Device, CheckPolicy Checks, Executor E, Observer O>
void Walk<Device, Checks, E, O>::judge_pfs_root(const Task& task, Bytes bytes,
                                                InodeRecord& record) {
  using format::InodeMeta;
  const auto u8 = [&](std::size_t at) {
    return std::to_integer<unsigned>(bytes[at]);
  };
  label_length_ =
      load_le<std::uint16_t>(bytes.data() + offsetof(InodeMeta, name_len));
  const std::byte* name = bytes.data() + offsetof(format::Inode, filename);
  for (std::size_t i = 0; i < label_length_; ++i) {
    label_[i] = std::to_integer<char>(name[i]);
  }
  reporter_.set_pfs(label());
  const Error at = error_at(Code::kBadInode, task.ref, record.inum);
  if (!entry_name_fits(task.ref.key, label())) {
    reporter_.emit(Rule::kPfs, at, text("label"));
  }
  if (record.type != format::ObjectType::kDirectory) {
    reporter_.emit(Rule::kPfs, at, text("type"));
  }
  if (record.inum != format::kRootInum) {
    reporter_.emit(Rule::kPfs, at, text("inum"));
  }
  if ((u8(offsetof(InodeMeta, op_flags)) & format::kInodePfsRoot) == 0) {
    reporter_.emit(Rule::kPfs, at, text("op_flags"));
  }
  if ((task.ref.flags & format::kRefPfsRoot) == 0) {
    reporter_.emit(Rule::kPfs, at, text("flags of its reference"));
  }
  const unsigned type = u8(offsetof(InodeMeta, pfs_type));
  constexpr unsigned kTypes = 0b111'1010;  // bit t: type t may be a PFS's
  if (type > 6 || (kTypes >> type & 1) == 0) {
    reporter_.emit(Rule::kPfs, at, text("pfs_type"));
  }
  if (u8(offsetof(InodeMeta, pfs_subtype)) > 2) {
    reporter_.emit(Rule::kPfs, at, text("pfs_subtype"));
  }
  remember_pfs(task, format::load_uuid(bytes, offsetof(InodeMeta, pfs_fsid)));
  audit_.root(record, load_le<std::uint64_t>(bytes.data() +
                                             offsetof(InodeMeta, pfs_inum)));
}

template <block::BlockDevice Device, CheckPolicy Checks, Executor E, Observer O>
void Walk<Device, Checks, E, O>::remember_pfs(const Task& task,
                                              const format::Uuid& fsid) {
  const Error at = error_at(Code::kBadInode, task.ref, format::kRootInum);
  const PfsId id = {.label = check::xxh64(
                        std::as_bytes(std::span(label_.data(), label_length_)),
                        format::kXxhashSeed),
                    .fsid = fsid};
  for (const PfsId& other : pfss_.first(pfs_count_)) {
    if (other.label == id.label) reporter_.emit(Rule::kPfsLabel, at);
    if (other.fsid == id.fsid) reporter_.emit(Rule::kPfsId, at);
  }
  if (pfs_count_ < pfss_.size()) {
    pfss_[pfs_count_++] = id;
  } else if (totals_.pfss == kMaxPfss + 1) {
    reporter_.emit(Rule::kIncomplete, Error{.code = Code::kNoMemory},
                   text("labels and ids of PFSs beyond the 4096th"));
  }
}

}  // namespace odo::hammer2::audit
