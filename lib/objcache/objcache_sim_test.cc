// SPDX-License-Identifier: BSD-3-Clause
// Object caches in the simulator: every interleaving of small programs, many of
// larger ones.
#include <gtest/gtest.h>

#include <string>

#include "lib/objcache/sim/programs.h"
#include "lib/platform/sim/testing/program_test.h"

namespace odo::objcache {
namespace {

class ObjCacheSimTest : public sim::ProgramTest {};

TEST_P(ObjCacheSimTest, Holds) { holds(); }

INSTANTIATE_TEST_SUITE_P(Programs, ObjCacheSimTest,
                         ::testing::ValuesIn(sim_programs()),
                         sim::name_of_program);

// Tests of the tests: each of these programs is wrong, and is found out.

TEST(ObjCacheSimMisuseTest, TwoPutsAtOnceAreFound) {
  const sim::Report report = sim::explore(sim::exhaustive(2), [](Engine& m) {
    World<1, 1, true> w({});
    Item* item = w.cache().get_raw();
    for (sim::CpuId c = 0; c < 2; ++c) {
      m.spawn(c, "putter", [&w, item] { w.cache().put(*item); });
    }
    m.run();
  });
  EXPECT_NE(report.failure.find("\"items\": an object was put back twice"),
            std::string::npos)
      << report.text();
}

TEST(ObjCacheSimMisuseTest, TwoOwnersAreFound) {
  const sim::Report report = sim::explore(sim::exhaustive(2), [](Engine& m) {
    World<1> w({});
    Item* item = w.cache().get_raw();
    w.cache().put(*item);
    w.cache().put(*item);  // no checks here
    for (sim::CpuId c = 0; c < 2; ++c) {
      m.spawn(c, "user", [&w] { w.use_many(2); });
    }
    m.run();
  });
  EXPECT_FALSE(report.ok()) << report.text();
}

TEST(ObjCacheSimMisuseTest, AUseAfterThePutIsFound) {
  const sim::Report report = sim::explore(sim::exhaustive(2), [](Engine& m) {
    World<1> w({.limit = 1});
    m.spawn(0, "late", [&w] {
      Item* item = w.cache().get_raw();
      if (item == nullptr) return;
      w.cache().put(*item);
      item->uses.set(0);
    });
    m.spawn(1, "waiter", [&w] { w.use_after_wait(); });
    m.run();
  });
  EXPECT_NE(report.failure.find("data race"), std::string::npos)
      << report.text();
}

}  // namespace
}  // namespace odo::objcache
