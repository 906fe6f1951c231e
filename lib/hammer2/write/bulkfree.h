// SPDX-License-Identifier: BSD-3-Clause
// Members of Volume that find out which blocks nothing refers to; see volume.h.
//
// No block knows how many references there are to it, as snapshots share whole
// trees. So space comes back by looking at all that can be reached: what cannot
// be is staged, and free when the next pass doesn't reach it either.
//
// Contexts: as volume.h says.
// Bounds: as space_marks.h says, for up to kMostZones zones at a time; a 64 KiB
//   block for each level of a tree.
// Failure: where a block can't be read or can't be where it is said to be
//   nothing is freed, as what lies below it can't be told from what is in use
//   by nobody.
// Origin: hammer2_bulkfree.c (transitions).
#pragma once

#include <algorithm>
#include <bit>

#include "lib/hammer2/write/space_marks.h"
#include "lib/hammer2/write/volume.h"

namespace odo::hammer2::write {

// Visits what lies below references on the medium, depth first.
template <Ground G>
class TreeMarker {
 public:
  TreeMarker(G& ground, Media<G>& media, SpaceMarks<G>& marks)
      : ground_(ground), media_(media), marks_(marks) {}

  // Marks `root`, which stands in a tree of kind `in`, and all below it.
  [[nodiscard]] Result<void> mark(const format::Blockref& root,
                                  hammer2::Tree in) {
    depth_ = 0;
    ODO_TRY_VOID(enter(root, in));
    while (depth_ != 0) {
      Level& top = levels_[depth_ - 1];
      if (top.next == top.count) {
        --depth_;
        continue;
      }
      format::Blockref ref;
      copy_bytes(
          mutable_bytes_of(ref),
          Bytes(top.refs.span()).subspan(top.next++ * sizeof ref, sizeof ref));
      ODO_TRY_VOID(enter(ref, top.tree));
    }
    return {};
  }

 private:
  // V3: key bits fall with every indirect block; an inode starts anew, at most
  // for the super-root, a PFS's root and an inode in it.
  static constexpr std::size_t kMostLevels = std::size_t{3} * format::kKeyBits;

  struct Level {
    Array<G, std::byte> refs;
    std::size_t next = 0;
    std::size_t count = 0;
    hammer2::Tree tree = hammer2::Tree::kNone;
  };

  [[nodiscard]] Result<void> enter(const format::Blockref& ref,
                                   hammer2::Tree in) {
    if (ref.type == format::BlockType::kEmpty) return {};
    // What is followed is proven as it is read; data are not read, and a size
    // of anything up to 2^63 bytes would be marked.
    if (ref.radix() != 0) {
      ODO_TRY_VOID(media_.volumes().locate(ref, Error::kUnknown));
    }
    marks_.mark(ref);
    const bool inode = ref.type == format::BlockType::kInode;
    if (!inode && ref.type != format::BlockType::kIndirect) return {};
    if (!marks_.is_new(ref)) return {};
    if (depth_ == kMostLevels) return fail(error_at(Code::kTooDeep, ref));
    auto& store = media_.store();
    ODO_TRY(const auto pin,
            store.fetch(ref, in, inode ? KeyRange{} : range_of(ref),
                        Error::kUnknown));
    const hammer2::Tree tree = inode ? store.tree_below(in, pin) : in;
    if (tree == hammer2::Tree::kNone) return {};
    const Bytes refs = inode ? inode_refs(pin.bytes()) : pin.bytes();
    Level& level = levels_[depth_];
    if (level.refs.size() < refs.size()) {
      ODO_TRY_VOID(level.refs.init(ground_, refs.size()));
    }
    copy_bytes(level.refs.span(), refs);
    level.next = 0;
    level.count = pin.count();
    level.tree = tree;
    ++depth_;
    return {};
  }

  G& ground_;
  Media<G>& media_;
  SpaceMarks<G>& marks_;
  std::array<Level, kMostLevels> levels_ = {};
  std::size_t depth_ = 0;
};

template <Ground G>
Result<void> Volume<G>::mark_all(SpaceMarks<G>& marks) {
  void* memory =
      ground_.allocate(sizeof(TreeMarker<G>), alignof(TreeMarker<G>));
  if (memory == nullptr) return fail(no_memory(sizeof(TreeMarker<G>)));
  auto* marker = ::new (memory) TreeMarker<G>(ground_, media_, marks);
  const auto done = [&]() -> Result<void> {
    ODO_TRY_VOID(marker->mark(header().sroot_blockset.refs[root_slot_],
                              hammer2::Tree::kVolume));
    for (const std::uint64_t block : log_.blocks()) {
      format::Blockref ref = {};
      ref.data_off = block | format::kMaxRadix;
      marks.mark(ref);
    }
    // Files without a name that somebody holds.
    for (OpenInode& inode : open_) {
      if (inode.unlinked) {
        ODO_TRY_VOID(mark_held(*inode.chain, marks, *marker));
      }
    }
    return {};
  }();
  marker->~TreeMarker<G>();
  ground_.deallocate(marker, sizeof(TreeMarker<G>), alignof(TreeMarker<G>));
  return done;
}

// What lies below a chain that no flush writes: in memory where it is there.
template <Ground G>
Result<void> Volume<G>::mark_held(Chain& root, SpaceMarks<G>& marks,
                                  TreeMarker<G>& marker) {
  Chain* at = &root;
  at->visit = 0;
  for (;;) {
    Chain* down = nullptr;
    while (at->visit < at->count && down == nullptr) {
      const std::uint32_t i = at->visit++;
      down = at->children[i];
      if (down == nullptr) {
        ODO_TRY_VOID(marker.mark(at->refs()[i], at->tree));
      }
    }
    if (down != nullptr) {
      at = down;
      at->visit = 0;
      continue;
    }
    marks.mark(at->ref);
    if (at == &root) return {};
    at = at->parent;
  }
}

// Brings a zone's leaf in line with what was found.
template <Ground G>
Result<void> Volume<G>::compare(std::uint64_t zone, const SpaceMarks<G>& marks,
                                Reclaim reclaim, BulkfreeResult& result) {
  constexpr std::uint64_t kUnitsInEntry = std::uint64_t{1}
                                          << (format::kFreemapEntryRadix -
                                              format::kFreemapUnitRadix);
  ODO_TRY(FreemapLeaf * leaf, freemap_.leaf_of(zone));
  bool changed = false;
  std::int64_t freed = 0;
  for (std::size_t i = 0; i < format::kFreemapEntries; ++i) {
    const std::uint64_t offset =
        zone * format::kZoneBytes +
        (std::uint64_t{i} << format::kFreemapEntryRadix);
    if (audit::never_given_out(offset, freemap_.allocator_beg(),
                               info().total_bytes)) {
      continue;
    }
    format::BmapData& entry = leaf->entries[i];
    bool any = false;
    bool entry_changed = false;
    const std::uint64_t first_unit = offset >> format::kFreemapUnitRadix;
    for (std::uint64_t unit = 0; unit < kUnitsInEntry; ++unit) {
      std::uint64_t& word = entry.bitmap[unit / kUnitsInWord];
      const auto shift = static_cast<unsigned>(2 * (unit % kUnitsInWord));
      const bool used = (marks.word(align_down(first_unit + unit, 64)) >>
                             ((first_unit + unit) % 64) &
                         1) != 0;
      const auto state = static_cast<unsigned>(word >> shift & 3);
      const unsigned next = next_state<kSpaceMutation<G>>(state, used, reclaim);
      any |= next != 0;
      if (next == state) continue;
      entry_changed = true;
      word = (word & ~(std::uint64_t{3} << shift)) | std::uint64_t{next}
                                                         << shift;
      if (next == 0) {
        entry.avail += kUnitBytes;
        freed += kUnitBytes;
        result.freed_bytes += kUnitBytes;
      } else if (state == 0) {
        entry.avail -= kUnitBytes;
        freed -= kUnitBytes;
      } else if (!used) {
        result.staged_bytes += kUnitBytes;
      }
    }
    if (!entry_changed) continue;
    changed = true;
    if (!any) {
      entry.alloc_class = 0;
      entry.linear = 0;
      continue;
    }
    // Small blocks must not go on in a unit that isn't theirs any more.
    const auto linear = static_cast<std::uint32_t>(entry.linear);
    if (linear % kUnitBytes != 0 && linear / kUnitBytes < kUnitsInEntry &&
        format::unit_state(entry, linear / kUnitBytes) !=
            format::FreemapState::kAllocated) {
      entry.linear = static_cast<std::int32_t>(align_up(linear, kUnitBytes));
    }
  }
  if (changed) freemap_.note_change(zone, freed);
  return {};
}

template <Ground G>
Result<void> Volume<G>::reclaim(Reclaim mode, BulkfreeResult& result) {
  constexpr std::uint64_t kMostZones = 4096;  // 32 MiB of marks
  SpaceMarks<G> marks;
  const std::uint64_t window = std::min(freemap_.zones(), kMostZones);
  ODO_TRY_VOID(marks.init(ground_, window));
  for (std::uint64_t first = 0; first < freemap_.zones(); first += window) {
    marks.begin(first);
    ODO_TRY_VOID(mark_all(marks));
    result.blocks = marks.blocks();
    const std::uint64_t end = std::min(first + window, freemap_.zones());
    for (std::uint64_t zone = first; zone < end; ++zone) {
      ODO_TRY_VOID(compare(zone, marks, mode, result));
    }
  }
  return {};
}

template <Ground G>
Result<BulkfreeResult> Volume<G>::bulkfree() {
  if (read_only()) return fail(Error{.code = Code::kReadOnly});
  // What is found is then what the next header will refer to.
  ODO_TRY_VOID(commit());
  // What is staged must not be referred to anew.
  dedup_.clear();
  BulkfreeResult result;
  ODO_TRY_VOID(reclaim(Reclaim::kFree, result));
  ODO_TRY_VOID(commit());
  return result;
}

// Blocks that the topology has and the freemap doesn't know of.
template <Ground G>
Result<void> Volume<G>::recover_freemap() {
  BulkfreeResult result;
  return reclaim(Reclaim::kKeep, result);
}

}  // namespace odo::hammer2::write
