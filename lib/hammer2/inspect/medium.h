// SPDX-License-Identifier: BSD-3-Clause
// The devices of a filesystem, opened as well as they can be: every volume
// header can be had by its number, a device may be shorter than its volume, and
// where no header of a device is usable one is made up.
//
//   static inspect::Medium<Device> medium;   // a few KiB: not on a stack
//   ODO_TRY_VOID(medium.open(devices, arena));
//   ODO_TRY(Bytes header, medium.header(1));
//
// The copy that a volume with one header may have is shown in that one's place.
// Where there is none, a header is mended from a damaged one, whose fields are
// believed if the volumes fit together by them. Failing that, one lone device
// is taken for one volume of its own length, without any tree.
//
// Contexts: thread, one at a time; reads block where the device does.
// Ownership: devices and memory are the caller's while this is used.
// Failure: hammer2::Error, that of the headers as they are.
// Sizes: about 1 MiB of the arena, and 64 KiB for each device without a header.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/block/device.h"
#include "lib/check/checks.h"
#include "lib/hammer2/check/arena.h"
#include "lib/hammer2/check/headers.h"
#include "lib/hammer2/check/reader.h"
#include "lib/hammer2/check_codes.h"
#include "lib/hammer2/volume_set.h"

namespace odo::hammer2::inspect {

// A device that shows another first volume header than it has.
template <block::BlockDevice Device>
class OverlaidDevice {
 public:
  OverlaidDevice() = default;
  explicit OverlaidDevice(Device below) : below_(below) {}

  void overlay(Bytes header) { header_ = header; }
  [[nodiscard]] Device& below() { return below_; }
  [[nodiscard]] std::uint64_t size_bytes() const { return below_.size_bytes(); }
  [[nodiscard]] std::uint32_t block_bytes() const {
    return below_.block_bytes();
  }
  [[nodiscard]] block::Result<void> read(std::uint64_t offset,
                                         MutableBytes to) {
    if (offset >= header_.size()) return below_.read(offset, to);
    ODO_TRY_VOID(
        block::check_request(offset, to.size(), size_bytes(), block_bytes()));
    const Bytes there = header_.subspan(offset);
    const std::size_t covered = std::min(there.size(), to.size());
    // What lies under the header needn't be readable.
    if (covered < to.size()) {
      ODO_TRY_VOID(below_.read(header_.size(), to.subspan(covered)));
    }
    copy_bytes(to, there.first(covered));
    return {};
  }

 private:
  Device below_;
  Bytes header_;
};

template <block::BlockDevice Given, CheckPolicy Checks = VerifyChecks>
class Medium {
 public:
  using Stretched = audit::StretchedDevice<Given>;
  using Device = OverlaidDevice<Stretched>;
  using Volumes = VolumeSet<Device>;
  using Reader = audit::BlockReader<Device, Checks>;

  explicit Medium(Checks checks = Checks{})
      : checks_(checks), reader_(checks) {}
  Medium(const Medium&) = delete;
  Medium& operator=(const Medium&) = delete;

  [[nodiscard]] Result<void> open(std::span<Given* const> devices,
                                  audit::Arena& arena);

  // Where no header of some device was usable, nor a copy.
  [[nodiscard]] bool mended() const { return mended_; }
  [[nodiscard]] const Volumes& volumes() const { return volumes_; }
  [[nodiscard]] Reader& reader() { return reader_; }
  // As they are read, for FileSystem and others that open devices themselves.
  [[nodiscard]] std::span<Device* const> devices() const {
    return std::span<Device* const>(pointers_).first(count_);
  }

  // The root volume's header number `index`, with right check codes; valid
  // until the next call.
  [[nodiscard]] Result<Bytes> header(unsigned index) {
    Error error{.code = Code::kNoUsableHeader};
    error.type = format::BlockType::kVolume;
    error.offset = index * format::kVolumeHeaderStride;
    const auto* root = volumes_.find(0, 1);
    if (root == nullptr || index >= format::kVolumeHeaderCount ||
        !range_inside(error.offset, buffer_.size(), root->size)) {
      error.code = Code::kNotFound;
      return fail(error);
    }
    if (const auto read = root->device->read(error.offset, buffer_); !read) {
      error.code = Code::kDeviceError;
      error.device = read.error();
      return fail(error);
    }
    const auto magic =
        load_le<std::uint64_t>(buffer_.data() + offsetof(Header, magic));
    bool good = magic == format::kVolumeMagic;
    for (const format::HeaderCrc& crc : format::kHeaderCrcs) {
      good = good && checks_.header_crc(buffer_.subspan(crc.begin, crc.length),
                                        load_le<std::uint32_t>(buffer_.data() +
                                                               crc.stored_at));
    }
    if (!good) return fail(error);
    return Bytes(buffer_);
  }

 private:
  using Header = format::VolumeHeader;

  // Fills `to` with the damaged header of `scan` that was written last.
  [[nodiscard]] bool take_damaged(Device& device, const audit::HeaderScan& scan,
                                  MutableBytes to);
  static void make_header(const Device& device, MutableBytes to);
  static void seal(MutableBytes header);

  [[no_unique_address]] Checks checks_;
  std::array<Device, format::kMaxVolumes> devices_;
  std::array<Device*, format::kMaxVolumes> pointers_ = {};
  std::size_t count_ = 0;
  bool mended_ = false;
  MutableBytes buffer_;
  Volumes volumes_;
  Reader reader_;
};

template <block::BlockDevice Given, CheckPolicy Checks>
Result<void> Medium<Given, Checks>::open(std::span<Given* const> devices,
                                         audit::Arena& arena) {
  mended_ = false;
  count_ = 0;
  buffer_ = arena.take<std::byte>(format::kVolumeHeaderBytes);
  if (buffer_.empty() || !reader_.init(arena, 1, false)) {
    return fail(Error{.code = Code::kNoMemory});
  }
  if (devices.empty() || devices.size() > devices_.size()) {
    Error error{.code = Code::kVolumeMissing};
    error.found = devices.size();
    error.expected = devices.empty() ? 1 : format::kMaxVolumes;
    return fail(error);
  }
  count_ = devices.size();
  std::array<MutableBytes, format::kMaxVolumes> mends = {};
  for (std::size_t d = 0; d < count_; ++d) {
    devices_[d] = Device(Stretched(*devices[d]));
    pointers_[d] = &devices_[d];
    const audit::HeaderScan scan =
        audit::scan_headers(devices_[d], d, checks_, buffer_);
    if (scan.best) {
      devices_[d].below().stretch(scan.slots[*scan.best].volume_bytes);
      continue;
    }
    mends[d] = arena.take<std::byte>(format::kVolumeHeaderBytes);
    if (mends[d].empty()) return fail(Error{.code = Code::kNoMemory});
    const bool is_copy = Volumes::read_shadow(devices_[d], checks_, mends[d]);
    if (is_copy || take_damaged(devices_[d], scan, mends[d])) {
      devices_[d].below().stretch(load_le<std::uint64_t>(
          mends[d].data() + offsetof(Header, volu_size)));
    } else {
      make_header(devices_[d], mends[d]);
    }
    if (is_copy) {  // nothing to mend
      devices_[d].overlay(mends[d]);
      mends[d] = {};
    }
  }
  // As they are, for the error if nothing helps.
  const Result<void> plain = volumes_.open(this->devices(), checks_, buffer_);
  if (plain) return plain;
  for (std::size_t d = 0; d < count_; ++d) {
    if (mends[d].empty()) continue;
    mended_ = true;
    seal(mends[d]);
    devices_[d].overlay(mends[d]);
  }
  if (mended_ && volumes_.open(this->devices(), checks_, buffer_)) return {};
  if (count_ != 1) return plain;
  if (mends[0].empty()) {
    mends[0] = arena.take<std::byte>(format::kVolumeHeaderBytes);
    if (mends[0].empty()) return plain;
  }
  mended_ = true;
  devices_[0] = Device(Stretched(*devices[0]));
  make_header(devices_[0], mends[0]);
  seal(mends[0]);
  devices_[0].overlay(mends[0]);
  if (volumes_.open(this->devices(), checks_, buffer_)) return {};
  return plain;
}

template <block::BlockDevice Given, CheckPolicy Checks>
bool Medium<Given, Checks>::take_damaged(Device& device,
                                         const audit::HeaderScan& scan,
                                         MutableBytes to) {
  std::optional<unsigned> best;
  for (unsigned i = 0; i < scan.slots.size(); ++i) {
    const auto& slot = scan.slots[i];
    const bool plausible = slot.inside &&
                           slot.report.state == audit::HeaderState::kDamaged &&
                           slot.volume_bytes != 0 &&
                           slot.volume_bytes % format::kVolumeAlignBytes == 0;
    if (plausible && (!best || slot.report.mirror_tid >
                                   scan.slots[*best].report.mirror_tid)) {
      best = i;
    }
  }
  return best &&
         device.read(*best * format::kVolumeHeaderStride, to).has_value();
}

// That of an empty volume as long as the device.
template <block::BlockDevice Given, CheckPolicy Checks>
void Medium<Given, Checks>::make_header(const Device& device, MutableBytes to) {
  zero_bytes(to);
  const auto put = [&]<class T>(std::size_t at, const T& value) {
    copy_bytes(to.subspan(at), bytes_of(value));
  };
  put(offsetof(Header, magic), format::kVolumeMagic);
  put(offsetof(Header, version), format::kVersionSingleVolume);
  put(offsetof(Header, volu_size),
      align_down(device.size_bytes(), format::kVolumeAlignBytes));
  put(offsetof(Header, fstype), format::kHammer2FsType);
  // A reference to the super-root that leads nowhere.
  put(offsetof(Header, sroot_blockset), format::BlockType::kInode);
}

template <block::BlockDevice Given, CheckPolicy Checks>
void Medium<Given, Checks>::seal(MutableBytes header) {
  const check::Checks checks;
  for (const format::HeaderCrc& crc : format::kHeaderCrcs) {
    store_le(header.data() + crc.stored_at,
             checks.crc32c(header.subspan(crc.begin, crc.length)));
  }
}

}  // namespace odo::hammer2::inspect
