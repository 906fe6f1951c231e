// SPDX-License-Identifier: BSD-3-Clause
#include "tools/h2/nearest.h"

#include <array>
#include <string_view>

#include "gtest/gtest.h"

namespace odo::h2 {
namespace {

TEST(EditDistanceTest, CountsInsertionsDeletionsAndReplacements) {
  EXPECT_EQ(0U, edit_distance("", ""));
  EXPECT_EQ(3U, edit_distance("", "abc"));
  EXPECT_EQ(3U, edit_distance("kitten", "sitting"));
  EXPECT_EQ(2U, edit_distance("ls", "sl"));
}

TEST(NearestTest, FindsWhatWasMeant) {
  constexpr std::array<std::string_view, 3> kWords = {"manifest", "man", "ls"};
  EXPECT_EQ("manifest", nearest("manifets", kWords));
  EXPECT_EQ("ls", nearest("lst", kWords));
}

TEST(NearestTest, IsSilentWhereNothingIsNear) {
  constexpr std::array<std::string_view, 2> kWords = {"manifest", "ls"};
  EXPECT_EQ("", nearest("xyzzy", kWords));
  EXPECT_EQ("", nearest("", {}));
}

}  // namespace
}  // namespace odo::h2
