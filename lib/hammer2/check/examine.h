// SPDX-License-Identifier: BSD-3-Clause
// What a good block's references must satisfy among themselves and against the
// reference that leads to the block: order and ranges, names and their keys,
// transaction numbers, statistics.
//
// Contexts: any, any number at a time; no state. The same function runs on a
//   worker, to see whether there is anything to say, and again in the thread
//   that reports, to say it.
// Failure: each broken rule is one call of the reporter; nothing stops it.
// Origin: hammer2_chain.c, hammer2_base_insert() (statistics, leaf_count);
//   hammer2_flush.c, hammer2_flush_core() (mirror_tid goes up).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/hammer2/check/report.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/format/blockref.h"
#include "lib/hammer2/format/dirhash.h"
#include "lib/hammer2/format/inode.h"
#include "lib/hammer2/path.h"
#include "lib/hammer2/validate.h"

namespace odo::hammer2::audit {

// leaf_count stops counting here.
inline constexpr std::uint32_t kLeafCountMax = 65535;

// A reference to be followed, and what is known of the place it stands in.
struct Task {
  format::Blockref ref;
  std::uint64_t inum;  // of the inode whose tree it stands in
  std::uint64_t size;  // of the file, for its data
  std::uint16_t depth;
  Tree tree;    // which kind of tree it stands in
  bool rooted;  // in the tree of a PFS's root, which holds the index
};

// Whether a reference in a directory's tree belongs to the index of inodes.
[[nodiscard]] inline bool in_index(const Task& task) {
  return task.rooted && task.ref.key < format::kDirhashVisible;
}

// The block of `task`, its references and what they belong to.
struct Block {
  const Task& task;
  RefArray refs;
  Tree tree;           // which kind of tree the references belong to
  KeyRange range;      // the keys that the block covers
  std::uint64_t inum;  // whose tree it is
  std::uint64_t size;  // of the file, for its data
  bool rooted;
  bool counts_leaves;  // its leaf_count is to be believed
};

[[nodiscard]] inline Block indirect_block(const Task& task, Bytes bytes) {
  return {.task = task,
          .refs = RefArray(bytes, bytes.size() / sizeof(format::Blockref)),
          .tree = task.tree,
          .range = range_of(task.ref),
          .inum = task.inum,
          .size = task.size,
          .rooted = task.rooted,
          .counts_leaves = true};
}

// The block of an inode whose fields are proven, and below which `tree` hangs.
[[nodiscard]] inline Block inode_block(const Task& task, Bytes bytes,
                                       Tree tree) {
  const auto field = [&](std::size_t at) {
    return load_le<std::uint64_t>(bytes.data() + at);
  };
  const Bytes refs = inode_refs(bytes);
  const bool root = task.tree == Tree::kSuperRoot;
  return {.task = task,
          .refs = RefArray(refs, tree == Tree::kNone
                                     ? 0
                                     : refs.size() / sizeof(format::Blockref)),
          .tree = tree,
          .range = KeyRange{},
          .inum = field(offsetof(format::InodeMeta, inum)),
          .size = tree == Tree::kFile ? field(offsetof(format::InodeMeta, size))
                                      : ~std::uint64_t{0},
          .rooted = root,
          // A snapshot's begins at 0, whatever lies below.
          .counts_leaves =
              !root ||
              bytes[offsetof(format::InodeMeta, pfs_subtype)] == std::byte{0}};
}

// Whether `key` may be that of `name` in a directory.
[[nodiscard]] inline bool key_fits(std::uint64_t key, std::string_view name) {
  return ((format::dirhash(name) ^ key) & ~format::kDirhashCollisionMask) == 0;
}

// Names that no directory may hold: they would lead a path elsewhere.
[[nodiscard]] inline bool entry_name_fits(std::uint64_t key,
                                          std::string_view name) {
  return name_possible(name) && key_fits(key, name);
}

// What a reporter is told: the rule, the entry at fault (kWholeBlock for none),
// and two numbers that should have agreed, if numbers are in question. For
// kBlock the code.
inline constexpr std::size_t kWholeBlock = ~std::size_t{0};
struct Remark {
  Rule rule;
  std::size_t entry = kWholeBlock;
  Code code = Code::kBadKey;
  bool has_numbers = false;
  std::uint64_t found = 0;
  std::uint64_t expected = 0;
  std::string_view detail = {};
};

namespace detail {

// Adds up what the reference to a block must say about it.
struct Sum {
  std::uint64_t data_count = 0;
  std::uint64_t inode_count = 0;
  std::uint32_t leaf_count = 0;

  void add(const format::Blockref& ref) {
    using format::BlockType;
    if (ref.radix() != 0) data_count += std::uint64_t{1} << ref.radix();
    if (ref.type == BlockType::kInode || ref.type == BlockType::kIndirect) {
      data_count += ref.embed.stats.data_count;
      inode_count += ref.embed.stats.inode_count;
    }
    if (ref.type == BlockType::kInode) ++inode_count;
    leaf_count +=
        ref.type == BlockType::kIndirect ? std::uint32_t{ref.leaf_count} : 1;
    if (leaf_count > kLeafCountMax) leaf_count = kLeafCountMax;
  }
};

}  // namespace detail

// Tells `report` of everything that is wrong with the references of `block`.
template <class Report>
void examine(const Block& block, const Report& report) {
  using format::BlockType;
  detail::Sum sum;
  LastKey last;
  format::Blockref ref;
  const format::Blockref& at = block.task.ref;
  bool whole = true;  // every entry is what it should be
  for (std::size_t i = 0; i < block.refs.size(); ++i) {
    if (block.refs.empty(i)) continue;
    if (const auto code =
            validate_ref(block.refs, i, block.tree, block.range, last)) {
      report(Remark{.rule = Rule::kBlock, .entry = i, .code = *code});
      whole = false;
      continue;
    }
    block.refs.copy(i, ref);
    sum.add(ref);
    if (ref.mirror_tid > at.mirror_tid) {
      report(Remark{.rule = Rule::kMirrorTid,
                    .entry = i,
                    .has_numbers = true,
                    .found = ref.mirror_tid,
                    .expected = at.mirror_tid});
    }
    if (block.tree == Tree::kDirectory) {
      if (ref.key < format::kDirhashVisible &&
          (ref.type == BlockType::kDirent || !block.rooted)) {
        report(Remark{.rule = Rule::kBlock,
                      .entry = i,
                      .code = ref.type == BlockType::kDirent
                                  ? Code::kBadBlockType
                                  : Code::kBadKey});
      }
      const format::Dirent& dirent = ref.embed.dirent;
      if (ref.type == BlockType::kDirent &&
          (dirent.name_len == 0 || dirent.name_len > format::kInodeNameBytes ||
           (dirent.name_len <= format::kEmbeddedNameBytes &&
            !entry_name_fits(ref.key,
                             {ref.check.name.data(), dirent.name_len})))) {
        report(Remark{.rule = Rule::kEntryName, .entry = i});
      }
    }
    if (block.tree == Tree::kFile && ref.key >= block.size) {
      report(Remark{.rule = Rule::kBeyondEnd, .entry = i});
    }
  }
  if (!whole) return;
  const format::Statistics& says = at.embed.stats;
  if (block.task.tree == Tree::kVolume) {
    // Formatting doesn't count the PFSs that it makes, in either number.
    const std::uint64_t uncounted = sum.inode_count - says.inode_count;
    if (says.data_count + uncounted * format::kInodeBytes != sum.data_count) {
      report(
          Remark{.rule = Rule::kStatistics,
                 .has_numbers = true,
                 .found = says.data_count,
                 .expected = sum.data_count - uncounted * format::kInodeBytes,
                 .detail = std::string_view("data_count", 10)});
    }
    return;
  }
  if (says.data_count != sum.data_count) {
    report(Remark{.rule = Rule::kStatistics,
                  .has_numbers = true,
                  .found = says.data_count,
                  .expected = sum.data_count,
                  .detail = std::string_view("data_count", 10)});
  }
  if (says.inode_count != sum.inode_count) {
    report(Remark{.rule = Rule::kStatistics,
                  .has_numbers = true,
                  .found = says.inode_count,
                  .expected = sum.inode_count,
                  .detail = std::string_view("inode_count", 11)});
  }
  // Once the count has stood at its maximum it is an estimate.
  if (block.counts_leaves && at.leaf_count != sum.leaf_count &&
      at.leaf_count != kLeafCountMax && sum.leaf_count != kLeafCountMax) {
    report(Remark{.rule = Rule::kLeafCount,
                  .has_numbers = true,
                  .found = at.leaf_count,
                  .expected = sum.leaf_count});
  }
}

}  // namespace odo::hammer2::audit
