// SPDX-License-Identifier: BSD-3-Clause
// Cuts the power at every write of workloads, with the writes that no flush had
// made durable kept, lost and torn, and looks at what is there then: a state
// that was synced and no other, without a complaint of the checker's.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/block/sim/crash_disk.h"
#include "lib/block/sim/cuts.h"
#include "lib/block/sim/zero_device.h"
#include "lib/hammer2/testing/model/enumerate.h"
#include "lib/hammer2/testing/model/workload.h"
#include "lib/hammer2/write/testing/power_cuts.h"
#include "lib/hammer2/write/testing/stage.h"

namespace odo::hammer2::write::testing {
namespace {

bool is_long() { return std::getenv("ODO_LONG") != nullptr; }
bool is_sanitized() { return std::getenv("ODO_SANITIZER") != nullptr; }

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

  PowerCuts(std::uint64_t disk_bytes, Mutation mutation)
      : zero_(disk_bytes), medium_(zero_), disk_(medium_, mutation) {}

  // The beginning of a workload, durable before the power may fail.
  void start(const model::Workload& workload) {
    ASSERT_TRUE(format_disk(disk_));
    ASSERT_TRUE(stage_.enter());
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
    ASSERT_FALSE(done.fault) << text_of(*done.fault);
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

  // All cuts; the first complaint, or nothing.
  std::string look(const block::CutOptions& options, std::size_t& cuts) {
    std::string complaint;
    block::for_each_cut(medium_, options,
                        [&](auto& device, const block::CutInfo& info) {
                          ++cuts;
                          const std::string why = look_at(device, info);
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

  template <class Device>
  std::string look_at(Device& device, const block::CutInfo& info) {
    std::string why;
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
        return "snapshot " + label + " is\n" + there + "but was\n" + tree;
      }
    }
    return complaint_about(device);
  }

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

std::string random_work(std::uint64_t seed, Mutation mutation,
                        std::size_t& cuts) {
  PowerCuts power(disk_for(seed), mutation);
  power.start({});
  model::WorkloadGenerator generator(seed, kShort);
  model::FileTree tree;
  for (int i = 0; i < 50; ++i) {
    const model::Operation operation = generator.next(tree);
    (void)model::perform(tree, operation);
    power.step(operation);
    if (::testing::Test::HasFatalFailure()) return "stopped";
  }
  power.end();
  return power.look(usual_cuts(seed), cuts);
}

TEST(PowerCutTest, RandomWork) {
  const std::uint64_t seeds = is_long() ? 2000 : is_sanitized() ? 2 : 10;
  std::size_t cuts = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    ASSERT_EQ(random_work(seed, Mutation::kNone, cuts), "") << "seed " << seed;
  }
  std::printf("%zu cuts\n", cuts);
  EXPECT_GT(cuts, seeds * 500);
}

// Work goes on while a sync is under way, and some of it needs a sync of its
// own.
std::string work_beside_syncs(std::uint64_t seed, std::size_t& cuts) {
  PowerCuts power(disk_for(seed), Mutation::kNone);
  power.start({});
  model::WorkloadOptions options = kShort;
  options.persists = seed % 4 == 0 ? 5 : 0;
  model::WorkloadGenerator generator(seed, options);
  model::FileTree tree;
  const auto work = [&] {
    for (unsigned i = 0; i < 1 + seed % 3; ++i) {
      const model::Operation operation = generator.next(tree);
      (void)model::perform(tree, operation);
      power.step(operation);
    }
  };
  for (int i = 0; i < 12; ++i) {
    work();
    power.sync_beside(work);
    if (::testing::Test::HasFatalFailure()) return "stopped";
  }
  power.end();
  return power.look(usual_cuts(seed), cuts);
}

TEST(PowerCutTest, WorkGoesOnDuringASync) {
  const std::uint64_t seeds = is_long() ? 2000 : is_sanitized() ? 1 : 5;
  std::size_t cuts = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    ASSERT_EQ(work_beside_syncs(seed, cuts), "") << "seed " << seed;
  }
  std::printf("%zu cuts\n", cuts);
  EXPECT_GT(cuts, seeds * 500);
}

// What is discarded, no state needs that a cut can bring back.
TEST(PowerCutTest, DiscardedSpaceIsNobodys) {
  const std::uint64_t seeds = is_long() ? 200 : is_sanitized() ? 1 : 2;
  std::size_t cuts = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    PowerCuts power(kSmallDisk, Mutation::kNone);
    power.start({});
    model::WorkloadGenerator generator(seed, kShort);
    model::FileTree tree;
    for (int i = 0; i < 45; ++i) {
      if (i % 15 == 10) power.discard();
      const model::Operation operation = generator.next(tree);
      (void)model::perform(tree, operation);
      power.step(operation);
      ASSERT_FALSE(::testing::Test::HasFatalFailure());
    }
    power.end();
    ASSERT_EQ(power.look({.seed = seed,
                          .exhaustive_bound = 4,
                          .samples = 1,
                          .tears = 1,
                          .scatters = 1},
                         cuts),
              "")
        << "seed " << seed;
  }
  std::printf("%zu cuts\n", cuts);
}

// All workloads of one and two operations of the grammar, and some of three; in
// the long form all of these.
TEST(PowerCutTest, ShortWorkOfEveryKind) {
  model::EnumerationOptions options;
  options.max_length = is_long() ? 3 : 2;
  options.stride = is_long() ? 1 : is_sanitized() ? 61 : 7;
  std::size_t cuts = 0;
  std::size_t workloads = 0;
  bool stopped = false;
  (void)model::for_each_workload(
      options, [&](const model::Workload& workload, std::size_t number) {
        if (stopped) return;
        PowerCuts power(disk_for(number), Mutation::kNone);
        power.start(model::small_start());
        for (const model::Operation& operation : workload) {
          power.step(operation);
        }
        power.end();
        const std::string complaint = power.look({.seed = number,
                                                  .exhaustive_bound = 5,
                                                  .samples = 2,
                                                  .tears = 1,
                                                  .scatters = 1},
                                                 cuts);
        EXPECT_EQ(complaint, "") << "workload " << number;
        stopped = ::testing::Test::HasFailure();
        ++workloads;
      });
  std::printf("%zu workloads, %zu cuts\n", workloads, cuts);
  EXPECT_GT(cuts, workloads * 10);
}

class MutationTest : public ::testing::TestWithParam<Mutation> {};

TEST_P(MutationTest, IsNoticed) {
  std::size_t cuts = 0;
  std::string complaint;
  for (std::uint64_t seed = 1; seed <= 12 && complaint.empty(); ++seed) {
    complaint = random_work(seed, GetParam(), cuts);
  }
  EXPECT_NE(complaint, "");
  std::printf("noticed after %zu cuts\n", cuts);
}

INSTANTIATE_TEST_SUITE_P(PowerCut, MutationTest,
                         ::testing::Values(Mutation::kNoDataFlush,
                                           Mutation::kNoHeaderFlush,
                                           Mutation::kStaleCrc));

}  // namespace
}  // namespace odo::hammer2::write::testing
