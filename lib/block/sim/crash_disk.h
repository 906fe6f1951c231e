// SPDX-License-Identifier: BSD-3-Clause
// A disk that remembers every write and flush, so that a test can have the
// power fail at any of them, afterwards and as often as it likes: cuts.h makes
// the states in which the medium may then be.
//
//   ZeroDevice blank(8 * kGiB);
//   CrashDisk disk(blank);
//   ... make a filesystem on `disk` ...
//   disk.start_log();
//   ... work; note disk.writes() and disk.flushes() after each step ...
//   for_each_cut(disk, {.seed = 1}, [&](auto& device, const CutInfo& info) {
//     ... mount `device`: must show what was durable at info.flushes ...
//   });
//
// Contexts: tests; one thread.
// Ownership: refers to the device below, which it only reads and which outlives
// it. The device below may itself be a cut of another disk: power that fails
// again while the first failure is mended.
// Complexity: memory for what was written, twice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/block/device.h"
#include "lib/block/sim/cut.h"
#include "lib/block/sim/overlay.h"
#include "lib/block/sim/random.h"
#include "lib/block/sim/write_log.h"
#include "lib/block/sim/zero_device.h"

namespace odo::block {

template <BlockDevice Base>
class CrashDisk {
 public:
  explicit CrashDisk(Base& base) : base_(base) {}

  [[nodiscard]] std::uint64_t size_bytes() const { return base_.size_bytes(); }
  [[nodiscard]] std::uint32_t block_bytes() const {
    return base_.block_bytes();
  }

  [[nodiscard]] Result<void> read(std::uint64_t offset_bytes, MutableBytes to) {
    ODO_TRY_VOID(read_before(offset_bytes, to));
    now_.paint(offset_bytes, to);
    return {};
  }

  [[nodiscard]] Result<void> write(std::uint64_t offset_bytes, Bytes from) {
    ODO_TRY_VOID(
        check_request(offset_bytes, from.size(), size_bytes(), block_bytes()));
    if (from.empty()) return {};
    log_.add(offset_bytes, from);
    now_.write(offset_bytes, from);
    return {};
  }

  [[nodiscard]] Result<void> flush() {
    log_.end_flushed();
    return {};
  }

  // What a flush that fails at worst does: of each write since the last flush
  // an arbitrary part is dropped, for reads as well, and no later flush brings
  // it back.
  void lose_pending(std::uint64_t seed) {
    Random random(mix(seed, log_.writes().size()));
    std::vector<Fate> fates(log_.pending());
    for (Fate& fate : fates) {
      switch (random.below(3)) {
        case 0:
          fate = Fate::kept();
          break;
        case 1:
          fate = Fate::lost();
          break;
        default:
          fate = Fate::scattered(random.next());
      }
    }
    log_.end_failed(std::move(fates));
    replay();
  }

  // Takes all that was written so far for durable, and logs anew from here.
  // Ends the life of all cuts of this disk.
  void start_log() {
    before_.absorb(now_);
    now_.clear();
    log_ = WriteLog();
  }

  [[nodiscard]] const WriteLog& log() const { return log_; }
  // Since start_log(): writes issued, and flushes that succeeded.
  [[nodiscard]] std::size_t writes() const { return log_.writes().size(); }
  [[nodiscard]] std::size_t flushes() const { return log_.flushes(); }

  // The medium as it was at start_log().
  [[nodiscard]] Result<void> read_before(std::uint64_t offset_bytes,
                                         MutableBytes to) {
    ODO_TRY_VOID(base_.read(offset_bytes, to));
    before_.paint(offset_bytes, to);
    return {};
  }

 private:
  // What is read now, from the log alone.
  void replay() {
    now_.clear();
    for (const Epoch& epoch : log_.epochs()) {
      for (std::size_t i = 0; i < epoch.writes(); ++i) {
        const LoggedWrite& write = log_.write(epoch, i);
        for (std::size_t s = 0; s < write.sectors(); ++s) {
          if (!epoch.fate(i).keeps(s, write.sectors())) continue;
          now_.write(
              write.offset_bytes + s * kSectorBytes,
              Bytes(write.bytes).subspan(s * kSectorBytes, kSectorBytes));
        }
      }
    }
  }

  Base& base_;
  OwnedOverlay before_;
  OwnedOverlay now_;
  WriteLog log_;
};

static_assert(WritableBlockDevice<CrashDisk<ZeroDevice>>);

}  // namespace odo::block
