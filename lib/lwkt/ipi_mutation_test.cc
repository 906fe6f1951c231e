// SPDX-License-Identifier: BSD-3-Clause
// Every memory order in cross-CPU queues, weakened one at a time: the programs
// of ipi_sim_test.cc must notice.
#include <gtest/gtest.h>

#include <cstdio>

#include "lib/lwkt/sim/ipi_programs.h"
#include "lib/platform/sim/mutation_run.h"

namespace odo::lwkt {
namespace {

TEST(IpiMutationTest, EveryWeakenedOrderIsCaught) {
  const sim::MutationReport report =
      sim::run_mutations("lib/lwkt/", run_ipi_sim_programs, {}, stdout);
  EXPECT_TRUE(report.baseline_failure.empty()) << report.text();
  EXPECT_TRUE(report.survivors.empty()) << report.text();
  EXPECT_GE(report.killed.size(), 10u) << report.text();
  std::printf("%s\n", report.text().c_str());
}

}  // namespace
}  // namespace odo::lwkt
