// SPDX-License-Identifier: BSD-3-Clause
#include "lib/hammer2/testing/model/workload.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "gtest/gtest.h"
#include "lib/base/bytes.h"
#include "lib/hammer2/testing/model/operation.h"
#include "lib/hammer2/testing/model/result.h"

namespace odo::hammer2::testing::model {
namespace {

TEST(OperationTest, ReadsWell) {
  const std::vector<Operation> all = {
      Mkdir{"/a", 0750},
      Rmdir{"/a"},
      Create{"/f"},
      Mknod{"/n", ObjectType::kBlockDevice, 0640, {8, 1}},
      Symlink{"/s", "to\nsomewhere"},
      Link{"/f", "/g"},
      Unlink{"/g"},
      Rename{"/f", "/g"},
      Rename{"/f", "/g", RenameMode::kNoReplace},
      Rename{"/f", "/g", RenameMode::kExchange},
      Write{"/f", 10, 20, 3},
      Append{"%1", 20, 3},
      Truncate{"/f", 7},
      Chmod{"/f", 0600},
      Chown{"/f", 1, 2},
      Utimes{"/f", 99},
      Open{"/f", 1},
      Close{1},
      Fsync{"/f"},
      Sync{},
      Snapshot{"s1"},
      Bulkfree{},
  };
  EXPECT_EQ(to_string(all),
            "0: mkdir /a 0750\n"
            "1: rmdir /a\n"
            "2: create /f 0644\n"
            "3: mknod /n blockdev 0640 8 1\n"
            "4: symlink /s to\\x0asomewhere\n"
            "5: link /f /g\n"
            "6: unlink /g\n"
            "7: rename /f /g\n"
            "8: move /f /g\n"
            "9: exchange /f /g\n"
            "10: write /f 10 20 seed 3\n"
            "11: append %1 20 seed 3\n"
            "12: truncate /f 7\n"
            "13: chmod /f 0600\n"
            "14: chown /f 1 2\n"
            "15: utimes /f 99\n"
            "16: open /f %1\n"
            "17: close %1\n"
            "18: fsync /f\n"
            "19: sync\n"
            "20: snapshot s1\n"
            "21: bulkfree\n");
}

TEST(OperationTest, PatternsDiffer) {
  EXPECT_TRUE(all_zero(pattern(4, 1000)));
  const std::vector<std::byte> text = pattern(1, 1000);
  EXPECT_TRUE(equal_bytes(Bytes(text).first(61), Bytes(text).subspan(61, 61)));
  const std::vector<std::byte> noise = pattern(2, 1000);
  EXPECT_FALSE(
      equal_bytes(Bytes(noise).first(61), Bytes(noise).subspan(61, 61)));
  EXPECT_NE(pattern(2, 1000), pattern(3, 1000));
  EXPECT_EQ(pattern(2, 1000), noise);
  EXPECT_EQ(pattern(2, 0).size(), 0U);
}

TEST(OperationTest, IsPerformedOnTheModel) {
  FileTree tree;
  for (const Operation& operation :
       std::vector<Operation>{Mkdir{"/d", 0700},
                              Create{"/d/f", 0600},
                              Open{"/d/f", 0},
                              Unlink{"/d/f"},
                              Write{"%0", 0, 100, 2},
                              Append{"%0", 100, 3},
                              Fsync{"%0"},
                              Truncate{"%0", 150},
                              Create{"/g"},
                              Close{0},
                              Rename{"/g", "/d/g", RenameMode::kNoReplace},
                              Link{"/d/g", "/h"},
                              Symlink{"/s", "t"},
                              Mknod{"/n"},
                              Chmod{"/h", 0},
                              Chown{"/h", 1, 2},
                              Utimes{"/h", 3},
                              Sync{},
                              Snapshot{"s"},
                              Bulkfree{}}) {
    EXPECT_EQ(to_string(perform(tree, operation)), "done")
        << to_string(operation);
  }
  EXPECT_EQ(tree.describe().text(),
            "/ dir 755 0:0 nlink 1\n"
            "/d dir 700 0:0 nlink 1\n"
            "/d/g file 000 1:2 nlink 2 size 0 data 0000000000000000\n"
            "/h file 000 1:2 nlink 2 size 0 data 0000000000000000 same as "
            "/d/g\n"
            "/n fifo 600 0:0 nlink 1\n"
            "/s symlink 777 0:0 nlink 1 -> t\n");
  EXPECT_EQ(to_string(perform(tree, Fsync{"/d"})), "EISDIR");
  EXPECT_EQ(to_string(perform(tree, Rmdir{"/d"})), "ENOTEMPTY");
}

TEST(WorkloadTest, IsTheSameForTheSameSeed) {
  EXPECT_EQ(to_string(generate(7, 300)), to_string(generate(7, 300)));
  EXPECT_NE(to_string(generate(7, 300)), to_string(generate(8, 300)));
}

// Every kind of operation works and fails now and then, for all reasons.
TEST(WorkloadTest, CoversOperationsAndOutcomes) {
  std::map<std::size_t, std::map<std::string, std::size_t>> outcomes;
  std::set<std::string> reasons;
  std::set<std::string> verbs;
  std::size_t done = 0;
  std::size_t total = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    WorkloadGenerator generator(seed);
    FileTree tree;
    tree.set_max_file_bytes(WorkloadOptions{}.max_file_bytes);
    for (int i = 0; i < 300; ++i) {
      const Operation operation = generator.next(tree);
      const std::string outcome(to_string(perform(tree, operation)));
      ++outcomes[operation.index()][outcome];
      reasons.insert(outcome);
      const std::string words = to_string(operation);
      verbs.insert(words.substr(0, words.find(' ')));
      done += outcome == "done" ? 1 : 0;
      ++total;
    }
  }
  EXPECT_EQ(outcomes.size(), std::variant_size_v<Operation>);
  for (const auto& [kind, counts] : outcomes) {
    EXPECT_TRUE(counts.contains("done")) << kind;
  }
  EXPECT_EQ(verbs.size(), std::variant_size_v<Operation> + 2);
  for (const char* reason :
       {"ENOENT", "EEXIST", "ENOTDIR", "EISDIR", "ENOTEMPTY", "EINVAL",
        "ENAMETOOLONG", "EPERM", "EFBIG", "EBADF"}) {
    EXPECT_TRUE(reasons.contains(reason)) << reason;
  }
  EXPECT_GT(done * 2, total);  // most work
}

TEST(WorkloadTest, KeepsToItsOptions) {
  const WorkloadOptions options{.names = 2,
                                .max_depth = 1,
                                .handles = 1,
                                .max_write_bytes = 8192,
                                .max_file_bytes = 65536,
                                .odd_paths = 0,
                                .persists = 0,
                                .granularity = 4096};
  for (const Operation& operation : generate(3, 2000, options)) {
    EXPECT_FALSE(only_persists(operation));
    if (const auto* write = std::get_if<Write>(&operation)) {
      EXPECT_LE(write->length, 8192U);
      EXPECT_LE(write->offset, 65536U);
      EXPECT_EQ(write->length % 4096, 0U);
      EXPECT_EQ(write->offset % 4096, 0U);
    }
    if (const auto* open = std::get_if<Open>(&operation)) {
      EXPECT_EQ(open->handle, 0U);
    }
    if (const auto* create = std::get_if<Create>(&operation)) {
      EXPECT_TRUE(create->path.ends_with("/a") || create->path.ends_with("/b"));
      EXPECT_LE(std::ranges::count(create->path, '/'), 2);
    }
  }
}

}  // namespace
}  // namespace odo::hammer2::testing::model
