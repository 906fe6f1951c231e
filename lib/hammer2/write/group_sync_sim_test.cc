// SPDX-License-Identifier: BSD-3-Clause
// GroupSync in the simulator, and wrong ones, which must be found out.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "lib/hammer2/write/sim/group_sync_programs.h"

namespace odo::hammer2::write {
namespace {

class GroupSyncSimTest : public ::testing::TestWithParam<sim::NamedProgram> {};

TEST_P(GroupSyncSimTest, Holds) {
  const sim::NamedProgram& program = GetParam();
  const sim::Report report = sim::explore(program.options, program.run);
  EXPECT_TRUE(report.ok()) << report.text();
  if (program.options.mode == sim::Mode::kExhaustive) {
    EXPECT_TRUE(report.complete) << report.text();
  }
  std::printf("%s: %s\n", program.name.c_str(), report.text().c_str());
}

INSTANTIATE_TEST_SUITE_P(Programs, GroupSyncSimTest,
                         ::testing::ValuesIn(group_sync_programs()),
                         [](const auto& info) {
                           return sim::identifier_of(info.param.name);
                         });

// Tests of the tests.
template <SyncFault Fault>
[[nodiscard]] std::string found_with() {
  return sim::explore(sim::exhaustive(2), two_ask<Fault>).failure;
}

TEST(GroupSyncSimFaultTest, AreFoundOut) {
  EXPECT_NE(found_with<SyncFault::kWakesNobody>().find("deadlock"),
            std::string::npos);
  EXPECT_NE(found_with<SyncFault::kSealsTooEarly>().find("it isn't"),
            std::string::npos);
  EXPECT_NE(found_with<SyncFault::kOneFlush>().find("it isn't"),
            std::string::npos);
}

}  // namespace
}  // namespace odo::hammer2::write
