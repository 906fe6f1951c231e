// SPDX-License-Identifier: BSD-3-Clause
// The devices of one filesystem as a single space of bytes: finds each device's
// newest usable volume header, proves that the volumes belong together, and
// maps offsets to devices.
//
// Contexts: thread, one at a time; open() and read() block where the device
//   does.
// Ownership: refers to the devices, which outlive it.
// Failure: hammer2::Error naming the volume header or the device. A header that
//   is damaged is passed over for an older one; a header whose CRCs are right
//   and whose fields are impossible is not.
// Complexity: open() reads at most six headers a device; read() is O(volumes).
// Origin: hammer2_ondisk.c, hammer2_read_volume_header() (choice of a header:
//   the highest mirror_tid, on a tie the lowest number), hammer2_init_volumes()
//   and hammer2_verify_volumes_1/2() (what must agree).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/block/device.h"
#include "lib/hammer2/check_codes.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/format/volume_header.h"
#include "lib/hammer2/types.h"
#include "lib/hammer2/validate.h"

namespace odo::hammer2 {

template <block::BlockDevice Device>
class VolumeSet {
 public:
  struct Volume {
    Device* device = nullptr;
    std::uint64_t offset = 0;  // in the space of all volumes
    std::uint64_t size = 0;
  };

  // `buffer` holds one volume header; its content is lost.
  template <CheckPolicy Checks>
  [[nodiscard]] Result<void> open(std::span<Device* const> devices,
                                  const Checks& checks, MutableBytes buffer);

  [[nodiscard]] const VolumeInfo& info() const { return info_; }
  [[nodiscard]] const format::Blockref& super_root() const {
    return super_root_;
  }

  // In the order of their offsets.
  [[nodiscard]] std::span<const Volume> all() const {
    return std::span<const Volume>(volumes_).first(info_.volumes);
  }

  // The volume that holds all of [offset, offset + length), or null.
  [[nodiscard]] const Volume* find(std::uint64_t offset,
                                   std::uint64_t length) const {
    for (const Volume& volume : all()) {
      if (offset >= volume.offset &&
          range_inside(offset - volume.offset, length, volume.size)) {
        return &volume;
      }
    }
    return nullptr;
  }

  // Whether blocks may lie in [offset, offset + length): outside the reserves
  // at the head of each zone and outside the boot and auxiliary areas.
  [[nodiscard]] bool holds_blocks(std::uint64_t offset,
                                  std::uint64_t length) const {
    if (offset % format::kZoneBytes < format::kZoneReserveBytes) return false;
    const auto touches = [&](std::uint64_t beg, std::uint64_t end) {
      return offset < end && offset + length > beg;
    };
    return !touches(info_.boot_beg, info_.boot_end) &&
           !touches(info_.aux_beg, info_.aux_end);
  }

  // Proves that the reference could be right: its block is of a possible size,
  // lies in one volume where blocks may lie, and in one 64 KiB buffer.
  [[nodiscard]] Result<const Volume*> locate(const format::Blockref& ref,
                                             std::uint64_t inum) const {
    const unsigned radix = ref.radix();
    const std::uint64_t bytes = std::uint64_t{1} << radix;
    const bool inode = ref.type == format::BlockType::kInode;
    if (radix < format::kMinRadix || radix > format::kMaxRadix ||
        (inode && bytes != format::kInodeBytes)) {
      return fail(error_at(Code::kBadBlockSize, ref, inum));
    }
    const std::uint64_t offset = ref.offset();
    const Volume* volume = find(offset, bytes);
    if (volume == nullptr || !is_aligned(offset, format::kMinAllocBytes) ||
        offset % format::kMaxAllocBytes + bytes > format::kMaxAllocBytes ||
        !holds_blocks(offset, bytes)) {
      return fail(error_at(Code::kBadBlockOffset, ref, inum));
    }
    return volume;
  }

  [[nodiscard]] std::uint8_t index_of(const Volume& volume) const {
    return static_cast<std::uint8_t>(&volume - volumes_.data());
  }

  // Fills `to` with the copy that a device with one header may have of it.
  // False where that isn't usable.
  template <CheckPolicy Checks>
  [[nodiscard]] static bool read_shadow(Device& device, const Checks& checks,
                                        MutableBytes to) {
    return format::has_one_header(device.size_bytes()) &&
           range_inside(format::kShadowHeaderOffset, to.size(),
                        device.size_bytes()) &&
           device.read(format::kShadowHeaderOffset, to) &&
           field<std::uint64_t>(to, offsetof(Header, magic)) ==
               format::kVolumeMagic &&
           crcs_match(checks, to);
  }

 private:
  // What headers of different volumes must say alike.
  struct Common {
    std::uint32_t version = 0;
    std::uint8_t nvolumes = 0;
    format::Uuid fsid = {};
    format::Uuid fstype = {};

    friend bool operator==(const Common&, const Common&) = default;
  };
  // Which of a device's headers to use.
  struct Choice {
    std::optional<unsigned> best;
    std::uint64_t best_tid = 0;
    bool shadow = false;              // in the place of header 0
    std::uint8_t usable = 0;          // bit i: header i is good
    std::optional<unsigned> damaged;  // the first with magic and a wrong CRC
    std::optional<unsigned> swapped;  // the first of the other byte order
    std::optional<block::Error> device_error;
  };

  using Header = format::VolumeHeader;

  template <class T>
  [[nodiscard]] static T field(Bytes header, std::size_t offset) {
    return load_le<T>(header.data() + offset);
  }
  [[nodiscard]] static Error header_error(Code code, unsigned index,
                                          std::size_t device) {
    Error error{.code = code};
    error.type = format::BlockType::kVolume;
    error.offset = index * format::kVolumeHeaderStride;
    error.volume = static_cast<std::uint8_t>(device);
    return error;
  }

  template <CheckPolicy Checks>
  [[nodiscard]] static bool crcs_match(const Checks& checks, Bytes header) {
    for (const format::HeaderCrc& crc : format::kHeaderCrcs) {
      if (!checks.header_crc(header.subspan(crc.begin, crc.length),
                             field<std::uint32_t>(header, crc.stored_at))) {
        return false;
      }
    }
    return true;
  }
  template <CheckPolicy Checks>
  [[nodiscard]] static Choice choose(Device& device, const Checks& checks,
                                     MutableBytes buffer);
  template <CheckPolicy Checks>
  [[nodiscard]] Result<void> add(std::size_t index, Device& device,
                                 const Checks& checks, MutableBytes buffer);
  [[nodiscard]] Result<void> take_root(Bytes header, unsigned index);
  [[nodiscard]] Result<void> verify(std::size_t devices) const;

  std::array<Volume, format::kMaxVolumes> volumes_ = {};
  std::array<std::uint64_t, format::kMaxVolumes> root_offsets_ = {};
  Common common_;
  VolumeInfo info_;
  format::Blockref super_root_ = {};
};

template <block::BlockDevice Device>
template <CheckPolicy Checks>
Result<void> VolumeSet<Device>::open(std::span<Device* const> devices,
                                     const Checks& checks,
                                     MutableBytes buffer) {
  volumes_.fill(Volume{});
  info_ = VolumeInfo{};
  if (devices.empty() || devices.size() > format::kMaxVolumes) {
    Error error{.code = Code::kVolumeMissing};
    error.found = devices.size();
    error.expected = devices.empty() ? 1 : format::kMaxVolumes;
    return fail(error);
  }
  for (std::size_t i = 0; i < devices.size(); ++i) {
    ODO_TRY_VOID(
        add(i, *devices[i], checks, buffer.first(format::kVolumeHeaderBytes)));
  }
  ODO_TRY_VOID(verify(devices.size()));
  info_.volumes = static_cast<std::uint8_t>(devices.size());
  info_.total_bytes = 0;
  for (const Volume& volume : all()) info_.total_bytes += volume.size;
  return {};
}

template <block::BlockDevice Device>
template <CheckPolicy Checks>
typename VolumeSet<Device>::Choice VolumeSet<Device>::choose(
    Device& device, const Checks& checks, MutableBytes buffer) {
  Choice choice;
  for (unsigned i = 0; i < format::kVolumeHeaderCount; ++i) {
    const std::uint64_t offset = i * format::kVolumeHeaderStride;
    if (!range_inside(offset, buffer.size(), device.size_bytes())) break;
    if (const auto read = device.read(offset, buffer); !read) {
      choice.device_error = read.error();
      continue;
    }
    const auto magic = field<std::uint64_t>(buffer, offsetof(Header, magic));
    if (magic == format::kVolumeMagicSwapped && !choice.swapped) {
      choice.swapped = i;
    }
    if (magic != format::kVolumeMagic) continue;
    if (!crcs_match(checks, buffer)) {
      if (!choice.damaged) choice.damaged = i;
      continue;
    }
    choice.usable = static_cast<std::uint8_t>(choice.usable | 1U << i);
    const auto tid = field<std::uint64_t>(buffer, offsetof(Header, mirror_tid));
    if (!choice.best || tid > choice.best_tid) {
      choice.best = i;
      choice.best_tid = tid;
    }
  }
  if (!choice.best && read_shadow(device, checks, buffer)) {
    choice.best = 0;
    choice.shadow = true;
  }
  return choice;
}

template <block::BlockDevice Device>
template <CheckPolicy Checks>
Result<void> VolumeSet<Device>::add(std::size_t index, Device& device,
                                    const Checks& checks, MutableBytes buffer) {
  const Choice choice = choose(device, checks, buffer);
  if (!choice.best) {
    if (choice.damaged) {
      return fail(header_error(Code::kNoUsableHeader, *choice.damaged, index));
    }
    if (choice.swapped) {
      return fail(header_error(Code::kByteSwapped, *choice.swapped, index));
    }
    Error error = header_error(Code::kNoFilesystem, 0, index);
    if (choice.device_error) {
      error.code = Code::kDeviceError;
      error.device = *choice.device_error;
    }
    return fail(error);
  }
  const unsigned best = *choice.best;
  const std::uint64_t offset = choice.shadow
                                   ? format::kShadowHeaderOffset
                                   : best * format::kVolumeHeaderStride;
  if (const auto read = device.read(offset, buffer); !read) {
    Error error = header_error(Code::kDeviceError, best, index);
    error.device = read.error();
    return fail(error);
  }

  Common common;
  common.version = field<std::uint32_t>(buffer, offsetof(Header, version));
  common.nvolumes = field<std::uint8_t>(buffer, offsetof(Header, nvolumes));
  common.fsid = format::load_uuid(buffer, offsetof(Header, fsid));
  common.fstype = format::load_uuid(buffer, offsetof(Header, fstype));
  if (common.version != format::kVersionSingleVolume &&
      common.version != format::kVersionMultiVolume) {
    Error error = header_error(Code::kBadVersion, best, index);
    error.found = common.version;
    return fail(error);
  }
  if (index == 0) {
    common_ = common;
  } else if (common != common_) {
    return fail(header_error(Code::kVolumeMismatch, best, index));
  }

  const auto id = field<std::uint8_t>(buffer, offsetof(Header, volu_id));
  if (id >= format::kMaxVolumes || common.fstype != format::kHammer2FsType) {
    return fail(header_error(Code::kBadVolumeHeader, best, index));
  }
  Volume& volume = volumes_[id];
  if (volume.device != nullptr) {
    return fail(header_error(Code::kVolumeMismatch, best, index));
  }
  volume.device = &device;
  volume.size = field<std::uint64_t>(buffer, offsetof(Header, volu_size));
  volume.offset = field<std::uint64_t>(
      buffer, offsetof(Header, volu_loff) + id * sizeof(std::uint64_t));
  if (volume.size == 0 || volume.size % format::kVolumeAlignBytes != 0) {
    return fail(header_error(Code::kBadVolumeHeader, best, index));
  }
  if (volume.size > device.size_bytes()) {
    Error error = header_error(Code::kDeviceTooSmall, best, index);
    error.found = device.size_bytes();
    error.expected = volume.size;
    return fail(error);
  }
  if (id == format::kRootVolume) {
    ODO_TRY_VOID(take_root(buffer, best));
    info_.usable_headers = choice.usable;
    info_.header_offset = offset;
  }
  return {};
}

template <block::BlockDevice Device>
Result<void> VolumeSet<Device>::take_root(Bytes header, unsigned index) {
  const auto number = [&](std::size_t offset) {
    return field<std::uint64_t>(header, offset);
  };
  info_.version = common_.version;
  info_.header = static_cast<std::uint8_t>(index);
  info_.total_bytes = number(offsetof(Header, total_size));
  info_.allocator_bytes = number(offsetof(Header, allocator_size));
  info_.free_bytes = number(offsetof(Header, allocator_free));
  info_.mirror_tid = number(offsetof(Header, mirror_tid));
  info_.freemap_tid = number(offsetof(Header, freemap_tid));
  info_.boot_beg = number(offsetof(Header, boot_beg));
  info_.boot_end = number(offsetof(Header, boot_end));
  info_.aux_beg = number(offsetof(Header, aux_beg));
  info_.aux_end = number(offsetof(Header, aux_end));
  info_.fsid = common_.fsid;
  for (std::size_t i = 0; i < root_offsets_.size(); ++i) {
    root_offsets_[i] =
        number(offsetof(Header, volu_loff) + i * sizeof(std::uint64_t));
  }
  const RefArray refs(header.subspan(offsetof(Header, sroot_blockset)),
                      format::kBlocksetCount);
  std::size_t at = 0;
  while (at < refs.size() && (refs.type(at) != format::BlockType::kInode ||
                              refs.key(at) != format::kSuperRootKey)) {
    ++at;
  }
  if (at == refs.size()) {
    return fail(header_error(Code::kBadBlockType, index, 0));
  }
  refs.copy(at, super_root_);
  const std::uint64_t size = number(offsetof(Header, volu_size));
  if (info_.boot_beg > info_.boot_end || info_.boot_end > size ||
      info_.aux_beg > info_.aux_end || info_.aux_end > size ||
      info_.free_bytes > info_.allocator_bytes) {
    return fail(header_error(Code::kBadVolumeHeader, index, 0));
  }
  return {};
}

// Volumes are complete, numbered from 0 without gaps, and lie end to end.
template <block::BlockDevice Device>
Result<void> VolumeSet<Device>::verify(std::size_t devices) const {
  const bool single = common_.version == format::kVersionSingleVolume;
  const std::size_t expected = single ? 1 : common_.nvolumes;
  if (devices != expected || volumes_[format::kRootVolume].device == nullptr) {
    Error error{.code = Code::kVolumeMissing};
    error.found = devices;
    error.expected = expected;
    return fail(error);
  }
  // Version 1 knows no such fields and keeps zeros there.
  if (single && (common_.nvolumes != 0 || info_.total_bytes != 0 ||
                 root_offsets_[0] != 0)) {
    return fail(header_error(Code::kBadVolumeHeader, info_.header, 0));
  }
  std::uint64_t end = 0;
  for (std::size_t i = 0; i < devices; ++i) {
    const Volume& volume = volumes_[i];
    const bool last = i + 1 == devices;
    if (volume.device == nullptr || volume.offset != end ||
        volume.offset != root_offsets_[i] ||
        (!last && volume.size % format::kZoneBytes != 0)) {
      return fail(header_error(Code::kVolumeMismatch, 0, i));
    }
    const auto next = checked_add(end, volume.size);
    if (!next) return fail(header_error(Code::kBadVolumeHeader, 0, i));
    end = *next;
  }
  if (!single && info_.total_bytes != end) {
    return fail(header_error(Code::kBadVolumeHeader, info_.header, 0));
  }
  return {};
}

}  // namespace odo::hammer2
