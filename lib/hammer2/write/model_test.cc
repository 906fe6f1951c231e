// SPDX-License-Identifier: BSD-3-Clause
// Random work on a volume and on a model of POSIX, which must agree about every
// outcome and, whenever it is synced, about the tree.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <string>
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

class ModelTest : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(ModelTest, DoesAsTheModelDoes) {
  const std::uint64_t seed = GetParam();
  std::vector<std::byte> storage(std::size_t{96} << 20);
  // Disks with large blocks, too.
  Disk disk(storage, seed % 2 == 0 ? 4096 : 512);
  ASSERT_TRUE(format_disk(disk));
  Stage<Disk> stage(disk);
  ASSERT_TRUE(stage.enter());
  model::WorkloadGenerator generator(seed, {.names = seed % 3 == 0 ? 40U : 5U});
  model::Workload done;
  const int steps = is_long() ? 20000 : 1500;
  for (int i = 0; i < steps; ++i) {
    const model::Operation operation = generator.next(stage.tree());
    done.push_back(operation);
    const auto step = stage.perform(operation);
    ASSERT_FALSE(step.fault) << text_of(*step.fault);
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

INSTANTIATE_TEST_SUITE_P(Seeds, ModelTest,
                         ::testing::Range<std::uint64_t>(1, 9));

}  // namespace
}  // namespace odo::hammer2::write::testing
