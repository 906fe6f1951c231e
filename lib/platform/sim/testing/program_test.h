// SPDX-License-Identifier: BSD-3-Clause
// A component's programs as tests, one a program, each with a name of its own.
//
//   class TokenSimTest : public sim::ProgramTest {};
//   TEST_P(TokenSimTest, Holds) { holds(); }
//   INSTANTIATE_TEST_SUITE_P(Programs, TokenSimTest,
//                            ::testing::ValuesIn(sim_programs()),
//                            sim::name_of_program);
//
// Contexts: one host thread.
// Failure: those of the program, with its trace; and an exhaustive one that
//   could not try everything.
#pragma once

#include <cstdio>
#include <string>

#include "gtest/gtest.h"
#include "lib/platform/sim/explore.h"
#include "lib/platform/sim/programs.h"

namespace odo::sim {

class ProgramTest : public ::testing::TestWithParam<NamedProgram> {
 protected:
  void holds() {
    const NamedProgram& program = GetParam();
    const Report report = explore(program.options, program.run);
    EXPECT_TRUE(report.ok()) << report.text();
    if (program.options.mode == Mode::kExhaustive) {
      EXPECT_TRUE(report.complete) << report.text();
    }
    std::printf("%s: %s\n", program.name.c_str(), report.text().c_str());
  }
};

[[nodiscard]] inline std::string name_of_program(
    const ::testing::TestParamInfo<NamedProgram>& info) {
  return identifier_of(info.param.name);
}

}  // namespace odo::sim
