// SPDX-License-Identifier: BSD-3-Clause
#include "lib/boot/pvh.h"

#include <gtest/gtest.h>

#include <random>

#include "lib/boot/testing.h"

namespace odo::boot {
namespace {

constexpr std::uint64_t kStart = 0x21e0;
constexpr std::uint64_t kMap = 0x3000;
constexpr std::uint64_t kLine = 0x4000;
constexpr std::uint64_t kModules = 0x5000;
constexpr std::uint64_t kLimit = std::uint64_t{1} << 45;

struct Start {
  std::uint32_t magic = kPvhMagic;
  std::uint32_t version = 1;
  std::uint32_t modules = 0;
  std::uint64_t line = kLine;
  std::uint32_t entries = 2;
  std::uint64_t map = kMap;
};

IslandMemory make(const Start& start) {
  IslandMemory memory;
  memory.put(kStart, Builder()
                         .le(start.magic)
                         .le(start.version)
                         .le(0u)
                         .le(start.modules)
                         .le(kModules)
                         .le(start.line)
                         .le(std::uint64_t{0xf59e0})
                         .le(start.map)
                         .le(start.entries)
                         .le(0u)
                         .bytes());
  memory.put(kMap, Builder()
                       .le(std::uint64_t{0x100000})
                       .le(std::uint64_t{0x3f00000})
                       .le(1u)
                       .le(0u)
                       .le(std::uint64_t{0})
                       .le(std::uint64_t{0x9fc00})
                       .le(1u)
                       .le(0u)
                       .bytes());
  memory.put(kLine, Builder().text("root=vd0 a b").le('\0').text("x").bytes());
  memory.put(kModules, Builder()
                           .le(std::uint64_t{0x200000})
                           .le(std::uint64_t{0x1234})
                           .le(std::uint64_t{0})
                           .le(std::uint64_t{0})
                           .bytes());
  return memory;
}

TEST(PvhTest, ReadsMemoryCommandLineRootPointerAndModules) {
  BootInfo info;
  const Start start{.modules = 1};
  ASSERT_TRUE(parse_pvh(make(start), kStart, kLimit, info));
  EXPECT_EQ(info.protocol, Protocol::kPvh);
  ASSERT_EQ(info.memory.ranges().size(), 2u);
  EXPECT_EQ(info.memory.ranges()[0],
            (MemoryRange{0, 0x9f000, MemoryKind::kUsable}));
  EXPECT_EQ(info.memory.ranges()[1],
            (MemoryRange{0x100000, 0x4000000, MemoryKind::kUsable}));
  EXPECT_EQ(info.command_line(), "root=vd0 a b");
  EXPECT_FALSE(info.command_line_was_cut);
  EXPECT_EQ(info.rsdp_address, 0xf59e0u);
  ASSERT_EQ(info.modules().size(), 1u);
  EXPECT_EQ(info.modules()[0].base, 0x200000u);
  EXPECT_EQ(info.modules()[0].end, 0x201234u);
}

TEST(PvhTest, NamesWhatIsWrong) {
  BootInfo info;
  EXPECT_EQ(parse_pvh(make({.magic = 1}), kStart, kLimit, info).error(),
            Error::kBadMagic);
  EXPECT_EQ(parse_pvh(make({.version = 0}), kStart, kLimit, info).error(),
            Error::kNoMemoryMap);
  EXPECT_EQ(parse_pvh(make({.entries = 0}), kStart, kLimit, info).error(),
            Error::kNoMemoryMap);
  EXPECT_EQ(parse_pvh(make({.entries = 3}), kStart, kLimit, info).error(),
            Error::kUnreadable);
  EXPECT_EQ(parse_pvh(make({.modules = 2}), kStart, kLimit, info).error(),
            Error::kUnreadable);
  EXPECT_EQ(parse_pvh(make({}), kStart + 0x800, kLimit, info).error(),
            Error::kUnreadable);
}

TEST(PvhTest, NoCommandLineIsAnEmptyOne) {
  BootInfo info;
  ASSERT_TRUE(parse_pvh(make({.line = 0}), kStart, kLimit, info));
  EXPECT_EQ(info.command_line(), "");
}

TEST(PvhTest, LongCommandLineIsCutAndTold) {
  IslandMemory memory = make({});
  for (std::size_t size :
       {BootInfo::kMaxCommandLine, BootInfo::kMaxCommandLine + 1}) {
    memory.put(kLine, std::vector<std::byte>(size, std::byte{'x'}));
    memory.put(kModules + 0x10000, {});
    BootInfo info;
    ASSERT_TRUE(parse_pvh(memory, kStart, kLimit, info));
    EXPECT_EQ(info.command_line().size(), BootInfo::kMaxCommandLine);
    EXPECT_EQ(info.command_line_was_cut, size > BootInfo::kMaxCommandLine);
  }
}

TEST(PvhTest, CountsThatLieEndSoon) {
  // A map of empty entries that goes on for ever: bounded by the count check.
  IslandMemory memory = make({.entries = 0xffffffff, .map = 0x100000});
  memory.put(0x100000, std::vector<std::byte>(1 << 20, std::byte{0}));
  BootInfo info;
  EXPECT_EQ(parse_pvh(memory, kStart, kLimit, info).error(),
            Error::kTooManyRanges);
}

TEST(PvhTest, AnyBytesGiveAnAnswer) {
  for (unsigned seed = 0; seed < 3000; ++seed) {
    std::mt19937_64 random(seed);
    IslandMemory memory = make({.modules = 1});
    for (std::uint64_t address : {kStart, kMap, kLine, kModules}) {
      const Bytes old = memory.view(address, 4096);
      std::vector<std::byte> bytes(old.begin(), old.end());
      for (unsigned flips = random() % 6; flips > 0; --flips) {
        // The magic stays, or nothing behind it would be reached.
        const std::size_t at = 4 + random() % (bytes.size() - 4);
        bytes[at] = static_cast<std::byte>(random());
      }
      if (random() % 8 == 0) bytes.resize(random() % bytes.size());
      memory.put(address, bytes);
    }
    BootInfo info;
    if (parse_pvh(memory, kStart, kLimit, info)) {
      for (const MemoryRange& range : info.memory.ranges()) {
        ASSERT_LT(range.base, range.end);
        ASSERT_LE(range.end, kLimit);
      }
    }
  }
}

}  // namespace
}  // namespace odo::boot
