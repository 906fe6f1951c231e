// SPDX-License-Identifier: BSD-3-Clause
// What the monitor changes, and what is left of it on the disk.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/block/memory_device.h"
#include "lib/hammer2/write/testing/stage.h"
#include "lib/monitor/monitor.h"
#include "lib/monitor/testing/fake_machine.h"

namespace odo::monitor {
namespace {

using testing::FakeConsole;
using testing::FakeMachine;
using Memory = block::WritableMemoryDevice;

// A disk that stops taking writes when it is told to, and all that is on it.
class Disk {
 public:
  Disk(Memory& memory, bool& fails) : memory_(&memory), fails_(&fails) {}
  std::uint64_t size_bytes() const { return memory_->size_bytes(); }
  std::uint32_t block_bytes() const { return memory_->block_bytes(); }
  block::Result<void> read(std::uint64_t offset, MutableBytes to) {
    return memory_->read(offset, to);
  }
  block::Result<void> write(std::uint64_t offset, Bytes from) {
    if (*fails_) return fail(block::Error::kIo);
    return memory_->write(offset, from);
  }
  block::Result<void> flush() {
    if (*fails_) return fail(block::Error::kIo);
    return memory_->flush();
  }

 private:
  Memory* memory_;
  bool* fails_;
};

class MonitorWriteTest : public ::testing::Test {
 protected:
  using Subject = Monitor<FakeConsole, FakeMachine<Disk>>;

  MonitorWriteTest() {
    EXPECT_TRUE(hammer2::write::testing::format_disk(memory_));
    start();
  }
  // As when the machine starts: what was not synced is gone.
  void start() {
    monitor_.reset();
    console_ = {};
    machine_ = std::make_unique<FakeMachine<Disk>>();
    machine_->add_disk("vd0", "", Disk(memory_, fails_));
    monitor_ =
        std::make_unique<Subject>(console_, *machine_, room_, check::Checks());
    EXPECT_EQ(monitor_->mount_any(), Status::kDone);
  }
  std::string output(std::string_view script) {
    console_.out.clear();
    console_.err.clear();
    EXPECT_EQ(monitor_->run(script), Status::kDone) << console_.err;
    EXPECT_EQ(console_.err, "");
    return console_.out;
  }
  std::string trouble(std::string_view script,
                      Status status = Status::kFailed) {
    console_.err.clear();
    EXPECT_EQ(monitor_->run(script), status);
    EXPECT_EQ(std::count(console_.err.begin(), console_.err.end(), '\n'), 1)
        << console_.err;
    return console_.err;
  }
  // What is on the disk is a sound filesystem.
  void expect_sound() {
    EXPECT_EQ(hammer2::write::testing::complaint_about(memory_), "");
  }

  std::vector<std::byte> storage_ =
      std::vector<std::byte>(std::size_t{64} << 20);
  Memory memory_{storage_};
  bool fails_ = false;
  std::vector<std::byte> room_ =
      std::vector<std::byte>(Subject::kMinMemoryBytes);
  FakeConsole console_;
  std::unique_ptr<FakeMachine<Disk>> machine_;
  std::unique_ptr<Subject> monitor_;
};

TEST_F(MonitorWriteTest, OnlyAChangeWritesToTheDisk) {
  const std::vector<std::byte> before = storage_;
  (void)output("ls -lR /; df; sync; mount");
  EXPECT_EQ(monitor_->finish(), Status::kDone);
  EXPECT_TRUE(storage_ == before);
}

TEST_F(MonitorWriteTest, PutIsSeenAtOnceAndKeptBySync) {
  EXPECT_EQ(output("put motd hello 'two  words'; cat motd"),
            "hello two  words\n");
  EXPECT_EQ(output("put -a motd \\x01; cat motd"), "hello two  words\n\x01\n");
  EXPECT_EQ(output("put motd; cat motd"), "\n");
  start();
  EXPECT_EQ(output("ls /"), "");
  (void)output("put motd kept; sync; put motd lost");
  start();
  EXPECT_EQ(output("cat motd"), "kept\n");
  expect_sound();
}

TEST_F(MonitorWriteTest, FoldersAreMadeMovedAndRemoved) {
  (void)output("mkdir a; mkdir -p a a/b/c//d/; put a/b/c/d/f x; cd a/b");
  EXPECT_EQ(output("find /a"), "/a\n/a/b\n/a/b/c\n/a/b/c/d\n/a/b/c/d/f\n");
  (void)output("mv c /moved; mkdir /into; mv /moved /into; put g y");
  EXPECT_EQ(output("cat /into/moved/d/f; ls"), "x\ng\n");
  (void)output("mv g ../h; mv ../h /into/moved /; rm -r /into /moved");
  EXPECT_EQ(output("find /"), "/\n/a\n/a/b\n/h\n");
  (void)output("cd /; rm h a/b/; rm -r a; sync");
  EXPECT_EQ(output("find /"), "/\n");
  expect_sound();
}

TEST_F(MonitorWriteTest, LinksAreMade) {
  (void)output("mkdir d; put d/f text; ln d/f g; ln -s d/f s; ln d/f d/h");
  EXPECT_EQ(output("put -a s more; cat g"), "text\nmore\n");
  (void)output("rm d/f; ln -s nowhere d");
  EXPECT_EQ(output("cat d/h; ls d"), "text\nmore\nh\nnowhere\n");
  (void)output("sync");
  expect_sound();
}

TEST_F(MonitorWriteTest, ASnapshotKeepsWhatWas) {
  (void)output("put f old; snapshot before; put f new");
  // The machine of this test goes on, and says so.
  (void)trouble("poweroff");
  EXPECT_EQ(machine_->power_status, 0);
  start();
  EXPECT_EQ(output("cat f; mount vd0@before; cat f; mount"),
            "new\nold\nvd0@before on /\ndisk vd0: 64 MiB, fake (Model \\x07), "
            "blocks of 512\n");
  expect_sound();
}

TEST_F(MonitorWriteTest, WhatCannotBeIsTold) {
  (void)output("mkdir d d/e; put f x");
  EXPECT_EQ(trouble("mkdir d"), "mkdir: d: exists already\n");
  EXPECT_NE(trouble("mkdir no/e").find("no/e"), std::string::npos);
  (void)trouble("mkdir -p f/e");
  (void)trouble("put d x");
  (void)trouble("put f/g x");
  (void)trouble("rm none");
  (void)trouble("rm d");
  (void)trouble("rm /");
  (void)trouble("rm .");
  (void)trouble("rm -r ..");
  (void)trouble("mv none d");
  (void)trouble("mv d d/e");
  (void)trouble("mv f f d");  // the second is gone by then
  (void)trouble("mv d d f");
  (void)trouble("ln d x");
  (void)trouble("snapshot DATA");
  (void)trouble("snapshot ''");
  for (const char* line : {"put", "rm", "rm -x f", "mv f", "ln f", "mkdir",
                           "mkdir -x", "snapshot", "snapshot a b"}) {
    (void)trouble(line, Status::kUsage);
  }
  EXPECT_EQ(output("find /"), "/\n/d\n/d/e\n/d/f\n");
}

TEST_F(MonitorWriteTest, OneFailureLeavesTheOthersTheirTurn) {
  (void)output("put a 1; put c 3");
  (void)trouble("rm a b c");
  (void)trouble("mkdir x x y");
  EXPECT_EQ(output("ls"), "x\ny\n");
}

TEST_F(MonitorWriteTest, ControlCStopsARemoval) {
  (void)output("mkdir -p d/a/b/c");
  console_.typed_meanwhile = "\x03";
  EXPECT_EQ(monitor_->run("rm -r d"), Status::kInterrupted);
  EXPECT_EQ(output("ls"), "d\n");
}

TEST_F(MonitorWriteTest, AFailedWriteIsNeverALie) {
  (void)output("put f safe; sync");
  fails_ = true;
  (void)output("put f unsafe");  // in memory
  (void)trouble("sync");
  (void)trouble("put g more");
  (void)trouble("sync");
  EXPECT_EQ(monitor_->run("poweroff"), Status::kFailed);
  EXPECT_EQ(machine_->power_status, 1) << "whoever started it is told";
  EXPECT_NE(console_.err.find("changes since the last sync are lost"),
            std::string::npos);
  fails_ = false;
  start();
  EXPECT_EQ(output("cat f"), "safe\n");
  expect_sound();
}

TEST_F(MonitorWriteTest, DfTellsWhatIsNotSyncedYet) {
  const std::string before = output("df");
  std::string words(8000, 'w');
  (void)output("put f; sync");
  for (int i = 0; i < 40; ++i) (void)output("put -a f " + words);
  (void)output("sync");
  EXPECT_NE(output("df"), before);
  EXPECT_NE(output("mount").find("being changed"), std::string::npos);
}

TEST_F(MonitorWriteTest, MountingSavesFirst) {
  EXPECT_EQ(output("put f kept; mount vd0; cat f"), "kept\n");
  fails_ = true;
  (void)output("put f lost");
  EXPECT_TRUE(trouble("mount vd0; cat f", Status::kDone)
                  .starts_with("mount: vd0: changes since the last sync are "
                               "lost: device error"));
  EXPECT_TRUE(console_.out.ends_with("kept\n"));
}

TEST_F(MonitorWriteTest, ScriptsAreSavedAtTheirEnd) {
  (void)output("put f x");
  EXPECT_EQ(monitor_->finish(), Status::kDone);
  start();
  EXPECT_EQ(output("cat f"), "x\n");
}

// Booted from a stick: its root is in memory, and maybe on a disk as well; the
// machine's own disk has another.
TEST(MonitorBroughtTest, TheFilesystemThatCameWithTheKernelIsMounted) {
  constexpr std::size_t kBytes = std::size_t{64} << 20;
  std::vector<std::byte> own_bytes(kBytes), stick_bytes(kBytes);
  Memory own(own_bytes), stick(stick_bytes);
  ASSERT_TRUE(hammer2::write::testing::format_disk(own, 100));
  ASSERT_TRUE(hammer2::write::testing::format_disk(stick));
  std::vector<std::byte> brought_bytes = stick_bytes;
  Memory brought(brought_bytes);
  bool fails = false;
  const auto mounted = [&](std::vector<Memory*> disks, bool is_brought) {
    using Subject = Monitor<FakeConsole, FakeMachine<Disk>>;
    FakeConsole console;
    FakeMachine<Disk> machine;
    for (std::size_t i = 0; i < disks.size(); ++i) {
      machine.add_disk("d" + std::to_string(i), "", Disk(*disks[i], fails));
    }
    if (is_brought) machine.bring_disk();
    std::vector<std::byte> room(Subject::kMinMemoryBytes);
    const auto monitor =
        std::make_unique<Subject>(console, machine, room, check::Checks());
    EXPECT_EQ(monitor->mount_any(), Status::kDone);
    EXPECT_EQ(monitor->run("mount"), Status::kDone);
    return console.out.substr(0, console.out.find('@'));
  };
  EXPECT_EQ(mounted({&own, &stick, &brought}, true), "d1");
  EXPECT_EQ(mounted({&own, &brought}, true), "d1");
  EXPECT_EQ(mounted({&own, &stick}, false), "d0");
  // A module that is none is passed over.
  std::vector<std::byte> empty_bytes(kBytes);
  Memory empty(empty_bytes);
  EXPECT_EQ(mounted({&own, &empty}, true), "d0");
}

}  // namespace
}  // namespace odo::monitor
