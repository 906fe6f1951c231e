// SPDX-License-Identifier: BSD-3-Clause
// The concurrent tree in the simulator: every interleaving of small programs,
// many of larger ones.
#include <gtest/gtest.h>

#include <cstdio>

#include "lib/btree/sim/programs.h"

namespace odo::btree {
namespace {

class ConcurrentSimTest : public ::testing::TestWithParam<sim::NamedProgram> {};

TEST_P(ConcurrentSimTest, Holds) {
  const sim::NamedProgram& program = GetParam();
  const sim::Report report = sim::explore(program.options, program.run);
  EXPECT_TRUE(report.ok()) << report.text();
  if (program.options.mode == sim::Mode::kExhaustive) {
    EXPECT_TRUE(report.complete) << report.text();
  }
  std::printf("%s: %s\n", program.name.c_str(), report.text().c_str());
}

INSTANTIATE_TEST_SUITE_P(Programs, ConcurrentSimTest,
                         ::testing::ValuesIn(sim_programs()),
                         [](const auto& info) {
                           return sim::identifier_of(info.param.name);
                         });

}  // namespace
}  // namespace odo::btree
