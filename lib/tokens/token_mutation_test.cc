// SPDX-License-Identifier: BSD-3-Clause
// Every memory order in tokens, weakened one at a time: the programs of
// token_sim_test.cc must notice.
#include <gtest/gtest.h>

#include <cstdio>

#include "lib/platform/sim/mutation_run.h"
#include "lib/tokens/sim/programs.h"

namespace odo::tokens {
namespace {

TEST(TokenMutationTest, EveryWeakenedOrderIsCaught) {
  const sim::MutationReport report =
      sim::run_mutations("lib/tokens/", run_sim_programs, {}, stdout);
  EXPECT_TRUE(report.baseline_failure.empty()) << report.text();
  EXPECT_TRUE(report.survivors.empty()) << report.text();
  EXPECT_GE(report.killed.size(), 15u) << report.text();
  std::printf("%s\n", report.text().c_str());
}

}  // namespace
}  // namespace odo::tokens
