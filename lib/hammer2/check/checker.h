// SPDX-License-Identifier: BSD-3-Clause
// A complete check of a HAMMER2 filesystem: every volume header, every block
// below the newest one, and what they say about each other.
//
//   static audit::Checker<Device> checker;      // a few KiB: not on a stack
//   audit::SerialExecutor executor;
//   audit::Verdicts all = checker.run(devices, memory, executor, {}, observer);
//   if (all.errors != 0) ...
//
// docs/h2-check.md lists the rules. Nothing is changed, and no fault keeps the
// rest from being checked.
//
// Contexts: thread, one at a time; reads on the executor's workers.
// Ownership: the caller's memory and devices, for the time of run(). Memory is
//   taken as needed: what isn't needed is never touched.
// Bounds: `memory` and the limits; where one is reached, a finding of rule
//   kIncomplete says what hasn't been checked.
// Failure: findings, one for each fault.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/block/device.h"
#include "lib/hammer2/check/arena.h"
#include "lib/hammer2/check/executor.h"
#include "lib/hammer2/check/freemap.h"
#include "lib/hammer2/check/headers.h"
#include "lib/hammer2/check/reader.h"
#include "lib/hammer2/check/report.h"
#include "lib/hammer2/check/reporter.h"
#include "lib/hammer2/check/space.h"
#include "lib/hammer2/check/walk.h"
#include "lib/hammer2/check_codes.h"
#include "lib/hammer2/volume_set.h"

namespace odo::hammer2::audit {

// The outcome of a whole check.
struct Verdicts {
  Totals totals;
  std::uint64_t errors = 0;
  std::uint64_t warnings = 0;
  std::uint64_t notes = 0;
  std::uint64_t incomplete = 0;  // of the errors: what couldn't be checked
  bool opened = false;           // a header was usable, and the volumes fit
  bool recognized = false;       // there is a HAMMER2 volume header at all
};

template <block::BlockDevice Device, CheckPolicy Checks = VerifyChecks>
class Checker {
 public:
  // Enough to check small volumes on one worker; each further worker takes
  // kWorkerBytes.
  static constexpr std::size_t kMinMemoryBytes = std::size_t{32} << 20;
  static constexpr std::size_t kWorkerBytes = std::size_t{1} << 19;

  explicit Checker(Checks checks = Checks{})
      : checks_(checks), reader_(checks) {}
  Checker(const Checker&) = delete;
  Checker& operator=(const Checker&) = delete;

  // During run(): the devices as they are read, each as long as its volume.
  using Stretched = StretchedDevice<Device>;
  [[nodiscard]] std::span<Stretched* const> stretched() const {
    return std::span<Stretched* const>(pointers_).first(count_);
  }

  template <Executor E, Observer O>
  [[nodiscard]] Verdicts run(std::span<Device* const> devices,
                             MutableBytes memory, E& executor,
                             const Limits& limits, O& observer);

 private:
  using Volumes = VolumeSet<Stretched>;
  using Reader = BlockReader<Stretched, Checks>;
  using Header = format::VolumeHeader;

  template <std::size_t N>
  [[nodiscard]] static constexpr std::string_view text(
      const char (&literal)[N]) {
    return {literal, N - 1};
  }

  template <Observer O>
  void audit_headers(Reporter<O>& reporter, MutableBytes buffer);
  template <Observer O>
  void tell_headers(Reporter<O>& reporter, bool opened);

  [[no_unique_address]] Checks checks_;
  std::array<Stretched, format::kMaxVolumes> devices_;
  std::array<Stretched*, format::kMaxVolumes> pointers_ = {};
  std::array<HeaderScan, format::kMaxVolumes> scans_;
  std::size_t count_ = 0;
  bool recognized_ = false;
  Volumes volumes_;
  Reader reader_;
  SpaceMap space_;
};

// Reads every header and tells what is wrong with each.
template <block::BlockDevice Device, CheckPolicy Checks>
template <Observer O>
void Checker<Device, Checks>::audit_headers(Reporter<O>& reporter,
                                            MutableBytes buffer) {
  for (std::size_t d = 0; d < count_; ++d) {
    scans_[d] = scan_headers(devices_[d], d, checks_, buffer);
    const HeaderScan& scan = scans_[d];
    for (const HeaderScan::Slot& slot : scan.slots) {
      if (!slot.inside) continue;
      Error at{.code = Code::kNoUsableHeader};
      at.type = format::BlockType::kVolume;
      at.bytes = format::kVolumeHeaderBytes;
      at.offset = slot.report.index * format::kVolumeHeaderStride;
      at.volume = static_cast<std::uint8_t>(d);
      // Offsets behind the volume's end hold something else.
      if (scan.best && at.offset >= scan.slots[*scan.best].volume_bytes) {
        continue;
      }
      switch (slot.report.state) {
        case HeaderState::kUsable:
        case HeaderState::kBlank:
          break;
        case HeaderState::kMissing:
          reporter.emit(Rule::kVolumeHeader, at, text("no header"));
          break;
        case HeaderState::kSwapped:
          at.code = Code::kByteSwapped;
          reporter.emit(Rule::kVolumeHeader, at, text("other byte order"));
          break;
        case HeaderState::kDamaged:
          reporter.emit(Rule::kVolumeHeader, at, text("check code mismatch"));
          break;
        case HeaderState::kUnreadable:
          at.code = Code::kDeviceError;
          reporter.emit(Rule::kVolumeHeader, at, text("read error"));
          break;
      }
      recognized_ |= slot.report.state == HeaderState::kUsable ||
                     slot.report.state == HeaderState::kDamaged ||
                     slot.report.state == HeaderState::kSwapped;
    }
    if (!scan.best) continue;
    const std::uint64_t volume_bytes = scan.slots[*scan.best].volume_bytes;
    if (volume_bytes > devices_[d].size_bytes()) {
      Error at{.code = Code::kDeviceTooSmall};
      at.type = format::BlockType::kVolume;
      at.offset = *scan.best * format::kVolumeHeaderStride;
      at.volume = static_cast<std::uint8_t>(d);
      at.found = devices_[d].size_bytes();
      at.expected = volume_bytes;
      reporter.emit(Rule::kVolumeSet, at);
      devices_[d].stretch(volume_bytes);
    }
  }
}

// Which headers there are, and which a mount could take.
template <block::BlockDevice Device, CheckPolicy Checks>
template <Observer O>
void Checker<Device, Checks>::tell_headers(Reporter<O>& reporter, bool opened) {
  std::array<std::byte, format::kInodeBytes> inode;
  for (std::size_t d = 0; d < count_; ++d) {
    for (HeaderScan::Slot& slot : scans_[d].slots) {
      if (!slot.inside) continue;
      if (opened && slot.report.state == HeaderState::kUsable) {
        const auto volume = volumes_.locate(slot.super_root, Error::kUnknown);
        slot.report.mountable =
            slot.super_root.type == format::BlockType::kInode && volume &&
            slot.super_root.radix() == format::kMinRadix &&
            reader_.read_one(slot.super_root, **volume, inode).has_value();
      }
      reporter.observer().header(slot.report);
    }
  }
}

template <block::BlockDevice Device, CheckPolicy Checks>
template <Executor E, Observer O>
Verdicts Checker<Device, Checks>::run(std::span<Device* const> devices,
                                      MutableBytes memory, E& executor,
                                      const Limits& limits, O& observer) {
  Reporter<O> reporter(observer);
  Verdicts verdicts;
  recognized_ = false;
  const auto finish = [&] {
    verdicts.errors = reporter.count(Severity::kError);
    verdicts.warnings = reporter.count(Severity::kWarning);
    verdicts.notes = reporter.count(Severity::kNote);
    verdicts.incomplete = reporter.incomplete();
    verdicts.recognized = recognized_;
    return verdicts;
  };
  // Half of what the fixed parts leave is for inodes, half for space.
  Arena fixed(memory);
  const MutableBytes header = fixed.take<std::byte>(format::kVolumeHeaderBytes);
  const std::size_t workers = executor.workers();
  Walk<Stretched, Checks, E, O> walk(volumes_, reader_, space_, reporter,
                                     executor, limits);
  FreemapAudit<Reader, O> freemap(volumes_, reader_, space_, reporter);
  const bool fits = !header.empty() && workers > 0 && !devices.empty() &&
                    devices.size() <= devices_.size() &&
                    reader_.init(fixed, workers, limits.decode) &&
                    freemap.init(fixed) && walk.init(fixed) &&
                    memory.size() >= kMinMemoryBytes;
  if (!fits) {
    reporter.emit(Rule::kIncomplete, Error{.code = Code::kNoMemory},
                  text("anything: too little memory, or too many devices"));
    return finish();
  }
  const MutableBytes table = fixed.take<std::byte>(fixed.left() / 2);
  Arena growing = fixed;
  walk.use(table, growing);
  count_ = devices.size();
  for (std::size_t d = 0; d < count_; ++d) {
    devices_[d] = Stretched(*devices[d]);
    pointers_[d] = &devices_[d];
  }
  audit_headers(reporter, header);
  const auto opened = volumes_.open(stretched(), checks_, header);
  verdicts.opened = opened.has_value();
  tell_headers(reporter, verdicts.opened);
  if (!opened) {
    reporter.emit(Rule::kVolumeSet, opened.error());
    return finish();
  }
  const bool mapped = space_.init(growing, volumes_.info().total_bytes);
  if (!mapped) {
    reporter.emit(Rule::kIncomplete, Error{.code = Code::kNoMemory},
                  text("space: no memory for its map"));
  }
  walk.run(volumes_.super_root());
  verdicts.totals = walk.totals();
  // The header in use once more, for its freemap.
  Stretched* root = pointers_[0];
  for (std::size_t d = 0; d < count_; ++d) {
    if (volumes_.find(0, 1) != nullptr &&
        volumes_.find(0, 1)->device == pointers_[d]) {
      root = pointers_[d];
    }
  }
  if (mapped && root->read(volumes_.info().header_offset, header)) {
    freemap.run(
        Bytes(header).subspan(offsetof(Header, freemap_blockset),
                              sizeof(format::Blockset)),
        load_le<std::uint64_t>(header.data() + offsetof(Header, allocator_beg)),
        verdicts.totals);
  }
  return finish();
}

}  // namespace odo::hammer2::audit
