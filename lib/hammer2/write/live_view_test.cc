// SPDX-License-Identifier: BSD-3-Clause
#include "lib/hammer2/write/live_view.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/block/memory_device.h"
#include "lib/hammer2/testing/model/workload.h"
#include "lib/hammer2/write/remove_tree.h"
#include "lib/hammer2/write/testing/stage.h"

namespace odo::hammer2::write::testing {
namespace {

using Disk = block::WritableMemoryDevice;
using Ground = HostGround<Disk>;

class LiveViewTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(format_disk(disk_));
    ASSERT_TRUE(stage_.enter());
    ASSERT_TRUE(find_pfs(*view_, kLabel, pfs_));
    ASSERT_TRUE(view_->root(pfs_, root_));
  }
  void TearDown() override {
    view_->close();
    stage_.leave();
  }

  Volume<Ground>& volume() { return stage_.volume(); }
  OpenInode& top() { return stage_.root(); }

  void make(OpenInode& folder, std::string_view name, ObjectType type,
            OpenInode** keep = nullptr) {
    const auto made = volume().make(folder, name, {.type = type, .mode = 0755});
    ASSERT_TRUE(made) << text_of(made.error());
    if (keep != nullptr) {
      *keep = *made;
    } else {
      volume().release(**made);
    }
  }
  [[nodiscard]] std::string resolved(std::string_view path,
                                     FollowLast follow = FollowLast::kYes) {
    const auto found = view_->resolve(root_, path, follow, node_);
    return found ? std::string(to_string(node_.attributes.type))
                 : text_of(found.error());
  }

  std::vector<std::byte> storage_ =
      std::vector<std::byte>(std::size_t{96} << 20);
  Disk disk_{storage_};
  Stage<Disk> stage_{disk_};
  std::unique_ptr<LiveView<Ground>> view_ =
      std::make_unique<LiveView<Ground>>(stage_.volume());
  Pfs pfs_;
  Node root_;
  Node node_;
};

TEST_F(LiveViewTest, ShowsWhatNoSyncHasReached) {
  model::WorkloadGenerator generator(3, {.names = 12});
  for (int i = 0; i < 1500; ++i) {
    const model::Operation operation = generator.next(stage_.tree());
    const auto step = stage_.perform(operation);
    ASSERT_FALSE(step.fault) << text_of(*step.fault);
    ASSERT_EQ(step.disagreement, "");
    if (i % 50 != 49) continue;
    ASSERT_TRUE(view_->node_by_inum(root_, format::kRootInum, root_));
    const auto found = model::describe_volume(*view_, root_);
    ASSERT_TRUE(found) << text_of(found.error());
    ASSERT_EQ(model::differences(stage_.tree().describe(), *found), "")
        << "step " << i;
  }
}

TEST_F(LiveViewTest, ResolvesAsTheReaderDoes) {
  OpenInode* folder = nullptr;
  make(top(), "a", ObjectType::kDirectory, &folder);
  make(*folder, "f", ObjectType::kRegular);
  const auto link = [&](std::string_view name, std::string_view target) {
    const auto made = volume().make_symlink(
        *folder, name, target, {.type = ObjectType::kSymlink, .mode = 0777});
    ASSERT_TRUE(made);
    volume().release(**made);
  };
  link("up", "..");
  link("self", "self");
  link("absolute", "/a/f");
  volume().release(*folder);
  EXPECT_EQ(resolved("/"), "dir");
  EXPECT_EQ(resolved("a/./../a/f"), "file");
  EXPECT_EQ(resolved("/a/up/a/up/a/absolute"), "file");
  EXPECT_EQ(resolved("/a/absolute", FollowLast::kNo), "symlink");
  EXPECT_EQ(resolved("/.."), "dir");
  const auto why = [&](std::string_view path) {
    return view_->resolve(root_, path, FollowLast::kYes, node_).error().code;
  };
  EXPECT_EQ(why(""), Code::kNotFound);
  EXPECT_EQ(why("/a/none"), Code::kNotFound);
  EXPECT_EQ(why("/a/f/"), Code::kNotDirectory);
  EXPECT_EQ(why("/a/f/x"), Code::kNotDirectory);
  EXPECT_EQ(why("/a/self"), Code::kSymlinkLoop);
}

TEST_F(LiveViewTest, ANodeThatIsGoneIsNotFound) {
  make(top(), "f", ObjectType::kRegular);
  ASSERT_EQ(resolved("f"), "file");
  ASSERT_TRUE(volume().unlink(top(), "f"));
  std::array<std::byte, 1> byte;
  EXPECT_EQ(view_->read(node_, 0, byte).error().code, Code::kNotFound);
}

// --- remove_tree -------------------------------------------------------------

class RemoveTreeTest : public LiveViewTest {
 protected:
  // A chain of that many folders in "t", each with a file and a folder more.
  void build(std::size_t levels) {
    OpenInode* at = nullptr;
    make(top(), "t", ObjectType::kDirectory, &at);
    for (std::size_t i = 0; i < levels; ++i) {
      OpenInode* next = nullptr;
      make(*at, "file", ObjectType::kRegular);
      make(*at, "empty", ObjectType::kDirectory);
      make(*at, "next", ObjectType::kDirectory, &next);
      volume().release(*at);
      at = next;
    }
    volume().release(*at);
  }
  [[nodiscard]] Result<Removal> remove(std::string_view name, int most = 1e9) {
    return remove_tree(volume(), top(), name, *room_,
                       [&] { return most-- == 0; });
  }

  std::unique_ptr<RemoveRoom> room_ = std::make_unique<RemoveRoom>();
};

TEST_F(RemoveTreeTest, TakesAllThatIsBelow) {
  build(20);
  make(top(), "other", ObjectType::kRegular);
  EXPECT_EQ(remove("t"), Removal::kDone);
  EXPECT_NE(resolved("t"), "dir");
  EXPECT_EQ(resolved("other"), "file");
  EXPECT_EQ(remove("other"), Removal::kDone);
  EXPECT_EQ(remove("other").error().code, Code::kNotFound);
  ASSERT_TRUE(volume().sync());
  EXPECT_EQ(complaint_about(disk_), "");
}

TEST_F(RemoveTreeTest, StopsWhenItIsToldTo) {
  build(5);
  for (int steps = 0; steps < 20; ++steps) {
    EXPECT_EQ(remove("t", steps % 3), Removal::kStopped);
  }
  EXPECT_EQ(resolved("t"), "dir");
  EXPECT_EQ(remove("t"), Removal::kDone);
}

TEST_F(RemoveTreeTest, ATreeThatIsTooDeepIsTold) {
  build(kMaxRemoveDepth + 1);
  EXPECT_EQ(remove("t").error().code, Code::kTooDeep);
  EXPECT_EQ(resolved("t"), "dir");
  ASSERT_TRUE(volume().sync());
  EXPECT_EQ(complaint_about(disk_), "");
}

}  // namespace
}  // namespace odo::hammer2::write::testing
