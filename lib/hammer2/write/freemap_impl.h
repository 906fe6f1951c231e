// SPDX-License-Identifier: BSD-3-Clause
// The members of Freemap; see freemap.h, which includes this.
//
// Contexts: as freemap.h says.
#pragma once

#include "lib/hammer2/write/freemap.h"

namespace odo::hammer2::write {

template <Ground G>
Result<void> Freemap<G>::open(Bytes blockset, std::uint64_t allocator_beg,
                              std::uint64_t free_bytes) {
  close();
  allocator_beg_ = allocator_beg;
  free_bytes_ = free_bytes;
  quads_ = 0;
  any_class_ = false;
  compact_ = false;
  fresh_cursors_ = 0;
  std::size_t count =
      (total_bytes() + format::kZoneBytes - 1) / format::kZoneBytes;
  ODO_TRY_VOID(zones_.init(ground_, count));
  top_ = 0;
  while (count > format::kBlocksetCount) {
    count = (count + format::kFreemapEntries - 1) / format::kFreemapEntries;
    ++top_;
    ODO_CHECK(top_ < format::kFreemapLevels);
    ODO_TRY_VOID(nodes_[top_].init(ground_, count));
  }
  ODO_TRY_VOID(scratch_.init(ground_, format::kFreemapBlockBytes));

  Array<G, std::byte> levels;
  ODO_TRY_VOID(levels.init(ground_, std::size_t{format::kFreemapLevels} *
                                            format::kFreemapBlockBytes +
                                        alignof(std::max_align_t)));
  audit::Arena arena(levels.span());
  WalkReader reader{*this};
  audit::FreemapTree<WalkReader> tree(media_.volumes(), reader);
  ODO_CHECK(tree.init(arena));
  Loader loader{*this};
  tree.walk(RefArray(blockset, format::kBlocksetCount), loader);
  if (loader.error) return fail(*loader.error);

  // A zone without a leaf is free; its leaf is made when it is wanted.
  for (std::uint64_t zone = 0; zone < zones_.size(); ++zone) {
    Zone& of = zones_[zone];
    if (of.ref.type != format::BlockType::kEmpty) continue;
    std::uint32_t entries = 0;
    for (std::uint64_t i = 0; i < format::kFreemapEntries; ++i) {
      entries +=
          audit::never_given_out(zone * format::kZoneBytes + i * kEntryBytes,
                                 allocator_beg_, total_bytes())
              ? 0
              : 1;
    }
    of.quads = entries * (kEntryBytes / format::kMaxAllocBytes);
    quads_ += of.quads;
  }
  // A header may say that the allocator begins behind the end.
  cursors_.fill(allocator_beg_ < total_bytes() ? allocator_beg_ / kEntryBytes
                                               : 0);
  device_block_bytes_ = media_.coarsest_block_bytes();
  return {};
}

template <Ground G>
void Freemap<G>::close() {
  for (Zone& zone : zones_) {
    if (zone.leaf != nullptr) {
      ground_.deallocate(zone.leaf, sizeof(FreemapLeaf), alignof(FreemapLeaf));
      zone.leaf = nullptr;
    }
  }
  zones_.clear();
  for (auto& nodes : nodes_) nodes.clear();
  scratch_.clear();
  clean_leaves_ = 0;
}

template <Ground G>
Result<void> Freemap<G>::read_block(const format::Blockref& ref,
                                    MutableBytes to) {
  ODO_TRY_VOID(media_.read(ref.offset(), to));
  switch (VerifyChecks(checks_).block(ref, to)) {
    case Verdict::kMatch:
      return {};
    case Verdict::kMismatch:
      return fail(error_at(Code::kCheckMismatch, ref));
    case Verdict::kUnknownMethod:
      break;
  }
  return fail(error_at(Code::kBadCheckMethod, ref));
}

template <Ground G>
void Freemap<G>::take_block(const format::Blockref& ref, Bytes block) {
  const unsigned level = *audit::freemap_level(ref);  // the walk proved it
  const std::uint64_t index = ref.key >> ref.keybits;
  if (level == 0) {
    if (index >= zones_.size()) return;
    Zone& zone = zones_[index];
    zone.ref = ref;
    for (std::size_t i = 0; i < format::kFreemapEntries; ++i) {
      format::BmapData entry;
      copy_bytes(mutable_bytes_of(entry),
                 block.subspan(i * sizeof entry, sizeof entry));
      for (const std::uint64_t word : entry.bitmap) {
        zone.quads += free_quads(word);
      }
    }
    quads_ += zone.quads;
    return;
  }
  if (level <= top_ && index < nodes_[level].size()) {
    nodes_[level][index].ref = ref;
  }
}

template <Ground G>
void Freemap<G>::init_leaf(std::uint64_t zone, FreemapLeaf& leaf) const {
  for (std::uint64_t i = 0; i < format::kFreemapEntries; ++i) {
    format::BmapData& entry = leaf.entries[i];
    entry = {};
    if (audit::never_given_out(zone * format::kZoneBytes + i * kEntryBytes,
                               allocator_beg_, total_bytes())) {
      entry = withheld_entry();
    } else {
      entry.avail = static_cast<std::uint32_t>(kEntryBytes);
    }
  }
}

template <Ground G>
void Freemap<G>::shed_clean_leaf() {
  Zone* oldest = nullptr;
  for (Zone& zone : zones_) {
    if (zone.leaf == nullptr || zone.dirty) continue;
    if (oldest == nullptr || zone.last_use < oldest->last_use) oldest = &zone;
  }
  if (oldest == nullptr) return;
  ground_.deallocate(oldest->leaf, sizeof(FreemapLeaf), alignof(FreemapLeaf));
  oldest->leaf = nullptr;
  --clean_leaves_;
}

template <Ground G>
Result<FreemapLeaf*> Freemap<G>::leaf_of(std::uint64_t zone) {
  Zone& of = zones_[zone];
  of.last_use = ++clock_;
  if (of.leaf != nullptr) return of.leaf;
  if (clean_leaves_ >= kMaxCleanLeaves) shed_clean_leaf();
  void* memory = ground_.allocate(sizeof(FreemapLeaf), alignof(FreemapLeaf));
  if (memory == nullptr) return fail(no_memory(sizeof(FreemapLeaf)));
  auto* leaf = ::new (memory) FreemapLeaf;
  if (of.ref.type == format::BlockType::kEmpty) {
    init_leaf(zone, *leaf);
  } else if (const auto read = read_block(of.ref, mutable_bytes_of(*leaf));
             !read) {
    ground_.deallocate(leaf, sizeof(FreemapLeaf), alignof(FreemapLeaf));
    return fail(read.error());
  }
  of.leaf = leaf;
  ++clean_leaves_;
  return leaf;
}

template <Ground G>
void Freemap<G>::note_change(std::uint64_t zone, std::int64_t freed_bytes) {
  Zone& of = zones_[zone];
  ODO_ASSERT(of.leaf != nullptr);
  if (!of.dirty) --clean_leaves_;
  of.dirty = true;
  quads_ -= of.quads;
  of.quads = of.leaf->quads();
  quads_ += of.quads;
  free_bytes_ += static_cast<std::uint64_t>(freed_bytes);
  if (freed_bytes > 0) {
    of.full_radixes = 0;
    any_class_ = false;
  }
}

template <Ground G>
Result<std::uint64_t> Freemap<G>::allocate(format::BlockType type,
                                           unsigned radix) {
  ODO_ASSERT(radix >= format::kMinRadix && radix <= format::kMaxRadix);
  if (!any_class_ && !compact_) {
    ODO_TRY(const auto found, search(type, radix, false));
    if (found) return *found;
    // Only a block that can use any entry tells that none is left to begin.
    any_class_ = radix >= format::kFreemapUnitRadix;
  }
  ODO_TRY(const auto found, search(type, radix, true));
  if (found) return *found;
  Error error{.code = Code::kNoSpace};
  error.bytes = 1U << radix;
  return fail(error);
}

template <Ground G>
Result<std::optional<std::uint64_t>> Freemap<G>::search(format::BlockType type,
                                                        unsigned radix,
                                                        bool any_class) {
  const auto index = static_cast<std::size_t>(type);
  ODO_ASSERT(index < kTypes);
  const std::uint16_t alloc_class = class_of(type);
  const std::uint64_t entries = zones_.size() * format::kFreemapEntries;
  // From the cursor to the end of its zone, the other zones, and the beginning
  // of the cursor's.
  std::uint64_t at = cursors_[index];
  for (std::uint64_t seen = 0; seen < entries + format::kFreemapEntries;) {
    const std::uint64_t zone = at / format::kFreemapEntries;
    const std::size_t first = at % format::kFreemapEntries;
    const std::size_t count = format::kFreemapEntries - first;
    ODO_TRY(const auto found,
            search_zone(zone, first, count, alloc_class, radix, any_class));
    if (found) {
      cursors_[index] = *found / kEntryBytes;
      fresh_cursors_ |= 1U << index;
      return found;
    }
    seen += count;
    at = (at + count) % entries;
  }
  return std::optional<std::uint64_t>();
}

template <Ground G>
Result<std::optional<std::uint64_t>> Freemap<G>::search_zone(
    std::uint64_t zone, std::size_t first, std::size_t count,
    std::uint16_t alloc_class, unsigned radix, bool any_class) {
  Zone& of = zones_[zone];
  const auto radix_bit =
      static_cast<std::uint8_t>(1U << (radix - format::kMinRadix));
  if ((of.full_radixes & radix_bit) != 0) return std::optional<std::uint64_t>();
  ODO_TRY(FreemapLeaf * leaf, leaf_of(zone));
  const std::size_t type = alloc_class >> 8U;
  for (std::size_t i = first; i < first + count; ++i) {
    format::BmapData& entry = leaf->entries[i];
    const bool small = radix < format::kFreemapUnitRadix;
    if (entry.avail < (small ? 0U : 1U << radix) ||
        (small && entry.avail == 0 &&
         static_cast<std::uint32_t>(entry.linear) % kUnitBytes == 0)) {
      continue;
    }
    if (!any_class && entry.alloc_class != 0 &&
        entry.alloc_class != alloc_class) {
      continue;
    }
    const std::uint64_t number = zone * format::kFreemapEntries + i;
    const std::optional<Taken> taken =
        take(entry, radix, align_for(type, number));
    if (!taken) continue;
    if (entry.alloc_class == 0) entry.alloc_class = alloc_class;
    if (!of.dirty) --clean_leaves_;
    of.dirty = true;
    of.quads -= taken->quads;
    quads_ -= taken->quads;
    free_bytes_ -= taken->unit_bytes;
    return std::optional(number * kEntryBytes + taken->offset);
  }
  if (any_class && first == 0) of.full_radixes |= radix_bit;
  return std::optional<std::uint64_t>();
}

template <Ground G>
Result<void> Freemap<G>::drop_fresh(std::uint64_t offset, unsigned radix) {
  if (radix < format::kFreemapUnitRadix) return {};
  const std::uint64_t zone = offset / format::kZoneBytes;
  ODO_TRY(FreemapLeaf * leaf, leaf_of(zone));
  format::BmapData& entry =
      leaf->entries[offset / kEntryBytes % format::kFreemapEntries];
  const auto unit = static_cast<unsigned>(offset % kEntryBytes / kUnitBytes);
  const unsigned count = 1U << (radix - format::kFreemapUnitRadix);
  entry.bitmap[unit / kUnitsInWord] &= ~unit_mask(unit % kUnitsInWord, count);
  entry.avail += count * kUnitBytes;
  note_change(zone, std::int64_t{count} * kUnitBytes);
  return {};
}

template <Ground G>
Result<void> Freemap<G>::mark_taken(std::uint64_t offset, unsigned radix) {
  const std::uint64_t zone = offset / format::kZoneBytes;
  ODO_TRY(FreemapLeaf * leaf, leaf_of(zone));
  format::BmapData& entry =
      leaf->entries[offset / kEntryBytes % format::kFreemapEntries];
  const auto first = static_cast<unsigned>(offset % kEntryBytes / kUnitBytes);
  const unsigned count = 1U << (radix - format::kFreemapUnitRadix);
  std::uint32_t taken = 0;
  for (unsigned unit = first; unit < first + count; ++unit) {
    const std::uint64_t mask = unit_mask(unit % kUnitsInWord, 1);
    std::uint64_t& word = entry.bitmap[unit / kUnitsInWord];
    if ((word & mask) == 0) taken += kUnitBytes;
    word |= mask;
  }
  entry.avail -= taken;
  if (entry.alloc_class == 0) {
    entry.alloc_class = class_of(format::BlockType::kData);
  }
  note_change(zone, -std::int64_t{taken});
  return {};
}

// The next of a block's eight places, or the first.
template <Ground G>
std::uint64_t Freemap<G>::place(const format::Blockref& ref, unsigned level) {
  std::uint64_t turn = 0;
  if (ref.data_off != 0) {
    const std::uint64_t slot =
        ref.offset() % format::kZoneBytes / format::kMaxAllocBytes;
    constexpr std::uint64_t kStep =
        kSpaceMutation<G> == SpaceMutation::kFreemapInPlace ? 0 : 1;
    turn = ((slot - 1) / format::kFreemapLevels + kStep) %
           format::kFreemapRotation;
  }
  return (1 + turn * format::kFreemapLevels + level) * format::kMaxAllocBytes;
}

template <Ground G>
Result<void> Freemap<G>::write_block(format::Blockref& ref, unsigned level,
                                     std::uint64_t key, Bytes bytes,
                                     std::uint64_t avail,
                                     std::uint64_t mirror_tid,
                                     std::uint64_t modify_tid) {
  const std::uint64_t offset = key + place(ref, level);
  ODO_TRY_VOID(media_.write(offset, bytes));
  ref.type = level == 0 ? format::BlockType::kFreemapLeaf
                        : format::BlockType::kFreemapNode;
  ref.methods = format::encode_methods(format::CheckMethod::kFreemap,
                                       format::CompMethod::kNone);
  ref.keybits =
      static_cast<std::uint8_t>(format::kFreemapLeafRadix + kLevelBits * level);
  ref.key = key;
  ref.mirror_tid = mirror_tid;
  ref.modify_tid = modify_tid;
  ref.data_off = offset | static_cast<unsigned>(
                              std::countr_zero(format::kFreemapBlockBytes));
  seal(ref, bytes, checks_);
  ref.check.freemap.bigmask = ~std::uint32_t{0};
  ref.check.freemap.avail = avail;
  return {};
}

template <Ground G>
Result<void> Freemap<G>::write_out(std::uint64_t mirror_tid,
                                   std::uint64_t modify_tid,
                                   MutableBytes blockset) {
  for (std::uint64_t i = 0; i < zones_.size(); ++i) {
    Zone& zone = zones_[i];
    // A node that isn't there yet has to be made, whatever of it is new.
    if (top_ > 0 && zone.ref.type != format::BlockType::kEmpty &&
        nodes_[1][i >> kLevelBits].ref.type == format::BlockType::kEmpty) {
      nodes_[1][i >> kLevelBits].dirty = true;
    }
    if (!zone.dirty) continue;
    ODO_TRY_VOID(write_block(zone.ref, 0, i * format::kZoneBytes,
                             bytes_of(*zone.leaf), zone.leaf->avail(),
                             mirror_tid, modify_tid));
    zone.dirty = false;
    ++clean_leaves_;
    if (top_ > 0) nodes_[1][i >> kLevelBits].dirty = true;
  }
  while (clean_leaves_ > kMaxCleanLeaves) shed_clean_leaf();
  const auto below = [&](unsigned level, std::size_t i) {
    return level == 0 ? zones_[i].ref : nodes_[level][i].ref;
  };
  const auto count = [&](unsigned level) {
    return level == 0 ? zones_.size() : nodes_[level].size();
  };
  for (unsigned level = 1; level <= top_; ++level) {
    for (std::size_t i = 0; i < nodes_[level].size(); ++i) {
      Node& node = nodes_[level][i];
      if (!node.dirty) continue;
      const MutableBytes bytes = scratch_.span();
      zero_bytes(bytes);
      std::uint64_t avail = 0;
      for (std::size_t slot = 0; slot < format::kFreemapEntries; ++slot) {
        const std::size_t child = (i << kLevelBits) + slot;
        if (child >= count(level - 1)) break;
        const format::Blockref ref = below(level - 1, child);
        avail += ref.check.freemap.avail;
        copy_bytes(bytes.subspan(slot * sizeof ref), bytes_of(ref));
      }
      ODO_TRY_VOID(
          write_block(node.ref, level,
                      static_cast<std::uint64_t>(i)
                          << (format::kFreemapLeafRadix + kLevelBits * level),
                      bytes, avail, mirror_tid, modify_tid));
      node.dirty = false;
      if (level < top_) nodes_[level + 1][i >> kLevelBits].dirty = true;
    }
  }
  zero_bytes(blockset);
  for (std::size_t i = 0; i < count(top_); ++i) {
    copy_bytes(blockset.subspan(i * sizeof(format::Blockref)),
               bytes_of(below(top_, i)));
  }
  return {};
}

}  // namespace odo::hammer2::write
