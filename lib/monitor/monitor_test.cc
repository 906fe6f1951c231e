// SPDX-License-Identifier: BSD-3-Clause
#include "lib/monitor/monitor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <memory>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/block/archetype.h"
#include "lib/block/host/file_device.h"
#include "lib/block/host/image_file.h"
#include "lib/block/memory_device.h"
#include "lib/monitor/testing/fake_machine.h"
#include "lib/monitor/testing/vt_screen.h"

namespace odo::monitor {

// Compiled over a device that offers nothing beyond the concept.
template class Monitor<testing::FakeConsole,
                       testing::FakeMachine<block::MemoryDevice>>;

namespace {

using testing::FakeConsole;
using testing::FakeMachine;
using testing::VtScreen;

// The reference image that the tree carries, unpacked once for all tests.
class LinksDevice {
 public:
  std::uint64_t size_bytes() const { return device().size_bytes(); }
  std::uint32_t block_bytes() const { return device().block_bytes(); }
  block::Result<void> read(std::uint64_t offset, MutableBytes to) {
    return device().read(offset, to);
  }

 private:
  static block::FileDevice& device() {
    static auto opened = block::open_image("testdata/links.img.zst");
    EXPECT_TRUE(opened) << opened.error();
    return *opened;
  }
};

template <class Device>
class Bench {
 public:
  using Subject = Monitor<FakeConsole, FakeMachine<Device>>;

  explicit Bench(std::size_t extra_bytes = 1 << 20)
      : memory_(Subject::kMinMemoryBytes + extra_bytes),
        monitor_(std::make_unique<Subject>(console, machine, memory_,
                                           check::Checks())) {}

  // Runs a script on a clean console.
  Status run(std::string_view script) {
    console.out.clear();
    console.err.clear();
    return monitor_->run(script);
  }
  // What a script that must go well prints.
  std::string output(std::string_view script) {
    EXPECT_EQ(run(script), Status::kDone) << console.err;
    EXPECT_EQ(console.err, "");
    return console.out;
  }
  // What a script that must fail complains.
  std::string trouble(std::string_view script,
                      Status status = Status::kFailed) {
    EXPECT_EQ(run(script), status);
    EXPECT_EQ(std::count(console.err.begin(), console.err.end(), '\n'), 1)
        << console.err;
    return console.err;
  }
  // What a terminal shows after these keys.
  VtScreen converse(std::string keys) {
    console.both.clear();
    console.typed = std::move(keys);
    (void)monitor_->converse();
    VtScreen screen;
    screen.write(console.both);
    return screen;
  }

  FakeConsole console;
  FakeMachine<Device> machine;
  Subject& monitor() { return *monitor_; }

 private:
  std::vector<std::byte> memory_;
  std::unique_ptr<Subject> monitor_;
};

using EmptyBench = Bench<block::MemoryDevice>;

class MonitorTest : public ::testing::Test {
 protected:
  MonitorTest() {
    bench_.machine.add_disk("vd0", "SER\x1b[2J", LinksDevice());
    EXPECT_EQ(bench_.monitor().mount_any(), Status::kDone);
    EXPECT_EQ(bench_.console.both, "");
  }
  std::string output(std::string_view script) { return bench_.output(script); }
  std::string trouble(std::string_view script,
                      Status status = Status::kFailed) {
    return bench_.trouble(script, status);
  }

  Bench<LinksDevice> bench_;
};

std::size_t lines(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST_F(MonitorTest, LsListsSortedNames) {
  EXPECT_EQ(output("ls h"), "a\nb\npipe2\n" + std::string(100, 'q') + "\n");
  EXPECT_EQ(output("ls /deep/x"), "c\n");
  EXPECT_EQ(output("ls -a /deep/x/c"), "/deep/x/c\n");
  std::string many = output("ls many");
  EXPECT_EQ(lines(many), 40u);
  EXPECT_TRUE(many.starts_with("0\n1\n10\n11\n"));
}

TEST_F(MonitorTest, LsSeveralAndBelow) {
  EXPECT_EQ(output("ls deep /deep/x"), "deep:\nx\n\n/deep/x:\nc\n");
  EXPECT_EQ(output("ls one deep/x h/a"), "one\n\ndeep/x:\nc\nh/a\n");
  EXPECT_EQ(output("ls -R deep"), "deep:\nx\n\ndeep/x:\nc\n");
  std::string all = output("ls -R /");
  EXPECT_TRUE(all.starts_with("/:\n"));
  EXPECT_NE(all.find("\n\n/deep/x:\nc\n"), std::string::npos);
}

TEST_F(MonitorTest, LsLong) {
  EXPECT_EQ(output("ls -l h/a"),
            "-rw-r--r--   4     0     0         3000 2023-11-14 22:13 h/a\n");
  EXPECT_EQ(output("ls -l uni"),
            "lrwxrwxrwx   1     0     0            9 2023-11-14 22:13 uni -> "
            "→/été\n");
  std::string root = output("ls -l /");
  EXPECT_NE(root.find("drwxr-xr-x "), std::string::npos);
  EXPECT_NE(root.find("prw-r--r--   2 "), std::string::npos);
  EXPECT_NE(root.find(" self -> self\n"), std::string::npos);
}

TEST_F(MonitorTest, LsFollowsALinkToADirectory) {
  EXPECT_EQ(output("ls dirlink"), output("ls sym"));
  EXPECT_NE(output("ls -l dirlink").find("dirlink -> sym\n"),
            std::string::npos);
  EXPECT_EQ(output("ls dangling"), "dangling\n");
}

TEST_F(MonitorTest, Sha256PrintsLikeSha256sum) {
  EXPECT_EQ(output("sha256 one"),
            "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
            "  one\n");
  EXPECT_EQ(output("sha256 /h/../one h/a"),
            output("sha256 /h/../one") + output("sha256 h/a"));
  std::string tree = output("sha256 -r /h");
  EXPECT_EQ(lines(tree), 3u);  // a pipe is not a regular file
  EXPECT_NE(tree.find("  /h/a\n"), std::string::npos);
  EXPECT_TRUE(trouble("sha256 /h").starts_with("sha256: /h: is a directory"));
}

TEST_F(MonitorTest, CatPrintsBytes) {
  EXPECT_EQ(output("cat one one"), "11");
  std::string big = output("cat big1");
  EXPECT_EQ(big.size(), 200000u);
  auto digest = check::sha256(std::as_bytes(std::span(big)));
  EXPECT_EQ(std::to_integer<int>(digest[0]), 0x9c);
  EXPECT_EQ(std::to_integer<int>(digest[1]), 0x6b);
  EXPECT_EQ(trouble("cat /"), "cat: /: is a directory\n");
  EXPECT_EQ(trouble("cat self"), "cat: self: too many symbolic links\n");
  EXPECT_EQ(trouble("cat pipe"), "cat: pipe: not a regular file\n");
  EXPECT_EQ(trouble("cat no/where"),
            "cat: no/where: no such file or directory\n");
}

TEST_F(MonitorTest, StatSaysWhatTheInodeSays) {
  std::string text = output("stat big1");
  for (std::string_view part :
       {"path   big1\n", "type   file\n", "links 2\n", "size   200000 bytes",
        "mode   0644 -rw-r--r--\n", "uid 0, gid 0\n",
        "mtime  2023-11-14 22:13:20.000000 UTC\n"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in " << text;
  }
  EXPECT_TRUE(
      output("stat abs")
          .starts_with("path   abs -> /etc/granite-velvet\ntype   symlink\n"));
}

TEST_F(MonitorTest, FindFilters) {
  EXPECT_EQ(output("find deep"), "deep\ndeep/x\ndeep/x/c\n");
  EXPECT_EQ(output("find / -name pipe*"), "/h/pipe2\n/pipe\n/pipe-again\n");
  EXPECT_EQ(output("find deep -type d"), "deep\ndeep/x\n");
  EXPECT_EQ(output("find /deep -type f -name '[a-d]'"), "/deep/x/c\n");
  EXPECT_EQ(output("find / -name /"), "/\n");
  EXPECT_EQ(lines(output("find")), 72u);  // as many as the manifest has
  EXPECT_EQ(lines(output("find many -type f")), 40u);
  (void)trouble("find / -type x", Status::kUsage);
  (void)trouble("find / -name", Status::kUsage);
  (void)trouble("find / -size", Status::kUsage);
}

TEST_F(MonitorTest, ChangingDirectory) {
  EXPECT_EQ(output("pwd; cd deep/x; pwd; ls; cd ..; pwd; cd; pwd"),
            "/\n/deep/x\nc\n/deep\n/\n");
  EXPECT_EQ(output("cd deep//./x/../x/; pwd; cd /"), "/deep/x\n");
  EXPECT_EQ(output("cd /../..; pwd"), "/\n");
  EXPECT_EQ(trouble("cd one"), "cd: one: not a directory\n");
  EXPECT_EQ(trouble("cd nowhere"), "cd: nowhere: no such file or directory\n");
  (void)trouble("cd a b", Status::kUsage);
  (void)trouble("cd " + std::string(4100, 'x'));
}

TEST_F(MonitorTest, DfAndMountTell) {
  std::string df = output("df");
  EXPECT_TRUE(df.starts_with("vd0@DATA on /: HAMMER2 version "));
  EXPECT_NE(df.find("\nsize  2 GiB, for data "), std::string::npos);
  EXPECT_NE(df.find("\nPFS   DATA: MASTER, "), std::string::npos);
  EXPECT_EQ(output("mount"),
            "vd0@DATA on /\ndisk vd0: 2 GiB, fake (Model \\x07), blocks of "
            "512, serial "
            "SER\\x1b[2J, read-only\n");
}

TEST_F(MonitorTest, MountNamesWhatIsThere) {
  EXPECT_EQ(output("mount vd0@DATA; ls deep"), "x\n");
  EXPECT_EQ(trouble("mount vd7"), "mount: vd7: no such disk, disks: vd0\n");
  EXPECT_EQ(output("pwd"), "/\n");  // that left everything as it was
  std::string unknown = trouble("mount vd0@NOPE");
  EXPECT_TRUE(
      unknown.starts_with("mount: vd0@NOPE: no PFS of that label, PFSs: "));
  EXPECT_NE(unknown.find(" DATA"), std::string::npos);
  EXPECT_TRUE(trouble("ls").starts_with("ls: no disk is mounted: try "));
  EXPECT_EQ(output("mount vd0; ls deep"), "x\n");
  (void)trouble("mount vd0@");
  (void)trouble("mount vd0+");
  (void)trouble("mount a b", Status::kUsage);
}

TEST_F(MonitorTest, StatusIsTheLastCommands) {
  EXPECT_EQ(bench_.run("cat nope; ls deep"), Status::kDone);
  EXPECT_EQ(bench_.run("ls deep; cat nope"), Status::kFailed);
  EXPECT_EQ(bench_.run("cat nope one; # done"), Status::kFailed);
  EXPECT_EQ(bench_.console.out, "1");
  EXPECT_EQ(bench_.run(""), Status::kDone);
  EXPECT_EQ(bench_.run("ls -x"), Status::kUsage);
  EXPECT_EQ(bench_.run("echo 'open"), Status::kUsage);
}

TEST_F(MonitorTest, ControlCEndsAScript) {
  bench_.console.typed_meanwhile = "xx\x03yy";
  EXPECT_EQ(bench_.run("cat big1; echo never"), Status::kInterrupted);
  EXPECT_EQ(bench_.console.out, "");
  bench_.console.typed_meanwhile = "\x03";
  EXPECT_EQ(bench_.run("find /; echo never"), Status::kInterrupted);
}

TEST_F(MonitorTest, CompletesCommandsAndPaths) {
  auto row = [&](std::string keys) {
    // What stands before the cursor, then ^C.
    VtScreen screen = bench_.converse(keys + "|\x03");
    auto rows = screen.rows();
    EXPECT_EQ(screen.trouble(), "");
    std::string line = rows[rows.size() - 3];
    return line.substr(5, line.find('|') - 5);
  };
  EXPECT_EQ(row("po\t"), "poweroff ");
  EXPECT_EQ(row("s\t"), "s");  // stat, sha256
  EXPECT_EQ(row("c\t"), "c");
  EXPECT_EQ(row("ls de\t"), "ls deep/");
  EXPECT_EQ(row("ls deep/\t\t"), "ls deep/x/c ");
  EXPECT_EQ(row("ls /deep/x/\t"), "ls /deep/x/c ");
  EXPECT_EQ(row("ls; cat on\t"), "ls; cat one ");
  EXPECT_EQ(row("cat pi\t"), "cat pipe");
  EXPECT_EQ(row("cat nope/\t"), "cat nope/");
  EXPECT_EQ(row("cat zzz\t"), "cat zzz");
  EXPECT_EQ(row("cat 'on\t"), "cat 'on");
}

TEST_F(MonitorTest, CompletionListsCandidates) {
  VtScreen screen = bench_.converse("ls /h/\t");
  auto rows = screen.rows();
  ASSERT_EQ(rows.size(), 6u);
  EXPECT_EQ(rows[1], "odo> ls /h/");
  // In the medium's order, two blanks after each.
  std::istringstream listed(rows[2] + " " + rows[3]);
  std::set<std::string> names{std::istream_iterator<std::string>(listed), {}};
  EXPECT_EQ(names,
            (std::set<std::string>{"a", "b", "pipe2", std::string(100, 'q')}));
  EXPECT_EQ(rows[4], "odo> ls /h/");
}

TEST_F(MonitorTest, Conversation) {
  VtScreen screen = bench_.converse("ls deep\rcat pipe\r\x04");
  EXPECT_EQ(
      screen.rows(),
      (std::vector<std::string>{
          "Odonata monitor: `help` lists the commands, vd0@DATA is mounted.",
          "odo> ls deep", "x", "odo> cat pipe", "cat: pipe: not a regular file",
          "odo>", "`poweroff` turns the machine off", "odo>", ""}));
  EXPECT_EQ(screen.trouble(), "");
}

TEST_F(MonitorTest, PromptNeverOverwritesOutput) {
  VtScreen screen = bench_.converse("cat one\rcat one pipe\r");
  EXPECT_EQ(screen.rows(),
            (std::vector<std::string>{
                "Odonata monitor: `help` lists the commands, vd0@DATA is "
                "mounted.",
                "odo> cat one", "1", "odo> cat one pipe", "1",
                "cat: pipe: not a regular file", "odo>", ""}));
}

TEST(MonitorNoDiskTest, FilesNeedADisk) {
  EmptyBench bench;
  EXPECT_EQ(bench.monitor().mount_any(), Status::kDone);
  for (std::string_view command :
       {"ls", "cat x", "stat x", "sha256 x", "find", "df", "cd", "pwd"}) {
    std::string name(command.substr(0, command.find(' ')));
    EXPECT_EQ(bench.trouble(command),
              name +
                  ": no disk is mounted: this machine has no disk; boot it "
                  "with one\n");
  }
  EXPECT_EQ(bench.trouble("mount vd0"),
            "mount: vd0: no such disk, and no other: boot the machine with "
            "one\n");
  EXPECT_EQ(bench.output("mount"), "nothing is mounted\n");
}

TEST(MonitorNoDiskTest, RandomBytesAreNoFilesystem) {
  EmptyBench bench;
  std::mt19937 random(12);
  std::vector<std::byte> disk(1 << 20);
  for (std::byte& b : disk) b = static_cast<std::byte>(random());
  bench.machine.add_disk("vd0", "", block::MemoryDevice(disk));
  EXPECT_EQ(bench.monitor().mount_any(), Status::kFailed);
  EXPECT_TRUE(
      bench.console.err.starts_with("mount: vd0: no HAMMER2 filesystem here"))
      << bench.console.err;
  EXPECT_EQ(bench.trouble("ls /"),
            "ls: no disk is mounted: try `mount vd0`, disks: vd0\n");
}

// The disk's own first bytes are as good as those of its partition: a header of
// a filesystem that was there before is not what is looked for.
TEST(MonitorPartsTest, PartsAreLookedIntoAndTheirDiskIsNot) {
  Bench<LinksDevice> bench;
  bench.machine.add_disk("vd0", "SER", LinksDevice());
  bench.machine.tell_of_disk("GPT", true);
  bench.machine.add_disk("vd0p3", "", LinksDevice());
  bench.machine.tell_of_disk("HAMMER2", false);
  EXPECT_EQ(bench.monitor().mount_any(), Status::kDone);
  EXPECT_EQ(bench.output("mount"),
            "vd0p3@DATA on /\n"
            "disk vd0: 2 GiB, fake (Model \\x07), GPT, blocks of 512, serial "
            "SER, read-only\n"
            "disk vd0p3: 2 GiB, fake (Model \\x07), HAMMER2, blocks of 512, "
            "read-only\n");
  EXPECT_EQ(bench.output("mount vd0; ls deep"), "x\n");
}

TEST(MonitorPartsTest, WithoutAFilesystemThePartThatWasTriedIsNamed) {
  EmptyBench bench;
  std::vector<std::byte> disk(1 << 20);
  bench.machine.add_disk("vd0", "", block::MemoryDevice(disk));
  bench.machine.tell_of_disk("MBR", true);
  EXPECT_EQ(bench.monitor().mount_any(), Status::kDone);
  bench.machine.add_disk("vd0p1", "", block::MemoryDevice(disk));
  EXPECT_EQ(bench.monitor().mount_any(), Status::kFailed);
  EXPECT_TRUE(
      bench.console.err.starts_with("mount: vd0p1: no HAMMER2 filesystem here"))
      << bench.console.err;
}

TEST(MonitorNoDiskTest, TheMachineTells) {
  EmptyBench bench;
  EXPECT_EQ(bench.output("mem"),
            "total   64 MiB\nkernel  1.5 MiB\n"
            "heap    10 MiB, in use 9 MiB by 1234 objects, kept 96 KiB, "
            "given back 2 MiB\n"
            "free    48 MiB, longest run 32 MiB\n");
  bench.machine.objects = 1;
  EXPECT_NE(bench.output("mem").find("by 1 object,"), std::string::npos);
  EXPECT_EQ(bench.output("pci"),
            "00:00.0 8086:29c0 rev 00 class 060000 host bridge\n"
            "00:1f.7 1af4:1042 rev 01 class 010000 SCSI controller, "
            "virtio-blk\n");
  EXPECT_EQ(
      bench.output("cpu"),
      "cpus      2 running of 4\nvendor    GenuineTest\nmodel     A processor\n"
      "features  nx sse4.2\ntsc       2400.050 MHz\ntimer     apic\n");
  EXPECT_EQ(bench.output("cpus"),
            "apic 0: package 0 core 0 thread 0, runs as CPU 0\n"
            "apic 1: package 0 core 0 thread 1, does not answer\n"
            "apic 18: package 1 core 1 thread 0, runs as CPU 1\n"
            "apic 300: package 18 core 6 thread 0, left out\n");
  EXPECT_EQ(bench.output("uptime"), "up 00:00:01.234\n");
  bench.machine.uptime = 2 * 86'400'000'000'000 + 3'661'000'000'000;
  EXPECT_EQ(bench.output("uptime"), "up 2 days 01:01:01.000\n");
}

TEST(MonitorNoDiskTest, DmesgTellsWhenWhatWasSaid) {
  EmptyBench bench;
  EXPECT_EQ(bench.output("dmesg"), "");
  bench.machine.log.write("odo: first\n", 16'532'999);
  bench.machine.log.write("disk \x1b[2J", 86'400'000'000'000);
  EXPECT_EQ(bench.output("dmesg"),
            "[    0.016532] odo: first\n"
            "[86400.000000] disk \\x1b[2J\n");
  bench.console.typed_meanwhile = "\x03";
  for (int i = 0; i < 70; ++i) bench.machine.log.write("a line\n", 0);
  EXPECT_EQ(bench.run("dmesg"), Status::kInterrupted);
}

TEST(MonitorNoDiskTest, ThreadsAreListedWithWhatTheyWaitFor) {
  EmptyBench bench;
  EXPECT_EQ(bench.output("threads"), "no threads: a script runs without any\n");
  constexpr std::array kTokens{TokenInfo{"vnode", false, true},
                               TokenInfo{"super\x07", true, false}};
  constexpr std::array<std::uint64_t, 4> kFrames{0x1080, 0x1100, 0x1200,
                                                 0xdead};
  // It has not begun: it goes on with its first instruction.
  constexpr std::array<std::uint64_t, 1> kBegins{0x1200};
  using enum ThreadState;
  bench.machine.threads = {
      {1, {"idle", kRunning, 0, 0, {}, {}}},
      {0, {"sync", kAsleep, 12, 0xffffffff80212340, kTokens, kFrames}},
      {0, {"sync", kWaiting, 12, 0, kTokens, {}}},
      {0, {"odd\x1b", kPreempted, 30, 0, {}, std::span(kFrames).last(1)}},
      {0, {"new", kWaiting, 30, 0, {}, kBegins}}};
  EXPECT_EQ(bench.output("threads"),
            "CPU  PRI  STATE     THREAD\n"
            "  0   12  asleep    sync, on 0xffffffff80212340, "
            "in odo::(anonymous namespace)::rest, "
            "holds vnode, gave up super\\x07 (shared)\n"
            "  0   12  waiting   sync, holds vnode, wants super\\x07 (shared)\n"
            "  0   30  preempted odd\\x1b\n"
            "  0   30  waiting   new, in start\n"
            "  1    0  running   idle\n");
  EXPECT_EQ(bench.output("backtrace new"),
            "  0   30  waiting   new, in start\n"
            "    0000000000001200 start+0x0\n");
  // Where a call is the last instruction of a function, the address after it is
  // another's.
  const std::string all = bench.output("backtrace sync");
  EXPECT_NE(all.find("\n"
                     "    0000000000001080 odo::(anonymous namespace)::"
                     "rest(odo::Bed&, void (*)(int))+0x80\n"
                     "    0000000000001100 odo::(anonymous namespace)::"
                     "rest(odo::Bed&, void (*)(int))+0x100\n"
                     "    0000000000001200 void odo::live<void (int)>(unsigned "
                     "long)+0x100\n"
                     "    000000000000dead ?\n"
                     "  0   12  waiting   sync, "),
            std::string::npos)
      << all;
  EXPECT_TRUE(all.ends_with("\n    nothing that can be told\n"));
  EXPECT_EQ(bench.trouble("backtrace nobody"),
            "backtrace: nobody: no thread has this name: `threads` lists "
            "them\n");
  (void)bench.trouble("backtrace", Status::kUsage);
  bench.machine.silent_cpu = 0;
  EXPECT_EQ(bench.trouble("threads"), "threads: CPU 0 does not answer\n");
  EXPECT_TRUE(bench.console.out.ends_with("  1    0  running   idle\n"));
  bench.console.typed_meanwhile = "\x03";
  EXPECT_EQ(bench.run("threads"), Status::kInterrupted);
}

TEST(MonitorNoDiskTest, MallocShowsEachCpusLane) {
  EmptyBench bench;
  EXPECT_EQ(
      bench.output("malloc"),
      "mapped   10 MiB\n"
      "objects  1234 of 9 MiB\n"
      "kept     96 KiB\n"
      "CPU      SLABS      MADE     FILLS    DRAINS     POSTS  HARVESTS\n"
      "  0          3         7        10         8         3         2\n"
      "  1          3         7        11         8         3         2\n");
}

TEST(MonitorNoDiskTest, PoweroffAndReboot) {
  EmptyBench bench;
  // The machine here refuses, which is told.
  EXPECT_EQ(bench.trouble("poweroff"),
            "poweroff: this machine does not do it: turn it off\n");
  EXPECT_EQ(bench.machine.power_status, 0);
  (void)bench.trouble("poweroff 77");
  EXPECT_EQ(bench.machine.power_status, 77);
  (void)bench.trouble("poweroff 256", Status::kUsage);
  (void)bench.trouble("poweroff -1", Status::kUsage);
  (void)bench.trouble("poweroff 1 2", Status::kUsage);
  EXPECT_EQ(bench.machine.power_status, 77);
  (void)bench.trouble("reboot");
  EXPECT_EQ(bench.machine.reboots, 1);
}

TEST(MonitorNoDiskTest, UnknownCommandsGetAGuess) {
  EmptyBench bench;
  EXPECT_EQ(bench.trouble("sl", Status::kUnknown),
            "monitor: sl: unknown command, did you mean `ls`?\n");
  EXPECT_EQ(bench.trouble("powerof", Status::kUnknown),
            "monitor: powerof: unknown command, did you mean `poweroff`?\n");
  EXPECT_EQ(bench.trouble("help mnt", Status::kUnknown),
            "monitor: mnt: unknown command, did you mean `mount`?\n");
  EXPECT_TRUE(bench.trouble("\\x1b[2J", Status::kUnknown)
                  .starts_with("monitor: \\x1b[2J: unknown command, `help` "));
  std::string longest = bench.trouble(std::string(9000, 'y'), Status::kUnknown);
  EXPECT_LT(longest.size(), 160u);
  EXPECT_EQ(bench.run("''"), Status::kUnknown);
}

TEST(MonitorNoDiskTest, HelpShowsEveryCommand) {
  EmptyBench bench;
  std::string all = bench.output("help");
  for (const auto& command : kCommands<EmptyBench::Subject::MonitorSession>) {
    std::string name(command.name);
    EXPECT_NE(("\n" + all).find("\n" + name + " "), std::string::npos) << name;
    std::string one = bench.output("help " + name);
    EXPECT_TRUE(one.starts_with(name));
    EXPECT_NE(one.find(command.help), std::string::npos);
  }
  for (std::string_view rest = all; !rest.empty();) {
    std::size_t end = rest.find('\n');
    EXPECT_LE(end, 100u);
    rest.remove_prefix(end + 1);
  }
}

TEST(MonitorNoDiskTest, EchoAndQuotes) {
  EmptyBench bench;
  EXPECT_EQ(bench.output("echo a 'b  c' \\x41 \"d;\"; echo"),
            "a b  c A d;\n\n");
}

TEST(MonitorHostileTest, AnyConversationEnds) {
  EmptyBench bench;
  std::vector<std::byte> disk(1 << 16);
  bench.machine.add_disk("vd0", "", block::MemoryDevice(disk));
  std::mt19937 random(13);
  constexpr std::string_view kWords[] = {
      "ls ", "cat ", "find ", "mount ", "vd0", "@", "+",  "help ", "sha256 ",
      "-r ", "/",    "'",     "\"",     "\\",  ";", "\r", "\t",    "\x1b[A"};
  std::string keys;
  for (int i = 0; i < 3000; ++i) {
    if (random() % 2 == 0) {
      keys += kWords[random() % std::size(kWords)];
    } else {
      keys += static_cast<char>(random() % 256);
    }
  }
  VtScreen screen = bench.converse(keys);
  EXPECT_EQ(bench.console.typed, "");
}

}  // namespace
}  // namespace odo::monitor
