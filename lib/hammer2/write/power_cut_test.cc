// SPDX-License-Identifier: BSD-3-Clause
// Cuts the power at every write of workloads, with the writes that no flush had
// made durable kept, lost and torn, and looks at what is there then: a state
// that was synced and no other, without a complaint of the checker's.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "lib/block/sim/cuts.h"
#include "lib/hammer2/testing/model/enumerate.h"
#include "lib/hammer2/testing/model/workload.h"
#include "lib/hammer2/write/testing/power_cut_scene.h"
#include "lib/hammer2/write/testing/power_cuts.h"

namespace odo::hammer2::write::testing {
namespace {

bool is_long() { return std::getenv("ODO_LONG") != nullptr; }
bool is_sanitized() { return std::getenv("ODO_SANITIZER") != nullptr; }

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
