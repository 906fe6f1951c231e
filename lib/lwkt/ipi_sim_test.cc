// SPDX-License-Identifier: BSD-3-Clause
// Cross-CPU queues in the simulator: every interleaving of small programs, many
// of larger ones. docs/lwkt.md lists what each program proves.
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "lib/lwkt/sim/ipi_programs.h"
#include "lib/platform/sim/testing/program_test.h"

namespace odo::lwkt {
namespace {

class IpiSimTest : public sim::ProgramTest {};

TEST_P(IpiSimTest, Holds) { holds(); }

INSTANTIATE_TEST_SUITE_P(Programs, IpiSimTest,
                         ::testing::ValuesIn(ipi_sim_programs()),
                         sim::name_of_program);

// A test of the tests: each of these programs is wrong, and is found out.
TEST(IpiSimMisuseTest, APassiveCallInterruptsNobody) {
  const sim::Report report = sim::explore({}, [](Engine& m) {
    IpiWorld<2> w(2);
    IpiInt made(0);
    std::function<void()> body = [&] { ipi_add_one(made); };
    m.spawn(0, "sender", [&] {
      const IpiCritical critical;
      w.fabric.send_passive(0, 1, ipi_call(body));
    });
    ipi_finish(m, [&] { return made.get() == 1; });
  });
  EXPECT_NE(report.failure.find("not every call was made"), std::string::npos)
      << report.text();
}

TEST(IpiSimMisuseTest, WhoAsksAndDoesNotHeedRaces) {
  const sim::Report report = sim::explore({}, [](Engine& m) {
    IpiWorld<2> w(2);
    IpiInt made(0);
    std::function<void()> body = [&] { ipi_add_one(made); };
    m.spawn(0, "hasty", [&] {
      const IpiCritical critical;
      (void)w.fabric.is_done(0, 1, w.fabric.send(0, 1, ipi_call(body)));
      (void)made.get();
    });
    m.run();
  });
  EXPECT_NE(report.failure.find("data race"), std::string::npos)
      << report.text();
}

TEST(IpiSimMisuseTest, WaitingForWhatWasNeverSentIsStuck) {
  const sim::Report report = sim::explore({}, [](Engine& m) {
    IpiWorld<2> w(2);
    // Done only when its sender has sent something back, which it never does.
    std::function<void()> body = [&] { w.fabric.wait(1, 0, 1); };
    m.spawn(0, "sender", [&] {
      const IpiCritical critical;
      w.fabric.wait(0, 1, w.fabric.send(0, 1, ipi_call(body)));
    });
    m.run();
  });
  EXPECT_NE(report.failure.find("livelock"), std::string::npos)
      << report.text();
}

}  // namespace
}  // namespace odo::lwkt
