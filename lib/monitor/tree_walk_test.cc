// SPDX-License-Identifier: BSD-3-Clause
#include "lib/monitor/tree_walk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace odo::monitor {
namespace {

using hammer2::ObjectType;

// A filesystem of the three calls that a walk makes, with directories in an
// order that is not the names', and damage where the test wants it.
class FakeFileSystem {
 public:
  struct Entry {
    std::string name;
    std::uint64_t inum;
    ObjectType type;
  };

  std::uint64_t add_directory(std::uint64_t parent, const std::string& name) {
    std::uint64_t inum = next_++;
    directories_[inum];
    if (parent != 0) {
      directories_[parent].push_back({name, inum, ObjectType::kDirectory});
    }
    return inum;
  }
  void add(std::uint64_t parent, const std::string& name, std::uint64_t inum,
           ObjectType type) {
    directories_[parent].push_back({name, inum, type});
  }
  void add_file(std::uint64_t parent, const std::string& name) {
    add(parent, name, next_++, ObjectType::kRegular);
  }
  // The `index`-th entry of `inum`, and all behind it, can't be read.
  void damage(std::uint64_t inum, std::size_t index) { damaged_[inum] = index; }
  void lose(std::uint64_t inum) { lost_.insert(inum); }

  hammer2::Node node(std::uint64_t inum) const {
    hammer2::Node node;
    node.attributes.type = ObjectType::kDirectory;
    node.attributes.inum = inum;
    return node;
  }

  hammer2::Result<void> node_by_inum(const hammer2::Node&, std::uint64_t inum,
                                     hammer2::Node& out) {
    if (lost_.contains(inum)) {
      return fail(hammer2::Error{.code = hammer2::Code::kCheckMismatch});
    }
    out = node(inum);
    return {};
  }
  hammer2::Result<bool> read_directory(const hammer2::Node& directory,
                                       hammer2::DirCursor& cursor,
                                       hammer2::DirEntry& out) {
    if (cursor.at_end) return false;
    const auto& entries = directories_.at(directory.inum());
    std::size_t at =
        cursor.next_key == hammer2::DirCursor{}.next_key ? 0 : cursor.next_key;
    auto damaged = damaged_.find(directory.inum());
    if (damaged != damaged_.end() && at >= damaged->second) {
      return fail(hammer2::Error{.code = hammer2::Code::kCheckMismatch});
    }
    if (at == entries.size()) {
      cursor.at_end = true;
      return false;
    }
    const Entry& entry = entries[at];
    cursor.next_key = at + 1;
    out.inum = entry.inum;
    out.type = entry.type;
    out.name_length = static_cast<std::uint16_t>(entry.name.size());
    std::copy(entry.name.begin(), entry.name.end(), out.name_chars.begin());
    ++reads;
    return true;
  }

  int reads = 0;

 private:
  std::uint64_t next_ = 1;
  std::map<std::uint64_t, std::vector<Entry>> directories_;
  std::map<std::uint64_t, std::size_t> damaged_;
  std::set<std::uint64_t> lost_;
};

using Walk = TreeWalk<FakeFileSystem>;

class TreeWalkTest : public ::testing::Test {
 protected:
  void use(std::size_t bytes, std::size_t skew = 0) {
    memory_.assign(bytes + skew, std::byte{0});
    walk_ = std::make_unique<Walk>(fs_, MutableBytes(memory_).subspan(skew));
  }

  // Paths in the order met, every directory entered, and what went wrong.
  std::vector<std::string> walk(std::uint64_t root, std::string path) {
    std::vector<std::string> all;
    auto note = [&](const WalkError& error) {
      all.push_back("!" + std::to_string(static_cast<int>(error.reason)) + " " +
                    std::string(walk_->path()));
    };
    walk_->begin(path);
    if (auto entered = walk_->enter(fs_.node(root)); !entered) {
      note(entered.error());
    }
    WalkItem item;
    while (all.size() < 100'000) {
      auto more = walk_->next(item);
      if (!more) {
        note(more.error());
        continue;
      }
      if (!*more) return all;
      all.emplace_back(item.path);
      EXPECT_TRUE(item.path.ends_with(item.name));
      if (item.type != ObjectType::kDirectory) continue;
      if (auto entered = walk_->enter(fs_.node(item.inum)); !entered) {
        note(entered.error());
      }
    }
    ADD_FAILURE() << "the walk does not end";
    return all;
  }

  FakeFileSystem fs_;
  std::vector<std::byte> memory_;
  std::unique_ptr<Walk> walk_;
};

TEST_F(TreeWalkTest, SortedDepthFirst) {
  auto root = fs_.add_directory(0, "");
  fs_.add_file(root, "z");
  auto b = fs_.add_directory(root, "b");
  fs_.add_file(root, "a");
  fs_.add_file(root, "c");
  fs_.add_file(b, "2");
  auto deep = fs_.add_directory(b, "1");
  fs_.add_file(deep, "x");
  fs_.add_directory(root, "\xff");
  for (std::size_t skew = 0; skew < 4; ++skew) {
    use(4096, skew);
    EXPECT_EQ(walk(root, "/"),
              (std::vector<std::string>{"/a", "/b", "/b/1", "/b/1/x", "/b/2",
                                        "/c", "/z", "/\xff"}));
  }
  EXPECT_EQ(walk(root, "top").front(), "top/a");
  EXPECT_EQ(walk(root, "top/").front(), "top/a");
}

TEST_F(TreeWalkTest, SmallMemoryStreamsAndLosesNothing) {
  auto root = fs_.add_directory(0, "");
  for (int i = 9; i >= 0; --i) {
    auto directory = fs_.add_directory(root, "d" + std::to_string(i));
    for (int j = 9; j >= 0; --j) {
      fs_.add_file(directory, std::string(20, 'f') + std::to_string(j));
    }
  }
  use(1 << 16);
  auto all = walk(root, "/");
  ASSERT_EQ(all.size(), 110u);
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
  // Enough for the upper directory only, for none, for nothing at all.
  for (std::size_t bytes : {300u, 200u, 40u, 20u, 3u, 0u}) {
    use(bytes);
    auto some = walk(root, "/");
    std::sort(some.begin(), some.end());
    EXPECT_EQ(some, all) << bytes;
  }
}

TEST_F(TreeWalkTest, RewindListsADirectoryTwice) {
  auto root = fs_.add_directory(0, "");
  fs_.add_file(root, "b");
  fs_.add_file(root, "a");
  for (std::size_t bytes : {1000u, 0u}) {
    use(bytes);
    walk_->begin("/");
    ASSERT_TRUE(walk_->enter(fs_.node(root)));
    for (int round = 0; round < 3; ++round) {
      WalkItem item;
      int count = 0;
      while (*walk_->next_here(item)) ++count;
      EXPECT_EQ(count, 2);
      EXPECT_FALSE(*walk_->next_here(item));
      walk_->rewind();
    }
  }
}

TEST_F(TreeWalkTest, DepthOf200AndTheLimit) {
  auto root = fs_.add_directory(0, "");
  auto at = root;
  for (std::size_t i = 0; i < Walk::kMaxDepth + 3; ++i) {
    at = fs_.add_directory(at, "d");
  }
  use(1 << 20);
  auto all = walk(root, "");
  // The root is one of the kMaxDepth; the first too deep is named and refused.
  ASSERT_EQ(all.size(), Walk::kMaxDepth + 1);
  EXPECT_EQ(all[199].size(), 2 * 200u - 1);
  EXPECT_TRUE(all.back().starts_with("!1 d/d"));
  EXPECT_EQ(all.back().size(), 3 + 2 * Walk::kMaxDepth - 1);
}

TEST_F(TreeWalkTest, LongPathsAreToldAndPassedOver) {
  auto root = fs_.add_directory(0, "");
  auto at = root;
  for (std::size_t i = 0; i < Walk::kMaxPathBytes / 256 + 1; ++i) {
    fs_.add_file(at, "a");
    at = fs_.add_directory(at, std::string(255, 'n'));
    fs_.add_file(at, "z");
  }
  use(1 << 20);
  auto all = walk(root, "/");
  auto told = std::count_if(all.begin(), all.end(), [](const auto& line) {
    return line.starts_with("!2 ");
  });
  // 64 names of 255 bytes and their slashes fit exactly: the three entries of
  // the last directory don't, and nothing below them is entered.
  EXPECT_EQ(told, 3);
  EXPECT_EQ(all.size(), 64 * 3u - 1 + 3);
  for (const auto& line : all) ASSERT_LE(line.size(), Walk::kMaxPathBytes + 3);
}

TEST_F(TreeWalkTest, LoopsAreToldNotWalked) {
  auto root = fs_.add_directory(0, "");
  auto a = fs_.add_directory(root, "a");
  auto b = fs_.add_directory(a, "b");
  fs_.add(b, "self", b, ObjectType::kDirectory);
  fs_.add(b, "up", a, ObjectType::kDirectory);
  fs_.add(b, "top", root, ObjectType::kDirectory);
  use(4096);
  EXPECT_EQ(walk(root, "/"),
            (std::vector<std::string>{"/a", "/a/b", "/a/b/self", "!3 /a/b/self",
                                      "/a/b/top", "!3 /a/b/top", "/a/b/up",
                                      "!3 /a/b/up"}));
}

TEST_F(TreeWalkTest, DamageCostsOnlyWhatItHits) {
  auto root = fs_.add_directory(0, "");
  auto bad = fs_.add_directory(root, "bad");
  auto good = fs_.add_directory(root, "good");
  for (const char* name : {"3", "2", "1"}) fs_.add_file(bad, name);
  fs_.add_file(good, "x");
  fs_.damage(bad, 2);
  use(4096);
  EXPECT_EQ(walk(root, "/"),
            (std::vector<std::string>{"/bad", "!0 /bad", "/bad/2", "/bad/3",
                                      "/good", "/good/x"}));
  use(0);
  // Streaming meets the damage on its way.
  EXPECT_EQ(walk(root, "/"),
            (std::vector<std::string>{"/bad", "/bad/3", "/bad/2", "!0 /bad",
                                      "/good", "/good/x"}));
}

TEST_F(TreeWalkTest, ALostDirectoryEndsItsStream) {
  auto root = fs_.add_directory(0, "");
  auto a = fs_.add_directory(root, "a");
  fs_.add_directory(a, "b");
  fs_.add_file(a, "c");
  fs_.lose(a);  // it was entered, but is not found again
  use(0);
  EXPECT_EQ(walk(root, "/"), (std::vector<std::string>{"/a", "/a/b", "!0 /a"}));
}

}  // namespace
}  // namespace odo::monitor
