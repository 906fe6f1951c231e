// SPDX-License-Identifier: BSD-3-Clause
#include "lib/hammer2/testing/model/enumerate.h"

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "lib/hammer2/testing/model/file_tree.h"
#include "lib/hammer2/testing/model/operation.h"
#include "lib/hammer2/testing/model/result.h"

namespace odo::hammer2::testing::model {
namespace {

std::size_t count(std::size_t max_length) {
  return for_each_workload({.max_length = max_length},
                           [](const Workload&, std::size_t) {});
}

TEST(EnumerationTest, StartsFromWhatCanBeMade) {
  FileTree tree;
  for (const Operation& operation : small_start()) {
    EXPECT_EQ(to_string(perform(tree, operation)), "done");
  }
  EXPECT_EQ(tree.paths(), (std::vector<std::string>{"/", "/A", "/A/x", "/B",
                                                    "/B/x", "/B/y"}));
}

TEST(EnumerationTest, GrammarRepeatsNothing) {
  std::set<std::string> words;
  for (const Operation& operation : small_grammar()) {
    EXPECT_TRUE(words.insert(to_string(operation)).second)
        << to_string(operation);
  }
  EXPECT_EQ(words.size(), 71U);
}

TEST(EnumerationTest, ThreeStepsReachAllOfTheGrammar) {
  std::set<std::string> words;
  const std::size_t total =
      for_each_workload({}, [&](const Workload& workload, std::size_t) {
        words.insert(to_string(workload.back()));
      });
  for (const Operation& operation : small_grammar()) {
    EXPECT_TRUE(words.contains(to_string(operation))) << to_string(operation);
  }
  // Few enough to try all.
  EXPECT_EQ(total, 47245U);
}

TEST(EnumerationTest, AllOperationsSucceedAndNoneIsIdle) {
  std::set<std::string> seen;
  std::size_t next = 0;
  const std::size_t total = for_each_workload(
      {.max_length = 2}, [&](const Workload& workload, std::size_t number) {
        EXPECT_EQ(number, next++);
        FileTree tree;
        for (const Operation& operation : small_start()) {
          EXPECT_TRUE(perform(tree, operation));
        }
        for (const Operation& operation : workload) {
          EXPECT_EQ(to_string(perform(tree, operation)), "done")
              << to_string(workload);
        }
        EXPECT_TRUE(seen.insert(to_string(workload)).second);
      });
  EXPECT_EQ(total, next);
  EXPECT_TRUE(seen.contains("0: rename /A/x /B/x\n1: sync\n"));
  EXPECT_TRUE(seen.contains("0: unlink /A/x\n1: create /A/x 0644\n"));
  EXPECT_TRUE(seen.contains("0: mkdir /A/y 0755\n1: rename /A /B/d\n"));
  EXPECT_FALSE(seen.contains("0: sync\n"));
  EXPECT_FALSE(seen.contains("0: bulkfree\n1: bulkfree\n"));
}

TEST(EnumerationTest, LengthIsBounded) {
  EXPECT_EQ(count(1), 37U);
  EXPECT_EQ(count(2), 1359U);
}

TEST(EnumerationTest, WorkMayBeDivided) {
  std::set<std::size_t> numbers;
  std::size_t total = 0;
  for (std::size_t share = 0; share < 3; ++share) {
    total = for_each_workload({.max_length = 2, .first = share, .stride = 3},
                              [&](const Workload&, std::size_t number) {
                                EXPECT_EQ(number % 3, share);
                                EXPECT_TRUE(numbers.insert(number).second);
                              });
  }
  EXPECT_EQ(numbers.size(), total);
}

}  // namespace
}  // namespace odo::hammer2::testing::model
