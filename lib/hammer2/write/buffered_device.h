// SPDX-License-Identifier: BSD-3-Clause
// A device behind a few 64 KiB buffers that gather writes of 1 KiB and more
// into large ones, as blocks of one transaction lie side by side.
//
// Contexts: thread, one at a time; everything may block where the device does.
// Invariants:
//   D1. read() answers with what was last written, on its way or there;
//   D2. a byte that wasn't written changes on the medium by no write, but for
//       being written again as it is where the device's blocks are larger than
//       what was written.
// Ownership: refers to the device and to the memory given to init().
// Failure: block::Error. What a failed write leaves on the medium is unknown;
//   the buffer keeps it and drain() will try again.
// Origin: DragonFly's hammer2_io.c has buffers of the same size for the same
//   reason.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/block/device.h"

namespace odo::hammer2::write {

template <block::WritableBlockDevice D>
class BufferedDevice {
 public:
  static constexpr std::size_t kSlots = 16;
  static constexpr std::size_t kSlotBytes = 65536;
  static constexpr std::size_t kGranuleBytes = 1024;
  static constexpr std::size_t kMemoryBytes =
      kSlots * kSlotBytes + block::kMaxBlockBytes;

  BufferedDevice() = default;
  BufferedDevice(const BufferedDevice&) = delete;
  BufferedDevice& operator=(const BufferedDevice&) = delete;

  void init(D& device, MutableBytes memory) {
    ODO_CHECK(memory.size() >= kMemoryBytes);
    device_ = &device;
    for (std::size_t i = 0; i < kSlots; ++i) {
      slots_[i] = Slot{.bytes = memory.subspan(i * kSlotBytes, kSlotBytes)};
    }
    block_ = memory.subspan(kSlots * kSlotBytes, block::kMaxBlockBytes);
    next_ = 0;
  }

  [[nodiscard]] std::uint64_t size_bytes() const {
    return device_->size_bytes();
  }
  [[nodiscard]] std::uint32_t block_bytes() const {
    return device_->block_bytes();
  }

  [[nodiscard]] block::Result<void> read(std::uint64_t offset,
                                         MutableBytes to) {
    ODO_TRY_VOID(device_->read(offset, to));
    for (const Slot& slot : slots_) {
      if (slot.mask != 0) overlay(slot, offset, to);
    }
    return {};
  }

  // Offset and size are multiples of kGranuleBytes, and the range lies in one
  // aligned extent of kSlotBytes.
  [[nodiscard]] block::Result<void> write(std::uint64_t offset, Bytes from) {
    ODO_ASSERT(is_aligned(offset, kGranuleBytes) &&
               is_aligned(from.size(), kGranuleBytes));
    if (!range_inside(offset, from.size(), size_bytes())) {
      return fail(block::Error::kOutOfRange);
    }
    const std::uint64_t base = align_down(offset, kSlotBytes);
    ODO_ASSERT(offset + from.size() <= base + kSlotBytes);
    ODO_TRY(Slot * slot, slot_for(base));
    copy_bytes(slot->bytes.subspan(offset - base), from);
    slot->mask |= mask_of(offset - base, from.size());
    return {};
  }

  // Hands all that is on its way to the device.
  [[nodiscard]] block::Result<void> drain() {
    for (Slot& slot : slots_) {
      ODO_TRY_VOID(empty(slot));
    }
    return {};
  }

  [[nodiscard]] D& device() { return *device_; }

 private:
  struct Slot {
    std::uint64_t base = 0;
    std::uint64_t mask = 0;  // bit g: granule g is to be written
    MutableBytes bytes = {};
  };

  static constexpr std::uint64_t mask_of(std::uint64_t offset,
                                         std::size_t bytes) {
    const std::size_t granules = bytes / kGranuleBytes;
    const std::uint64_t ones =
        granules >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << granules) - 1;
    return ones << (offset / kGranuleBytes);
  }

  [[nodiscard]] block::Result<Slot*> slot_for(std::uint64_t base) {
    Slot* unused = nullptr;
    for (Slot& slot : slots_) {
      if (slot.mask == 0) {
        unused = &slot;
      } else if (slot.base == base) {
        return &slot;
      }
    }
    if (unused == nullptr) {
      unused = &slots_[next_];
      next_ = (next_ + 1) % kSlots;
      ODO_TRY_VOID(empty(*unused));
    }
    unused->base = base;
    return unused;
  }

  void overlay(const Slot& slot, std::uint64_t offset, MutableBytes to) const {
    const std::uint64_t end = offset + to.size();
    if (end <= slot.base || offset >= slot.base + kSlotBytes) return;
    for (std::uint64_t rest = slot.mask; rest != 0; rest &= rest - 1) {
      const auto g = static_cast<std::uint64_t>(std::countr_zero(rest));
      const std::uint64_t begin = slot.base + g * kGranuleBytes;
      const std::uint64_t from = begin < offset ? offset : begin;
      const std::uint64_t last =
          begin + kGranuleBytes < end ? begin + kGranuleBytes : end;
      if (from >= last) continue;
      copy_bytes(to.subspan(from - offset),
                 Bytes(slot.bytes).subspan(from - slot.base, last - from));
    }
  }

  // Granules that share a device's block with one to be written are read.
  [[nodiscard]] block::Result<void> complete_blocks(Slot& slot) {
    const std::size_t size = block_bytes();
    if (size <= kGranuleBytes) return {};
    for (std::size_t at = 0; at < kSlotBytes; at += size) {
      const std::uint64_t all = mask_of(at, size);
      const std::uint64_t have = slot.mask & all;
      if (have == 0 || have == all) continue;
      const MutableBytes block = block_.first(size);
      ODO_TRY_VOID(device_->read(slot.base + at, block));
      for (std::size_t g = 0; g < size; g += kGranuleBytes) {
        if ((slot.mask & mask_of(at + g, kGranuleBytes)) != 0) continue;
        copy_bytes(slot.bytes.subspan(at + g),
                   Bytes(block).subspan(g, kGranuleBytes));
      }
      slot.mask |= all;
    }
    return {};
  }

  [[nodiscard]] block::Result<void> empty(Slot& slot) {
    if (slot.mask == 0) return {};
    ODO_TRY_VOID(complete_blocks(slot));
    while (slot.mask != 0) {
      const auto first = static_cast<unsigned>(std::countr_zero(slot.mask));
      const auto count =
          static_cast<unsigned>(std::countr_one(slot.mask >> first));
      const std::size_t at = first * kGranuleBytes;
      ODO_TRY_VOID(
          device_->write(slot.base + at,
                         Bytes(slot.bytes).subspan(at, count * kGranuleBytes)));
      slot.mask &= ~mask_of(at, count * kGranuleBytes);
    }
    return {};
  }

  D* device_ = nullptr;
  std::array<Slot, kSlots> slots_ = {};
  MutableBytes block_;  // one of the device's
  std::size_t next_ = 0;
};

}  // namespace odo::hammer2::write
