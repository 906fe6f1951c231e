// SPDX-License-Identifier: BSD-3-Clause
// Devices and memory that fail at every step of a workload: what failed is
// reported, has changed nothing, and loses nothing that was synced.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>

#include "lib/block/sim/crash_disk.h"
#include "lib/block/sim/fault_disk.h"
#include "lib/block/sim/zero_device.h"
#include "lib/hammer2/testing/model/workload.h"
#include "lib/hammer2/write/testing/stage.h"

namespace odo::hammer2::write::testing {
namespace {

using Medium = block::CrashDisk<block::ZeroDevice>;
using Disk = block::FaultDisk<Medium>;

constexpr std::uint64_t kDiskBytes = std::uint64_t{48} << 20;
constexpr model::WorkloadOptions kWork = {.names = 5,
                                          .max_write_bytes = 20'000,
                                          .max_file_bytes = 150'000,
                                          .persists = 40};

// Every so many requests one fails.
std::uint64_t stride() {
  return std::getenv("ODO_SANITIZER") != nullptr ? 7 : 1;
}

// Memory that runs out for one request.
class FailingGround : public HostGround<Disk> {
 public:
  void* allocate(std::size_t bytes, std::size_t align) {
    if (requests_++ == failing_) return nullptr;
    return HostGround<Disk>::allocate(bytes, align);
  }
  void fail_request(std::uint64_t n) { failing_ = requests_ + n; }
  [[nodiscard]] std::uint64_t requests() const { return requests_; }

 private:
  std::uint64_t requests_ = 0;
  std::uint64_t failing_ = std::numeric_limits<std::uint64_t>::max();
};

class FaultTest : public ::testing::Test {
 protected:
  using TestStage = Stage<Disk, FailingGround>;

  struct Run {
    block::ZeroDevice zero{kDiskBytes};
    Medium medium{zero};
    Disk disk{medium};
    TestStage stage{disk};
    std::string synced;  // the tree when the last sync was done
    bool faulted = false;
  };

  // The same work each time. Calls prepare(run) when all is durable.
  template <class Prepare>
  static void work(Run& run, std::uint64_t seed, Prepare&& prepare) {
    ASSERT_TRUE(format_disk(run.disk));
    ASSERT_TRUE(run.stage.enter());
    run.synced = run.stage.tree().describe().text();
    prepare(run);
    model::WorkloadGenerator generator(seed, kWork);
    for (int i = 0; i < 150; ++i) {
      const model::Operation operation = generator.next(run.stage.tree());
      const auto step = run.stage.perform(operation);
      ASSERT_EQ(step.disagreement, "") << "step " << i;
      if (step.fault) {
        run.faulted = true;
        if (run.stage.volume().read_only()) return;
      } else if (model::only_persists(operation)) {
        run.synced = run.stage.tree().describe().text();
      }
    }
  }

  static void expect_tree(Run& run, const std::string& either,
                          const std::string& where) {
    std::string why;
    const std::string found = describe_device(run.medium, kLabel, why).text();
    EXPECT_EQ(why, "") << where;
    EXPECT_EQ(complaint_about(run.medium), "") << where;
    if (found != run.synced) {
      EXPECT_EQ(found, either) << where;
    }
  }
};

// A read that fails changes nothing, and everything else goes on.
TEST_F(FaultTest, EveryRead) {
  Run whole;
  work(whole, 1, [](Run&) {});
  const std::uint64_t reads = whole.disk.reads();
  std::uint64_t faults = 0;
  for (std::uint64_t n = 0; n < reads; ++n) {
    Run run;
    work(run, 1, [&](Run& begun) { begun.disk.fail_read(n); });
    if (HasFatalFailure()) return;
    faults += run.faulted ? 1 : 0;
    run.disk.heal();
    ASSERT_FALSE(run.stage.volume().read_only());
    ASSERT_TRUE(run.stage.volume().sync());
    run.synced = run.stage.tree().describe().text();
    expect_tree(run, "", "read " + std::to_string(n));
    if (HasFailure()) return;
  }
  EXPECT_GT(faults, 0U);
}

TEST_F(FaultTest, EveryWrite) {
  Run whole;
  work(whole, 2, [](Run&) {});
  const std::uint64_t writes = whole.disk.writes();
  std::uint64_t faults = 0;
  for (std::uint64_t n = 0; n < writes; n += stride()) {
    Run run;
    work(run, 2, [&](Run& begun) {
      begun.disk.seed(n);
      begun.disk.fail_write(n, block::FailedWrite::kMixture);
    });
    if (HasFatalFailure()) return;
    if (!run.faulted) continue;
    ++faults;
    // It says so, and goes on saying so, though the device is well again.
    EXPECT_TRUE(run.stage.volume().read_only()) << n;
    const auto refused = run.stage.volume().sync();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::kReadOnly);
    expect_tree(run, run.stage.tree().describe().text(),
                "write " + std::to_string(n));
    if (HasFailure()) return;
  }
  EXPECT_GT(faults, 0U);
}

TEST_F(FaultTest, EveryFlush) {
  Run whole;
  work(whole, 3, [](Run&) {});
  const std::uint64_t flushes = whole.disk.flushes();
  for (std::uint64_t n = 0; n < flushes; ++n) {
    for (const auto how :
         {block::FailedFlush::kStillPending, block::FailedFlush::kDurable,
          block::FailedFlush::kSomeLost}) {
      Run run;
      work(run, 3, [&](Run& begun) {
        begun.disk.seed(n);
        begun.disk.fail_flush(n, how);
      });
      if (HasFatalFailure()) return;
      if (!run.faulted) continue;
      EXPECT_TRUE(run.stage.volume().read_only());
      expect_tree(run, run.stage.tree().describe().text(),
                  "flush " + std::to_string(n));
      if (HasFailure()) return;
    }
  }
}

// A flush fails in the hands of one whose sync somebody else has ended: the
// device may never tell of it again.
TEST_F(FaultTest, AFlushThatFailsAfterItsSyncHasEnded) {
  Run run;
  ASSERT_TRUE(format_disk(run.disk));
  ASSERT_TRUE(run.stage.enter());
  auto& volume = run.stage.volume();
  ASSERT_FALSE(run.stage.perform(model::Create{"/file"}).fault);
  const auto sync = volume.begin_sync();
  ASSERT_TRUE(sync);
  ASSERT_TRUE(sync->pending());
  ASSERT_TRUE(volume.sync());
  run.disk.fail_flush(0);
  const Result<void> flushed = volume.flush_devices();
  ASSERT_FALSE(flushed);
  EXPECT_EQ(volume.continue_sync(*sync, flushed).error().code,
            Code::kDeviceError);
  EXPECT_TRUE(volume.read_only());
}

// An operation without memory changes nothing.
TEST_F(FaultTest, EveryAllocation) {
  Run whole;
  work(whole, 4, [](Run&) {});
  const std::uint64_t requests = whole.stage.ground().requests();
  std::uint64_t faults = 0;
  for (std::uint64_t n = 0; n < requests; n += stride()) {
    Run run;
    work(run, 4, [&](Run& begun) { begun.stage.ground().fail_request(n); });
    if (HasFatalFailure()) {
      ADD_FAILURE() << "allocation " << n;
      return;
    }
    faults += run.faulted ? 1 : 0;
    ASSERT_TRUE(run.stage.volume().sync());
    run.synced = run.stage.tree().describe().text();
    expect_tree(run, "", "allocation " + std::to_string(n));
    if (HasFailure()) return;
  }
  EXPECT_GT(faults, 0U);
}

// A volume that is filled says so, loses nothing, and can be emptied.
TEST_F(FaultTest, NoSpace) {
  Run run;
  ASSERT_TRUE(format_disk(run.disk));
  ASSERT_TRUE(run.stage.enter());
  bool full = false;
  for (int i = 0; i < 600 && !full; ++i) {
    const std::string path = "/file" + std::to_string(i);
    auto step = run.stage.perform(model::Create{path});
    if (!step.fault) {
      step = run.stage.perform(model::Write{
          path, 0, 100'000, static_cast<std::uint64_t>(i) * 4 + 2});
    }
    ASSERT_EQ(step.disagreement, "");
    full = step.fault.has_value();
    if (full) EXPECT_EQ(step.fault->code, Code::kNoSpace);
  }
  ASSERT_TRUE(full);
  ASSERT_TRUE(run.stage.volume().sync());
  run.synced = run.stage.tree().describe().text();
  expect_tree(run, "", "full");
  // Removal works, and gives back what it took.
  for (const std::string& path : run.stage.tree().paths()) {
    if (path == "/") continue;
    const auto step = run.stage.perform(model::Unlink{path});
    ASSERT_FALSE(step.fault) << text_of(*step.fault);
    ASSERT_EQ(step.disagreement, "");
  }
  for (int i = 0; i < 100; ++i) {
    const std::string path = "/again" + std::to_string(i);
    ASSERT_FALSE(run.stage.perform(model::Create{path}).fault);
    ASSERT_FALSE(
        run.stage
            .perform(model::Write{path, 0, 100'000,
                                  static_cast<std::uint64_t>(i) * 4 + 3})
            .fault);
  }
  ASSERT_TRUE(run.stage.volume().sync());
  run.synced = run.stage.tree().describe().text();
  expect_tree(run, "", "again");
}

}  // namespace
}  // namespace odo::hammer2::write::testing
