// SPDX-License-Identifier: BSD-3-Clause
// Every memory order of address spaces, weakened one at a time: the programs of
// pmap_sim_test.cc must notice.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "lib/platform/sim/mutation_run.h"
#include "lib/pmap/sim/programs.h"

namespace odo::pmap {
namespace {

// The set of CPUs is lwkt's; here it is proved with the orders that this
// library asks of it.
class PmapMutationTest : public ::testing::TestWithParam<const char*> {};

TEST_P(PmapMutationTest, EveryWeakenedOrderIsCaught) {
  const sim::MutationReport report =
      sim::run_mutations(GetParam(), run_pmap_sim_programs, {}, stdout);
  EXPECT_TRUE(report.baseline_failure.empty()) << report.text();
  EXPECT_TRUE(report.survivors.empty()) << report.text();
  EXPECT_FALSE(report.killed.empty()) << report.text();
  std::printf("%s\n", report.text().c_str());
}

INSTANTIATE_TEST_SUITE_P(Files, PmapMutationTest,
                         ::testing::Values("lib/pmap/pmap.h", "lib/pmap/tlb.h",
                                           "lib/lwkt/cpu_mask.h"),
                         [](const auto& info) {
                           return std::string(info.param)
                               .substr(std::string(info.param).rfind('/') + 1,
                                       std::string(info.param).rfind('.') -
                                           std::string(info.param).rfind('/') -
                                           1);
                         });

}  // namespace
}  // namespace odo::pmap
