// SPDX-License-Identifier: BSD-3-Clause
// Every memory order in the concurrent tree, weakened one at a time: the
// programs of concurrent_sim_test.cc must notice.
#include <gtest/gtest.h>

#include <cstdio>

#include "lib/btree/sim/programs.h"
#include "lib/platform/sim/mutation_run.h"

namespace odo::btree {
namespace {

// All else in limbo.h is caught, which is why the count of those explained is
// asked for.
constexpr sim::Equivalent kFenceAcquires{
    "limbo.h",
    "the heavy fence after nodes are taken from the fresh ones acquires what "
    "was read before it; acquire says what is meant, and tells TSan"};

TEST(ConcurrentMutationTest, EveryWeakenedOrderIsCaught) {
  const sim::MutationReport report = sim::run_mutations(
      "lib/btree/concurrent", run_sim_programs, {kFenceAcquires}, stdout);
  EXPECT_TRUE(report.baseline_failure.empty()) << report.text();
  EXPECT_TRUE(report.survivors.empty()) << report.text();
  EXPECT_EQ(report.explained.size(), 1u) << report.text();
  EXPECT_GE(report.killed.size(), 10u) << report.text();
  std::printf("%s\n", report.text().c_str());
}

}  // namespace
}  // namespace odo::btree
