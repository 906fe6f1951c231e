// SPDX-License-Identifier: BSD-3-Clause
// Every memory order of threads, sleep, serializers and rendezvous, weakened
// one at a time: the programs of lwkt_sim_test.cc must notice. The calls
// between CPUs have a test of their own.
#include <gtest/gtest.h>

#include <cstdio>
#include <string_view>
#include <vector>

#include "lib/lwkt/sim/programs.h"
#include "lib/platform/sim/mutation_run.h"

namespace odo::lwkt {
namespace {

// A file, and words in the names of the programs that its orders matter to.
struct Part {
  const char* file;
  std::vector<std::string_view> words;
};

class LwktMutationTest : public ::testing::TestWithParam<Part> {};

TEST_P(LwktMutationTest, EveryWeakenedOrderIsCaught) {
  const Part& part = GetParam();
  const sim::MutationReport report = sim::run_mutations(
      part.file,
      [&](sim::Mutator* mutator) {
        return run_lwkt_sim_programs(mutator, part.words);
      },
      {}, stdout);
  EXPECT_TRUE(report.baseline_failure.empty()) << report.text();
  EXPECT_TRUE(report.survivors.empty()) << report.text();
  EXPECT_FALSE(report.killed.empty());
  std::printf("%s: %s\n", part.file, report.text().c_str());
}

INSTANTIATE_TEST_SUITE_P(
    Files, LwktMutationTest,
    ::testing::Values(Part{"lwkt/attention.h", {"join", "call", "wake"}},
                      Part{"lwkt/sleep.h", {"wake", "sleep", "timeout"}},
                      Part{"lwkt/serializer.h", {"serializer"}},
                      Part{"lwkt/thread.h", {"home"}},
                      Part{"lwkt/cpu_impl.h", {"home"}},
                      Part{"lwkt/cpu_sync.h", {"rendezvous", "synchronize"}}));

}  // namespace
}  // namespace odo::lwkt
