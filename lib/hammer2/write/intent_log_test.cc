// SPDX-License-Identifier: BSD-3-Clause
// The intent log: power that fails while it is written, while a header takes
// its place, and while what it says is done again; and logs that nobody wrote.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "lib/block/memory_device.h"
#include "lib/block/sim/random.h"
#include "lib/hammer2/testing/model/workload.h"
#include "lib/hammer2/write/testing/power_cut_scene.h"
#include "lib/hammer2/write/testing/power_cuts.h"

namespace odo::hammer2::write::testing {
namespace {

bool is_long() { return std::getenv("ODO_LONG") != nullptr; }
bool is_sanitized() { return std::getenv("ODO_SANITIZER") != nullptr; }

// So little that it is full again and again.
Limits with_log() {
  Limits limits = Stage<PowerCuts::Disk>::kTight;
  limits.log_bytes = std::size_t{4} << 16;
  return limits;
}

// Whoever opens a volume next, right or not.
class NextGround : public HostGround<AnyDevice> {
 public:
  static LogMutation log_mutation() { return mutation; }
  static inline LogMutation mutation = LogMutation::kNone;
};

Result<void> open_and_leave(AnyDevice& device) {
  NextGround ground;
  Volume<NextGround> volume(ground);
  AnyDevice* devices[] = {&device};
  ODO_TRY_VOID(volume.open(devices, Stage<PowerCuts::Disk>::kTight));
  volume.forget();
  return {};
}

// The power fails again while the log is gone through.
std::string cut_again(AnyDevice& device, std::uint64_t seed) {
  using Again = block::CrashDisk<AnyDevice>;
  Again disk(device);
  disk.start_log();
  AnyDevice whole(disk);
  if (const auto opened = open_and_leave(whole); !opened) {
    return text_of(opened.error());
  }
  std::string why;
  const std::string expected = describe_device(whole, kLabel, why).text();
  if (!why.empty()) return why;
  std::string complaint;
  block::for_each_cut(
      disk, {.seed = seed, .exhaustive_bound = 3, .samples = 1, .tears = 1},
      [&](auto& cut, const block::CutInfo& info) {
        AnyDevice any(cut);
        const auto opened = open_and_leave(any);
        const std::string found =
            opened ? describe_device(any, kLabel, complaint).text()
                   : text_of(opened.error());
        if (found == expected) return block::Walk::kOn;
        complaint =
            to_string(info) + " when it is done again: " + complaint + found;
        return block::Walk::kStop;
      });
  return complaint;
}

// Mostly what the log can say, now and then what it can't.
model::Operation next_operation(model::WorkloadGenerator& generator,
                                const model::FileTree& tree,
                                block::Random& random) {
  const bool any = random.below(16) == 0;
  for (;;) {
    model::Operation operation = generator.next(tree);
    if (any || std::holds_alternative<model::Write>(operation) ||
        std::holds_alternative<model::Append>(operation) ||
        std::holds_alternative<model::Chmod>(operation) ||
        std::holds_alternative<model::Chown>(operation) ||
        std::holds_alternative<model::Utimes>(operation)) {
      return operation;
    }
  }
}

struct Seen {
  std::size_t cuts = 0;
  std::size_t logged = 0;
  std::size_t asked = 0;
};

struct Work {
  Mutation mutation = Mutation::kNone;
  std::uint64_t again_every = 64;  // cuts are cut again
};

// Each cut is opened before it is looked at.
PowerCuts::Prepare opening(std::uint64_t seed, std::uint64_t again_every) {
  return [=, looked = std::uint64_t{0}](AnyDevice& device) mutable {
    if (++looked % again_every == 0) {
      std::string why = cut_again(device, seed + looked);
      if (!why.empty()) return why;
    }
    const auto opened = open_and_leave(device);
    return opened ? std::string() : text_of(opened.error());
  };
}

std::string logged_work(std::uint64_t seed, const Work& how, Seen& seen) {
  PowerCuts power(disk_for(seed), how.mutation, with_log(),
                  opening(seed, how.again_every));
  model::WorkloadOptions options = kShort;
  options.persists = 2;
  model::WorkloadGenerator generator(seed, options);
  block::Random random(seed);
  // Files of all sizes.
  model::Workload start = {
      model::Create{"/a", 0644},        model::Create{"/b", 0600},
      model::Mkdir{"/c", 0755},         model::Create{"/c/a", 0644},
      model::Write{"/b", 0, 70'000, 1}, model::Write{"/c/a", 3000, 100, 2}};
  power.start(start);
  const auto work = [&] {
    for (std::uint64_t i = random.below(3); i > 0; --i) {
      power.step(next_operation(generator, power.tree(), random));
    }
  };
  for (int i = 0; i < 40; ++i) {
    work();
    if (random.below(8) == 0) continue;
    ++seen.asked;
    if (power.log_beside(work)) {
      ++seen.logged;
    } else {
      power.sync_beside(work);
    }
    if (::testing::Test::HasFatalFailure()) return "stopped";
  }
  power.end();
  return power.look({.seed = seed,
                     .exhaustive_bound = 4,
                     .samples = 2,
                     .tears = 1,
                     .scatters = 1},
                    seen.cuts);
}

TEST(IntentLogTest, BringsBackWhatWasSynced) {
  NextGround::mutation = LogMutation::kNone;
  const std::uint64_t seeds = is_long() ? 1000 : is_sanitized() ? 1 : 4;
  Seen seen;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    ASSERT_EQ(logged_work(seed, {}, seen), "") << "seed " << seed;
  }
  std::printf("%zu of %zu syncs by the log, %zu cuts\n", seen.logged,
              seen.asked, seen.cuts);
  EXPECT_GT(seen.logged * 2, seen.asked);
  EXPECT_GT(seen.cuts, seeds * 300);
}

// --- Space -------------------------------------------------------------------

using MemoryDisk = block::WritableMemoryDevice;

// A file and, if `syncs`, what the log says of it.
void write_and_log(Stage<MemoryDisk>& stage, unsigned syncs) {
  const auto perform = [&](const model::Operation& operation) {
    const auto step = stage.perform(operation);
    ASSERT_FALSE(step.fault);
    ASSERT_EQ(step.disagreement, "");
  };
  perform(model::Create{"/a", 0644});
  perform(model::Write{"/a", 0, 300'000, 2});
  ASSERT_TRUE(stage.volume().sync());
  for (unsigned i = 0; i < syncs; ++i) {
    perform(model::Write{"/a", i * 70'000, 4096, 6 + 4 * i});
    const auto logged = stage.volume().begin_log();
    ASSERT_TRUE(logged && *logged);
    ASSERT_TRUE(
        stage.volume().continue_sync(**logged, stage.volume().flush_devices()));
  }
}

TEST(IntentLogSpaceTest, IsGivenBack) {
  std::vector<std::byte> storage(kSmallDisk);
  MemoryDisk disk(storage, 512);
  ASSERT_TRUE(format_disk(disk));
  Stage<MemoryDisk> stage(disk);
  ASSERT_TRUE(stage.enter(with_log()));
  auto& volume = stage.volume();
  write_and_log(stage, 3);
  // It has its blocks, and no bulkfree takes them.
  ASSERT_TRUE(volume.bulkfree());
  ASSERT_TRUE(volume.bulkfree());
  const std::uint64_t with = volume.space(stage.root()).free_bytes;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(volume.set_attributes(stage.root(), {.mode = 0700}));
    ASSERT_TRUE(volume.begin_log());
  }
  EXPECT_EQ(volume.space(stage.root()).free_bytes, with);
  ASSERT_TRUE(stage.close());
  Stage<MemoryDisk> next(disk);
  ASSERT_TRUE(next.enter());
  ASSERT_TRUE(next.volume().bulkfree());
  ASSERT_TRUE(next.volume().bulkfree());
  EXPECT_EQ(next.volume().space(next.root()).free_bytes,
            with + with_log().log_bytes);
}

// --- Hostile bytes -----------------------------------------------------------

// Every field of the root, the groups and the records is something else, with
// codes that are right.
TEST(IntentLogHostileTest, AnyLogGivesAResultOrAnError) {
  std::vector<std::byte> storage(kSmallDisk);
  MemoryDisk disk(storage, 512);
  ASSERT_TRUE(format_disk(disk));
  {
    Stage<MemoryDisk> stage(disk);
    ASSERT_TRUE(stage.enter(with_log()));
    write_and_log(stage, 3);
  }
  const check::Checks checks{};
  LogRoot root;
  ASSERT_TRUE(disk.read(kLogRootOffset, mutable_bytes_of(root)));
  ASSERT_EQ(root.magic, kLogRootMagic);
  std::vector<std::byte> groups(1 << 16);
  ASSERT_TRUE(disk.read(root.blocks[0], groups));
  block::Random random(1);
  const auto odd = [&](std::uint64_t was) {
    switch (random.below(5)) {
      case 0:
        return was + random.below(3) - 1;
      case 1:
        return random.below(1 << 20);
      case 2:
        return random.next();
      case 3:
        return ~random.below(4096);
      default:
        return was ^ std::uint64_t{1} << random.below(64);
    }
  };
  const int rounds = is_long() ? 20'000 : is_sanitized() ? 100 : 400;
  int opened = 0;
  for (int round = 0; round < rounds; ++round) {
    block::CrashDisk<MemoryDisk> copy(disk);
    LogRoot bad_root = root;
    if (random.below(3) == 0) {
      std::uint64_t* fields[] = {&bad_root.count, &bad_root.blocks[0],
                                 &bad_root.blocks[random.below(4)]};
      std::uint64_t& field = *fields[random.below(3)];
      field = odd(field);
      bad_root.check = 0;
      bad_root.check = checks.xxh64(bytes_of(bad_root), format::kXxhashSeed);
    }
    ASSERT_TRUE(copy.write(kLogRootOffset, bytes_of(bad_root)));
    std::vector<std::byte> bad = groups;
    LogGroup group;
    copy_bytes(mutable_bytes_of(group), Bytes(bad).first(sizeof group));
    const std::size_t bytes = group.bytes;
    ASSERT_LT(bytes, bad.size());
    for (std::uint64_t i = 1 + random.below(2); i > 0; --i) {
      // Mostly where a record begins.
      const std::size_t at = random.below(2) == 0
                                 ? sizeof group + random.below(4) * 8
                                 : random.below(bytes / 8) * 8;
      store_le(bad.data() + at, odd(load_le<std::uint64_t>(bad.data() + at)));
    }
    copy_bytes(mutable_bytes_of(group), Bytes(bad).first(sizeof group));
    group.check = 0;
    copy_bytes(bad, bytes_of(group));
    group.check = checks.xxh64(Bytes(bad).first(bytes), format::kXxhashSeed);
    copy_bytes(bad, bytes_of(group));
    ASSERT_TRUE(copy.write(root.blocks[0], bad));
    AnyDevice any(copy);
    if (!open_and_leave(any)) continue;
    ++opened;
    ASSERT_EQ(complaint_about(any), "") << "round " << round;
  }
  EXPECT_GT(opened, rounds / 2);
}

// --- Tests of the tests ------------------------------------------------------

std::string noticed(LogMutation wrong, const Work& how) {
  NextGround::mutation = wrong;
  Seen seen;
  std::string complaint;
  for (std::uint64_t seed = 1; seed <= 12 && complaint.empty(); ++seed) {
    complaint = logged_work(seed, how, seen);
  }
  NextGround::mutation = LogMutation::kNone;
  std::printf("noticed after %zu cuts\n", seen.cuts);
  return complaint;
}

TEST(IntentLogMutationTest, AGroupThatIsNotFlushedIsMissed) {
  EXPECT_NE(noticed(LogMutation::kNone, {.mutation = Mutation::kNoDataFlush}),
            "");
}
TEST(IntentLogMutationTest, GroupsUponAnotherHeaderAreNoticed) {
  EXPECT_NE(noticed(LogMutation::kAnyBase, {}), "");
}
TEST(IntentLogMutationTest, GroupsThatAreNotWholeAreNoticed) {
  EXPECT_NE(noticed(LogMutation::kNoCheck, {}), "");
}
// As long as there is no header whose freemap has the log's blocks: what is
// done again then goes where they are.
TEST(IntentLogMutationTest, ALogThatIsWrittenOverIsMissed) {
  const auto complaint_with = [](LogMutation wrong) {
    NextGround::mutation = wrong;
    PowerCuts power(kSmallDisk, Mutation::kNone, with_log(), opening(1, 1));
    power.start({model::Create{"/a", 0644}, model::Write{"/a", 0, 300'000, 2}});
    // The log takes its blocks before the file does.
    for (std::uint64_t block = 0; block < 4; ++block) {
      power.step(model::Write{"/a", block << 16, 4096, 6 + block * 4});
      EXPECT_TRUE(power.log_beside([] {}));
    }
    std::size_t cuts = 0;
    std::string complaint =
        power.look({.exhaustive_bound = 2, .samples = 1, .tears = 1}, cuts);
    NextGround::mutation = LogMutation::kNone;
    return complaint;
  };
  EXPECT_EQ(complaint_with(LogMutation::kNone), "");
  EXPECT_NE(complaint_with(LogMutation::kBlocksFree), "");
}

}  // namespace
}  // namespace odo::hammer2::write::testing
