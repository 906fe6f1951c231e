// SPDX-License-Identifier: BSD-3-Clause
// The concurrent tree in the simulator: every interleaving of small programs,
// many of larger ones.
#include <gtest/gtest.h>

#include <string>

#include "lib/btree/sim/programs.h"
#include "lib/platform/sim/testing/program_test.h"

namespace odo::btree {
namespace {

class ConcurrentSimTest : public sim::ProgramTest {};

TEST_P(ConcurrentSimTest, Holds) { holds(); }

INSTANTIATE_TEST_SUITE_P(Programs, ConcurrentSimTest,
                         ::testing::ValuesIn(sim_programs()),
                         sim::name_of_program);

// Tests of the tests.

TEST(HistoryTest, KnowsWhatNoOrderExplains) {
  using What = History::What;
  History history;
  history.start_with({{1, 10}});
  history.add({What::kErase, 1, 0, History::Found({1, 10}), 0, 3});
  history.add({What::kFind, 1, 0, History::Found({1, 10}), 1, 2});
  EXPECT_TRUE(history.is_explained({}));
  EXPECT_FALSE(history.is_explained({{1, 10}}));
  // Seen after the erase had returned.
  history.add({What::kFirst, 0, 0, History::Found({1, 10}), 4, 5});
  EXPECT_FALSE(history.is_explained({}));
}

TEST(SimLivesTest, ALookAfterTheEndIsFound) {
  const sim::Report report = sim::explore(sim::exhaustive(1), [](Engine& m) {
    World<> w({10, 20, 30, 40}, {20, 40});
    m.spawn(0, "user", [&w] {
      SimGround::Witness node;
      node.born();
      w.erase(10);
      node.dead();
      node.seen();
    });
    m.run();
  });
  EXPECT_NE(report.failure.find("what was freed is looked at"),
            std::string::npos)
      << report.text();
}

}  // namespace
}  // namespace odo::btree
