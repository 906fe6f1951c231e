// SPDX-License-Identifier: BSD-3-Clause
// Address spaces in the simulator: every interleaving of small programs, many
// of larger ones. docs/pmap.md lists what each program proves.
#include <gtest/gtest.h>

#include "lib/platform/sim/testing/program_test.h"
#include "lib/pmap/sim/programs.h"

namespace odo::pmap {
namespace {

class PmapSimTest : public sim::ProgramTest {};

TEST_P(PmapSimTest, Holds) { holds(); }

INSTANTIATE_TEST_SUITE_P(Programs, PmapSimTest,
                         ::testing::ValuesIn(pmap_sim_programs()),
                         sim::name_of_program);

}  // namespace
}  // namespace odo::pmap
