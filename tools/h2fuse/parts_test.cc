// SPDX-License-Identifier: BSD-3-Clause
// The parts that need no kernel: positions, errors, attributes, options,
// memory.
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/types.h"
#include "tools/h2fuse/attributes.h"
#include "tools/h2fuse/errors.h"
#include "tools/h2fuse/frame_backing.h"
#include "tools/h2fuse/options.h"
#include "tools/h2fuse/position.h"
#include "tools/h2fuse/reader.h"

namespace odo::h2fuse {
namespace {

using hammer2::Code;
using hammer2::ObjectType;

constexpr std::uint64_t kFirst = hammer2::format::kDirhashVisible;
constexpr std::uint64_t kLast = ~std::uint64_t{0};

TEST(Position, GoesOnBehindTheKey) {
  for (const std::uint64_t key :
       {kFirst, kFirst + 1, kFirst + 0x8000, kFirst + (kFirst >> 1),
        kLast - 0x8000, kLast - 5}) {
    const std::int64_t position = position_after(key);
    EXPECT_GT(position, kAtEntries);
    EXPECT_LT(position, kEnd);
    const hammer2::DirCursor cursor = cursor_at(position);
    EXPECT_FALSE(cursor.at_end);
    EXPECT_EQ(cursor.next_key, key + 1);
  }
}

TEST(Position, StartsAtTheFirstKey) {
  for (const std::int64_t position : {kAtDot, kAtDotDot, kAtEntries}) {
    EXPECT_EQ(cursor_at(position).next_key, kFirst);
    EXPECT_FALSE(cursor_at(position).at_end);
  }
}

TEST(Position, RisesAndEnds) {
  std::int64_t before = kAtEntries;
  for (std::uint64_t key = kLast - 20; key < kLast - 4; ++key) {
    EXPECT_GT(position_after(key), before);
    before = position_after(key);
  }
  for (std::uint64_t back = 0; back <= 3; ++back) {
    EXPECT_EQ(position_after(kLast - back), kEnd) << back;
  }
  EXPECT_TRUE(cursor_at(kEnd).at_end);
}

TEST(Errors, DamageIsEioAndRequestsAreTheirOwn) {
  EXPECT_EQ(errno_of(Code::kNotFound), ENOENT);
  EXPECT_EQ(errno_of(Code::kNotDirectory), ENOTDIR);
  EXPECT_EQ(errno_of(Code::kIsDirectory), EISDIR);
  EXPECT_EQ(errno_of(Code::kNotSymlink), EINVAL);
  EXPECT_EQ(errno_of(Code::kNameTooLong), ENAMETOOLONG);
  EXPECT_EQ(errno_of(Code::kNoMemory), ENOMEM);
  for (unsigned code = 0; code <= static_cast<unsigned>(Code::kTooDeep);
       ++code) {
    const auto each = static_cast<Code>(code);
    if (hammer2::kind_of(each) != hammer2::ErrorKind::kRequest) {
      EXPECT_EQ(errno_of(each), EIO) << code;
    }
  }
}

hammer2::Error damage_at(std::uint64_t offset) {
  hammer2::Error error{.code = Code::kCheckMismatch};
  error.type = hammer2::format::BlockType::kData;
  error.offset = offset;
  error.bytes = 1024;
  error.inum = 7;
  return error;
}

TEST(DamageLog, NamesEachBlockOnce) {
  std::vector<std::string> lines;
  DamageLog log([&](const std::string& line) { lines.push_back(line); });
  log.report(damage_at(0x10000));
  log.report(damage_at(0x10000));
  log.report(damage_at(0x20000));
  log.report(hammer2::Error{.code = Code::kNotFound});
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_NE(lines[0].find("data block at 0x10000"), std::string::npos);
  EXPECT_NE(lines[1].find("data block at 0x20000"), std::string::npos);
}

TEST(DamageLog, StopsAtSomePoint) {
  std::vector<std::string> lines;
  DamageLog log([&](const std::string& line) { lines.push_back(line); });
  for (std::uint64_t i = 0; i < 2 * DamageLog::kMaxLines; ++i) {
    log.report(damage_at(i << 16));
  }
  ASSERT_EQ(lines.size(), DamageLog::kMaxLines + 1);
  EXPECT_EQ(lines.back(), "more damaged blocks, not listed");
}

TEST(Attributes, BecomeStat) {
  hammer2::Attributes of;
  of.type = ObjectType::kRegular;
  of.mode = 04755;
  of.uid = 1;
  of.gid = 2;
  of.size = 3;
  of.nlinks = 4;
  of.inum = 0x123456789abc;
  of.data_bytes = 65536;
  of.mtime_us = 1'700'000'000'123'456;
  const struct stat to = stat_of(of);
  EXPECT_EQ(to.st_mode, static_cast<mode_t>(S_IFREG | 04755));
  EXPECT_EQ(to.st_uid, 1U);
  EXPECT_EQ(to.st_gid, 2U);
  EXPECT_EQ(to.st_size, 3);
  EXPECT_EQ(to.st_nlink, 4U);
  EXPECT_EQ(to.st_ino, 0x123456789abcU);
  EXPECT_EQ(to.st_blocks, 128);
  EXPECT_EQ(to.st_mtim.tv_sec, 1'700'000'000);
  EXPECT_EQ(to.st_mtim.tv_nsec, 123'456'000);
}

TEST(Attributes, HostileNumbersStayInRange) {
  hammer2::Attributes of;
  of.size = kLast;
  of.nlinks = kLast;
  of.atime_us = kLast;
  const struct stat to = stat_of(of);
  EXPECT_GT(to.st_size, 0);
  EXPECT_EQ(to.st_nlink, 0xffffffffU);
  EXPECT_EQ(type_bits(ObjectType::kWhiteout), 0U);
  EXPECT_EQ(device_number(0xfff, 0xfffff), makedev(0xfff, 0xfffff));
  EXPECT_EQ(device_number(0x1000, 1), 0U);
  EXPECT_EQ(device_number(1, 0x100000), 0U);
}

Options parsed(std::initializer_list<std::string> words) {
  std::vector<std::string> all = {"h2fuse"};
  all.insert(all.end(), words);
  std::vector<char*> argv;
  argv.reserve(all.size() + 1);
  for (std::string& word : all) argv.push_back(word.data());
  argv.push_back(nullptr);
  return parse_options(static_cast<int>(all.size()), argv.data());
}

std::string complaint(std::initializer_list<std::string> words) {
  try {
    (void)parsed(words);
  } catch (const UsageError& error) {
    return error.what();
  }
  return {};
}

TEST(Options, AllOfThem) {
  const Options got =
      parsed({"--foreground", "--volume", "b", "a", "--threads=3", "@X",
              "--allow-other", "/m", "--cache", "64"});
  EXPECT_TRUE(got.foreground);
  EXPECT_TRUE(got.allow_other);
  EXPECT_EQ(got.threads, 3U);
  EXPECT_EQ(got.cache_mib, 64U);
  EXPECT_EQ(got.images, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(got.pfs, "X");
  EXPECT_EQ(got.mountpoint, "/m");
}

TEST(Options, FewOfThem) {
  const Options got = parsed({"a", "/m"});
  EXPECT_FALSE(got.foreground);
  EXPECT_GE(got.threads, 1U);
  EXPECT_LE(got.threads, 8U);
  EXPECT_TRUE(got.pfs.empty());
  EXPECT_TRUE(parsed({"--help"}).help);
}

TEST(Options, SayWhatIsWrong) {
  EXPECT_EQ(complaint({}), "no image given");
  EXPECT_EQ(complaint({"a"}), "no mount point given");
  EXPECT_EQ(complaint({"a", "b", "c"}),
            "unexpected argument: c (further volumes take --volume)");
  EXPECT_EQ(complaint({"a", "@X", "@Y", "c"}), "unexpected argument: @Y");
  EXPECT_EQ(complaint({"a", "--nope", "c"}), "unknown option: --nope");
  EXPECT_EQ(complaint({"a", "c", "--volume"}), "--volume needs a value");
  EXPECT_EQ(complaint({"a", "c", "--threads", "0"}),
            "--threads takes a number from 1 to 64, not 0");
  EXPECT_EQ(complaint({"a", "c", "--threads", "8", "--cache", "7"}),
            "--cache must be 8 or more for 8 threads");
}

// --- Memory for frames -------------------------------------------------------

TEST(FrameMapping, KeepsToItsFramesAndUsesThemAgain) {
  constexpr std::size_t kFrames = 5;
  FrameMapping mapping(kFrames);
  const FrameBacking backing(mapping);
  constexpr std::size_t kBytes = sizeof(hammer2::cache::FrameMemory) + 40;
  std::vector<void*> all;
  while (void* const frame = backing.allocate(kBytes, 64)) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(frame) % 64, 0U);
    std::memset(frame, static_cast<int>(all.size()), kBytes);
    all.push_back(frame);
  }
  // Large pages leave a little more.
  EXPECT_GE(all.size(), kFrames);
  EXPECT_LE(all.size(), 2 * kFrames + 30);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto* const bytes = static_cast<const unsigned char*>(all[i]);
    EXPECT_EQ(bytes[0], i);
    EXPECT_EQ(bytes[kBytes - 1], i);
  }
  backing.free(all[1], kBytes);
  backing.free(all[3], kBytes);
  EXPECT_EQ(backing.allocate(kBytes, 64), all[3]);
  EXPECT_EQ(backing.allocate(kBytes, 64), all[1]);
  EXPECT_EQ(backing.allocate(kBytes, 64), nullptr);
  // What is small is the heap's.
  void* const small = backing.allocate(100, 64);
  EXPECT_NE(small, nullptr);
  backing.free(small, 100);
}

TEST(Blocks, RefuseWhatIsTooLittle) {
  EXPECT_NO_THROW(Blocks(std::size_t{2} << 20, 7));
  try {
    const Blocks blocks(std::size_t{2} << 20, 8);
    FAIL() << "30 frames are too few for 8 readers";
  } catch (const h2::Failure& failure) {
    EXPECT_STREQ(failure.what(),
                 "not enough memory for the block cache: 1920 KiB, needs 2 "
                 "MiB");
  }
}

}  // namespace
}  // namespace odo::h2fuse
