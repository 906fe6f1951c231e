// SPDX-License-Identifier: BSD-3-Clause
// Holds the freemap against the blocks that can be reached.
//
// What is in use must be marked so; what is marked and not in use is space that
// a bulk free would give back, which is counted and no fault. A freemap that is
// older than the topology (freemap_tid below mirror_tid) needn't know of newer
// blocks: a mount recovers it. A volume that was formatted and never written
// to has none.
//
// Contexts: thread, one at a time; reads block where the device does.
// Bounds: those of the tree; a block a GiB of volume.
// Failure: findings; what lies below a bad block isn't compared, and a note
//   says so.
// Origin: hammer2_freemap.c, hammer2_freemap_init() (what never is free),
//   hammer2_bmap_alloc() (avail); hammer2_bulkfree.c (states).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/hammer2/check/arena.h"
#include "lib/hammer2/check/freemap_tree.h"
#include "lib/hammer2/check/reader.h"
#include "lib/hammer2/check/reporter.h"
#include "lib/hammer2/check/space.h"
#include "lib/hammer2/format/freemap.h"
#include "lib/hammer2/volume_set.h"

namespace odo::hammer2::audit {

template <class Reader, Observer O>
class FreemapAudit {
 public:
  FreemapAudit(const typename Reader::Volumes& volumes, Reader& reader,
               SpaceMap& space, Reporter<O>& reporter)
      : volumes_(volumes),
        space_(space),
        reporter_(reporter),
        tree_(volumes, reader) {}

  [[nodiscard]] bool init(Arena& arena) { return tree_.init(arena); }

  // `blockset` is the volume header's; `allocator_beg` as it says.
  void run(Bytes blockset, std::uint64_t allocator_beg, Totals& totals) {
    totals_ = &totals;
    allocator_beg_ = allocator_beg;
    const RefArray roots(blockset, format::kBlocksetCount);
    tree_.walk(roots, *this);
    // What no leaf speaks of.
    compare_gap(next_key_, volumes_.info().total_bytes);
    const std::uint64_t free = volumes_.info().allocator_bytes - allocated_;
    if (!lost_ && free != volumes_.info().free_bytes) {
      Error at{.code = Code::kBadVolumeHeader};
      at.type = format::BlockType::kVolume;
      at.offset = volumes_.info().header_offset;
      reporter_.emit(Rule::kFreemapCount, at, volumes_.info().free_bytes, free,
                     text("allocator_free"));
    }
    if (lost_) {
      reporter_.emit_note(Rule::kIncomplete,
                          text("freemap: a part of it is lost"));
    }
  }

  // What the tree tells, during run().
  void enter(const format::Blockref& ref, const FreemapPlace&,
             const Result<Bytes>& block) {
    if (!block) {
      reporter_.emit(Rule::kFreemapBlock, block.error());
      lost_ = true;
      return;
    }
    if (ref.mirror_tid > volumes_.info().mirror_tid) {
      reporter_.emit(Rule::kMirrorTid, error_at(Code::kBadKey, ref),
                     ref.mirror_tid, volumes_.info().mirror_tid);
    }
    if (ref.type == format::BlockType::kFreemapLeaf) compare_leaf(ref, *block);
  }
  void leave(const format::Blockref&, const FreemapPlace&) {}

 private:
  static constexpr std::uint64_t kUnitBytes = std::uint64_t{1}
                                              << format::kFreemapUnitRadix;
  template <std::size_t N>
  [[nodiscard]] static constexpr std::string_view text(
      const char (&literal)[N]) {
    return {literal, N - 1};
  }

  // Whether the freemap never gives this space out.
  [[nodiscard]] bool is_static(std::uint64_t offset) const {
    return never_given_out(offset, allocator_beg_, volumes_.info().total_bytes);
  }

  void compare_leaf(const format::Blockref& ref, Bytes bytes) {
    compare_gap(next_key_, ref.key);
    next_key_ = ref.key + format::kZoneBytes;
    for (std::size_t i = 0; i < format::kFreemapEntries; ++i) {
      format::BmapData entry;
      copy_bytes(mutable_bytes_of(entry),
                 bytes.subspan(i * sizeof entry, sizeof entry));
      compare_entry(ref, ref.key + i * SpaceMap::kPageSpan, entry);
    }
  }

  void compare_entry(const format::Blockref& ref, std::uint64_t offset,
                     const format::BmapData& entry) {
    Error at = error_at(Code::kBadKey, ref);
    at.key = offset;
    const SpaceMap::Units units = space_.units(offset);
    const bool fixed = is_static(offset);
    std::uint64_t free = 0;
    std::uint64_t run = 0;  // units in use and free up to here
    for (unsigned unit = 0; unit < SpaceMap::kUnits; ++unit) {
      const bool used = (units.used[unit / 64] >> (unit % 64) & 1) != 0;
      const bool due = (units.due[unit / 64] >> (unit % 64) & 1) != 0;
      const format::FreemapState state = format::unit_state(entry, unit);
      bool wrong = false;
      switch (state) {
        case format::FreemapState::kFree:
          free += kUnitBytes;
          wrong = due;
          break;
        case format::FreemapState::kReserved:
          at.found = 1;
          reporter_.emit(Rule::kFreemapState, at, text("reserved state"));
          break;
        case format::FreemapState::kMaybeFree:
          if (!used) totals_->staged_bytes += kUnitBytes;
          break;
        case format::FreemapState::kAllocated:
          if (!used && !fixed) totals_->leaked_bytes += kUnitBytes;
          break;
      }
      if (wrong) {
        ++run;
      } else if (run != 0) {
        used_but_free(offset + (unit - run) * kUnitBytes, run * kUnitBytes);
        run = 0;
      }
    }
    if (run != 0) {
      used_but_free(offset + SpaceMap::kPageSpan - run * kUnitBytes,
                    run * kUnitBytes);
    }
    if (!fixed) {
      totals_->free_bytes += free;
      allocated_ += SpaceMap::kPageSpan - free;
    }
    if (fixed && free != 0) {
      reporter_.emit(Rule::kFreemapState, at, text("space that is never free"));
    }
    if (entry.avail != free) {
      reporter_.emit(Rule::kFreemapCount, at, entry.avail, free,
                     text("avail of 4 MiB"));
    }
    const auto linear = static_cast<std::uint32_t>(entry.linear);
    if (linear > SpaceMap::kPageSpan || linear % format::kMinAllocBytes != 0) {
      reporter_.emit(Rule::kFreemapState, at, text("linear"));
    }
    const unsigned type = entry.alloc_class >> 8U;
    const unsigned radix = entry.alloc_class & 0xffU;
    if (entry.alloc_class != 0 &&
        (radix != format::kMaxRadix || type == 0 ||
         type > static_cast<unsigned>(format::BlockType::kDirent))) {
      reporter_.emit(Rule::kFreemapState, at, text("class"));
    }
  }

  void used_but_free(std::uint64_t offset, std::uint64_t bytes) {
    Error at{.code = Code::kBadBlockOffset};
    at.offset = offset;
    at.bytes = static_cast<std::uint32_t>(bytes);
    reporter_.emit(Rule::kUsedButFree, at);
  }

  // Space without a leaf is free, but for what never is.
  void compare_gap(std::uint64_t begin, std::uint64_t end) {
    if (lost_) return;
    for (std::uint64_t at = begin; at < end; at += SpaceMap::kPageSpan) {
      if (is_static(at)) continue;
      const SpaceMap::Units units = space_.units(at);
      for (std::size_t i = 0; i < units.due.size(); ++i) {
        if (units.due[i] == 0) continue;
        const auto first =
            static_cast<unsigned>(std::countr_zero(units.due[i]));
        used_but_free(at + (i * 64 + first) * kUnitBytes, kUnitBytes);
      }
      totals_->free_bytes += SpaceMap::kPageSpan;
    }
  }

  const typename Reader::Volumes& volumes_;
  SpaceMap& space_;
  Reporter<O>& reporter_;
  FreemapTree<Reader> tree_;
  Totals* totals_ = nullptr;
  std::uint64_t allocator_beg_ = 0;
  std::uint64_t next_key_ = 0;   // where the next leaf should begin
  std::uint64_t allocated_ = 0;  // where space can be allocated
  bool lost_ = false;
};

}  // namespace odo::hammer2::audit
