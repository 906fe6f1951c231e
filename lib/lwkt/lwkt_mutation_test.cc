// SPDX-License-Identifier: BSD-3-Clause
// Every memory order of threads, sleep, serializers and rendezvous, weakened
// one at a time: the programs of lwkt_sim_test.cc must notice. The calls
// between CPUs have a test of their own.
#include <gtest/gtest.h>

#include <cstdio>

#include "lib/lwkt/sim/programs.h"
#include "lib/platform/sim/mutation_run.h"

namespace odo::lwkt {
namespace {

class LwktMutationTest : public ::testing::TestWithParam<const char*> {};

TEST_P(LwktMutationTest, EveryWeakenedOrderIsCaught) {
  const sim::MutationReport report =
      sim::run_mutations(GetParam(), run_lwkt_sim_programs, {}, stdout);
  EXPECT_TRUE(report.baseline_failure.empty()) << report.text();
  EXPECT_TRUE(report.survivors.empty()) << report.text();
  EXPECT_GT(report.sites, 0u);
  std::printf("%s: %s\n", GetParam(), report.text().c_str());
}

INSTANTIATE_TEST_SUITE_P(Files, LwktMutationTest,
                         ::testing::Values("lwkt/attention.h", "lwkt/sleep.h",
                                           "lwkt/serializer.h",
                                           "lwkt/cpu_sync.h"));

}  // namespace
}  // namespace odo::lwkt
