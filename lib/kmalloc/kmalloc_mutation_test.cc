// SPDX-License-Identifier: BSD-3-Clause
// Every memory order in the allocator, weakened one at a time: the programs of
// kmalloc_sim_test.cc must notice.
#include <gtest/gtest.h>

#include <cstdio>

#include "lib/kmalloc/sim/programs.h"
#include "lib/platform/sim/mutation_run.h"

namespace odo::kmalloc {
namespace {

TEST(KmallocMutationTest, EveryWeakenedOrderIsCaught) {
  const sim::MutationReport report =
      sim::run_mutations("lib/kmalloc/", run_kmalloc_sim_programs, {}, stdout);
  EXPECT_TRUE(report.baseline_failure.empty()) << report.text();
  EXPECT_TRUE(report.survivors.empty()) << report.text();
  EXPECT_GE(report.killed.size(), 15u) << report.text();
  std::printf("%s\n", report.text().c_str());
}

}  // namespace
}  // namespace odo::kmalloc
