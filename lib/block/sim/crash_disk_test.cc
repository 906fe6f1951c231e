// SPDX-License-Identifier: BSD-3-Clause
#include "lib/block/sim/crash_disk.h"

#include <cstddef>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "lib/base/bytes.h"
#include "lib/block/memory_device.h"
#include "lib/block/sim/cut_device.h"
#include "lib/block/sim/random.h"

namespace odo::block {
namespace {

constexpr std::size_t kSectors = 300;

std::vector<std::byte> random_sectors(Random& random, std::size_t sectors) {
  std::vector<std::byte> bytes(sectors * kSectorBytes);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random.next());
  return bytes;
}

template <class Device>
std::vector<std::byte> image(Device& device) {
  std::vector<std::byte> bytes(device.size_bytes());
  EXPECT_TRUE(device.read(0, bytes));
  return bytes;
}

TEST(CrashDiskTest, ReadsWhatWasWrittenLast) {
  Random random(1);
  std::vector<std::byte> expected = random_sectors(random, kSectors);
  const std::vector<std::byte> bytes = expected;
  MemoryDevice base(bytes);
  CrashDisk disk(base);
  for (int i = 0; i < 200; ++i) {
    const std::size_t sectors = 1 + random.below(40);
    const std::size_t at = random.below(kSectors - sectors + 1) * kSectorBytes;
    const std::vector<std::byte> data = random_sectors(random, sectors);
    ASSERT_TRUE(disk.write(at, data));
    copy_bytes(MutableBytes(expected).subspan(at), data);
    if (random.chance(40)) ASSERT_TRUE(disk.flush());
    if (random.chance(20)) disk.start_log();
    ASSERT_EQ(image(disk), expected);
  }
}

TEST(CrashDiskTest, RefusesWhatOthersRefuse) {
  ZeroDevice base(65536, 4096);
  CrashDisk disk(base);
  const std::vector<std::byte> data(4096);
  EXPECT_EQ(disk.write(512, data).error(), Error::kMisaligned);
  EXPECT_EQ(disk.write(65536, data).error(), Error::kOutOfRange);
  EXPECT_TRUE(disk.write(0, {}));
  EXPECT_EQ(disk.writes(), 0U);
}

TEST(CrashDiskTest, CountsFromTheStartOfTheLog) {
  ZeroDevice base(65536);
  CrashDisk disk(base);
  const std::vector<std::byte> data(1024, std::byte{1});
  ASSERT_TRUE(disk.write(0, data));
  ASSERT_TRUE(disk.flush());
  ASSERT_TRUE(disk.write(2048, data));
  EXPECT_EQ(disk.writes(), 2U);
  EXPECT_EQ(disk.flushes(), 1U);
  EXPECT_EQ(disk.log().pending(), 1U);
  disk.start_log();
  EXPECT_EQ(disk.writes(), 0U);
  EXPECT_EQ(disk.flushes(), 0U);
  // What was pending then is taken for durable.
  Cutter cutter(disk);
  auto device = cutter.cut({});
  EXPECT_EQ(image(device), image(disk));
}

TEST(CrashDiskTest, AFailedFlushMayLoseWritesForGood) {
  ZeroDevice base(65536);
  CrashDisk disk(base);
  const std::vector<std::byte> first(4096, std::byte{1});
  const std::vector<std::byte> second(4096, std::byte{2});
  ASSERT_TRUE(disk.write(0, first));
  ASSERT_TRUE(disk.flush());
  std::vector<std::byte> whole = image(disk);
  for (std::uint64_t at = 0; at < 32768; at += 4096) {
    ASSERT_TRUE(disk.write(at, second));
    copy_bytes(MutableBytes(whole).subspan(at), second);
  }
  disk.lose_pending(3);
  EXPECT_EQ(disk.flushes(), 1U);  // that one doesn't count
  EXPECT_EQ(disk.log().pending(), 0U);
  const std::vector<std::byte> after = image(disk);
  EXPECT_NE(after, whole);
  std::size_t kept = 0;
  for (std::size_t at = 0; at < after.size(); at += kSectorBytes) {
    const std::byte b = after[at];
    // Each sector is old or new.
    EXPECT_TRUE(b == std::byte{2} || b == (at < 4096 ? first[0] : std::byte{}));
    kept += b == std::byte{2} ? 1 : 0;
  }
  EXPECT_GT(kept, 0U);
  // It stays so, in what is durable too.
  ASSERT_TRUE(disk.flush());
  EXPECT_EQ(disk.flushes(), 2U);
  Cutter cutter(disk);
  auto device = cutter.cut({.epoch = disk.log().epochs().size() - 1});
  EXPECT_EQ(image(device), after);
}

TEST(WriteLogTest, KnowsWhereWritesOverlap) {
  WriteLog log;
  const std::vector<std::byte> two(2 * kSectorBytes);
  log.add(0 * kSectorBytes, two);
  log.add(4 * kSectorBytes, two);
  log.add(2 * kSectorBytes, two);
  EXPECT_EQ(log.disjoint(log.epochs()[0]), 3U);
  log.add(5 * kSectorBytes, two);
  log.add(9 * kSectorBytes, two);
  EXPECT_EQ(log.disjoint(log.epochs()[0]), 3U);
  log.end_flushed();
  log.add(5 * kSectorBytes, two);
  log.add(4 * kSectorBytes, two);
  EXPECT_EQ(log.disjoint(log.epochs()[1]), 1U);
  EXPECT_EQ(log.epochs()[1].first_write, 5U);
  EXPECT_EQ(log.epochs()[1].writes(), 2U);
}

}  // namespace
}  // namespace odo::block
