// SPDX-License-Identifier: BSD-3-Clause
// Every memory order in the cache, weakened one at a time: the programs of
// shared_cache_sim_test.cc must notice.
#include <gtest/gtest.h>

#include <cstdio>

#include "lib/hammer2/sim/programs.h"
#include "lib/platform/sim/mutation_run.h"

namespace odo::hammer2 {
namespace {

TEST(SharedCacheMutationTest, EveryWeakenedOrderIsCaught) {
  const sim::MutationReport report =
      sim::run_mutations("lib/hammer2/cache/", run_sim_programs, {}, stdout);
  EXPECT_TRUE(report.baseline_failure.empty()) << report.text();
  EXPECT_TRUE(report.survivors.empty()) << report.text();
  EXPECT_GE(report.killed.size(), 2U) << report.text();
  std::printf("%s\n", report.text().c_str());
}

// The token of the simulated ground too: what the cache relies on.
TEST(SharedCacheMutationTest, TheTokensOrdersAreNeeded) {
  const sim::MutationReport report =
      sim::run_mutations("lib/hammer2/sim/", run_sim_programs, {}, stdout);
  EXPECT_TRUE(report.baseline_failure.empty()) << report.text();
  EXPECT_TRUE(report.survivors.empty()) << report.text();
  EXPECT_GE(report.killed.size(), 5U) << report.text();
  std::printf("%s\n", report.text().c_str());
}

}  // namespace
}  // namespace odo::hammer2
