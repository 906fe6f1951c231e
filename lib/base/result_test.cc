// SPDX-License-Identifier: BSD-3-Clause
#include "lib/base/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

namespace odo {
namespace {

enum class Error : unsigned char { kSmall, kLarge };
template <class T>
using Answer = Result<T, Error>;

Answer<int> positive(int v) {
  if (v <= 0) return fail(Error::kSmall);
  return v;
}

Answer<int> sum(int a, int b, int& calls) {
  ODO_TRY(int x, positive(a));
  ++calls;
  ODO_TRY(auto y, positive(b));
  ++calls;
  ODO_TRY(x, positive(x + y));  // assigns as well as declares
  return x;
}

Answer<void> require(int v) {
  ODO_TRY_VOID(positive(v));  // a value that nobody wants is dropped
  return {};
}

Answer<void> both(int a, int b) {
  if (a > 100)
    ODO_TRY_VOID(Answer<void>(fail(Error::kLarge)));
  else
    ODO_TRY_VOID(require(a));
  ODO_TRY_VOID(require(b));
  return {};
}

TEST(ResultTest, TryPassesValuesOn) {
  int calls = 0;
  EXPECT_EQ(sum(2, 3, calls), 5);
  EXPECT_EQ(calls, 2);
}

TEST(ResultTest, TryReturnsTheFirstError) {
  int calls = 0;
  EXPECT_EQ(sum(0, 3, calls), fail(Error::kSmall));
  EXPECT_EQ(calls, 0);
  EXPECT_EQ(sum(2, -1, calls), fail(Error::kSmall));
  EXPECT_EQ(calls, 1);
}

TEST(ResultTest, TryVoidIsOneStatement) {
  EXPECT_TRUE(both(1, 2));
  EXPECT_EQ(both(101, 2), fail(Error::kLarge));
  EXPECT_EQ(both(-1, 2), fail(Error::kSmall));
  EXPECT_EQ(both(1, -2), fail(Error::kSmall));
}

TEST(ResultTest, TryEvaluatesOnce) {
  int evaluations = 0;
  auto count = [&]() -> Answer<int> { return ++evaluations; };
  auto run = [&]() -> Answer<int> {
    ODO_TRY(int x, count());
    return x;
  };
  EXPECT_EQ(run(), 1);
  EXPECT_EQ(evaluations, 1);
}

TEST(ResultTest, TryMovesValuesAndErrors) {
  using Owned = Result<std::unique_ptr<int>, std::unique_ptr<std::string>>;
  auto pass = [](Owned in) -> Owned {
    ODO_TRY(auto owned, std::move(in));
    return owned;
  };
  Owned good = pass(std::make_unique<int>(7));
  ASSERT_TRUE(good);
  EXPECT_EQ(**good, 7);
  Owned bad = pass(fail(std::make_unique<std::string>("why")));
  ASSERT_FALSE(bad);
  EXPECT_EQ(*bad.error(), "why");
}

TEST(ResultTest, FailDecays) {
  const Error error = Error::kLarge;
  static_assert(std::is_same_v<decltype(fail(error)), std::unexpected<Error>>);
  EXPECT_EQ(fail(error).error(), Error::kLarge);
}

}  // namespace
}  // namespace odo
