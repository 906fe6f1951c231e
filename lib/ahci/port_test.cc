// SPDX-License-Identifier: BSD-3-Clause
#include "lib/ahci/port.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <random>
#include <vector>

#include "lib/ahci/cd_drive.h"
#include "lib/ahci/disk.h"
#include "lib/ahci/testing/sim_hba.h"
#include "lib/driver/testing/sim_memory.h"

namespace odo::ahci {
namespace {

using SimPort = Port<SimRegisters, driver::SimGround>;
using SimDisk = Disk<SimRegisters, driver::SimGround>;
using SimCd = CdDrive<SimRegisters, driver::SimGround>;
static_assert(block::DiscardingDevice<SimDisk>);
static_assert(block::BlockDevice<SimCd>);

class AhciTest : public testing::Test {
 protected:
  AhciTest() {
    memory.lend_contiguous(own);
    device.set_disk(4 << 20, 512);
  }

  [[nodiscard]] Result<std::uint32_t> start_port() {
    driver::SimGround ground(memory, [this] { device.step(); });
    Hba<SimRegisters, driver::SimGround> hba(SimRegisters(device), ground);
    ODO_TRY_VOID(hba.start());
    links = hba.links();
    port = std::make_unique<SimPort>(SimRegisters(device), ground,
                                     SimHba::kPort, hba.shape());
    return port->start(own);
  }
  [[nodiscard]] Result<void> start() {
    ODO_TRY_VOID(start_port());
    disk = std::make_unique<SimDisk>(*port);
    return disk->start();
  }
  [[nodiscard]] Result<void> start_cd() {
    ODO_TRY(const std::uint32_t signature, start_port());
    EXPECT_EQ(signature, kSignaturePacket);
    cd = std::make_unique<SimCd>(
        *port, driver::SimGround(memory, [this] { device.step(); }));
    return cd->start();
  }

  template <class D>
  [[nodiscard]] block::Result<void> read(D& from, std::uint64_t offset,
                                         MutableBytes to) {
    memory.lend(to);
    auto result = from.read(offset, to);
    memory.take_back();
    return result;
  }
  [[nodiscard]] block::Result<void> write(std::uint64_t offset, Bytes from) {
    memory.lend(from);
    auto result = disk->write(offset, from);
    memory.take_back();
    return result;
  }
  template <class D>
  void expect_read(D& from, std::uint64_t offset, std::size_t length,
                   std::size_t shift = 0) {
    std::vector<std::byte> buffer(length + shift + 16, std::byte{0xee});
    const MutableBytes to = MutableBytes(buffer).subspan(shift, length);
    ASSERT_TRUE(read(from, offset, to)) << offset << " " << length;
    const Bytes content(device.content);
    EXPECT_TRUE(equal_bytes(to, content.subspan(offset, length)))
        << offset << " " << length << " " << shift;
    for (std::size_t i = 0; i < 16; ++i) {
      ASSERT_EQ(buffer[shift + length + i], std::byte{0xee});
    }
    expect_clean();
  }
  void expect_write(std::uint64_t offset, std::size_t length,
                    std::size_t shift = 0) {
    std::vector<std::byte> buffer(length + shift);
    for (std::byte& b : buffer) b = static_cast<std::byte>(random());
    std::vector<std::byte> wanted = device.content;
    const Bytes from = Bytes(buffer).subspan(shift);
    copy_bytes(MutableBytes(wanted).subspan(offset), from);
    ASSERT_TRUE(write(offset, from)) << offset << " " << length;
    EXPECT_TRUE(device.content == wanted);
    expect_clean();
  }
  void expect_clean() {
    EXPECT_EQ(device.malformed, 0u);
    EXPECT_EQ(memory.strays, 0u);
  }
  // One request meets the fault, which is told, and the next one finds a port
  // that works.
  void expect_fault_and_recovery(Error why, unsigned resets) {
    const unsigned before = device.port_resets;
    std::vector<std::byte> buffer(1 << 20);
    EXPECT_EQ(read(*disk, 0, buffer).error(), block::Error::kIo);
    EXPECT_EQ(port->last_error(), why);
    EXPECT_EQ(device.port_resets, before + resets);
    EXPECT_TRUE(port->is_working());
    // What was under way must not be done any more.
    for (int i = 0; i < 100; ++i) device.step();
    EXPECT_EQ(memory.strays, 0u);
    expect_read(*disk, 4096, 8192);
  }

  driver::SimMemory memory;
  SimHba device{memory};
  alignas(4096) std::array<std::byte, SimPort::kMemoryBytes> own{};
  std::uint32_t links = 0;
  std::unique_ptr<SimPort> port;
  std::unique_ptr<SimDisk> disk;
  std::unique_ptr<SimCd> cd;
  std::mt19937 random{11};
};

TEST_F(AhciTest, StartsAndLearnsWhoItIs) {
  ASSERT_TRUE(start());
  EXPECT_EQ(links, 1u << SimHba::kPort);
  EXPECT_EQ(disk->identity().names.serial.view(), "SIM1");
  EXPECT_EQ(disk->identity().names.model.view(), "Simulated SATA");
  EXPECT_EQ(disk->size_bytes(), 4u << 20);
  EXPECT_EQ(disk->block_bytes(), 512u);
  EXPECT_EQ(disk->identity().physical_block_bytes, 512u);
  EXPECT_EQ(disk->identity().queue_depth, 32u);
  EXPECT_EQ(device.hba_resets, 1u);
  expect_clean();
}

TEST_F(AhciTest, AControllerWithoutDevicesTakesNoTime) {
  device.has_device = false;
  unsigned waits = 0;
  driver::SimGround ground(memory, [&] { ++waits; });
  Hba<SimRegisters, driver::SimGround> hba(SimRegisters(device), ground);
  ASSERT_TRUE(hba.start());
  EXPECT_EQ(hba.links(), 0u);
  EXPECT_LE(waits, device.reset_looks);
  // Where ports sleep until they are told, they get a while.
  device.capabilities |= kCapStaggered;
  ASSERT_TRUE(hba.start());
  EXPECT_GT(waits, 10u);
}

TEST_F(AhciTest, ReadsAndWritesAtEveryPlaceAndLength) {
  for (const std::uint32_t queues : {kCapQueued, 0u}) {
    device.capabilities = (device.capabilities & ~kCapQueued) | queues;
    ASSERT_TRUE(start());
    for (const std::size_t length :
         {std::size_t{512}, std::size_t{4096}, std::size_t{4608},
          std::size_t{8192}, std::size_t{300 * 1024}, std::size_t{1 << 20}}) {
      // From an odd address on, data go through the bounce page.
      for (const std::size_t shift : {0u, 2u, 512u, 4094u, 1u}) {
        if (shift % 2 != 0 && length > 16384) continue;
        expect_read(*disk, 512, length, shift);
        expect_write(1536, length, shift);
      }
    }
  }
}

TEST_F(AhciTest, ReadsAtRandom) {
  device.answers_out_of_order = true;
  ASSERT_TRUE(start());
  for (int i = 0; i < 300; ++i) {
    const std::uint64_t first = random() % 8000;
    const std::uint64_t count = 1 + random() % 120;
    expect_read(*disk, first * 512, count * 512, random() % 2048 * 2);
  }
}

TEST_F(AhciTest, QueuesAsDeepAsBothSidesDo) {
  ASSERT_TRUE(start());
  expect_read(*disk, 0, 4 << 20);
  const std::size_t commands = device.requests;
  EXPECT_GE(commands, (4u << 20) / SimPort::kMaxCommandBytes);
  EXPECT_EQ(device.most_in_flight, std::min<std::size_t>(commands, 32));
  EXPECT_LE(device.largest_request, SimPort::kMaxCommandBytes);
  const auto most = [&] {
    device.most_in_flight = 0;
    EXPECT_TRUE(start());
    expect_read(*disk, 0, 4 << 20);
    return device.most_in_flight;
  };
  device.identify[75] = 3;
  EXPECT_EQ(most(), 4u);
  device.identify[75] = 31;
  device.capabilities = (device.capabilities & ~(31u << 8)) | 1u << 8;
  EXPECT_EQ(most(), 2u);
  device.identify[76] = 0;
  EXPECT_EQ(most(), 1u);
}

TEST_F(AhciTest, LargeBlocksAndLargerOnesBelow) {
  device.set_disk(4 << 20, 4096);
  device.identify[106] = 1u << 14 | 1u << 12 | 1u << 13 | 2;
  ASSERT_TRUE(start());
  EXPECT_EQ(disk->block_bytes(), 4096u);
  EXPECT_EQ(disk->identity().physical_block_bytes, 16384u);
  expect_write(8192, 40960, 2);
  expect_read(*disk, 4096, 4096, 3);
  std::array<std::byte, 4096> block;
  EXPECT_EQ(read(*disk, 512, block).error(), block::Error::kMisaligned);
  EXPECT_EQ(read(*disk, 4 << 20, block).error(), block::Error::kOutOfRange);
}

TEST_F(AhciTest, FlushesAndDiscards) {
  ASSERT_TRUE(start());
  expect_write(0, 4096);
  ASSERT_TRUE(disk->flush());
  EXPECT_EQ(device.flushes, 1u);
  EXPECT_EQ(device.unflushed, 0u);
  ASSERT_TRUE(disk->discard(4096, 8192));
  EXPECT_EQ(device.discarded, (decltype(device.discarded){{8, 16}}));
  // As large as disks are: more than one list of ranges.
  for (std::size_t i = 0; i < 4; ++i) device.identify[100 + i] = 0;
  device.identify[101] = 0x100;
  device.discarded.clear();
  ASSERT_TRUE(start());
  ASSERT_TRUE(disk->discard(512, disk->size_bytes() - 512));
  std::uint64_t next = 1;
  for (const auto& [first, count] : device.discarded) {
    EXPECT_EQ(first, next);
    next += count;
  }
  EXPECT_EQ(next, disk->size_bytes() / 512);
  device.identify[169] = 0;
  ASSERT_TRUE(start());
  EXPECT_EQ(disk->discard(0, 512).error(), block::Error::kNotOffered);
  expect_clean();
}

TEST_F(AhciTest, DisksThatWeDoNotTakeSayWhy) {
  const auto with = [&](std::size_t word, std::uint16_t value) {
    const auto good = device.identify;
    device.identify[word] = value;
    const auto result = start();
    device.identify = good;
    return result ? std::optional<Error>() : result.error();
  };
  EXPECT_EQ(with(49, 0), Error::kNoDma);
  EXPECT_EQ(with(83, 0), Error::kNoLongBlocks);
  device.identify[101] = 0;
  EXPECT_EQ(with(100, 0), Error::kBadConfig);
  EXPECT_EQ(with(103, 2), Error::kBadConfig) << "more than 48 bits";
  device.identify[106] = 1u << 14 | 1u << 12;
  for (const unsigned half : {0u, 1u, 128u, 300u, 4096u}) {
    EXPECT_EQ(with(117, static_cast<std::uint16_t>(half)), Error::kBlockBytes)
        << half;
  }
  EXPECT_EQ(with(106, 0xffff), std::nullopt) << "the word says nothing";
}

TEST_F(AhciTest, ControllersThatCannotBeUsedSayWhy) {
  device.never_resets = true;
  EXPECT_EQ(start().error(), Error::kNoReset);
  device.never_resets = false;
  device.never_stops = true;
  EXPECT_EQ(start().error(), Error::kNotStopped);
  device.never_stops = false;
  device.stays_busy = true;
  EXPECT_EQ(start().error(), Error::kNotReady);
  device.stays_busy = false;
  device.register_bytes = 0x100;
  EXPECT_EQ(start().error(), Error::kBadConfig);
  device.register_bytes = 0x1000;
  // Ports without registers are none.
  device.ports = 0xffffffff;
  device.register_bytes = 0x280;
  ASSERT_TRUE(start());
  EXPECT_EQ(links, 1u << SimHba::kPort);
  device.register_bytes = 0x1000;
  device.capabilities &= ~kCap64Bits;
  EXPECT_EQ(start().error(), Error::kOutOfReach);
  device.capabilities |= kCap64Bits;
  device.is_gone = true;
  EXPECT_EQ(start().error(), Error::kGone);
  device.is_gone = false;
  // Firmware is asked, and not waited for beyond measure.
  device.capabilities2 = kCap2HandOff;
  device.firmware_holds_on = true;
  EXPECT_TRUE(start());
  EXPECT_EQ(device.read32(reg::kHandOff) & kHandOffUs, kHandOffUs);
}

TEST_F(AhciTest, ABadBlockFailsItsRequestAlone) {
  device.bad_block = 100;
  ASSERT_TRUE(start());
  expect_fault_and_recovery(Error::kRefused, 1);
  EXPECT_EQ(port->last_refusal(), 0x40);
  device.capabilities &= ~kCapQueued;
  ASSERT_TRUE(start());
  device.bad_block = 1;
  expect_fault_and_recovery(Error::kRefused, 0);
}

TEST_F(AhciTest, FaultsAndWrongAnswersAreFoundOut) {
  for (const std::uint32_t queues : {kCapQueued, 0u}) {
    device.capabilities = (device.capabilities & ~kCapQueued) | queues;
    ASSERT_TRUE(start());
    const auto again = [&] { device.honest_answers = device.requests + 1; };
    again();
    device.is_stuck = true;
    expect_fault_and_recovery(Error::kTimeout, 1);
    again();
    device.false_active = 1u << 31;
    expect_fault_and_recovery(Error::kBroken, 1);
    for (const unsigned bit : {24u, 27u, 28u, 29u, 6u}) {
      again();
      device.event = 1u << bit;
      expect_fault_and_recovery(Error::kLink, 1);
    }
  }
}

TEST_F(AhciTest, TooFewBytesAreNotTakenForAll) {
  device.capabilities &= ~kCapQueued;
  ASSERT_TRUE(start());
  device.moved_error = -512;
  std::vector<std::byte> buffer(8192);
  EXPECT_EQ(read(*disk, 0, buffer).error(), block::Error::kIo);
  device.moved_error = 0;
  expect_read(*disk, 0, 8192);
}

TEST_F(AhciTest, ADeviceThatStaysStuckIsGivenUp) {
  ASSERT_TRUE(start());
  device.is_mended_by_reset = false;
  device.is_stuck = true;
  std::vector<std::byte> buffer(4096);
  for (unsigned i = 0; i < SimPort::kMaxResets; ++i) {
    EXPECT_TRUE(port->is_working()) << "who it is it still tells";
    EXPECT_EQ(read(*disk, 0, buffer).error(), block::Error::kIo);
  }
  EXPECT_FALSE(port->is_working());
  EXPECT_FALSE(device.is_running()) << "it must not write to us any more";
  EXPECT_EQ(read(*disk, 0, buffer).error(), block::Error::kIo);
  EXPECT_EQ(write(0, buffer).error(), block::Error::kIo);
  EXPECT_EQ(disk->flush().error(), block::Error::kIo);
  EXPECT_EQ(disk->discard(0, 512).error(), block::Error::kIo);
}

TEST_F(AhciTest, ADiskThatIsPulledOutIsGone) {
  for (const int way : {0, 1, 2}) {
    ASSERT_TRUE(start());
    device.is_gone = way != 0;
    // Registers of nobody may read as zeros, too.
    device.gone_value = way == 1 ? driver::kGone : 0;
    device.link_is_down = true;
    device.event = 1u << 22;
    std::vector<std::byte> buffer(4096);
    EXPECT_EQ(read(*disk, 0, buffer).error(), block::Error::kIo);
    EXPECT_FALSE(port->is_working());
    EXPECT_EQ(port->last_error(), Error::kGone);
    EXPECT_EQ(disk->flush().error(), block::Error::kIo);
    device.is_gone = device.link_is_down = false;
    device.event = 0;
  }
}

TEST_F(AhciTest, AnotherDiskInItsPlaceIsNotUsed) {
  ASSERT_TRUE(start());
  device.is_stuck = true;
  device.set_names("OTHER");
  std::vector<std::byte> buffer(4096);
  EXPECT_EQ(read(*disk, 0, buffer).error(), block::Error::kIo);
  EXPECT_EQ(port->last_error(), Error::kChanged);
  EXPECT_FALSE(port->is_working());
}

TEST_F(AhciTest, ReadsACd) {
  device.set_cd(3 << 20);
  // After its reset, and while it looks at its medium.
  device.senses = {{6, 0x29}, {2, 0x04}, {2, 0x04}, {6, 0x28}};
  ASSERT_TRUE(start_cd());
  EXPECT_EQ(cd->size_bytes(), 3u << 20);
  EXPECT_EQ(cd->block_bytes(), 2048u);
  EXPECT_EQ(cd->names().serial.view(), "SIM1");
  expect_read(*cd, 0, 2048);
  expect_read(*cd, 4096, 1 << 20, 2);
  expect_read(*cd, 2048, 8192, 1);
  EXPECT_EQ(device.most_in_flight, 1u);
  std::vector<std::byte> buffer(2048);
  EXPECT_EQ(read(*cd, 512, buffer).error(), block::Error::kMisaligned);
  EXPECT_EQ(read(*cd, 3 << 20, buffer).error(), block::Error::kOutOfRange);
  device.bad_block = 10;
  EXPECT_EQ(read(*cd, 10 * 2048, buffer).error(), block::Error::kIo);
  expect_read(*cd, 11 * 2048, 4096);
  EXPECT_EQ(device.port_resets, 0u);
}

TEST_F(AhciTest, DrivesThatCannotBeReadSayWhy) {
  device.set_cd(1 << 20);
  device.senses = {{2, 0x3a}};
  EXPECT_EQ(start_cd().error(), Error::kNoMedium);
  device.senses.assign(200, {2, 0x04});
  EXPECT_EQ(start_cd().error(), Error::kNotReady);
  device.senses.assign(1, {5, 0x20});
  EXPECT_EQ(start_cd().error(), Error::kRefused);
  device.senses.clear();
  device.block_bytes = 2352;
  EXPECT_EQ(start_cd().error(), Error::kBlockBytes);
  device.block_bytes = 2048;
  device.identify[0] = 0x8180;
  EXPECT_EQ(start_cd().error(), Error::kNotCd);
  device.identify[0] = 0x8580;
  device.identify[49] = 0;
  EXPECT_EQ(start_cd().error(), Error::kNoDma);
}

TEST_F(AhciTest, AMediumThatWasChangedIsNotRead) {
  device.set_cd(1 << 20);
  ASSERT_TRUE(start_cd());
  device.senses = {{6, 0x28}};
  std::vector<std::byte> buffer(2048);
  EXPECT_EQ(read(*cd, 0, buffer).error(), block::Error::kIo);
  EXPECT_EQ(read(*cd, 0, buffer).error(), block::Error::kIo);
  ASSERT_TRUE(start_cd());
  expect_read(*cd, 0, 2048);
}

}  // namespace
}  // namespace odo::ahci
