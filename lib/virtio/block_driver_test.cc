// SPDX-License-Identifier: BSD-3-Clause
#include "lib/virtio/block_driver.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "lib/virtio/testing.h"

namespace odo::virtio {
namespace {

constexpr std::uint64_t kSizeMax = 1u << 1;
constexpr std::uint64_t kSegmentMax = 1u << 2;
constexpr std::uint64_t kReadOnly = 1u << 5;
constexpr std::uint64_t kBlockSize = 1u << 6;
constexpr std::uint64_t kFlush = 1u << 9;

// Types of requests.
constexpr std::uint32_t kIn = 0;
constexpr std::uint32_t kOut = 1;
constexpr std::uint32_t kFlushRequest = 4;
constexpr std::uint32_t kGetId = 8;

// A disk behind a SimDevice. It takes requests when rung and answers them in
// wait(), so that tests see how many are under way.
class SimDisk {
 public:
  explicit SimDisk(std::size_t bytes) : content(bytes) {
    std::mt19937_64 random(bytes);
    for (std::byte& b : content) b = static_cast<std::byte>(random());
    device.on_notify = [this](unsigned) { accept(); };
    set_capacity(bytes / 512);
  }

  void set_capacity(std::uint64_t sectors) {
    store_le(device.config.data(), sectors);
  }
  void set_limit(std::size_t at, std::uint32_t value) {
    store_le(device.config.data() + at, value);
  }

  // One step of the device's own time.
  void work() {
    if (device.is_reset || is_dead) return;
    accept();
    if (waiting.empty()) return;
    std::size_t pick = 0;
    if (answers_out_of_order) pick = random_() % waiting.size();
    const std::uint16_t head = waiting[pick];
    waiting.erase(waiting.begin() + static_cast<long>(pick));
    answer(head);
  }

  SimDevice device;
  std::vector<std::byte> content;
  std::string serial = "SIM0001";
  std::deque<std::uint16_t> waiting;
  std::size_t most_in_flight = 0;
  std::size_t largest_segment = 0;
  std::size_t most_segments = 0;
  unsigned requests = 0;
  unsigned malformed = 0;
  unsigned flushes = 0;
  // Writes since the last flush.
  unsigned unflushed = 0;
  // Manners.
  bool answers_out_of_order = false;
  bool is_dead = false;
  std::optional<std::uint64_t> bad_sector;
  std::optional<std::uint8_t> forced_status;
  int written_error = 0;  // added to what it says it wrote
  std::optional<std::uint32_t> forced_id;
  std::optional<unsigned> honest_answers;  // lies after so many requests
  bool bad_flush = false;

 private:
  void accept() {
    if (device.is_reset || is_dead || !device.queues.contains(0)) return;
    while (const auto head = device.queues[0].next_head()) {
      waiting.push_back(*head);
    }
    most_in_flight = std::max(most_in_flight, waiting.size());
  }

  void answer(std::uint16_t head) {
    SimQueue& queue = device.queues[0];
    const std::vector<SimSegment> chain = queue.chain(head);
    ++requests;
    // Header, data, status: each as the specification has it.
    if (chain.size() < 2 || chain.front().device_writes ||
        chain.front().length != 16 || !chain.back().device_writes ||
        chain.back().length != 1) {
      ++malformed;
      return;
    }
    const auto type = load_le<std::uint32_t>(chain[0].data);
    const auto sector = load_le<std::uint64_t>(chain[0].data + 8);
    most_segments = std::max(most_segments, chain.size() - 2);
    std::uint8_t status = 0;
    std::uint32_t written = 1;
    std::uint64_t at = sector * 512;
    std::size_t data_bytes = 0;
    const bool is_data = type == kIn || type == kOut;
    for (std::size_t i = 1; i + 1 < chain.size(); ++i) {
      largest_segment = std::max<std::size_t>(largest_segment, chain[i].length);
      if (chain[i].device_writes != (type != kOut)) ++malformed;
      data_bytes += chain[i].length;
      if (type == kGetId) {
        std::string id = serial;
        id.resize(20);
        std::memcpy(chain[i].data, id.data(), 20);
      } else if (!range_inside(at, chain[i].length, content.size())) {
        status = 1;
      } else if (type == kIn) {
        std::memcpy(chain[i].data, content.data() + at, chain[i].length);
      } else {
        std::memcpy(content.data() + at, chain[i].data, chain[i].length);
      }
      at += chain[i].length;
      if (type != kOut) written += chain[i].length;
    }
    if (is_data && (data_bytes == 0 || data_bytes % 512 != 0)) ++malformed;
    if (type == kOut) {
      ++unflushed;
      if ((device.accepted & kReadOnly) != 0) ++malformed;
    }
    if (type == kFlushRequest) {
      if ((device.accepted & kFlush) == 0 || data_bytes != 0) ++malformed;
      ++flushes;
      unflushed = 0;
      if (bad_flush) status = 1;
    }
    if (is_data && bad_sector && sector * 512 <= *bad_sector * 512 &&
        *bad_sector * 512 < at) {
      status = 1;
    }
    bool lies = false;
    if (type != kGetId && honest_answers) {
      lies = *honest_answers == 0;
      if (!lies) --*honest_answers;
    }
    if (lies && forced_status) status = *forced_status;
    *chain.back().data = std::byte{status};
    if (lies) written += static_cast<std::uint32_t>(written_error);
    queue.put_used(lies && forced_id ? *forced_id : head, written);
  }

  std::mt19937 random_{5};
};

// Time passes one step a wait; the limit is in steps. Memory comes in runs of
// at most `run_bytes`, aligned to that, except for the driver's own.
class SimGround : public SimAccess {
 public:
  SimGround(SimDisk& disk, std::size_t run_bytes)
      : disk_(&disk), run_bytes_(run_bytes) {}

  void exempt(const std::byte* begin, std::size_t length) {
    exempt_begin_ = begin;
    exempt_length_ = length;
  }
  [[nodiscard]] driver::DmaRun dma_run(const std::byte* p,
                                       std::size_t length) const {
    const auto address = reinterpret_cast<std::uintptr_t>(p);
    if (p >= exempt_begin_ && p < exempt_begin_ + exempt_length_) {
      return {sim_physical(p), length};
    }
    return {sim_physical(p),
            std::min(length, run_bytes_ - address % run_bytes_)};
  }
  void begin_wait(std::uint32_t) { steps_ = 0; }
  [[nodiscard]] bool wait() {
    disk_->work();
    return ++steps_ < 1000;
  }

 private:
  SimDisk* disk_;
  std::size_t run_bytes_;
  const std::byte* exempt_begin_ = nullptr;
  std::size_t exempt_length_ = 0;
  unsigned steps_ = 0;
};

using Driver = BlockDriver<SimTransport, SimGround>;
static_assert(block::WritableBlockDevice<Driver>);

class BlockDriverTest : public testing::Test {
 protected:
  // A driver, started on `disk`.
  [[nodiscard]] Result<void> start(std::size_t run_bytes = 4096) {
    SimGround ground(disk, run_bytes);
    ground.exempt(memory.data(), memory.size());
    driver = std::make_unique<Driver>(SimTransport(disk.device), ground);
    return driver->start(memory);
  }
  void expect_read(std::uint64_t offset, std::size_t length,
                   std::size_t shift = 0) {
    std::vector<std::byte> buffer(length + shift + 16, std::byte{0xee});
    const MutableBytes to = MutableBytes(buffer).subspan(shift, length);
    ASSERT_TRUE(driver->read(offset, to)) << offset << " " << length;
    EXPECT_TRUE(equal_bytes(to, Bytes(disk.content).subspan(offset, length)));
    for (std::size_t i = 0; i < 16; ++i) {
      ASSERT_EQ(buffer[shift + length + i], std::byte{0xee});
    }
    EXPECT_EQ(disk.malformed, 0u);
  }
  // A write changes what it is to change, and nothing else.
  void expect_write(std::uint64_t offset, std::size_t length,
                    std::size_t shift = 0) {
    std::vector<std::byte> buffer(length + shift);
    for (std::byte& b : buffer) b = static_cast<std::byte>(random());
    std::vector<std::byte> wanted = disk.content;
    const Bytes from = Bytes(buffer).subspan(shift);
    copy_bytes(MutableBytes(wanted).subspan(offset), from);
    ASSERT_TRUE(driver->write(offset, from)) << offset << " " << length;
    EXPECT_TRUE(disk.content == wanted);
    EXPECT_EQ(disk.malformed, 0u);
  }
  void expect_stopped(std::uint64_t offset, std::size_t length, Error why) {
    std::vector<std::byte> buffer(length);
    EXPECT_EQ(driver->read(offset, buffer).error(), block::Error::kIo);
    EXPECT_EQ(driver->last_error(), why);
    EXPECT_FALSE(driver->is_working());
    EXPECT_TRUE(disk.device.is_reset) << "it must not write to us any more";
    EXPECT_EQ(driver->read(0, MutableBytes(buffer).first(512)).error(),
              block::Error::kIo);
  }

  SimDisk disk{8 << 20};
  alignas(16) std::array<std::byte, Driver::kMemoryBytes> memory{};
  std::unique_ptr<Driver> driver;
  std::mt19937 random{11};
};

TEST_F(BlockDriverTest, StartsAndLearnsSizeAndSerial) {
  ASSERT_TRUE(start());
  EXPECT_EQ(driver->size_bytes(), disk.content.size());
  EXPECT_EQ(driver->block_bytes(), 512u);
  EXPECT_EQ(driver->serial(), "SIM0001");
  EXPECT_EQ(disk.device.accepted, kFeatureVersion1);
}

TEST_F(BlockDriverTest, ReadsWhatIsThereAtAnyPlaceAndLength) {
  ASSERT_TRUE(start());
  expect_read(0, 512);
  expect_read(disk.content.size() - 512, 512);
  expect_read(512 * 3, 65536, 1);
  expect_read(0, 0);
  expect_read(0, disk.content.size(), 7);
  std::mt19937 random(3);
  for (int i = 0; i < 200; ++i) {
    const std::uint64_t offset = random() % 1000 * 512;
    expect_read(offset, random() % 600 * 512, random() % 5000);
  }
}

TEST_F(BlockDriverTest, WritesWhatItIsGivenAtAnyPlaceAndLength) {
  ASSERT_TRUE(start());
  expect_write(0, 512);
  expect_write(disk.content.size() - 512, 512);
  expect_write(512 * 3, 65536, 1);
  expect_write(0, 0);
  expect_write(4096, 4 << 20, 7);
  EXPECT_GE(disk.most_in_flight, 2u);
  for (int i = 0; i < 50; ++i) {
    const std::uint64_t offset = random() % 1000 * 512;
    expect_write(offset, random() % 600 * 512, random() % 5000);
  }
  expect_read(0, disk.content.size());
}

TEST_F(BlockDriverTest, WritesHonourTheDevicesLimits) {
  disk.answers_out_of_order = true;
  disk.device.queue_sizes = {16};
  disk.device.offered |= kSizeMax | kSegmentMax | kBlockSize;
  disk.set_limit(8, 5000);
  disk.set_limit(12, 3);
  disk.set_limit(20, 1024);
  ASSERT_TRUE(start(1 << 16));
  expect_write(1024, 1 << 20, 9);
  EXPECT_LE(disk.largest_segment, 4096u);
  EXPECT_LE(disk.most_segments, 3u);
}

TEST_F(BlockDriverTest, FlushesWhereTheDeviceHasACache) {
  disk.device.offered |= kFlush;
  ASSERT_TRUE(start());
  expect_write(0, 1 << 20);
  EXPECT_NE(disk.unflushed, 0u);
  ASSERT_TRUE(driver->flush());
  EXPECT_EQ(disk.flushes, 1u);
  EXPECT_EQ(disk.unflushed, 0u);
  EXPECT_EQ(disk.malformed, 0u);
}

TEST_F(BlockDriverTest, DoesNotAskForAFlushThatTheDeviceDoesNotHave) {
  ASSERT_TRUE(start());
  expect_write(0, 512);
  ASSERT_TRUE(driver->flush());
  EXPECT_EQ(disk.flushes, 0u);
}

TEST_F(BlockDriverTest, AFlushThatFailedIsTold) {
  disk.device.offered |= kFlush;
  disk.bad_flush = true;
  ASSERT_TRUE(start());
  EXPECT_EQ(driver->flush().error(), block::Error::kIo);
  EXPECT_EQ(driver->last_status(), BlockStatus::kIoError);
  EXPECT_TRUE(driver->is_working());
}

TEST_F(BlockDriverTest, ADiskThatIsReadOnlyIsNotWrittenTo) {
  disk.device.offered |= kReadOnly | kFlush;
  ASSERT_TRUE(start());
  EXPECT_TRUE(driver->is_read_only());
  const std::vector<std::byte> before = disk.content;
  const std::array<std::byte, 512> buffer{};
  EXPECT_EQ(driver->write(0, buffer).error(), block::Error::kReadOnly);
  EXPECT_EQ(driver->write(1, buffer).error(), block::Error::kMisaligned);
  EXPECT_TRUE(disk.content == before);
  expect_read(0, 65536);
}

TEST_F(BlockDriverTest, AWriteToABadSectorIsTold) {
  ASSERT_TRUE(start());
  disk.bad_sector = 1000;
  const std::vector<std::byte> buffer(1 << 20);
  EXPECT_EQ(driver->write(0, buffer).error(), block::Error::kIo);
  EXPECT_TRUE(driver->is_working());
  expect_write(1 << 20, 1 << 20);
}

TEST_F(BlockDriverTest, NothingIsWrittenAfterADeviceFellSilent) {
  disk.device.offered |= kFlush;
  ASSERT_TRUE(start());
  disk.is_dead = true;
  const std::vector<std::byte> buffer(65536);
  EXPECT_EQ(driver->write(0, buffer).error(), block::Error::kIo);
  EXPECT_EQ(driver->last_error(), Error::kTimeout);
  EXPECT_TRUE(disk.device.is_reset) << "it must not read from us any more";
  EXPECT_EQ(driver->write(0, buffer).error(), block::Error::kIo);
  EXPECT_EQ(driver->flush().error(), block::Error::kIo);
}

TEST_F(BlockDriverTest, AWriteThatClaimsToHaveWrittenToUsStopsTheDevice) {
  disk.written_error = 1;
  disk.honest_answers = 0;
  ASSERT_TRUE(start());
  const std::array<std::byte, 512> buffer{};
  EXPECT_EQ(driver->write(0, buffer).error(), block::Error::kIo);
  EXPECT_EQ(driver->last_error(), Error::kBroken);
  EXPECT_TRUE(disk.device.is_reset);
}

TEST_F(BlockDriverTest, KeepsManyRequestsUnderWay) {
  ASSERT_TRUE(start(1 << 20));
  expect_read(0, 4 << 20);
  EXPECT_GE(disk.most_in_flight, 8u);
  EXPECT_LE(disk.most_in_flight, Driver::kMaxRequests);
}

TEST_F(BlockDriverTest, AnswersInAnyOrderAreRight) {
  disk.answers_out_of_order = true;
  ASSERT_TRUE(start());
  expect_read(4096, 4 << 20, 100);
}

TEST_F(BlockDriverTest, ASmallQueueOnlyTakesLonger) {
  for (std::uint16_t size : std::array<std::uint16_t, 4>{4, 8, 16, 1024}) {
    SCOPED_TRACE(size);
    disk.device.queue_sizes = {size};
    ASSERT_TRUE(start());
    expect_read(512, 1 << 20, 3);
  }
}

TEST_F(BlockDriverTest, HonoursTheDevicesLimits) {
  disk.device.offered |= kSizeMax | kSegmentMax;
  disk.set_limit(8, 5000);  // not whole sectors
  disk.set_limit(12, 3);
  ASSERT_TRUE(start(1 << 16));
  expect_read(0, 1 << 20, 9);
  EXPECT_LE(disk.largest_segment, 4608u);
  EXPECT_LE(disk.most_segments, 3u);
}

TEST_F(BlockDriverTest, BlocksOf4KiB) {
  disk.device.offered |= kBlockSize;
  disk.set_limit(20, 4096);
  disk.set_capacity(disk.content.size() / 512 + 7);  // a piece of a block
  ASSERT_TRUE(start());
  EXPECT_EQ(driver->block_bytes(), 4096u);
  EXPECT_EQ(driver->size_bytes(), disk.content.size());
  expect_read(8192, 1 << 20, 77);
  std::array<std::byte, 4096> buffer;
  EXPECT_EQ(driver->read(512, buffer).error(), block::Error::kMisaligned);
}

TEST_F(BlockDriverTest, RefusesRequestsThatCannotBe) {
  ASSERT_TRUE(start());
  std::array<std::byte, 1024> buffer;
  EXPECT_EQ(driver->read(1, buffer).error(), block::Error::kMisaligned);
  EXPECT_EQ(driver->read(0, MutableBytes(buffer).first(100)).error(),
            block::Error::kMisaligned);
  EXPECT_EQ(driver->read(disk.content.size() - 512, buffer).error(),
            block::Error::kOutOfRange);
  EXPECT_EQ(driver->read(~std::uint64_t{511}, buffer).error(),
            block::Error::kOutOfRange);
  EXPECT_TRUE(driver->is_working());
}

TEST_F(BlockDriverTest, ABadSectorFailsItsReadAlone) {
  ASSERT_TRUE(start());
  disk.bad_sector = 1000;
  std::vector<std::byte> buffer(2 << 20);
  EXPECT_EQ(driver->read(0, buffer).error(), block::Error::kIo);
  EXPECT_EQ(driver->last_status(), BlockStatus::kIoError);
  EXPECT_TRUE(driver->is_working());
  EXPECT_EQ(disk.waiting.size(), 0u) << "nothing is left under way";
  expect_read(1 << 20, 1 << 20);
}

TEST_F(BlockDriverTest, ADiskWithoutSerialIsFine) {
  disk.serial = "";
  ASSERT_TRUE(start());
  EXPECT_EQ(driver->serial(), "");
  disk.serial = std::string(20, 'x');
  ASSERT_TRUE(start());
  EXPECT_EQ(driver->serial(), std::string(20, 'x'));
}

TEST_F(BlockDriverTest, ADeviceThatFallsSilentIsStopped) {
  ASSERT_TRUE(start());
  disk.is_dead = true;
  expect_stopped(0, 65536, Error::kTimeout);
}

TEST_F(BlockDriverTest, ADeviceThatIsSilentFromTheStartIsRefused) {
  disk.is_dead = true;
  EXPECT_EQ(start().error(), Error::kTimeout);
  EXPECT_TRUE(disk.device.is_reset);
}

TEST_F(BlockDriverTest, ImpossibleAnswersStopTheDevice) {
  for (std::uint32_t id : {127u, 128u, 0xffffffffu}) {
    disk.forced_id = id;
    disk.honest_answers = 2;
    ASSERT_TRUE(start());
    expect_stopped(0, 1 << 20, Error::kBroken);
  }
}

TEST_F(BlockDriverTest, AClaimToHaveWrittenTooMuchStopsTheDevice) {
  disk.written_error = 1;
  disk.honest_answers = 0;
  ASSERT_TRUE(start());
  expect_stopped(0, 512, Error::kBroken);
}

TEST_F(BlockDriverTest, AClaimToHaveWrittenTooLittleIsAnError) {
  disk.written_error = -1;
  disk.honest_answers = 0;
  ASSERT_TRUE(start());
  std::array<std::byte, 512> buffer;
  EXPECT_EQ(driver->read(0, buffer).error(), block::Error::kIo);
  EXPECT_TRUE(driver->is_working());
}

TEST_F(BlockDriverTest, UnknownStatusIsAnError) {
  disk.forced_status = 77;
  disk.honest_answers = 0;
  ASSERT_TRUE(start());
  std::array<std::byte, 512> buffer;
  EXPECT_EQ(driver->read(0, buffer).error(), block::Error::kIo);
}

TEST_F(BlockDriverTest, RefusesDevicesThatCannotBeUsed) {
  disk.device.offered = 0;
  EXPECT_EQ(start().error(), Error::kNoFeature) << "a legacy device";
  disk.device.offered = kFeatureVersion1;
  disk.device.refuses_features = true;
  EXPECT_EQ(start().error(), Error::kNoFeature);
  disk.device.refuses_features = false;
  disk.device.never_resets = true;
  EXPECT_EQ(start().error(), Error::kNoReset);
  disk.device.never_resets = false;
  disk.device.config_never_stable = true;
  EXPECT_EQ(start().error(), Error::kBadConfig);
  disk.device.config_never_stable = false;
  for (std::uint16_t size : std::array<std::uint16_t, 3>{0, 1, 3}) {
    disk.device.queue_sizes = {size};
    EXPECT_EQ(start().error(), Error::kNoQueue) << size;
  }
  disk.device.queue_sizes = {128};
  disk.set_capacity(~std::uint64_t{0});
  EXPECT_EQ(start().error(), Error::kBadConfig);
  disk.set_capacity(64);
  disk.device.offered |= kBlockSize;
  for (std::uint32_t size : {0u, 256u, 513u, 8192u}) {
    disk.set_limit(20, size);
    EXPECT_EQ(start().error(), Error::kBadConfig) << size;
  }
  disk.set_limit(20, 512);
  EXPECT_TRUE(start());
}

TEST_F(BlockDriverTest, TooFewSegmentsForABlockIsAnErrorNotAHang) {
  disk.device.offered |= kBlockSize | kSegmentMax;
  disk.set_limit(20, 4096);
  disk.set_limit(12, 1);
  ASSERT_TRUE(start(4096));
  alignas(4096) static std::array<std::byte, 3 * 4096> buffer;
  EXPECT_TRUE(driver->read(0, MutableBytes(buffer).first(8192)));
  EXPECT_EQ(driver->read(0, MutableBytes(buffer).subspan(512, 8192)).error(),
            block::Error::kIo);
  EXPECT_TRUE(driver->is_working());
}

TEST_F(BlockDriverTest, StartingAgainRecovers) {
  ASSERT_TRUE(start());
  disk.is_dead = true;
  expect_stopped(0, 512, Error::kTimeout);
  disk.is_dead = false;
  disk.waiting.clear();
  ASSERT_TRUE(driver->start(memory));
  expect_read(0, 65536);
}

}  // namespace
}  // namespace odo::virtio
