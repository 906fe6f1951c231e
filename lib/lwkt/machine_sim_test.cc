// SPDX-License-Identifier: BSD-3-Clause
// The simulated programs on a machine of 256 CPUs: those made for all of its
// CPUs, and those for a few, which stand far apart on it while the others idle.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "lib/lwkt/sim/ipi_programs.h"
#include "lib/lwkt/sim/large_machine.h"
#include "lib/lwkt/sim/machine_programs.h"
#include "lib/lwkt/sim/programs.h"

namespace odo::lwkt {
namespace {

constexpr unsigned kCpus = 256;

// Every one from seeds: there are too many ways to try all.
template <class Program>
std::vector<Program> from_seeds(std::vector<Program> programs) {
  const bool all = std::getenv("ODO_LONG") != nullptr;
  std::uint64_t seed = 1;
  for (Program& program : programs) {
    sim::ExploreOptions& options = program.options;
    if (options.mode == sim::Mode::kExhaustive) {
      options.mode = sim::Mode::kRandom;
    }
    options.executions = all ? 20 : 1;
    // The same program may stand in the list more than once.
    options.seed = seed;
    seed += options.executions;
    options.engine.max_steps = 2'000'000;
  }
  return programs;
}

template <class Program>
void expect_holds(const Program& program, const sim::Program& run) {
  const sim::Report report = sim::explore(program.options, run);
  EXPECT_TRUE(report.ok()) << report.text();
  std::printf("%s: %s\n", program.name.c_str(), report.text().c_str());
}

template <class Program>
std::string test_name(const ::testing::TestParamInfo<Program>& info) {
  return sim::identifier_of(info.param.name);
}

class OnAllCpusTest : public ::testing::TestWithParam<MachineProgram> {};
TEST_P(OnAllCpusTest, Holds) {
  const MachineProgram& program = GetParam();
  expect_holds(program, [&](Engine& m) { program.run(m, kCpus); });
}
INSTANTIATE_TEST_SUITE_P(Machine, OnAllCpusTest,
                         ::testing::ValuesIn(from_seeds(machine_programs())),
                         test_name<MachineProgram>);

class OnSomeCpusTest : public ::testing::TestWithParam<sim::NamedProgram> {};
TEST_P(OnSomeCpusTest, Holds) {
  const OnLargeMachine large(kCpus);
  expect_holds(GetParam(), GetParam().run);
}
INSTANTIATE_TEST_SUITE_P(Machine, OnSomeCpusTest,
                         ::testing::ValuesIn(from_seeds(lwkt_sim_programs())),
                         test_name<sim::NamedProgram>);

class CallsOnSomeCpusTest : public ::testing::TestWithParam<sim::NamedProgram> {
};
TEST_P(CallsOnSomeCpusTest, Holds) {
  const OnLargeMachine large(kCpus);
  expect_holds(GetParam(), GetParam().run);
}
INSTANTIATE_TEST_SUITE_P(Machine, CallsOnSomeCpusTest,
                         ::testing::ValuesIn(from_seeds(ipi_sim_programs())),
                         test_name<sim::NamedProgram>);

}  // namespace
}  // namespace odo::lwkt
