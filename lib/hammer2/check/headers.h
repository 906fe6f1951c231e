// SPDX-License-Identifier: BSD-3-Clause
// Looks at every volume header there is, not only at the one that a mount
// takes, and makes the devices fit to be opened although they may be too short.
//
// Contexts: thread, one at a time; reads block where the device does.
// Failure: findings; a device of which no header is usable keeps open() from
//   succeeding.
// Origin: hammer2_ondisk.c, hammer2_read_volume_header(). A slot behind the
//   last header of a volume that has grown may be blank: see docs/h2-check.md.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "lib/base/bytes.h"
#include "lib/block/device.h"
#include "lib/hammer2/check/report.h"
#include "lib/hammer2/check_codes.h"
#include "lib/hammer2/format/volume_header.h"

namespace odo::hammer2::audit {

// A device that claims to be as long as its volume says, so that what is there
// can be checked; what isn't there can't be read.
template <block::BlockDevice Device>
class StretchedDevice {
 public:
  StretchedDevice() = default;
  explicit StretchedDevice(Device& below) : below_(&below) {}

  // No further than kMaxStretchedBytes: who believes any number that stands in
  // a header works without a bound.
  static constexpr std::uint64_t kMaxStretchedBytes = std::uint64_t{16} << 40;
  void stretch(std::uint64_t size_bytes) {
    if (size_bytes > kMaxStretchedBytes) return;
    claimed_ = align_down(size_bytes, std::uint64_t{block_bytes()});
  }
  [[nodiscard]] Device& below() const { return *below_; }
  [[nodiscard]] std::uint64_t size_bytes() const {
    return std::max(claimed_, below_->size_bytes());
  }
  [[nodiscard]] std::uint32_t block_bytes() const {
    return below_->block_bytes();
  }
  [[nodiscard]] block::Result<void> read(std::uint64_t offset,
                                         MutableBytes to) {
    return below_->read(offset, to);
  }

 private:
  Device* below_ = nullptr;
  std::uint64_t claimed_ = 0;
};

// The headers of one device.
struct HeaderScan {
  struct Slot {
    HeaderReport report;
    bool inside = false;  // the device reaches so far
    std::uint64_t volume_bytes = 0;
    format::Blockref super_root = {};
  };
  std::array<Slot, format::kVolumeHeaderCount> slots;
  std::optional<unsigned> best;  // which one a mount takes
};

// Reads all headers of `device`, the `index`-th given. `buffer` holds one.
template <block::BlockDevice Device, CheckPolicy Checks>
[[nodiscard]] HeaderScan scan_headers(Device& device, std::size_t index,
                                      const Checks& checks,
                                      MutableBytes buffer) {
  using Header = format::VolumeHeader;
  HeaderScan scan;
  unsigned last_used = 0;
  for (unsigned i = 0; i < format::kVolumeHeaderCount; ++i) {
    HeaderScan::Slot& slot = scan.slots[i];
    slot.report.device = static_cast<std::uint8_t>(index);
    slot.report.index = static_cast<std::uint8_t>(i);
    const std::uint64_t offset = i * format::kVolumeHeaderStride;
    slot.inside =
        range_inside(offset, format::kVolumeHeaderBytes, device.size_bytes());
    if (!slot.inside) continue;
    HeaderReport& report = slot.report;
    if (const auto read = device.read(offset, buffer); !read) {
      report.state = HeaderState::kUnreadable;
      last_used = i;
      continue;
    }
    const auto magic =
        load_le<std::uint64_t>(buffer.data() + offsetof(Header, magic));
    if (magic == format::kVolumeMagicSwapped) {
      report.state = HeaderState::kSwapped;
    } else if (magic == format::kVolumeMagic) {
      report.state = HeaderState::kUsable;
      for (std::size_t c = 0; c < format::kHeaderCrcs.size(); ++c) {
        const format::HeaderCrc& crc = format::kHeaderCrcs[c];
        if (!checks.header_crc(
                buffer.subspan(crc.begin, crc.length),
                load_le<std::uint32_t>(buffer.data() + crc.stored_at))) {
          report.bad_crcs =
              static_cast<std::uint8_t>(report.bad_crcs | 1U << c);
          report.state = HeaderState::kDamaged;
        }
      }
    } else {
      const bool blank =
          std::all_of(buffer.begin(), buffer.end(),
                      [](std::byte b) { return b == std::byte{0}; });
      report.state = blank ? HeaderState::kBlank : HeaderState::kMissing;
      if (blank) continue;
    }
    last_used = i;
    report.mirror_tid =
        load_le<std::uint64_t>(buffer.data() + offsetof(Header, mirror_tid));
    report.freemap_tid =
        load_le<std::uint64_t>(buffer.data() + offsetof(Header, freemap_tid));
    slot.volume_bytes =
        load_le<std::uint64_t>(buffer.data() + offsetof(Header, volu_size));
    copy_bytes(mutable_bytes_of(slot.super_root),
               Bytes(buffer).subspan(offsetof(Header, sroot_blockset),
                                     sizeof(format::Blockref)));
    if (report.state == HeaderState::kUsable &&
        (!scan.best ||
         report.mirror_tid > scan.slots[*scan.best].report.mirror_tid)) {
      scan.best = i;
    }
  }
  // Only behind the last header that was ever written may a slot be blank.
  for (unsigned i = 0; i < format::kVolumeHeaderCount; ++i) {
    HeaderReport& report = scan.slots[i].report;
    if (scan.slots[i].inside && report.state == HeaderState::kBlank &&
        i <= last_used) {
      report.state = HeaderState::kMissing;
    }
  }
  if (scan.best) scan.slots[*scan.best].report.in_use = true;
  return scan;
}

}  // namespace odo::hammer2::audit
