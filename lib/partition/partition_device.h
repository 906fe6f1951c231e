// SPDX-License-Identifier: BSD-3-Clause
// A part of a block device that is a block device itself.
//
// Contexts: as the device below, which several parts may share if it serves
//   several callers.
// Ownership: refers to the device below, which outlives it.
// Failure: as the device below; what reaches out of the part is refused here.
//   flush() is the whole device's.
#pragma once

#include <cstdint>

#include "lib/base/annotations.h"
#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/base/result.h"
#include "lib/block/device.h"
#include "lib/partition/partition.h"

namespace odo::partition {

template <block::BlockDevice D>
class PartitionDevice {
 public:
  // The part is one of a Table that was read from `below`, or any other that
  // keeps to its rules.
  PartitionDevice(D& below, const Partition& part)
      : below_(&below),
        begin_bytes_(part.begin_bytes),
        size_bytes_(part.size_bytes) {
    ODO_CHECK(range_inside(begin_bytes_, size_bytes_, below.size_bytes()) &&
              is_aligned(begin_bytes_ | size_bytes_, below.block_bytes()));
  }

  [[nodiscard]] std::uint64_t size_bytes() const { return size_bytes_; }
  [[nodiscard]] std::uint32_t block_bytes() const {
    return below_->block_bytes();
  }
  [[nodiscard]] std::uint64_t begin_bytes() const { return begin_bytes_; }
  [[nodiscard]] D& below() const { return *below_; }

  ODO_MAY_BLOCK [[nodiscard]] block::Result<void> read(
      std::uint64_t offset_bytes, MutableBytes to) {
    ODO_TRY_VOID(block::check_request(offset_bytes, to.size(), size_bytes_,
                                      block_bytes()));
    return below_->read(begin_bytes_ + offset_bytes, to);
  }

  ODO_MAY_BLOCK [[nodiscard]] block::Result<void> write(
      std::uint64_t offset_bytes, Bytes from)
  requires block::WritableBlockDevice<D>
  {
    ODO_TRY_VOID(block::check_request(offset_bytes, from.size(), size_bytes_,
                                      block_bytes()));
    return below_->write(begin_bytes_ + offset_bytes, from);
  }

  ODO_MAY_BLOCK [[nodiscard]] block::Result<void> flush()
  requires block::WritableBlockDevice<D>
  {
    return below_->flush();
  }

  ODO_MAY_BLOCK [[nodiscard]] block::Result<void> discard(
      std::uint64_t offset_bytes, std::uint64_t length_bytes)
  requires block::DiscardingDevice<D>
  {
    ODO_TRY_VOID(block::check_request(offset_bytes, length_bytes, size_bytes_,
                                      block_bytes()));
    return below_->discard(begin_bytes_ + offset_bytes, length_bytes);
  }

  void will_read(std::uint64_t offset_bytes, std::uint64_t length_bytes)
  requires block::PrefetchingDevice<D>
  {
    if (!range_inside(offset_bytes, length_bytes, size_bytes_)) return;
    below_->will_read(begin_bytes_ + offset_bytes, length_bytes);
  }

 private:
  D* below_;
  std::uint64_t begin_bytes_;
  std::uint64_t size_bytes_;
};

}  // namespace odo::partition
