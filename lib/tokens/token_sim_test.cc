// SPDX-License-Identifier: BSD-3-Clause
// Tokens in the simulator: every interleaving of small programs, many of larger
// ones. docs/tokens.md lists what each program proves.
#include <gtest/gtest.h>

#include <string>

#include "lib/platform/sim/testing/program_test.h"
#include "lib/tokens/sim/programs.h"

namespace odo::tokens {
namespace {

class TokenSimTest : public sim::ProgramTest {};

TEST_P(TokenSimTest, Holds) { holds(); }

INSTANTIATE_TEST_SUITE_P(Programs, TokenSimTest,
                         ::testing::ValuesIn(sim_programs()),
                         sim::name_of_program);

// What must be found: misuse is a failure with both places in it, whatever the
// schedule.
sim::Report run_alone(void (*body)(World<1>&)) {
  return sim::explore({}, [body](Engine& m) {
    World<1> w(1, 1);
    m.spawn(0, "misuser", [&] { body(w); });
    m.run();
  });
}

TEST(TokenSimMisuseTest, IsAlwaysFound) {
  const struct {
    void (*body)(World<1>&);
    const char* text;
  } cases[] = {
      {[](World<1>& w) { w.self(0).release(w.a); },
       "\"a\": released a token that this thread does not hold"},
      {[](World<1>& w) {
         w.self(0).acquire(w.a);
         w.self(0).acquire(w.b);
         w.self(0).release(w.a);
       },
       "\"a\": released a token before a younger one, \"b\" since line"},
      {[](World<1>& w) {
         for (int i = 0; i < 33; ++i) w.self(0).acquire(w.a);
       },
       "\"a\": holds too many tokens at once, \"a\" since line"},
      {[](World<1>& w) {
         w.self(0).acquire_shared(w.a);
         w.self(0).acquire(w.a);
       },
       "\"a\": asked for a token exclusively while holding it shared"},
      {[](World<1>& w) {
         w.self(0).acquire_shared(w.a);
         w.self(0).release(w.a);
         w.self(0).acquire_shared(w.a);  // this one is in the lane
         w.self(0).acquire(w.a);
       },
       "\"a\": asked for a token exclusively while holding it shared"},
  };
  for (const auto& c : cases) {
    const sim::Report report = run_alone(c.body);
    EXPECT_NE(report.failure.find(c.text), std::string::npos) << report.text();
  }
}

// A test of the tests: each of these programs is wrong, and is found out.
TEST(TokenSimMisuseTest, DataReadBeforeAWaitIsStale) {
  const sim::Report report = sim::explore(sim::exhaustive(2), [](Engine& m) {
    World<0> w(2, 2);
    SimInt x(0);
    for (unsigned t = 0; t < 2; ++t) {
      m.spawn(t, "forgetful", [&w, &x, t] {
        auto& self = w.self(t);
        self.acquire(w.a);
        const int before = x.get();
        self.block([] {});
        x.set(before + 1);
        self.release(w.a);
      });
    }
    finish(m, [&] { return x.get() == 2; });
  });
  EXPECT_NE(report.failure.find("an update was lost"), std::string::npos)
      << report.text();
}

TEST(TokenSimMisuseTest, WritingUnderASharedTokenIsARace) {
  const sim::Report report = sim::explore({}, [](Engine& m) {
    World<1> w(2, 2);
    SimInt x(0);
    for (unsigned t = 0; t < 2; ++t) {
      m.spawn(t, "writer", [&w, &x, t] {
        auto& self = w.self(t);
        self.acquire_shared(w.a);
        add_one(x);
        self.release(w.a);
      });
    }
    m.run();
  });
  EXPECT_NE(report.failure.find("data race"), std::string::npos)
      << report.text();
}

}  // namespace
}  // namespace odo::tokens
