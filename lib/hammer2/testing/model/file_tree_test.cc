// SPDX-License-Identifier: BSD-3-Clause
#include "lib/hammer2/testing/model/file_tree.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "lib/base/bytes.h"
#include "lib/hammer2/testing/model/description.h"
#include "lib/hammer2/testing/model/result.h"

namespace odo::hammer2::testing::model {
namespace {

Bytes text(std::string_view s) { return std::as_bytes(std::span(s)); }

std::string why(const Result<void>& result) {
  return std::string(to_string(result));
}

class FileTreeTest : public ::testing::Test {
 protected:
  // /d (with /d/sub/f), /e (empty), /f, /g, /s -> f
  FileTreeTest() {
    for (const char* path : {"/d", "/d/sub", "/e"}) {
      EXPECT_EQ(why(tree_.mkdir(path, 0755)), "done");
    }
    for (const char* path : {"/f", "/g", "/d/sub/f"}) {
      EXPECT_EQ(why(tree_.create(path, 0644)), "done");
    }
    EXPECT_EQ(why(tree_.symlink("/s", "f")), "done");
  }

  std::string names(std::string_view path) {
    const auto found = tree_.read_directory(path);
    if (!found) return std::string(to_string(found.error()));
    std::string all;
    for (const std::string& name : *found) all += name + ' ';
    return all;
  }
  const FileTree::Inode& inode(std::string_view path) {
    return tree_.at(*tree_.resolve(path));
  }
  std::string content(std::string_view file) {
    std::string bytes(100, '?');
    const auto got =
        tree_.read(file, 0, std::as_writable_bytes(std::span(bytes)));
    if (!got) return std::string(to_string(got.error()));
    bytes.resize(*got);
    return bytes;
  }

  FileTree tree_;
};

TEST_F(FileTreeTest, ListsNamesInOrder) {
  EXPECT_EQ(names("/"), "d e f g s ");
  EXPECT_EQ(names("/d/sub/.."), "sub ");
  EXPECT_EQ(names("/../.."), "d e f g s ");
  EXPECT_EQ(names("/f"), "ENOTDIR");
  EXPECT_EQ(names("/s/x"), "ENOTDIR");  // symlinks aren't followed
  EXPECT_EQ(names("/no"), "ENOENT");
  EXPECT_EQ(names(""), "ENOENT");
}

TEST_F(FileTreeTest, NewNamesMustBeFreeAndGood) {
  const std::string longest = "/d/" + std::string(255, 'n');
  EXPECT_EQ(why(tree_.create(longest, 0)), "done");
  EXPECT_EQ(why(tree_.create(longest + 'n', 0)), "ENAMETOOLONG");
  EXPECT_EQ(why(tree_.mkdir(longest + 'n', 0)), "ENAMETOOLONG");
  EXPECT_EQ(why(tree_.unlink(longest + 'n')), "ENAMETOOLONG");
  EXPECT_EQ(why(tree_.rename("/f", longest + 'n')), "ENAMETOOLONG");
  EXPECT_EQ(why(tree_.rename(longest + 'n', "/f")), "ENAMETOOLONG");
  for (const char* taken : {"/", "/.", "/..", "/d/.", "/d", "/f", "/s"}) {
    EXPECT_EQ(why(tree_.mkdir(taken, 0755)), "EEXIST") << taken;
    EXPECT_EQ(why(tree_.create(taken, 0644)), "EEXIST") << taken;
    EXPECT_EQ(why(tree_.symlink(taken, "t")), "EEXIST") << taken;
    EXPECT_EQ(why(tree_.link("/g", taken)), "EEXIST") << taken;
    EXPECT_EQ(why(tree_.mknod(taken, ObjectType::kFifo, 0, {})), "EEXIST");
  }
  EXPECT_EQ(why(tree_.create("/no/f", 0)), "ENOENT");
  EXPECT_EQ(why(tree_.create("/f/f", 0)), "ENOTDIR");
  EXPECT_EQ(why(tree_.create("/f/../x", 0)), "ENOTDIR");
  EXPECT_EQ(why(tree_.symlink("/t", "")), "ENOENT");
  EXPECT_EQ(why(tree_.mknod("/n", ObjectType::kRegular, 0, {})), "EINVAL");
}

TEST_F(FileTreeTest, RemovalAsksForTheRightType) {
  EXPECT_EQ(why(tree_.unlink("/d")), "EISDIR");
  EXPECT_EQ(why(tree_.unlink("/.")), "EISDIR");
  EXPECT_EQ(why(tree_.unlink("/no")), "ENOENT");
  EXPECT_EQ(why(tree_.rmdir("/f")), "ENOTDIR");
  EXPECT_EQ(why(tree_.rmdir("/s")), "ENOTDIR");
  EXPECT_EQ(why(tree_.rmdir("/d")), "ENOTEMPTY");
  EXPECT_EQ(why(tree_.rmdir("/d/.")), "EINVAL");
  EXPECT_EQ(why(tree_.rmdir("/d/sub/..")), "ENOTEMPTY");
  EXPECT_EQ(why(tree_.rmdir("/e")), "done");
  EXPECT_EQ(why(tree_.unlink("/s")), "done");
  EXPECT_EQ(names("/"), "d f g ");
}

TEST_F(FileTreeTest, LinksShareAFile) {
  EXPECT_EQ(why(tree_.link("/f", "/d/l")), "done");
  EXPECT_EQ(why(tree_.link("/d", "/l")), "EPERM");
  EXPECT_EQ(why(tree_.link("/d", "/f")), "EEXIST");
  EXPECT_EQ(why(tree_.link("/no", "/l")), "ENOENT");
  EXPECT_EQ(inode("/f").nlinks, 2U);
  EXPECT_EQ(why(tree_.write("/d/l", 0, text("shared"))), "done");
  EXPECT_EQ(content("/f"), "shared");
  EXPECT_EQ(why(tree_.unlink("/f")), "done");
  EXPECT_EQ(content("/d/l"), "shared");
  EXPECT_EQ(inode("/d/l").nlinks, 1U);
  // Symlinks and nodes may have several names as well.
  EXPECT_EQ(why(tree_.link("/s", "/t")), "done");
  EXPECT_EQ(inode("/t").target, "f");
  EXPECT_EQ(inode("/d").nlinks, 1U);
}

TEST_F(FileTreeTest, RenameMovesOrReplaces) {
  EXPECT_EQ(why(tree_.write("/f", 0, text("of f"))), "done");
  EXPECT_EQ(why(tree_.rename("/f", "/d/h")), "done");
  EXPECT_EQ(content("/d/h"), "of f");
  EXPECT_EQ(content("/f"), "ENOENT");
  EXPECT_EQ(why(tree_.rename("/d/h", "/g")), "done");
  EXPECT_EQ(content("/g"), "of f");
  EXPECT_EQ(why(tree_.rename("/g", "/s")), "done");  // the link, not its target
  EXPECT_EQ(content("/s"), "of f");
  EXPECT_EQ(why(tree_.rename("/d", "/e")), "done");
  EXPECT_EQ(names("/"), "e s ");
  EXPECT_EQ(names("/e/sub"), "f ");
  EXPECT_EQ(names("/e/sub/../.."), "e s ");
}

TEST_F(FileTreeTest, RenameRefusesWhatCannotBe) {
  EXPECT_EQ(why(tree_.rename("/no", "/f")), "ENOENT");
  EXPECT_EQ(why(tree_.rename("/f", "/no/f")), "ENOENT");
  EXPECT_EQ(why(tree_.rename("/f", "/g/f")), "ENOTDIR");
  EXPECT_EQ(why(tree_.rename("/f", "/e")), "EISDIR");
  EXPECT_EQ(why(tree_.rename("/e", "/f")), "ENOTDIR");
  EXPECT_EQ(why(tree_.rename("/e", "/d")), "ENOTEMPTY");
  EXPECT_EQ(why(tree_.rename("/d", "/d/x")), "EINVAL");
  EXPECT_EQ(why(tree_.rename("/d", "/d/sub/x")), "EINVAL");
  EXPECT_EQ(why(tree_.rename("/d/sub/f", "/d")), "ENOTEMPTY");
  EXPECT_EQ(why(tree_.rename("/d/sub", "/d")), "ENOTEMPTY");
  for (const char* dots : {"/", "/.", "/..", "/d/.", "/d/.."}) {
    EXPECT_EQ(why(tree_.rename(dots, "/x")), "EINVAL") << dots;
    EXPECT_EQ(why(tree_.rename("/f", dots)), "EINVAL") << dots;
    EXPECT_EQ(why(tree_.rename("/f", dots, RenameMode::kExchange)), "EINVAL");
    EXPECT_EQ(why(tree_.rename("/f", dots, RenameMode::kNoReplace)), "EEXIST");
  }
  EXPECT_EQ(names("/"), "d e f g s ");
  EXPECT_EQ(names("/d"), "sub ");
}

TEST_F(FileTreeTest, RenameOntoTheSameInodeDoesNothing) {
  tree_.set_now(5);
  EXPECT_EQ(why(tree_.rename("/f", "/f")), "done");
  EXPECT_EQ(why(tree_.rename("/d", "/d")), "done");
  EXPECT_EQ(why(tree_.link("/f", "/h")), "done");
  const std::string before = tree_.describe().text(Times::kShown);
  tree_.set_now(6);
  EXPECT_EQ(why(tree_.rename("/f", "/h")), "done");
  EXPECT_EQ(why(tree_.rename("/f", "/h", RenameMode::kExchange)), "done");
  EXPECT_EQ(why(tree_.rename("/f", "/h", RenameMode::kNoReplace)), "EEXIST");
  EXPECT_EQ(tree_.describe().text(Times::kShown), before);
  EXPECT_EQ(names("/"), "d e f g h s ");
}

TEST_F(FileTreeTest, RenameMayBeToldNotToReplace) {
  EXPECT_EQ(why(tree_.rename("/f", "/g", RenameMode::kNoReplace)), "EEXIST");
  EXPECT_EQ(why(tree_.rename("/d", "/e", RenameMode::kNoReplace)), "EEXIST");
  EXPECT_EQ(why(tree_.rename("/f", "/h", RenameMode::kNoReplace)), "done");
  EXPECT_EQ(why(tree_.rename("/no", "/g", RenameMode::kNoReplace)), "ENOENT");
  EXPECT_EQ(why(tree_.rename("/d", "/d/x", RenameMode::kNoReplace)), "EINVAL");
  EXPECT_EQ(why(tree_.rename("/d", "/d/sub", RenameMode::kNoReplace)),
            "EEXIST");
  EXPECT_EQ(names("/"), "d e g h s ");
}

TEST_F(FileTreeTest, ExchangeSwapsAnything) {
  const auto swap = [&](std::string_view a, std::string_view b) {
    return why(tree_.rename(a, b, RenameMode::kExchange));
  };
  EXPECT_EQ(swap("/f", "/no"), "ENOENT");
  EXPECT_EQ(swap("/no", "/f"), "ENOENT");
  EXPECT_EQ(swap("/d", "/d/sub"), "EINVAL");
  EXPECT_EQ(swap("/d/sub", "/d"), "EINVAL");
  EXPECT_EQ(swap("/d", "/d/sub/f"), "EINVAL");
  EXPECT_EQ(swap("/d/sub/f", "/d"), "EINVAL");
  EXPECT_EQ(swap("/d/sub", "/f"), "done");
  EXPECT_EQ(names("/f"), "f ");
  EXPECT_EQ(names("/f/.."), "d e f g s ");
  EXPECT_EQ(content("/d/sub"), "");
  EXPECT_EQ(swap("/f", "/e"), "done");  // neither need be empty
  EXPECT_EQ(names("/e"), "f ");
  EXPECT_EQ(swap("/e", "/s"), "done");
  EXPECT_EQ(names("/s"), "f ");
  EXPECT_EQ(inode("/e").target, "f");
}

TEST_F(FileTreeTest, FilesHaveHolesAndLimits) {
  tree_.set_max_file_bytes(100);
  EXPECT_EQ(why(tree_.write("/f", 3, text("abc"))), "done");
  EXPECT_EQ(content("/f"), std::string("\0\0\0abc", 6));
  EXPECT_EQ(why(tree_.append("/f", text("d"))), "done");
  EXPECT_EQ(why(tree_.truncate("/f", 5)), "done");
  EXPECT_EQ(why(tree_.truncate("/f", 8)), "done");
  EXPECT_EQ(content("/f"), std::string("\0\0\0ab\0\0\0", 8));
  EXPECT_EQ(why(tree_.write("/f", 99, text("ab"))), "EFBIG");
  EXPECT_EQ(why(tree_.write("/f", ~std::uint64_t{0}, text("ab"))), "EFBIG");
  EXPECT_EQ(why(tree_.write("/f", 99, text("a"))), "done");
  EXPECT_EQ(why(tree_.truncate("/f", 101)), "EFBIG");
  EXPECT_EQ(why(tree_.write("/d", 0, text("a"))), "EISDIR");
  EXPECT_EQ(why(tree_.truncate("/d", 0)), "EISDIR");
  EXPECT_EQ(why(tree_.write("/s", 0, text("a"))), "EINVAL");
  EXPECT_EQ(why(tree_.write("/no", 0, text("a"))), "ENOENT");
  EXPECT_EQ(content("/d"), "EISDIR");
}

TEST_F(FileTreeTest, OpenFilesOutliveTheirNames) {
  EXPECT_EQ(why(tree_.write("/f", 0, text("old"))), "done");
  EXPECT_EQ(why(tree_.open("/f", 1)), "done");
  EXPECT_EQ(why(tree_.open("/f", 1)), "EBADF");
  EXPECT_EQ(why(tree_.open("/d", 2)), "EISDIR");
  EXPECT_EQ(why(tree_.open("%1", 2)), "done");
  const std::size_t inodes = tree_.inodes();
  EXPECT_EQ(why(tree_.rename("/g", "/f")), "done");
  EXPECT_EQ(content("/f"), "");
  EXPECT_EQ(content("%1"), "old");
  EXPECT_EQ(why(tree_.append("%2", text(" and new"))), "done");
  EXPECT_EQ(content("%1"), "old and new");
  const FileTree before = tree_;
  EXPECT_EQ(tree_.inodes(), inodes);
  EXPECT_EQ(why(tree_.close(1)), "done");
  EXPECT_EQ(content("%1"), "EBADF");
  EXPECT_EQ(content("%2"), "old and new");
  EXPECT_EQ(why(tree_.close(2)), "done");
  EXPECT_EQ(why(tree_.close(2)), "EBADF");
  EXPECT_EQ(tree_.inodes(), inodes - 1);
  EXPECT_EQ(content("%x"), "EBADF");
  EXPECT_EQ(content("%"), "EBADF");
  // The copy has it still.
  tree_ = before;
  EXPECT_EQ(content("%2"), "old and new");
  tree_.close_all();
  EXPECT_EQ(tree_.inodes(), inodes - 1);
  EXPECT_TRUE(tree_.open_handles().empty());
}

TEST_F(FileTreeTest, AttributesChangeAlone) {
  EXPECT_EQ(why(tree_.chmod("/f", 017777)), "done");
  EXPECT_EQ(why(tree_.chown("/f", 7, 8)), "done");
  EXPECT_EQ(why(tree_.chmod("/no", 0)), "ENOENT");
  EXPECT_EQ(why(tree_.chown("/no", 0, 0)), "ENOENT");
  EXPECT_EQ(why(tree_.utimes("/no", 0)), "ENOENT");
  EXPECT_EQ(inode("/f").mode, 07777U);
  EXPECT_EQ(inode("/f").uid, 7U);
  EXPECT_EQ(inode("/f").gid, 8U);
  tree_.set_owner(3, 4);
  EXPECT_EQ(why(tree_.create("/h", 0)), "done");
  EXPECT_EQ(inode("/h").uid, 3U);
  EXPECT_EQ(inode("/h").gid, 4U);
}

// For each operation: whose mtime and ctime it sets.
TEST_F(FileTreeTest, TimesFollowChanges) {
  const auto changed = [&](const Result<void>& result) {
    EXPECT_EQ(why(result), "done");
    std::string out;
    for (const auto& [path, node] : tree_.describe().nodes()) {
      if (node.mtime_us == 9) out += path + " m ";
      if (node.ctime_us == 9) out += path + " c ";
    }
    return out;
  };
  const FileTree start = tree_;
  const auto fresh = [&]() -> FileTree& {
    tree_ = start;
    tree_.set_now(9);
    return tree_;
  };
  EXPECT_EQ(changed(fresh().create("/e/n", 0)), "/e m /e c /e/n m /e/n c ");
  EXPECT_EQ(changed(fresh().mkdir("/e/n", 0)), "/e m /e c /e/n m /e/n c ");
  EXPECT_EQ(changed(fresh().link("/f", "/e/l")), "/e m /e c /e/l c /f c ");
  EXPECT_EQ(changed(fresh().unlink("/d/sub/f")), "/d/sub m /d/sub c ");
  EXPECT_EQ(changed(fresh().rmdir("/e")), "/ m / c ");
  EXPECT_EQ(changed(fresh().rename("/d/sub/f", "/e/f")),
            "/d/sub m /d/sub c /e m /e c /e/f c ");
  EXPECT_EQ(changed(fresh().rename("/d/sub/f", "/e", RenameMode::kExchange)),
            "/ m / c /d/sub m /d/sub c /d/sub/f c /e c ");
  EXPECT_EQ(changed(fresh().write("/f", 0, text("a"))), "/f m /f c ");
  EXPECT_EQ(changed(fresh().write("/f", 0, {})), "");
  EXPECT_EQ(changed(fresh().truncate("/f", 1)), "/f m /f c ");
  EXPECT_EQ(changed(fresh().truncate("/f", 0)), "");
  EXPECT_EQ(changed(fresh().chmod("/f", 0)), "/f c ");
  EXPECT_EQ(changed(fresh().chown("/f", 0, 0)), "/f c ");
  EXPECT_EQ(changed(fresh().utimes("/f", 3)), "/f c ");
  EXPECT_EQ(inode("/f").mtime_us, 3U);
}

TEST_F(FileTreeTest, DescribesItself) {
  EXPECT_EQ(why(tree_.link("/f", "/d/a\n")), "done");
  EXPECT_EQ(why(tree_.chown("/f", 10, 20)), "done");
  EXPECT_EQ(why(tree_.mknod("/n", ObjectType::kCharDevice, 0600, {1, 2})),
            "done");
  EXPECT_EQ(tree_.describe().text(),
            "/ dir 755 0:0 nlink 1\n"
            "/d dir 755 0:0 nlink 1\n"
            "/d/a\\x0a file 644 10:20 nlink 2 size 0 data 0000000000000000\n"
            "/d/sub dir 755 0:0 nlink 1\n"
            "/d/sub/f file 644 0:0 nlink 1 size 0 data 0000000000000000\n"
            "/e dir 755 0:0 nlink 1\n"
            "/f file 644 10:20 nlink 2 size 0 data 0000000000000000 same as "
            "/d/a\\x0a\n"
            "/g file 644 0:0 nlink 1 size 0 data 0000000000000000\n"
            "/n chardev 600 0:0 nlink 1 device 1,2\n"
            "/s symlink 777 0:0 nlink 1 -> f\n");
  // Without regard to how it came about.
  FileTree other;
  for (const char* path : {"/e", "/d", "/d/sub"}) {
    EXPECT_EQ(why(other.mkdir(path, 0755)), "done");
  }
  EXPECT_NE(other.describe().text(), tree_.describe().text());
  EXPECT_EQ(differences(other.describe(), other.describe()), "");
  FileTree third = other;
  EXPECT_EQ(why(third.chmod("/e", 0700)), "done");
  EXPECT_EQ(differences(other.describe(), third.describe()),
            "+ /e dir 700 0:0 nlink 1\n- /e dir 755 0:0 nlink 1\n");
}

TEST_F(FileTreeTest, DescriptionsTellAllThatMatters) {
  const std::string before = tree_.describe().text();
  const FileTree start = tree_;
  const auto shows = [&](const Result<void>& result) {
    EXPECT_EQ(why(result), "done");
    const bool differs = tree_.describe().text() != before;
    tree_ = start;
    return differs;
  };
  EXPECT_TRUE(shows(tree_.create("/h", 0644)));
  EXPECT_TRUE(shows(tree_.unlink("/g")));
  EXPECT_TRUE(shows(tree_.link("/g", "/h")));
  EXPECT_TRUE(shows(tree_.write("/g", 0, text("x"))));
  EXPECT_TRUE(shows(tree_.truncate("/g", 1)));
  EXPECT_TRUE(shows(tree_.chmod("/g", 0)));
  EXPECT_TRUE(shows(tree_.chown("/g", 1, 0)));
  EXPECT_TRUE(shows(tree_.chown("/g", 0, 1)));
  EXPECT_FALSE(shows(tree_.utimes("/g", 1)));
  EXPECT_EQ(why(tree_.utimes("/g", 1)), "done");
  EXPECT_NE(differences(start.describe(), tree_.describe(), Times::kShown), "");
}

}  // namespace
}  // namespace odo::hammer2::testing::model
