// SPDX-License-Identifier: BSD-3-Clause
// Members of Volume that begin and end its use; see volume.h.
//
// Contexts: as volume.h says.
#pragma once

#include <algorithm>

#include "lib/hammer2/write/volume.h"

namespace odo::hammer2::write {

template <Ground G>
Result<void> Volume<G>::open(std::span<Device* const> devices,
                             const Limits& limits) {
  forget();
  limits_ = limits;
  ODO_TRY_VOID(encoder_.init(ground_));
  ODO_TRY_VOID(outgoing_.init(ground_, kBlockBytes));
  ODO_TRY_VOID(twin_.init(ground_, kBlockBytes));
  ODO_TRY_VOID(dedup_.init(ground_, limits.dedup_entries));
  ODO_TRY_VOID(media_.open(devices, limits.cache_bytes));
  ODO_TRY_VOID(load_header());
  // No transaction could be told from those before.
  if (header().mirror_tid == ~std::uint64_t{0}) {
    Error error{.code = Code::kBadVolumeHeader};
    error.type = format::BlockType::kVolume;
    error.offset = header_offset_;
    return fail(error);
  }
  ODO_TRY_VOID(freemap_.open(bytes_of(header().freemap_blockset),
                             header().allocator_beg, header().allocator_free));
  if (limits.placement == Placement::kCompact) freemap_.use_any_class();
  ODO_TRY_VOID(chains_.open());
  open_tid_ = header().mirror_tid + 1;
  modify_tid_ =
      std::max(header().mirror_tid, chains_.super_root().ref.modify_tid) + 1;
  exhausted_tid_ = 0;
  sync_ = {};
  // Its last writer was cut off between the topology and the freemap.
  if (header().freemap_tid < header().mirror_tid) {
    ODO_TRY_VOID(recover_freemap());
  }
  log_.open(limits.log_bytes);
  return redo_log();
}

template <Ground G>
Result<void> Volume<G>::load_header() {
  ODO_TRY_VOID(header_.init(ground_, format::kVolumeHeaderBytes));
  header_offset_ = info().header_offset;
  ODO_TRY_VOID(media_.read(header_offset_, header_.span()));
  const auto& refs = header().sroot_blockset.refs;
  for (root_slot_ = 0; root_slot_ < refs.size(); ++root_slot_) {
    if (refs[root_slot_].type == format::BlockType::kInode &&
        refs[root_slot_].key == format::kSuperRootKey) {
      return {};
    }
  }
  // The volume set found it there a moment ago.
  return fail(Error{.code = Code::kBadVolumeHeader});
}

template <Ground G>
Result<void> Volume<G>::close() {
  is_closing_ = !log_.blocks().empty();
  const Result<void> result = sync();
  forget();
  return result;
}

template <Ground G>
void Volume<G>::forget() {
  while (!dirty_data_.empty()) free_block(dirty_data_.front());
  while (OpenInode* inode = open_.pop_front()) {
    Chain* chain = inode->chain;
    chain->open = nullptr;
    chain->pins = 0;
    inode->~OpenInode();
    ground_.deallocate(inode, sizeof(OpenInode), alignof(OpenInode));
  }
  log_.clear();
  changes_.clear();
  is_closing_ = false;
  chains_.close();
  freemap_.close();
  media_.close();
  header_.clear();
  outgoing_.clear();
  encoder_.clear();
}

}  // namespace odo::hammer2::write
