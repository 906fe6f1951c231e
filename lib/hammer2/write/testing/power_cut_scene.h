// SPDX-License-Identifier: BSD-3-Clause
// A disk whose power may fail, a volume and its model on it, and what may be
// found on the disk then: a state that was synced and no other, without a
// complaint of the checker's.
//
// Contexts: tests.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/block/sim/crash_disk.h"
#include "lib/block/sim/cuts.h"
#include "lib/block/sim/zero_device.h"
#include "lib/hammer2/testing/model/workload.h"
#include "lib/hammer2/write/testing/any_device.h"
#include "lib/hammer2/write/testing/power_cuts.h"
#include "lib/hammer2/write/testing/stage.h"

namespace odo::hammer2::write::testing {

// What may be done wrong on the way to the medium, to see that it is noticed.
enum class Mutation : std::uint8_t {
  kNone,
  kNoDataFlush,  // the header isn't held back until what it refers to is there
  kNoHeaderFlush,  // sync() doesn't wait for the header
  kStaleCrc,       // its second sector's CRC isn't brought up to date
};

// The disk, or one with a fault.
template <class Base>
class MutantDisk {
 public:
  MutantDisk(Base& base, Mutation mutation)
      : base_(base), mutation_(mutation) {}

  [[nodiscard]] std::uint64_t size_bytes() const { return base_.size_bytes(); }
  [[nodiscard]] std::uint32_t block_bytes() const {
    return base_.block_bytes();
  }
  [[nodiscard]] block::Result<void> read(std::uint64_t offset,
                                         MutableBytes to) {
    return base_.read(offset, to);
  }
  [[nodiscard]] block::Result<void> write(std::uint64_t offset, Bytes from) {
    const bool header =
        armed_ && from.size() == format::kVolumeHeaderBytes &&
        load_le<std::uint64_t>(from.data()) == format::kVolumeMagic &&
        offset % format::kVolumeHeaderStride == 0;
    if (!header) return base_.write(offset, from);
    wrote_header_ = true;
    if (mutation_ == Mutation::kStaleCrc) {
      std::vector<std::byte> bytes(from.begin(), from.end());
      // As if the reference in it had been another.
      bytes[offsetof(format::VolumeHeader, icrc_sects) + 24] ^= std::byte{1};
      return base_.write(offset, bytes);
    }
    return base_.write(offset, from);
  }
  [[nodiscard]] block::Result<void> flush() {
    if (!armed_) return base_.flush();
    const bool of_header = wrote_header_;
    wrote_header_ = false;
    if ((mutation_ == Mutation::kNoDataFlush && !of_header) ||
        (mutation_ == Mutation::kNoHeaderFlush && of_header)) {
      return {};
    }
    return base_.flush();
  }
  // At once, and the worst that may be read then: something else everywhere.
  [[nodiscard]] block::Result<void> discard(std::uint64_t offset,
                                            std::uint64_t bytes) {
    const std::vector<std::byte> junk(base_.block_bytes(), std::byte{0x5a});
    for (std::uint64_t at = 0; at < bytes; at += kJunkEvery) {
      ODO_TRY_VOID(base_.write(offset + at, junk));
    }
    return {};
  }
  void arm() { armed_ = true; }
  [[nodiscard]] std::size_t flushes() const { return base_.flushes(); }

 private:
  static constexpr std::uint64_t kJunkEvery = 131072;

  Base& base_;
  Mutation mutation_;
  bool armed_ = false;
  bool wrote_header_ = false;
};

class PowerCuts {
 public:
  using Medium = block::CrashDisk<block::ZeroDevice>;
  using Disk = MutantDisk<Medium>;

  // What the next owner of a cut does before it is looked at; its complaint.
  using Prepare = std::function<std::string(AnyDevice& device)>;

  PowerCuts(std::uint64_t disk_bytes, Mutation mutation,
            const Limits& limits = Stage<Disk>::kTight, Prepare prepare = {})
      : limits_(limits),
        prepare_(std::move(prepare)),
        zero_(disk_bytes),
        medium_(zero_),
        disk_(medium_, mutation) {}

  // The beginning of a workload, durable before the power may fail.
  void start(const model::Workload& workload) {
    ASSERT_TRUE(format_disk(disk_));
    ASSERT_TRUE(stage_.enter(limits_));
    for (const model::Operation& operation : workload) step(operation);
    ASSERT_TRUE(stage_.volume().sync());
    synced_.clear();
    medium_.start_log();
    disk_.arm();
    note();
  }

  void step(const model::Operation& operation) {
    const std::size_t flushes = medium_.flushes();
    if (const auto* snapshot = std::get_if<model::Snapshot>(&operation)) {
      snapshots_[snapshot->label] = stage_.tree().describe().text();
    }
    const model::FileTree before = stage_.tree();
    const auto done = stage_.perform(operation);
    ASSERT_EQ(done.fault ? text_of(*done.fault) : "", "");
    ASSERT_EQ(done.disagreement, "");
    done_.push_back(operation);
    if (medium_.flushes() == flushes) return;
    end_sync_under_way(flushes + flushes_to_come_);
    // It has synced: by itself, or first, to have room.
    if (model::only_persists(operation)) {
      note();
    } else {
      synced_.note(medium_.flushes(), before.describe().text());
    }
  }

  void end() {
    ASSERT_TRUE(stage_.volume().sync());
    note();
  }

  void discard() {
    const auto told = stage_.volume().discard_free();
    ASSERT_TRUE(told);
    EXPECT_NE(*told, 0U);
    note();
  }

  // A sync in its steps, with work between them that is not its own: as when
  // other threads go on while the devices flush.
  void sync_beside(const std::function<void()>& work) {
    auto& volume = stage_.volume();
    ASSERT_TRUE(stage_.store_beside(work));
    const auto sync = volume.begin_sync();
    ASSERT_TRUE(sync);
    // Whoever ends it: this is the state that it leaves.
    under_way_ = stage_.tree().describe().text();
    flushes_to_come_ = 2;
    for (bool more = sync->pending(); more;) {
      work();
      const Result<void> flushed = volume.flush_devices();
      work();
      const auto goes_on = volume.continue_sync(*sync, flushed);
      ASSERT_TRUE(goes_on);
      more = *goes_on;
      flushes_to_come_ = 1;
    }
    end_sync_under_way(medium_.flushes());
  }

  // An fsync by the log, where it can say what has changed, with work that is
  // not its own while the devices flush. Whether it could.
  bool log_beside(const std::function<void()>& work) {
    auto& volume = stage_.volume();
    const auto logged = volume.begin_log();
    EXPECT_TRUE(logged);
    const auto ticket = logged ? *logged : std::nullopt;
    if (!ticket) return false;
    if (!ticket->pending()) return true;
    under_way_ = stage_.tree().describe().text();
    flushes_to_come_ = 1;
    work();
    const Result<void> flushed = volume.flush_devices();
    const auto goes_on = volume.continue_sync(*ticket, flushed);
    EXPECT_TRUE(goes_on && !*goes_on);
    end_sync_under_way(medium_.flushes());
    return true;
  }

  [[nodiscard]] const model::FileTree& tree() const { return stage_.tree(); }

  // All cuts; the first complaint, or nothing.
  std::string look(const block::CutOptions& options, std::size_t& cuts) {
    std::string complaint;
    block::for_each_cut(medium_, options,
                        [&](auto& device, const block::CutInfo& info) {
                          ++cuts;
                          AnyDevice any(device);
                          const std::string why = look_at(any, info);
                          if (why.empty()) return block::Walk::kOn;
                          complaint = to_string(info) + ": " + why +
                                      "\nafter\n" + model::to_string(done_);
                          return block::Walk::kStop;
                        });
    return complaint;
  }

 private:
  // The sync in steps was ended, by its owner or by who needed one of its own.
  void end_sync_under_way(std::size_t flushes) {
    if (!under_way_) return;
    synced_.note(flushes, *under_way_);
    under_way_.reset();
  }

  void note() {
    synced_.note(medium_.flushes(), stage_.tree().describe().text());
  }

  std::string look_at(AnyDevice& device, const block::CutInfo& info) {
    std::string why = prepare_ ? prepare_(device) : "";
    if (!why.empty()) return why;
    const std::string found = describe_device(device, kLabel, why).text();
    if (!why.empty()) return why;
    const auto [last, next] = synced_.after(info.flushes);
    if (found != last && found != next) {
      return "not a state that was synced:\n" + found + "but\n" +
             std::string(last);
    }
    for (const auto& [label, tree] : snapshots_) {
      std::string absent;
      const std::string there = describe_device(device, label, absent).text();
      if (absent.empty() && there != tree) {
        std::string complaint = "snapshot " + label;
        return complaint.append(" is\n")
            .append(there)
            .append("but was\n")
            .append(tree);
      }
    }
    return complaint_about(device);
  }

  Limits limits_;
  Prepare prepare_;
  block::ZeroDevice zero_;
  Medium medium_;
  Disk disk_;
  Stage<Disk> stage_{disk_};
  SyncedStates synced_;
  std::optional<std::string> under_way_;
  std::size_t flushes_to_come_ = 0;
  std::map<std::string, std::string> snapshots_;
  model::Workload done_;
};

}  // namespace odo::hammer2::write::testing
