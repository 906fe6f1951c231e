// SPDX-License-Identifier: BSD-3-Clause
// Members that make a filesystem as small as what it holds; see volume.h.
//
// Contexts: as volume.h says.
// Origin: our own; growing is hammer2's cmd_growfs.c, shrinking it can't.
#pragma once

#include <algorithm>

#include "lib/hammer2/write/format_volume.h"
#include "lib/hammer2/write/volume.h"

namespace odo::hammer2::write {

template <Ground G>
Result<std::uint64_t> Freemap<G>::used_end() {
  for (std::uint64_t zone = zones_.size(); zone-- > 0;) {
    if (zones_[zone].leaf == nullptr &&
        zones_[zone].ref.type == format::BlockType::kEmpty) {
      continue;
    }
    ODO_TRY(const FreemapLeaf* leaf, leaf_of(zone));
    for (std::size_t i = format::kFreemapEntries; i-- > 0;) {
      const std::uint64_t offset = zone * format::kZoneBytes + i * kEntryBytes;
      if (audit::never_given_out(offset, allocator_beg_, total_bytes())) {
        continue;
      }
      if (std::ranges::any_of(leaf->entries[i].bitmap,
                              [](std::uint64_t word) { return word != 0; })) {
        return offset + kEntryBytes;
      }
    }
  }
  return align_up(allocator_beg_, kEntryBytes);
}

template <Ground G>
Result<void> Freemap<G>::cut(std::uint64_t end) {
  const std::uint64_t first = end / format::kZoneBytes;
  for (std::uint64_t zone = first; zone < zones_.size(); ++zone) {
    Zone& of = zones_[zone];
    if (end > zone * format::kZoneBytes) {
      if (of.leaf == nullptr && of.ref.type == format::BlockType::kEmpty) {
        continue;  // it will be made for the size that the volume has then
      }
      ODO_TRY(FreemapLeaf * leaf, leaf_of(zone));
      for (std::size_t i = 0; i < format::kFreemapEntries; ++i) {
        if (zone * format::kZoneBytes + i * kEntryBytes < end) continue;
        leaf->entries[i] = withheld_entry();
      }
      note_change(zone, 0);
      continue;
    }
    if (of.leaf != nullptr && !of.dirty) --clean_leaves_;
    if (of.leaf != nullptr) {
      ground_.deallocate(of.leaf, sizeof(FreemapLeaf), alignof(FreemapLeaf));
    }
    quads_ -= of.quads;
    of = Zone{};
    if (top_ > 0) nodes_[1][zone >> kLevelBits].dirty = true;
  }
  return {};
}

template <Ground G>
Result<std::uint64_t> Volume<G>::shrink_to_fit() {
  if (info().volumes != 1 || info().boot_end > info().total_bytes) {
    return fail(Error{.code = Code::kInvalid});
  }
  ODO_TRY_VOID(sync());
  ODO_TRY(const std::uint64_t used, freemap_.used_end());
  const std::uint64_t size =
      std::min(align_up(used, format::kVolumeAlignBytes), header().volu_size);
  if (size != header().volu_size) {
    ODO_TRY_VOID(freemap_.cut(size));
    const std::uint64_t in_use =
        header().allocator_size - freemap_.free_bytes();
    const std::uint64_t areas = header().boot_end - header().boot_beg +
                                (header().aux_end - header().aux_beg);
    header().volu_size = size;
    if (header().version >= format::kVersionMultiVolume) {
      header().total_size = size;
    }
    header().allocator_size = size - detail::reserve_bytes(size) - areas;
    header().allocator_free = header().allocator_size - in_use;
    header().mirror_tid = open_tid_;
    header().freemap_tid = open_tid_;
    ODO_TRY_VOID(freemap_.write_out(
        open_tid_, modify_tid_, mutable_bytes_of(header().freemap_blockset)));
    ODO_TRY_VOID(media_.flush());
    // In all places: an older header would want the old size.
    seal_header(header_.span(), checks_);
    for (unsigned i = 0; i < format::kVolumeHeaderCount; ++i) {
      const std::uint64_t offset = i * format::kVolumeHeaderStride;
      if (offset + format::kZoneReserveBytes > size) break;
      ODO_TRY_VOID(media_.write(offset, header_.span()));
    }
    ODO_TRY_VOID(media_.flush());
  }
  forget();
  return size;
}

}  // namespace odo::hammer2::write
