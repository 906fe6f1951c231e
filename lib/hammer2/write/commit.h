// SPDX-License-Identifier: BSD-3-Clause
// Members of Volume that write what has changed, and see to it beforehand that
// there is room; see volume.h.
//
// Contexts: as volume.h says.
#pragma once

#include <algorithm>
#include <bit>

#include "lib/hammer2/write/volume.h"

namespace odo::hammer2::write {

// --- Room --------------------------------------------------------------------

// Removals write, too, before they free anything: they may use this.
template <Ground G>
std::uint64_t Volume<G>::reserve_quads() const {
  return std::clamp(info().allocator_bytes / kBlockBytes / 64, kSlackQuads,
                    kMostReserveQuads);
}

template <Ground G>
bool Volume<G>::has_room(Need need, std::uint64_t data_quads) const {
  const std::uint64_t wanted = chains_.dirty_quads() + data_blocks_ +
                               data_quads + kSlackQuads +
                               (need == Need::kNormal ? reserve_quads() : 0);
  return freemap_.quads() >= wanted;
}

// To be called before an operation changes anything: the volume can be written
// to, memory is within its limits, and whatever the operation and all before it
// will write has room. For what the intent log can't say.
template <Ground G>
Result<void> Volume<G>::begin(Need need, std::uint64_t data_quads) {
  ODO_TRY_VOID(make_room(need, data_quads));
  changes_.spoil();
  return {};
}

template <Ground G>
Result<void> Volume<G>::make_room(Need need, std::uint64_t data_quads) {
  if (read_only()) return fail(Error{.code = Code::kReadOnly});
  ODO_TRY_VOID(settle_memory());
  if (has_room(need, data_quads)) return {};
  // What was thought to need room may need less.
  ODO_TRY_VOID(commit());
  // The first pass stages, the second frees.
  for (int pass = 0; pass < 2 && open_tid_ != exhausted_tid_; ++pass) {
    if (has_room(need, data_quads)) return {};
    ODO_TRY(const BulkfreeResult result, bulkfree());
    if (result.freed_bytes == 0 && result.staged_bytes == 0) {
      exhausted_tid_ = open_tid_;
    }
  }
  if (has_room(need, data_quads)) return {};
  return fail(Error{.code = Code::kNoSpace});
}

template <Ground G>
Space Volume<G>::space(const OpenInode& any) const {
  const format::Blockref& root = any.pfs->chain->ref;
  const std::uint64_t kept =
      chains_.dirty_quads() + data_blocks_ + kSlackQuads + reserve_quads();
  const std::uint64_t quads = freemap_.quads();
  return {.total_bytes = info().allocator_bytes,
          .free_bytes = freemap_.free_bytes(),
          .available_bytes = quads > kept ? (quads - kept) * kBlockBytes : 0,
          .inodes = root.embed.stats.inode_count};
}

template <Ground G>
Result<void> Volume<G>::settle_memory() {
  if (data_bytes_ > limits_.data_bytes) {
    ODO_TRY_VOID(store_old_blocks(limits_.data_bytes / 2));
  }
  if (chains_.memory_bytes() <= limits_.chain_bytes) return {};
  chains_.trim(limits_.chain_bytes);
  if (chains_.memory_bytes() <= limits_.chain_bytes) return {};
  // Into free space, where nothing refers to it yet.
  ODO_TRY_VOID(flush_chains());
  chains_.trim(limits_.chain_bytes / 2);
  return {};
}

// A block that this transaction took and no longer needs is free at once.
template <Ground G>
void Volume<G>::retire(const format::Blockref& ref) {
  constexpr bool kAny = kSpaceMutation<G> == SpaceMutation::kRetireCommitted;
  if (!(kAny || is_fresh(ref)) || dedup_.is_shared(ref.data_off)) return;
  if (ref.type == format::BlockType::kData) dedup_.forget(ref);
  // Where the freemap can't be read the space waits for bulkfree.
  (void)freemap_.drop_fresh(ref.offset(), ref.radix());
}

// --- Blocks ------------------------------------------------------------------

namespace detail {

// What lies below a reference, by the references in its block.
inline void count_below(format::Blockref& ref,
                        std::span<const format::Blockref> below) {
  format::Statistics total = {};
  std::uint32_t leaves = 0;
  for (const format::Blockref& child : below) {
    const bool inode = child.type == format::BlockType::kInode;
    const bool indirect = child.type == format::BlockType::kIndirect;
    if (child.radix() != 0) {
      total.data_count += std::uint64_t{1} << child.radix();
    }
    if (inode || indirect) {
      total.data_count += child.embed.stats.data_count;
      total.inode_count += child.embed.stats.inode_count;
    }
    total.inode_count += inode ? 1 : 0;
    leaves += indirect ? child.leaf_count : 1U;
  }
  ref.embed.stats = total;
  ref.leaf_count = static_cast<std::uint16_t>(std::min(leaves, 65535U));
}

[[nodiscard]] inline bool has_code(std::uint8_t methods) {
  const format::CheckMethod check = format::check_method(methods);
  return check != format::CheckMethod::kNone &&
         check != format::CheckMethod::kDisabled;
}

}  // namespace detail

template <Ground G>
Result<void> Volume<G>::write_chain(Chain& chain) {
  if (!chain.is_inode() && chain.size > ChainCache<G>::kLeastNodeBytes &&
      chain.count * 4 <= chain.capacity) {
    const std::uint32_t size =
        std::max(ChainCache<G>::kLeastNodeBytes,
                 std::bit_ceil(chain.count * 2) * format::kBlockrefBytes);
    ODO_TRY_VOID(chains_.resize(chain, size));
  }
  format::Blockref ref = chain.ref;
  const Chain* owner = &chain;
  while (!owner->is_inode()) owner = owner->parent;
  ref.methods = metadata_methods(
      owner->inode(), chain.is_inode() ? static_cast<CompMethod>(
                                             chain.inode().meta.comp_algo & 15)
                                       : CompMethod::kNone);
  const auto radix = static_cast<unsigned>(std::countr_zero(chain.size));
  if (!is_fresh(ref) || ref.radix() != radix ||
      !detail::has_code(chain.ref.methods)) {
    ODO_TRY(const std::uint64_t offset, freemap_.allocate(ref.type, radix));
    retire(ref);
    ref.data_off = offset | radix;
  }
  detail::count_below(ref, chain.used());
  ref.mirror_tid = open_tid_;
  ref.modify_tid = modify_tid_;
  const Bytes bytes(chain.bytes, chain.size);
  seal(ref, bytes, checks_);
  ODO_TRY_VOID(media_.write(ref.offset(), bytes));
  chain.ref = ref;
  if (chain.parent != nullptr) {
    chain.parent->refs()[chain.parent->index_of(ref.key)] = ref;
  }
  chains_.mark_clean(chain);
  return {};
}

// From the leaves up, each block after all below it.
template <Ground G>
Result<void> Volume<G>::flush_chains() {
  Chain* at = &chains_.super_root();
  if (!at->dirty) return {};
  at->visit = 0;
  for (;;) {
    Chain* down = nullptr;
    while (at->visit < at->count && down == nullptr) {
      Chain* child = at->children[at->visit++];
      if (child != nullptr && child->dirty) down = child;
    }
    if (down != nullptr) {
      at = down;
      at->visit = 0;
      continue;
    }
    ODO_TRY_VOID(write_chain(*at));
    if (at->parent == nullptr) return {};
    at = at->parent;
  }
}

// --- The volume header -------------------------------------------------------

template <Ground G>
Result<void> Volume<G>::sync() {
  if (read_only()) return fail(Error{.code = Code::kReadOnly});
  return commit();
}

template <Ground G>
Result<void> Volume<G>::commit() {
  ODO_TRY(const SyncTicket sync, begin_sync());
  return finish(sync);
}

// The rest of a sync, without letting anybody in between.
template <Ground G>
Result<void> Volume<G>::finish(SyncTicket sync) {
  for (bool more = sync.pending(); more;) {
    ODO_TRY(more, continue_sync(sync, flush_devices()));
  }
  return {};
}

// Everything up to the first flush. From here on there is a new transaction:
// what it frees, this one's header refers to.
template <Ground G>
Result<SyncTicket> Volume<G>::begin_sync() {
  // Two headers are never under way: the later one's place may be that of the
  // one that would be needed.
  ODO_TRY_VOID(finish(sync_));
  if (read_only()) return fail(Error{.code = Code::kReadOnly});
  ODO_TRY_VOID(store_old_blocks(0));
  if (!is_closing_ && !chains_.super_root().dirty && !freemap_.dirty() &&
      header().sroot_blockset.refs[root_slot_].data_off ==
          chains_.super_root().ref.data_off) {
    changes_.clear();
    return SyncTicket{};
  }
  // The header's first sector ends in its own CRC, so that no CRC over more
  // than that sector depends on what is in it: an old first sector before new
  // ones shows only by the CRC of the second, which it holds. Hence the second,
  // the reference to the super-root, is never the same in two headers.
  chains_.mark_dirty(chains_.super_root());
  ODO_TRY_VOID(flush_chains());
  header().sroot_blockset.refs[root_slot_] = chains_.super_root().ref;
  if (is_closing_) ODO_TRY_VOID(log_.free_blocks(freemap_));
  header().mirror_tid = open_tid_;
  header().freemap_tid = open_tid_;
  header().allocator_free = freemap_.free_bytes();
  ODO_TRY_VOID(freemap_.write_out(open_tid_, modify_tid_,
                                  mutable_bytes_of(header().freemap_blockset)));
  seal_header(header_.span(), checks_);
  if (format::has_one_header(header().volu_size)) {
    // Nobody looks at it while the header proper is whole, and by the time that
    // it is written over, this is durable with all that it refers to.
    ODO_TRY_VOID(media_.write(format::kShadowHeaderOffset, header_.span()));
  }
  ODO_TRY_VOID(media_.drain());
  sync_ = {open_tid_};
  header_written_ = false;
  ++open_tid_;
  ++modify_tid_;
  freemap_.begin_transaction();
  dedup_.end_transaction();
  changes_.clear();
  return sync_;
}

template <Ground G>
Result<bool> Volume<G>::continue_sync(SyncTicket sync,
                                      const Result<void>& flushed) {
  // Whoever's sync it is: a device may tell of a failure but once.
  if (!flushed) {
    sync_ = {};
    return fail(media_.note(flushed).error());
  }
  if (sync.logged != 0) {
    if (read_only()) return fail(Error{.code = Code::kReadOnly});
    log_.note_durable(sync.logged);
    return false;
  }
  // Somebody else has ended it, well or not.
  if (sync.tid != sync_.tid) {
    if (read_only()) return fail(Error{.code = Code::kReadOnly});
    return false;
  }
  if (header_written_) {
    sync_ = {};
    rebase_log();
    return false;
  }
  // What the header refers to is durable before the header is written.
  header_written_ = true;
  auto written = write_header();
  if (written) written = media_.drain();
  if (!written) {
    sync_ = {};
    return fail(written.error());
  }
  return true;
}

// Into the slot after that of the last: a header that is torn leaves the last
// one to be used.
template <Ground G>
Result<void> Volume<G>::write_header() {
  std::uint64_t offset =
      align_down(header_offset_, format::kVolumeHeaderStride) +
      format::kVolumeHeaderStride;
  if (offset / format::kVolumeHeaderStride >= format::kVolumeHeaderCount ||
      offset + format::kZoneReserveBytes > header().volu_size) {
    offset = 0;
  }
  ODO_TRY_VOID(media_.write(offset, header_.span()));
  header_offset_ = offset;
  return {};
}

}  // namespace odo::hammer2::write
