// SPDX-License-Identifier: BSD-3-Clause
#include "lib/base/check.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

namespace odo {
namespace {

void print_and_exit(const PanicSite& site) {
  std::fprintf(stderr, "stopped: %s in %s at %d\n", site.text, site.file,
               site.line);
  std::_Exit(42);
}

void return_anyway(const PanicSite&) {}

TEST(CheckTest, TrueConditionsCostOneEvaluation) {
  int evaluations = 0;
  ODO_CHECK(++evaluations == 1);
  EXPECT_EQ(evaluations, 1);
  if (evaluations == 1)
    ODO_CHECK(true);
  else
    FAIL() << "the macro is not one statement";
}

TEST(CheckDeathTest, HookHearsWhatFailedAndWhere) {
  EXPECT_EXIT(
      {
        panic_hook = print_and_exit;
        int one = 1;
        ODO_CHECK(one == 2);
      },
      ::testing::ExitedWithCode(42), "stopped: one == 2 in .*check_test.cc at");
  EXPECT_EXIT(
      {
        panic_hook = print_and_exit;
        ODO_PANIC("out of cheese");
      },
      ::testing::ExitedWithCode(42), "stopped: out of cheese in ");
}

TEST(CheckDeathTest, WithoutAHookItTraps) {
  EXPECT_DEATH(ODO_CHECK(false), "");
}

TEST(CheckDeathTest, AHookThatReturnsTrapsAllTheSame) {
  EXPECT_DEATH(
      {
        panic_hook = return_anyway;
        ODO_CHECK(false);
      },
      "");
}

TEST(CheckDeathTest, AssertIsForDebugBuilds) {
  int evaluations = 0;
#if defined(NDEBUG)
  ODO_ASSERT(++evaluations == 100);
  EXPECT_EQ(evaluations, 0);
#else
  ODO_ASSERT(++evaluations == 1);
  EXPECT_EQ(evaluations, 1);
  EXPECT_DEATH(ODO_ASSERT(false), "");
#endif
}

}  // namespace
}  // namespace odo
