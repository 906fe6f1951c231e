// SPDX-License-Identifier: BSD-3-Clause
// GroupSync in the simulator, and wrong ones, which must be found out.
#include <gtest/gtest.h>

#include <string>

#include "lib/hammer2/write/sim/group_sync_programs.h"
#include "lib/platform/sim/testing/program_test.h"

namespace odo::hammer2::write {
namespace {

class GroupSyncSimTest : public sim::ProgramTest {};

TEST_P(GroupSyncSimTest, Holds) { holds(); }

INSTANTIATE_TEST_SUITE_P(Programs, GroupSyncSimTest,
                         ::testing::ValuesIn(group_sync_programs()),
                         sim::name_of_program);

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
  EXPECT_NE(sim::explore(sim::exhaustive(2),
                         one_logs_and_one_asks<SyncFault::kLogsTooLittle>)
                .failure.find("it isn't"),
            std::string::npos);
}

}  // namespace
}  // namespace odo::hammer2::write
