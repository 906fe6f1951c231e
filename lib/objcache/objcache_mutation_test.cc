// SPDX-License-Identifier: BSD-3-Clause
// Every memory order in object caches, weakened one at a time: the programs of
// objcache_sim_test.cc must notice.
#include <gtest/gtest.h>

#include <cstdio>

#include "lib/objcache/sim/programs.h"
#include "lib/platform/sim/mutation_run.h"

namespace odo::objcache {
namespace {

TEST(ObjCacheMutationTest, EveryWeakenedOrderIsCaught) {
  const sim::MutationReport report =
      sim::run_mutations("lib/objcache/", run_sim_programs, {}, stdout);
  EXPECT_TRUE(report.baseline_failure.empty()) << report.text();
  EXPECT_TRUE(report.survivors.empty()) << report.text();
  EXPECT_GE(report.killed.size(), 5u) << report.text();
  std::printf("%s\n", report.text().c_str());
}

}  // namespace
}  // namespace odo::objcache
