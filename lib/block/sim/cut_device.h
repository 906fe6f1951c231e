// SPDX-License-Identifier: BSD-3-Clause
// The disk as it is found after the power came back: one cut of a CrashDisk's
// log, which can be read, and written for recovery's sake.
//
// Contexts: tests; one thread.
// Ownership: a Cutter refers to the disk; a CutDevice refers to the Cutter and
// lives until its next cut(), the disk's next write, or start_log().
// Complexity: a cut costs its fates; a step to the next epoch costs the sectors
// written in both; a read costs a few look-ups per 64 KiB above a plain one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/block/device.h"
#include "lib/block/sim/crash_disk.h"
#include "lib/block/sim/cut.h"
#include "lib/block/sim/epoch_index.h"
#include "lib/block/sim/overlay.h"
#include "lib/block/sim/write_log.h"

namespace odo::block {

template <BlockDevice Base>
class Cutter;

template <BlockDevice Base>
class CutDevice {
 public:
  CutDevice(Cutter<Base>& cutter, Cut cut)
      : cutter_(cutter), cut_(std::move(cut)) {}

  [[nodiscard]] const Cut& cut() const { return cut_; }

  [[nodiscard]] std::uint64_t size_bytes() const {
    return cutter_.disk().size_bytes();
  }
  [[nodiscard]] std::uint32_t block_bytes() const {
    return cutter_.disk().block_bytes();
  }

  [[nodiscard]] Result<void> read(std::uint64_t offset_bytes, MutableBytes to) {
    ODO_TRY_VOID(cutter_.read(cut_, offset_bytes, to));
    written_.paint(offset_bytes, to);
    return {};
  }

  [[nodiscard]] Result<void> write(std::uint64_t offset_bytes, Bytes from) {
    ODO_TRY_VOID(
        check_request(offset_bytes, from.size(), size_bytes(), block_bytes()));
    written_.write(offset_bytes, from);
    return {};
  }

  [[nodiscard]] Result<void> flush() { return {}; }

 private:
  Cutter<Base>& cutter_;
  Cut cut_;
  OwnedOverlay written_;
};

// Makes cuts of one disk, best in the order of epochs.
template <BlockDevice Base>
class Cutter {
 public:
  explicit Cutter(CrashDisk<Base>& disk) : disk_(disk) {}

  [[nodiscard]] CutDevice<Base> cut(Cut cut) {
    seek(cut.epoch);
    ODO_CHECK(cut.fates.size() <= indexed_writes_);
    return CutDevice<Base>(*this, std::move(cut));
  }

  [[nodiscard]] CrashDisk<Base>& disk() { return disk_; }

  [[nodiscard]] Result<void> read(const Cut& cut, std::uint64_t offset_bytes,
                                  MutableBytes to) {
    ODO_CHECK(cut.epoch == epoch_);
    ODO_TRY_VOID(disk_.read_before(offset_bytes, to));
    durable_.paint(offset_bytes, to);
    index_.paint(cut, offset_bytes, to);
    return {};
  }

 private:
  void seek(std::size_t number) {
    const WriteLog& log = disk_.log();
    ODO_CHECK(number < log.epochs().size());
    const std::size_t writes = log.epochs()[number].writes();
    if (built_ && number == epoch_ && writes == indexed_writes_) return;
    if (number < epoch_) {
      durable_ = SectorMap();
      epoch_ = 0;
    }
    for (; epoch_ < number; ++epoch_) settle(log, log.epochs()[epoch_]);
    index_.build(log, log.epochs()[number]);
    indexed_writes_ = writes;
    built_ = true;
  }

  // Adds what an epoch that is over left on the medium.
  void settle(const WriteLog& log, const Epoch& epoch) {
    for (std::size_t i = 0; i < epoch.writes(); ++i) {
      const LoggedWrite& write = log.write(epoch, i);
      const Fate fate = epoch.fate(i);
      for (std::size_t s = 0; s < write.sectors(); ++s) {
        if (!fate.keeps(s, write.sectors())) continue;
        durable_.point(write.sector() + s,
                       write.bytes.data() + s * kSectorBytes);
      }
    }
  }

  CrashDisk<Base>& disk_;
  SectorMap durable_;      // of the epochs before `epoch_`
  std::size_t epoch_ = 0;  // that the index is of
  EpochIndex index_;
  std::size_t indexed_writes_ = 0;
  bool built_ = false;
};

static_assert(WritableBlockDevice<CutDevice<ZeroDevice>>);

}  // namespace odo::block
