// SPDX-License-Identifier: BSD-3-Clause
#include "lib/block/sim/fault_disk.h"

#include <cstddef>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "lib/base/bytes.h"
#include "lib/block/memory_device.h"
#include "lib/block/sim/crash_disk.h"

namespace odo::block {
namespace {

constexpr std::size_t kBytes = 65536;

class FaultDiskTest : public ::testing::Test {
 protected:
  FaultDiskTest() : bytes_(kBytes), below_(bytes_), disk_(below_) {}

  // Whether a write, read or flush worked; a failure must be kIo.
  static bool worked(const Result<void>& result) {
    if (!result) EXPECT_EQ(result.error(), Error::kIo);
    return result.has_value();
  }
  bool write(std::uint64_t at, unsigned value, std::size_t size = 4096) {
    const std::vector<std::byte> data(size, static_cast<std::byte>(value));
    return worked(disk_.write(at, data));
  }
  bool read(std::uint64_t at) {
    std::vector<std::byte> data(4096);
    return worked(disk_.read(at, data));
  }
  // How many of the blocks of [at, at + size) hold the value alone.
  std::size_t blocks_of(unsigned value, std::uint64_t at, std::size_t size) {
    std::size_t found = 0;
    for (std::size_t i = at; i < at + size; i += kMinBlockBytes) {
      const std::vector<std::byte> block(kMinBlockBytes,
                                         static_cast<std::byte>(value));
      found += equal_bytes(Bytes(bytes_).subspan(i, block.size()), block);
    }
    return found;
  }

  std::vector<std::byte> bytes_;
  WritableMemoryDevice below_;
  FaultDisk<WritableMemoryDevice> disk_;
};

TEST_F(FaultDiskTest, IsTransparentUnlessAsked) {
  EXPECT_TRUE(write(0, 1));
  EXPECT_TRUE(read(0));
  EXPECT_TRUE(worked(disk_.flush()));
  EXPECT_EQ(bytes_[0], std::byte{1});
  EXPECT_EQ(disk_.writes(), 1U);
  EXPECT_EQ(disk_.reads(), 1U);
  EXPECT_EQ(disk_.flushes(), 1U);
  EXPECT_EQ(disk_.requests(), 3U);
}

TEST_F(FaultDiskTest, TheChosenRequestFailsOnce) {
  disk_.fail_read(1);
  disk_.fail_write(2);
  disk_.fail_flush(0);
  EXPECT_TRUE(read(0));
  EXPECT_FALSE(read(0));
  EXPECT_TRUE(read(0));
  EXPECT_TRUE(write(0, 1));
  EXPECT_TRUE(write(4096, 1));
  EXPECT_FALSE(write(8192, 1));
  EXPECT_TRUE(write(12288, 1));
  EXPECT_FALSE(worked(disk_.flush()));
  EXPECT_TRUE(worked(disk_.flush()));
  EXPECT_EQ(blocks_of(1, 0, 8192), 16U);
  EXPECT_EQ(blocks_of(0, 8192, 4096), 8U);
  // Counting starts from the request that asked.
  disk_.fail_read(0);
  EXPECT_FALSE(read(0));
}

TEST_F(FaultDiskTest, AFailedWriteLeavesOldNewOrAMixture) {
  disk_.fail_write(0, FailedWrite::kNewBytes);
  EXPECT_FALSE(write(0, 1, 8192));
  EXPECT_EQ(blocks_of(1, 0, 8192), 16U);
  disk_.fail_write(0, FailedWrite::kOldBytes);
  EXPECT_FALSE(write(0, 2, 8192));
  EXPECT_EQ(blocks_of(1, 0, 8192), 16U);
  std::size_t differing = 0;
  for (unsigned seed = 1; seed <= 8; ++seed) {
    EXPECT_TRUE(write(0, 1, 8192));
    disk_.seed(seed);
    disk_.fail_write(0, FailedWrite::kMixture);
    EXPECT_FALSE(write(0, 3, 8192));
    EXPECT_EQ(blocks_of(1, 0, 8192) + blocks_of(3, 0, 8192), 16U);
    differing += blocks_of(3, 0, 8192) % 16 != 0 ? 1 : 0;
  }
  EXPECT_GE(differing, 7U);
}

TEST_F(FaultDiskTest, ADeviceThatIsGoneStaysAway) {
  disk_.vanish_after(3);
  EXPECT_TRUE(write(0, 1));
  EXPECT_TRUE(read(0));
  EXPECT_TRUE(worked(disk_.flush()));
  EXPECT_FALSE(write(0, 2));
  EXPECT_FALSE(read(0));
  EXPECT_FALSE(worked(disk_.flush()));
  EXPECT_EQ(bytes_[0], std::byte{1});
  disk_.heal();
  EXPECT_TRUE(read(0));
}

TEST_F(FaultDiskTest, ABrokenRangeFailsWhoeverTouchesIt) {
  disk_.break_range(8192, 512);
  EXPECT_TRUE(write(4096, 1));
  EXPECT_FALSE(write(8192, 1));
  EXPECT_FALSE(read(8192));
  EXPECT_FALSE(write(4096, 2, 8192));
  EXPECT_EQ(blocks_of(1, 4096, 4096), 8U);
  EXPECT_TRUE(read(12288));
}

TEST_F(FaultDiskTest, AShortDeviceEndsEarly) {
  disk_.shorten(kBytes / 2);
  EXPECT_EQ(disk_.size_bytes(), kBytes / 2);
  std::vector<std::byte> data(4096);
  EXPECT_TRUE(disk_.read(kBytes / 2 - 4096, data));
  EXPECT_EQ(disk_.read(kBytes / 2, data).error(), Error::kOutOfRange);
  EXPECT_EQ(disk_.write(kBytes / 2, data).error(), Error::kOutOfRange);
  EXPECT_EQ(disk_.write(1, data).error(), Error::kMisaligned);
}

TEST(FaultyCrashDiskTest, FlushesFailInThreeWays) {
  for (const FailedFlush how :
       {FailedFlush::kStillPending, FailedFlush::kDurable,
        FailedFlush::kSomeLost}) {
    ZeroDevice base(kBytes);
    CrashDisk crash(base);
    FaultDisk disk(crash);
    const std::vector<std::byte> data(kBytes / 2, std::byte{1});
    ASSERT_TRUE(disk.write(0, data));
    disk.fail_flush(0, how);
    EXPECT_EQ(disk.flush().error(), Error::kIo);
    std::vector<std::byte> got(kBytes / 2);
    for (unsigned i = 0; i < 4; ++i) {
      ASSERT_TRUE(disk.write(kBytes / 2, Bytes(data).first(512)));
    }
    EXPECT_EQ(crash.flushes(), how == FailedFlush::kDurable ? 1U : 0U);
    EXPECT_EQ(crash.log().pending(),
              how == FailedFlush::kStillPending ? 5U : 4U);
  }
}

// Whatever was asked of it, a mixture reaches the log as what was written.
TEST(FaultyCrashDiskTest, AFailedWriteIsLoggedAsItLanded) {
  ZeroDevice base(kBytes);
  CrashDisk crash(base);
  FaultDisk disk(crash);
  const std::vector<std::byte> data(16384, std::byte{1});
  disk.fail_write(0, FailedWrite::kMixture);
  EXPECT_FALSE(disk.write(0, data));
  EXPECT_GT(crash.writes(), 4U);
  EXPECT_LT(crash.writes(), 28U);
  disk.fail_write(0, FailedWrite::kOldBytes);
  const std::size_t writes = crash.writes();
  EXPECT_FALSE(disk.write(0, data));
  EXPECT_EQ(crash.writes(), writes);
}

}  // namespace
}  // namespace odo::block
