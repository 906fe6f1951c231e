// SPDX-License-Identifier: BSD-3-Clause
// Whether an intent log waits to be done again, for those who only read: they
// show what the last header has, and should say so.
//
// Contexts: thread; may block where devices do.
// Failure: what can't be read is no log.
// Complexity: a few reads of 4 KiB.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/base/bytes.h"
#include "lib/hammer2/format/volume_header.h"
#include "lib/hammer2/volume_set.h"
#include "lib/hammer2/write/intent_log_format.h"

namespace odo::hammer2::write {

namespace detail {

using LogBlock = std::array<std::byte, sizeof(LogRoot)>;

}  // namespace detail

// Without any further look: most volumes never had one.
inline constexpr auto may_have_log = [](auto& device) {
  alignas(64) detail::LogBlock block;
  return device.size_bytes() >= kLogRootOffset + block.size() &&
         device.read(kLogRootOffset, block) &&
         load_le<std::uint64_t>(block.data()) == kLogRootMagic;
};

template <class Device>
[[nodiscard]] bool log_waits(const VolumeSet<Device>& volumes) {
  alignas(64) detail::LogBlock block;
  const auto read = [&](std::uint64_t offset) {
    const auto* volume = volumes.find(offset, block.size());
    return volume != nullptr &&
           volume->device->read(offset - volume->offset, block);
  };
  LogRoot root;
  if (!read(kLogRootOffset)) return false;
  copy_bytes(mutable_bytes_of(root), block);
  if (root.magic != kLogRootMagic || !read(root.blocks[0])) return false;
  LogGroup group;
  copy_bytes(mutable_bytes_of(group), Bytes(block).first(sizeof group));
  if (group.magic != kLogGroupMagic || group.nonce != root.nonce ||
      group.number != 0 || group.base_tid != volumes.info().mirror_tid ||
      !read(volumes.info().header_offset + format::kVolumeHeaderBytes -
            block.size())) {
    return false;
  }
  return load_le<std::uint32_t>(block.data() + block.size() -
                                sizeof(std::uint32_t)) == group.base_crc;
}

}  // namespace odo::hammer2::write
