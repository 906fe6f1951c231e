// SPDX-License-Identifier: BSD-3-Clause
// Address spaces in the simulator: every interleaving of small programs, many
// of larger ones. docs/pmap.md lists what each program proves.
#include <gtest/gtest.h>

#include <cstdio>

#include "lib/pmap/sim/programs.h"

namespace odo::pmap {
namespace {

class PmapSimTest : public ::testing::TestWithParam<sim::NamedProgram> {};

TEST_P(PmapSimTest, Holds) {
  const sim::NamedProgram& program = GetParam();
  const sim::Report report = sim::explore(program.options, program.run);
  EXPECT_TRUE(report.ok()) << report.text();
  if (program.options.mode == sim::Mode::kExhaustive) {
    EXPECT_TRUE(report.complete) << report.text();
  }
  std::printf("%s: %s\n", program.name.c_str(), report.text().c_str());
}

INSTANTIATE_TEST_SUITE_P(Programs, PmapSimTest,
                         ::testing::ValuesIn(pmap_sim_programs()),
                         [](const auto& info) {
                           return sim::identifier_of(info.param.name);
                         });

}  // namespace
}  // namespace odo::pmap
