// SPDX-License-Identifier: BSD-3-Clause
// The allocator in the simulator: every interleaving of small programs, many of
// larger ones, and a million objects on a machine of 64 CPUs.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "lib/kmalloc/sim/machine.h"
#include "lib/kmalloc/sim/programs.h"
#include "lib/platform/sim/testing/program_test.h"

namespace odo::kmalloc {
namespace {

class KmallocSimTest : public sim::ProgramTest {};

TEST_P(KmallocSimTest, Holds) { holds(); }

INSTANTIATE_TEST_SUITE_P(Programs, KmallocSimTest,
                         ::testing::ValuesIn(kmalloc_sim_programs()),
                         sim::name_of_program);

TEST(KmallocScaleTest, AMillionObjectsOn64Cpus) {
  const unsigned runs = std::getenv("ODO_LONG") != nullptr ? 100 : 5;
  for (unsigned seed = 1; seed <= runs; ++seed) {
    Machine machine(seed);
    ManyCpus<> cpus(machine, 64, 1'000'000);
    EXPECT_EQ(machine.run(), "") << "seed " << seed;
    EXPECT_GT(cpus.harvests(), 100u);
    std::printf(
        "64 CPUs: %llu steps, %llu turns, %llu posts, %llu harvests, "
        "%zu lanes\n",
        static_cast<unsigned long long>(machine.steps()),
        static_cast<unsigned long long>(machine.turns()),
        static_cast<unsigned long long>(cpus.posts()),
        static_cast<unsigned long long>(cpus.harvests()), cpus.lanes());
  }
}

// The map of what is the heap's begins with the first chunk, which many want.
TEST(KmallocScaleTest, AHardenedHeapKnowsItsObjects) {
  for (unsigned seed = 1; seed <= 100; ++seed) {
    Machine machine(seed);
    ManyCpus<true> cpus(machine, 16, 1'000);
    EXPECT_EQ(machine.run(), "") << "seed " << seed;
  }
}

}  // namespace
}  // namespace odo::kmalloc
