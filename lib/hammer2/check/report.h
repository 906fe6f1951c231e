// SPDX-License-Identifier: BSD-3-Clause
// What a check has to say: the rules, how bad it is to break each, and a
// finding that names the block, the inode and the PFS.
//
// Contexts: any. Plain data; nothing allocates. docs/h2-check.md has the table
// of rules with their sources.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/hammer2/error.h"
#include "lib/hammer2/format/constants.h"

namespace odo::hammer2::audit {

class InodeTable;

enum class Severity : std::uint8_t {
  kNote,     // legal, and worth knowing
  kWarning,  // nothing is lost, and a writer should have done otherwise
  kError,    // something is lost, wrong or in danger
};

enum class Rule : std::uint8_t {
  // Volumes.
  kVolumeHeader,
  kVolumeSet,
  // Blocks.
  kBlock,
  kDoublyUsed,
  kMirrorTid,
  kStatistics,
  kLeafCount,
  // Inodes.
  kInodeNumber,
  kInodeName,
  kInodeField,
  kDuplicateInode,
  kLastInode,
  kBeyondEnd,
  kQuota,
  // Directories.
  kEntryName,
  kEntryType,
  kMissingInode,
  kLinkCount,
  kUnlinked,
  kParent,
  kDetached,
  // PFSs.
  kPfs,
  kPfsLabel,
  kPfsId,
  // The freemap.
  kFreemapBlock,
  kFreemapState,
  kFreemapCount,
  kUsedButFree,
  // What the check itself could not do.
  kIncomplete,
};
inline constexpr std::size_t kRules =
    static_cast<std::size_t>(Rule::kIncomplete) + 1;

struct RuleInfo {
  std::string_view name;  // for programs
  Severity severity;
  std::string_view text;  // for people
};

namespace detail {
using std::operator""sv;
inline constexpr std::array<RuleInfo, kRules> kRuleInfo = {{
    {"volume-header"sv, Severity::kError, "volume header is damaged"sv},
    {"volume-set"sv, Severity::kError, "volumes can't be used as they are"sv},
    {"block"sv, Severity::kError, "bad block"sv},
    {"doubly-used"sv, Severity::kError, "space is used twice"sv},
    {"mirror-tid"sv, Severity::kError,
     "mirror_tid is newer than that of the block above"sv},
    {"statistics"sv, Severity::kError,
     "data_count or inode_count isn't the sum of what lies below"sv},
    {"leaf-count"sv, Severity::kWarning,
     "leaf_count isn't the number of leaves below"sv},
    {"inode-number"sv, Severity::kError,
     "inode has another number than the index says"sv},
    {"inode-name"sv, Severity::kWarning,
     "inode's own name or key isn't made of its number"sv},
    {"inode-field"sv, Severity::kError, "inode has an impossible field"sv},
    {"duplicate-inode"sv, Severity::kError,
     "inode number is used by another inode"sv},
    {"last-inode"sv, Severity::kError,
     "inode number is above the last one that the PFS has given"sv},
    {"beyond-end"sv, Severity::kWarning, "data lie beyond the file's end"sv},
    {"quota"sv, Severity::kNote, "more than the quota is used"sv},
    {"entry-name"sv, Severity::kError,
     "directory entry's name or key is impossible"sv},
    {"entry-type"sv, Severity::kError,
     "directory entry and inode disagree about the type"sv},
    {"missing-inode"sv, Severity::kError,
     "directory entry names an inode that isn't there"sv},
    {"link-count"sv, Severity::kError,
     "link count isn't the number of directory entries"sv},
    {"unlinked"sv, Severity::kNote,
     "inode without a directory entry has not been released"sv},
    {"parent"sv, Severity::kError,
     "directory's parent isn't the directory that holds its entry"sv},
    {"detached"sv, Severity::kError, "directory can't be reached"sv},
    {"pfs"sv, Severity::kError, "PFS root has an impossible field"sv},
    {"pfs-label"sv, Severity::kError, "label belongs to two PFSs"sv},
    {"pfs-id"sv, Severity::kError, "PFS id belongs to two PFSs"sv},
    {"freemap-block"sv, Severity::kError, "bad freemap block"sv},
    {"freemap-state"sv, Severity::kError,
     "freemap says what can't be of this space"sv},
    {"freemap-count"sv, Severity::kWarning,
     "freemap's counts of free bytes don't fit its bits"sv},
    {"used-but-free"sv, Severity::kError,
     "space in use is free in the freemap"sv},
    {"incomplete"sv, Severity::kError, "not checked"sv},
}};
}  // namespace detail

[[nodiscard]] constexpr const RuleInfo& info_of(Rule rule) {
  return detail::kRuleInfo[static_cast<std::size_t>(rule)];
}

[[nodiscard]] constexpr std::string_view to_string(Severity severity) {
  using std::operator""sv;
  switch (severity) {
    case Severity::kNote:
      return "note"sv;
    case Severity::kWarning:
      return "warning"sv;
    case Severity::kError:
      break;
  }
  return "error"sv;
}

struct Finding {
  Rule rule = Rule::kBlock;
  Severity severity = Severity::kError;
  // The block, inode and key. For kBlock, kFreemapBlock, kVolumeHeader and
  // kVolumeSet its code says what is wrong; else found and expected are the
  // numbers that should have agreed, if two numbers are in question.
  Error at = {.code = Code::kBadInode};
  bool has_numbers = false;
  std::string_view pfs = {};     // label; empty outside any
  std::string_view detail = {};  // which field, which limit
};

// Rules whose findings are explained by `at.code`.
[[nodiscard]] constexpr bool has_code(Rule rule) {
  return rule == Rule::kBlock || rule == Rule::kFreemapBlock ||
         rule == Rule::kVolumeHeader || rule == Rule::kVolumeSet;
}

// A volume header as it was found.
enum class HeaderState : std::uint8_t {
  kUsable,
  kBlank,    // never written: legal behind the last one of a grown volume
  kMissing,  // blank, or no header at all, where one must be
  kSwapped,
  kDamaged,
  kUnreadable,
};

struct HeaderReport {
  std::uint8_t device = 0;  // as given
  std::uint8_t index = 0;   // 0 to 3
  HeaderState state = HeaderState::kBlank;
  bool in_use = false;        // the one that a mount takes
  bool mountable = false;     // usable, and its super-root's inode is good
  std::uint8_t bad_crcs = 0;  // bit i: the i-th of kHeaderCrcs
  std::uint64_t mirror_tid = 0;
  std::uint64_t freemap_tid = 0;
};

[[nodiscard]] constexpr std::string_view to_string(HeaderState state) {
  using std::operator""sv;
  switch (state) {
    case HeaderState::kUsable:
      return "usable"sv;
    case HeaderState::kBlank:
      return "blank"sv;
    case HeaderState::kMissing:
      return "missing"sv;
    case HeaderState::kSwapped:
      return "byte-swapped"sv;
    case HeaderState::kDamaged:
      return "damaged"sv;
    case HeaderState::kUnreadable:
      break;
  }
  return "unreadable"sv;
}

// What was looked at. A block that several PFSs share counts in each.
struct Totals {
  std::uint64_t pfss = 0;
  std::uint64_t inodes = 0;
  std::uint64_t indirects = 0;
  std::uint64_t data = 0;
  std::uint64_t dirents = 0;
  std::uint64_t blocks_read = 0;
  std::uint64_t bytes_read = 0;    // of blocks proven, as on media
  std::uint64_t used_bytes = 0;    // reachable, each block once
  std::uint64_t shared_refs = 0;   // references to blocks reached before
  std::uint64_t leaked_bytes = 0;  // in use for the freemap, and unreachable
  std::uint64_t staged_bytes = 0;  // "perhaps free"
  std::uint64_t free_bytes = 0;
};

struct Progress {
  std::uint64_t bytes = 0;        // proven so far
  std::uint64_t total_bytes = 0;  // as the super-root's statistics promise
};

// Who hears of it, in the thread that checks.
template <class O>
concept Observer = requires(O& observer, const Finding& finding,
                            const HeaderReport& header, std::string_view label,
                            InodeTable& inodes, const Progress& progress) {
  { observer.header(header) } -> std::same_as<void>;
  { observer.found(finding) } -> std::same_as<void>;
  // A PFS is done; its inodes are forgotten afterwards.
  { observer.pfs_done(label, inodes) } -> std::same_as<void>;
  { observer.progress(progress) } -> std::same_as<void>;
};

// One line about a finding, without its path and severity, in `to`, which
// cuts it (kErrorTextBytes + 128 are enough).
[[nodiscard]] constexpr std::string_view finding_text(const Finding& finding,
                                                      std::span<char> to) {
  if (has_code(finding.rule) && finding.detail.empty()) {
    return error_text(finding.at, to);
  }
  hammer2::detail::Line line(to);
  line.text(info_of(finding.rule).text);
  if (!finding.detail.empty()) line.text(" (").text(finding.detail).text(")");
  if (finding.has_numbers) {
    line.text(": ").decimal(finding.at.found).text(", should be ");
    line.decimal(finding.at.expected);
  }
  if (finding.at.type != format::BlockType::kEmpty) {
    line.text(": ").text(hammer2::to_string(finding.at.type));
    if (finding.at.offset != Error::kUnknown) {
      line.text(" at ").hex(finding.at.offset);
    }
  } else if (finding.at.offset != Error::kUnknown) {
    line.text(" at ").hex(finding.at.offset);
  }
  if (finding.at.inum != Error::kUnknown) {
    line.text(" of inode ").decimal(finding.at.inum);
  }
  if (finding.at.key != Error::kUnknown) line.text(" key ").hex(finding.at.key);
  if (finding.at.volume != 0)
    line.text(" on volume ").decimal(finding.at.volume);
  return line.view();
}

}  // namespace odo::hammer2::audit
