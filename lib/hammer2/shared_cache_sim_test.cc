// SPDX-License-Identifier: BSD-3-Clause
// The shared cache in the simulator: every interleaving of small programs, many
// of larger ones.
#include <gtest/gtest.h>

#include <string>

#include "lib/hammer2/sim/programs.h"
#include "lib/platform/sim/testing/program_test.h"

namespace odo::hammer2 {
namespace {

class SharedCacheSimTest : public sim::ProgramTest {};

TEST_P(SharedCacheSimTest, Holds) { holds(); }

INSTANTIATE_TEST_SUITE_P(Programs, SharedCacheSimTest,
                         ::testing::ValuesIn(sim_programs()),
                         sim::name_of_program);

// Tests of the tests: each of these programs is wrong, and is found out.

TEST(SharedCacheSimMisuseTest, AReadAfterThePinIsFound) {
  const sim::Report report = sim::explore(sim::exhaustive(2), [](Engine& m) {
    World w(1);
    (void)w.fetch(1);
    m.spawn(0, "late", [&w] {
      auto pin = w.find(1);
      if (!pin.held()) return;
      const auto bytes = pin.bytes();
      pin.release();
      w.expect_bytes(bytes, 1);
    });
    m.spawn(1, "reclaimer", [&w] { w.reclaim(1); });
    m.run();
  });
  EXPECT_NE(report.failure.find("data race"), std::string::npos)
      << report.text();
}

TEST(SharedCacheSimMisuseTest, AWriteAfterPublishIsFound) {
  const sim::Report report = sim::explore(sim::exhaustive(2), [](Engine& m) {
    World w(1);
    m.spawn(0, "late", [&w] {
      const auto pin = w.fetch(1);
      if (pin.held()) w.overwrite(pin.bytes(), 1);
    });
    m.spawn(1, "finder", [&w] { (void)w.find(1); });
    m.run();
  });
  EXPECT_NE(report.failure.find("data race"), std::string::npos)
      << report.text();
}

TEST(SharedCacheSimMisuseTest, APinThatIsNeverLetGoIsFound) {
  const sim::Report report = sim::explore(sim::exhaustive(2), [](Engine& m) {
    World w(1);
    World::Cache::Pin kept;
    m.spawn(0, "keeper", [&] { kept = w.fetch(1); });
    w.finish(m);
  });
  EXPECT_NE(report.failure.find("a pin was lost"), std::string::npos)
      << report.text();
}

}  // namespace
}  // namespace odo::hammer2
