// SPDX-License-Identifier: BSD-3-Clause
// Random work on a volume and on a model of POSIX, which must agree about every
// outcome and, whenever it is synced, about the tree.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <variant>
#include <vector>

#include "lib/block/memory_device.h"
#include "lib/hammer2/testing/model/workload.h"
#include "lib/hammer2/write/testing/stage.h"

namespace odo::hammer2::write::testing {
namespace {

using Disk = block::WritableMemoryDevice;

bool is_long() { return std::getenv("ODO_LONG") != nullptr; }

// What the model doesn't know: times of the root, as formatting set them.
void expect_same(Disk& disk, const model::FileTree& tree,
                 const std::string& where) {
  std::string why;
  const model::Description found = describe_device(disk, kLabel, why);
  ASSERT_EQ(why, "") << where;
  ASSERT_EQ(model::differences(tree.describe(), found), "") << where;
  ASSERT_EQ(complaint_about(disk), "") << where;
}

// Every check and compression method has its turn, inherited by all there is.
void use_methods(Stage<Disk>& stage, std::uint64_t seed) {
  constexpr std::array kChecks = {
      CheckMethod::kXxhash64, CheckMethod::kNone,   CheckMethod::kIscsi32,
      CheckMethod::kDisabled, CheckMethod::kSha192, CheckMethod::kFreemap};
  constexpr std::array kComps = {CompMethod::kLz4, CompMethod::kNone,
                                 CompMethod::kZlib, CompMethod::kAutozero};
  ASSERT_TRUE(stage.volume().set_attributes(
      stage.root(), {.comp = kComps[seed / 2 % kComps.size()],
                     .check = kChecks[seed % kChecks.size()]}));
}

// Long work fills the disk with snapshots; without them there is room.
void give_up(Stage<Disk>& stage, std::vector<std::string>& snapshots) {
  ASSERT_FALSE(snapshots.empty());
  for (const std::string& label : snapshots) {
    ASSERT_TRUE(stage.volume().delete_pfs(label)) << label;
  }
  snapshots.clear();
}

class ModelTest : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(ModelTest, DoesAsTheModelDoes) {
  const std::uint64_t seed = GetParam();
  std::vector<std::byte> storage(std::size_t{96} << 20);
  // Disks with large blocks, too.
  Disk disk(storage, seed % 2 == 0 ? 4096 : 512);
  ASSERT_TRUE(format_disk(disk));
  Stage<Disk> stage(disk);
  ASSERT_TRUE(stage.enter());
  use_methods(stage, seed);
  model::WorkloadGenerator generator(seed, {.names = seed % 3 == 0 ? 40U : 5U});
  std::vector<std::string> snapshots;
  const int steps = is_long() ? 20000 : 1500;
  for (int i = 0; i < steps; ++i) {
    const model::Operation operation = generator.next(stage.tree());
    auto step = stage.perform(operation);
    if (step.fault && step.fault->code == Code::kNoSpace) {
      give_up(stage, snapshots);
      if (HasFatalFailure()) return;
      step = stage.perform(operation);
    }
    ASSERT_FALSE(step.fault) << text_of(*step.fault);
    if (const auto* taken = std::get_if<model::Snapshot>(&operation)) {
      snapshots.push_back(taken->label);
    }
    ASSERT_EQ(step.disagreement, "") << "seed " << seed << ", step " << i;
    if (model::only_persists(operation) && i % 4 == 0) {
      ASSERT_TRUE(stage.volume().sync());
      expect_same(
          disk, stage.tree(),
          "seed " + std::to_string(seed) + ", step " + std::to_string(i));
      if (HasFatalFailure()) return;
    }
    if (i % 400 == 399) {
      // Another process goes on.
      ASSERT_TRUE(stage.volume().sync());
      stage.leave();
      ASSERT_TRUE(stage.enter(i % 800 == 399 ? Limits{} : Stage<Disk>::kTight));
    }
  }
  stage.leave();
}

// Blocks that are stored by somebody else while the work goes on: which is then
// of every kind, ends files under them, and makes the volume forget everything.
TEST_P(ModelTest, DoesSoWhileBlocksAreEncoded) {
  const std::uint64_t seed = GetParam();
  std::vector<std::byte> storage(std::size_t{96} << 20);
  Disk disk(storage, 512);
  ASSERT_TRUE(format_disk(disk));
  Stage<Disk> stage(disk);
  ASSERT_TRUE(stage.enter(Limits{}));
  use_methods(stage, seed);
  model::WorkloadGenerator generator(seed, {.names = 3});
  block::Random random(seed);
  std::size_t stored = 0;
  // Up to two are at it at once, and a third is the volume itself.
  const auto work = [&](auto& self, unsigned depth) -> void {
    for (std::uint64_t i = random.below(5); i > 0; --i) {
      if (depth < 2 && random.below(3) == 0) {
        const auto one =
            stage.store_beside([&] { self(self, depth + 1); }, depth == 1);
        ASSERT_TRUE(one);
        stored += *one ? 1 : 0;
        continue;
      }
      const auto step = stage.perform(generator.next(stage.tree()));
      ASSERT_FALSE(step.fault) << text_of(*step.fault);
      ASSERT_EQ(step.disagreement, "") << "seed " << seed;
      if (HasFatalFailure()) return;
    }
  };
  const int rounds = is_long() ? 5000 : 600;
  for (int i = 0; i < rounds; ++i) {
    work(work, 0);
    if (HasFatalFailure()) return;
    if (i % 20 != 19) continue;
    ASSERT_TRUE(stage.volume().sync());
    expect_same(
        disk, stage.tree(),
        "seed " + std::to_string(seed) + ", round " + std::to_string(i));
    if (HasFatalFailure()) return;
    if (i % 100 != 99) continue;
    ASSERT_TRUE(stage.store_beside([&] {
      stage.leave();
      ASSERT_TRUE(stage.enter(Limits{}));
    }));
  }
  EXPECT_GT(stored, static_cast<std::size_t>(rounds) / 8);
  stage.leave();
}

INSTANTIATE_TEST_SUITE_P(Seeds, ModelTest,
                         ::testing::Range<std::uint64_t>(1, 9));

}  // namespace
}  // namespace odo::hammer2::write::testing
