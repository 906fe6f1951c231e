// SPDX-License-Identifier: BSD-3-Clause
// Every memory order in the allocator, weakened one at a time: the programs of
// kmalloc_sim_test.cc must notice.
#include <gtest/gtest.h>

#include <cstdio>

#include "lib/kmalloc/sim/programs.h"
#include "lib/platform/sim/mutation_run.h"

namespace odo::kmalloc {
namespace {

// TypedHeap's freed_ tells who waits that there may be room; where the room is
// looked for, all is seq_cst. In the simulator that look comes after the one at
// freed_ whatever the orders; a CPU may do the two the other way round.
constexpr sim::Equivalent kLookedAtInOrder{
    "-> relaxed", "the simulator has loads in the program's order"};

TEST(KmallocMutationTest, EveryWeakenedOrderIsCaught) {
  const sim::MutationReport report = sim::run_mutations(
      "lib/kmalloc/", run_kmalloc_sim_programs, {kLookedAtInOrder}, stdout);
  EXPECT_TRUE(report.baseline_failure.empty()) << report.text();
  EXPECT_TRUE(report.survivors.empty()) << report.text();
  EXPECT_GE(report.killed.size(), 20u) << report.text();
  // Those of freed_ and no others.
  EXPECT_EQ(report.explained.size(), 2u) << report.text();
  std::printf("%s\n", report.text().c_str());
}

}  // namespace
}  // namespace odo::kmalloc
