// SPDX-License-Identifier: BSD-3-Clause
// Groups of records in blocks of free space, one behind the other: written
// upon a volume header, read back where that header is still the newest.
//
// Contexts: thread, one at a time; may block where devices do.
// Ownership: refers to the ground, the media and the freemap; the blocks that
//   it takes stay taken until free_blocks(), and nothing on the media refers to
//   them: after a crash bulkfree finds them.
// Invariants:
//   L1. no byte of a group is written over before a header that has all that
//       the group says is durable: rebase() alone goes back to the beginning;
//   L2. a group begins at a device block of its own.
// Failure: hammer2::Error. Bytes that aren't a group end the log.
// Bounds: kGroupBytes of memory; blocks as asked for, LogRoot::kMostBlocks.
// Complexity: a group costs what it has.
// Origin: ZFS's intent log; HAMMER's REDO records, which serve fsync as well.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/check/checks.h"
#include "lib/hammer2/check/freemap_tree.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/write/freemap.h"
#include "lib/hammer2/write/ground.h"
#include "lib/hammer2/write/intent_log_format.h"
#include "lib/hammer2/write/media.h"
#include "lib/hammer2/write/memory.h"

namespace odo::hammer2::write {

// Which header groups are written upon.
struct LogBase {
  std::uint64_t tid = 0;
  std::uint32_t crc = 0;

  friend bool operator==(const LogBase&, const LogBase&) = default;
};

template <Ground G>
class IntentLog {
 public:
  static constexpr std::size_t kGroupBytes = std::size_t{256} << 10;
  static constexpr std::uint64_t kBlockBytes = format::kMaxAllocBytes;

  IntentLog(G& ground, Media<G>& media, const check::Checks& checks)
      : ground_(ground), media_(media), checks_(checks) {}
  IntentLog(const IntentLog&) = delete;
  IntentLog& operator=(const IntentLog&) = delete;

  // At most `bytes` of space will be taken; 0: nothing is logged.
  void open(std::uint64_t bytes) {
    clear();
    wanted_ =
        std::min<std::uint64_t>(bytes / kBlockBytes, LogRoot::kMostBlocks);
  }
  void clear() {
    room_.clear();
    count_ = 0;
    wanted_ = 0;
    rebase({});
    appended_ = durable_ = 0;
  }

  [[nodiscard]] bool enabled() const { return wanted_ != 0; }
  // A header is durable that has all that was logged.
  void rebase(const LogBase& base) {
    base_ = base;
    at_ = 0;
    number_ = 0;
    durable_ = appended_;
  }

  // --- Writing ---------------------------------------------------------------
  // How many groups have been written, and of how many that is known durable.
  [[nodiscard]] std::uint64_t appended() const { return appended_; }
  [[nodiscard]] std::uint64_t durable() const { return durable_; }
  void note_durable(std::uint64_t appended) {
    durable_ = std::max(durable_, appended);
  }

  // Has blocks to write to from now on. False where there is no room for them:
  // then there is no log.
  [[nodiscard]] Result<bool> take_blocks(Freemap<G>& freemap) {
    if (count_ != 0) return true;
    ODO_TRY_VOID(init_room());
    // Of what is free now, a part that nobody misses.
    const std::uint64_t most = freemap.quads() / 16;
    const std::uint64_t count = std::min(wanted_, most);
    if (count < kFewestBlocks) return false;
    root_ = {};
    for (std::size_t i = 0; i < count; ++i) {
      const auto block =
          freemap.allocate(format::BlockType::kData, format::kMaxRadix);
      if (!block) {
        if (block.error().code != Code::kNoSpace) return fail(block.error());
        for (std::size_t j = 0; j < i; ++j) {
          ODO_TRY_VOID(freemap.drop_fresh(root_.blocks[j], format::kMaxRadix));
        }
        return false;
      }
      root_.blocks[i] = *block;
    }
    root_.magic = kLogRootMagic;
    ground_.fill_random(mutable_bytes_of(root_.nonce));
    root_.count = count;
    root_.check = checks_.xxh64(bytes_of(root_), format::kXxhashSeed);
    ODO_TRY_VOID(media_.write(kLogRootOffset, bytes_of(root_)));
    count_ = count;
    at_ = 0;
    return true;
  }
  // Into the freemap that the next header has, once nothing more is taken of it
  // before that.
  [[nodiscard]] Result<void> free_blocks(Freemap<G>& freemap) {
    for (std::size_t i = 0; i < count_; ++i) {
      ODO_TRY_VOID(freemap.drop_fresh(root_.blocks[i], format::kMaxRadix));
    }
    count_ = 0;
    wanted_ = 0;
    return {};
  }
  [[nodiscard]] std::span<const std::uint64_t> blocks() const {
    return std::span(root_.blocks).first(count_);
  }

  // A group in the making: begin(), records, and append().
  void begin() {
    used_ = sizeof(LogGroup);
    records_ = 0;
  }
  // Room for a record's `bytes`, to be filled; empty where the group is full.
  [[nodiscard]] MutableBytes add(LogRecord record) {
    const std::size_t padded = align_up(std::size_t{record.bytes}, 8);
    if (used_ + sizeof record + padded > room_.size()) return {};
    const MutableBytes to = room_.span().subspan(used_);
    copy_bytes(to, bytes_of(record));
    zero_bytes(to.subspan(sizeof record, padded));
    used_ += sizeof record + padded;
    ++records_;
    return to.subspan(sizeof record, record.bytes);
  }
  // False where the blocks are full. What is written isn't durable yet.
  [[nodiscard]] Result<bool> append() {
    const std::size_t granule = media_.coarsest_block_bytes();
    const std::size_t whole = align_up(used_, granule);
    if (whole > room_.size() || at_ + whole > count_ * kBlockBytes) {
      return false;
    }
    zero_bytes(room_.span().subspan(used_, whole - used_));
    LogGroup group = {.magic = kLogGroupMagic,
                      .check = 0,
                      .nonce = root_.nonce,
                      .base_tid = base_.tid,
                      .base_crc = base_.crc,
                      .records = records_,
                      .number = number_,
                      .bytes = used_,
                      .reserved = 0};
    copy_bytes(room_.span(), bytes_of(group));
    group.check = code_of(Bytes(room_.span()).first(used_));
    copy_bytes(room_.span(), bytes_of(group));
    Bytes rest = Bytes(room_.span()).first(whole);
    for (std::uint64_t at = at_; !rest.empty();) {
      const std::size_t piece =
          std::min<std::uint64_t>(rest.size(), kBlockBytes - at % kBlockBytes);
      ODO_TRY_VOID(media_.write(place(at), rest.first(piece)));
      rest = rest.subspan(piece);
      at += piece;
    }
    ODO_TRY_VOID(media_.drain());
    at_ += whole;
    ++number_;
    ++appended_;
    return true;
  }

  // --- Reading back ----------------------------------------------------------
  // Whether there are groups upon that header; their blocks are blocks() then.
  [[nodiscard]] Result<bool> find(const LogBase& base,
                                  std::uint64_t allocator_beg) {
    base_ = base;
    at_ = 0;
    number_ = 0;
    ODO_TRY_VOID(media_.read(kLogRootOffset, mutable_bytes_of(root_)));
    if (root_.magic != kLogRootMagic || root_.count == 0 ||
        root_.count > root_.blocks.size()) {
      return false;
    }
    LogRoot bare = root_;
    bare.check = 0;
    if (checks_.xxh64(bytes_of(bare), format::kXxhashSeed) != root_.check) {
      return false;
    }
    const std::uint64_t total = media_.volumes().info().total_bytes;
    for (std::size_t i = 0; i < root_.count; ++i) {
      const std::uint64_t block = root_.blocks[i];
      if (!is_aligned(block, kBlockBytes) ||
          audit::never_given_out(block, allocator_beg, total) ||
          media_.volumes().find(block, kBlockBytes) == nullptr) {
        return false;
      }
    }
    ODO_TRY_VOID(init_room());
    count_ = root_.count;
    ODO_TRY(const Bytes first, load());
    if (first.empty()) count_ = 0;
    return !first.empty();
  }
  // The records of the group that is due; empty at the end.
  [[nodiscard]] Result<Bytes> next() {
    ODO_TRY(const Bytes group, load());
    if (group.empty()) return group;
    at_ += align_up(group.size(), media_.coarsest_block_bytes());
    ++number_;
    return group.subspan(sizeof(LogGroup));
  }
  // Whoever has read them back writes them no more.
  void forget_blocks() {
    count_ = 0;
    if (!enabled()) room_.clear();
  }

 private:
  // With fewer there would be a header for every few groups.
  static constexpr std::uint64_t kFewestBlocks = 4;

  [[nodiscard]] Result<void> init_room() {
    if (room_.size() != 0) return {};
    return room_.init(ground_, kGroupBytes);
  }
  [[nodiscard]] std::uint64_t place(std::uint64_t at) const {
    return root_.blocks[at / kBlockBytes] + at % kBlockBytes;
  }
  [[nodiscard]] std::uint64_t code_of(Bytes group) const {
    return checks_.xxh64(group, format::kXxhashSeed);
  }
  [[nodiscard]] Result<void> read(std::uint64_t at, MutableBytes to) {
    while (!to.empty()) {
      const std::size_t piece =
          std::min<std::uint64_t>(to.size(), kBlockBytes - at % kBlockBytes);
      ODO_TRY_VOID(media_.read(place(at), to.first(piece)));
      to = to.subspan(piece);
      at += piece;
    }
    return {};
  }
  // The group at `at_`, or nothing.
  [[nodiscard]] Result<Bytes> load() {
    const std::size_t granule = media_.coarsest_block_bytes();
    const std::uint64_t left = count_ * kBlockBytes - at_;
    if (left < granule) return Bytes();
    ODO_TRY_VOID(read(at_, room_.span().first(granule)));
    LogGroup group;
    copy_bytes(mutable_bytes_of(group),
               Bytes(room_.span()).first(sizeof group));
    const LogMutation wrong = log_mutation<G>();
    const bool ours =
        group.magic == kLogGroupMagic && group.nonce == root_.nonce &&
        group.number == number_ &&
        (wrong == LogMutation::kAnyBase ||
         LogBase{.tid = group.base_tid, .crc = group.base_crc} == base_);
    if (!ours || group.bytes < sizeof group || group.bytes > room_.size() ||
        align_up(group.bytes, std::uint64_t{granule}) > left) {
      return Bytes();
    }
    const std::size_t bytes = group.bytes;
    if (bytes > granule) {
      ODO_TRY_VOID(read(
          at_ + granule,
          room_.span().subspan(granule, align_up(bytes, granule) - granule)));
    }
    const std::uint64_t check = group.check;
    group.check = 0;
    copy_bytes(room_.span(), bytes_of(group));
    const Bytes all = Bytes(room_.span()).first(bytes);
    if (wrong != LogMutation::kNoCheck && code_of(all) != check) {
      return Bytes();
    }
    return all;
  }

  G& ground_;
  Media<G>& media_;
  const check::Checks& checks_;
  LogRoot root_ = {};
  Array<G, std::byte> room_;  // a group
  std::size_t used_ = 0;      // of it
  std::uint32_t records_ = 0;
  std::uint64_t wanted_ = 0;  // blocks
  std::uint64_t count_ = 0;   // of blocks that there are
  LogBase base_;
  std::uint64_t at_ = 0;      // where the next group goes
  std::uint64_t number_ = 0;  // of that
  std::uint64_t appended_ = 0;
  std::uint64_t durable_ = 0;
};

}  // namespace odo::hammer2::write
