// SPDX-License-Identifier: BSD-3-Clause
// Threads, sleep and messages in the simulator: every interleaving of small
// programs, and many of larger ones.
#include <gtest/gtest.h>

#include <string>

#include "lib/lwkt/sim/programs.h"
#include "lib/platform/sim/testing/program_test.h"

namespace odo::lwkt {
namespace {

class LwktSimTest : public sim::ProgramTest {};

TEST_P(LwktSimTest, Holds) { holds(); }

INSTANTIATE_TEST_SUITE_P(Programs, LwktSimTest,
                         ::testing::ValuesIn(lwkt_sim_programs()),
                         sim::name_of_program);

// --- tests of the tests: each of these programs is wrong, and is found out

TEST(LwktSimMisuseTest, SleepWithoutAnInterlockLosesAWakeUp) {
  const sim::Report report = sim::explore(sim::exhaustive(1), [](Engine& m) {
    LwktWorld w(2);
    SimAtomic<bool> ready(false);
    w.add(0, [&](SimThread& self) {
      if (!ready.load(std::memory_order_relaxed)) {
        SimSleepers::sleep(self, &ready);
      }
    });
    w.add(1, [&](SimThread& self) {
      ready.store(true, std::memory_order_relaxed);
      SimSleepers::wakeup(self, &ready);
    });
    w.run(m, [] { return true; });
  });
  EXPECT_NE(report.failure.find("deadlock"), std::string::npos)
      << report.text();
}

TEST(LwktSimMisuseTest, DataReadBeforeAYieldUnderATokenIsStale) {
  const sim::Report report = sim::explore(sim::exhaustive(1), [](Engine& m) {
    LwktWorld w(1);
    tokens::Token<LwktSimGround> token(kSimToken);
    SimInt data(0);
    for (int i = 0; i < 2; ++i) {
      w.add(0, [&](SimThread& self) {
        self.tokens().acquire(token);
        const int before = data.get();
        self.yield();
        data.set(before + 1);
        self.tokens().release(token);
      });
    }
    w.run(m, [&] { return data.get() == 2; });
  });
  EXPECT_NE(report.failure.find("outcome is wrong"), std::string::npos)
      << report.text();
}

TEST(LwktSimMisuseTest, SleepInACriticalSectionIsFound) {
  const sim::Report report = sim::explore({}, [](Engine& m) {
    LwktWorld w(1);
    w.add(0, [&](SimThread& self) {
      self.enter_critical();
      SimSleepers::sleep(self, &w);
    });
    w.run(m, [] { return true; });
  });
  EXPECT_NE(report.failure.find("would sleep in a critical section"),
            std::string::npos)
      << report.text();
}

}  // namespace
}  // namespace odo::lwkt
