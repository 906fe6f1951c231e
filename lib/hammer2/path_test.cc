// SPDX-License-Identifier: BSD-3-Clause
#include "lib/hammer2/path.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"

namespace odo::hammer2 {
namespace {

std::vector<std::string> components(std::string_view text) {
  Path path(text, {});
  std::vector<std::string> list;
  std::string_view component;
  while (path.next(component)) {
    list.emplace_back(component);
    if (path.at_last()) list.push_back("$");
  }
  return list;
}

TEST(PathTest, Components) {
  using List = std::vector<std::string>;
  EXPECT_EQ(components(""), List{});
  EXPECT_EQ(components("/"), List{});
  EXPECT_EQ(components("///"), List{});
  EXPECT_EQ(components("a"), (List{"a", "$"}));
  EXPECT_EQ(components("/a//b"), (List{"a", "b", "$"}));
  EXPECT_EQ(components("a/b/"), (List{"a", "b"}));
}

class Splice : public ::testing::Test {
 protected:
  static bool put(Path& path, std::string_view target) {
    const MutableBytes room = path.make_room(target.size());
    if (room.size() != target.size()) return false;
    copy_bytes(room, std::as_bytes(std::span(target)));
    return true;
  }
  static std::string rest(Path& path) {
    std::string text;
    std::string_view component;
    while (path.next(component)) text += "<" + std::string(component) + ">";
    return text;
  }

  std::array<std::byte, 16> buffer_ = {};
};

TEST_F(Splice, TargetsComeBeforeTheRest) {
  Path path("a/b/c", buffer_);
  std::string_view component;
  ASSERT_TRUE(path.next(component));
  ASSERT_TRUE(put(path, "x/y"));
  EXPECT_FALSE(path.absolute());
  ASSERT_TRUE(path.next(component));
  EXPECT_EQ(component, "x");
  // Again, in front of what is in the buffer already.
  ASSERT_TRUE(put(path, "/z"));
  EXPECT_TRUE(path.absolute());
  EXPECT_EQ(rest(path), "<z><y><b><c>");
  EXPECT_TRUE(path.at_last());
}

TEST_F(Splice, LastComponent) {
  Path path("a", buffer_);
  std::string_view component;
  ASSERT_TRUE(path.next(component));
  ASSERT_TRUE(put(path, "0123456789abcdef"));  // fits exactly
  ASSERT_TRUE(path.next(component));
  EXPECT_EQ(component, "0123456789abcdef");
  EXPECT_TRUE(path.at_last());
  ASSERT_TRUE(put(path, "b"));
  EXPECT_EQ(rest(path), "<b>");
}

TEST_F(Splice, Bounds) {
  std::string_view component;
  Path first("a/0123456789abcde", buffer_);  // leaves 16 bytes with its '/'
  ASSERT_TRUE(first.next(component));
  EXPECT_FALSE(put(first, "x"));
  Path second("a/0123456789abcd", buffer_);
  ASSERT_TRUE(second.next(component));
  ASSERT_TRUE(put(second, "x"));
  EXPECT_EQ(rest(second), "<x><0123456789abcd>");
  Path third("a/0123456789abcdef", buffer_);
  ASSERT_TRUE(third.next(component));
  EXPECT_FALSE(put(third, "x"));
  Path fourth("a", buffer_);
  ASSERT_TRUE(fourth.next(component));
  EXPECT_FALSE(put(fourth, "0123456789abcdefg"));
}

}  // namespace
}  // namespace odo::hammer2
