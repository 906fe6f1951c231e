// SPDX-License-Identifier: BSD-3-Clause
#include "lib/nvme/controller.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "lib/driver/testing/sim_memory.h"
#include "lib/nvme/namespace.h"
#include "lib/nvme/testing/sim_controller.h"

namespace odo::nvme {
namespace {

using Nvme = Controller<SimRegisters, driver::SimGround>;
using Disk = Namespace<SimRegisters, driver::SimGround>;
static_assert(block::DiscardingDevice<Disk>);

class ControllerTest : public testing::Test {
 protected:
  ControllerTest() {
    memory.lend_contiguous(own);
    add_namespace(1, 4 << 20, 9);
  }

  SimNamespace& add_namespace(std::uint32_t id, std::size_t bytes,
                              std::uint8_t power) {
    SimNamespace& space = device.namespaces[id];
    space.content.resize(bytes);
    for (std::byte& b : space.content) b = static_cast<std::byte>(random());
    space.block_power = power;
    return space;
  }

  [[nodiscard]] Result<void> start() {
    driver::SimGround ground(memory, [this] { device.step(); });
    nvme = std::make_unique<Nvme>(SimRegisters(device), ground);
    return nvme->start(own);
  }
  // A driver for namespace 1 of a device that starts well.
  [[nodiscard]] Disk started() {
    EXPECT_TRUE(start());
    return disk(1);
  }
  [[nodiscard]] Disk disk(std::uint32_t wanted) {
    NamespaceShape shape;
    EXPECT_TRUE(nvme->for_each_namespace([&](std::uint32_t id, const auto& s) {
      if (id == wanted && s) shape = *s;
      return true;
    }));
    return {*nvme, wanted, shape};
  }

  [[nodiscard]] block::Result<void> read(Disk& from, std::uint64_t offset,
                                         MutableBytes to) {
    memory.lend(to);
    auto result = from.read(offset, to);
    memory.take_back();
    return result;
  }
  [[nodiscard]] block::Result<void> write(Disk& to, std::uint64_t offset,
                                          Bytes from) {
    memory.lend(from);
    auto result = to.write(offset, from);
    memory.take_back();
    return result;
  }

  void expect_read(Disk& from, std::uint32_t id, std::uint64_t offset,
                   std::size_t length, std::size_t shift = 0) {
    std::vector<std::byte> buffer(length + shift + 16, std::byte{0xee});
    const MutableBytes to = MutableBytes(buffer).subspan(shift, length);
    ASSERT_TRUE(read(from, offset, to)) << offset << " " << length;
    const Bytes content(device.namespaces[id].content);
    EXPECT_TRUE(equal_bytes(to, content.subspan(offset, length)))
        << offset << " " << length << " " << shift;
    for (std::size_t i = 0; i < 16; ++i) {
      ASSERT_EQ(buffer[shift + length + i], std::byte{0xee});
    }
    expect_clean();
  }
  void expect_write(Disk& to, std::uint32_t id, std::uint64_t offset,
                    std::size_t length, std::size_t shift = 0) {
    std::vector<std::byte> buffer(length + shift);
    for (std::byte& b : buffer) b = static_cast<std::byte>(random());
    std::vector<std::byte> wanted = device.namespaces[id].content;
    const Bytes from = Bytes(buffer).subspan(shift);
    copy_bytes(MutableBytes(wanted).subspan(offset), from);
    ASSERT_TRUE(write(to, offset, from)) << offset << " " << length;
    EXPECT_TRUE(device.namespaces[id].content == wanted);
    expect_clean();
  }
  void expect_clean() {
    EXPECT_EQ(device.malformed, 0u);
    EXPECT_EQ(memory.strays, 0u);
  }
  // One request meets the fault, which is told, and the next one finds a
  // device that was reset and works.
  void expect_fault_and_recovery(Disk& from, Error why) {
    const unsigned resets = device.resets;
    std::vector<std::byte> buffer(1 << 20);
    EXPECT_EQ(read(from, 0, buffer).error(), block::Error::kIo);
    EXPECT_EQ(nvme->last_error(), why);
    EXPECT_EQ(device.resets, resets + 1);
    EXPECT_TRUE(nvme->is_working());
    // What was under way must not be done any more.
    for (int i = 0; i < 100; ++i) device.step();
    EXPECT_EQ(memory.strays, 0u);
    expect_read(from, 1, 4096, 8192);
  }

  driver::SimMemory memory;
  SimController device{memory};
  alignas(kPageBytes) std::array<std::byte, Nvme::kMemoryBytes> own{};
  std::unique_ptr<Nvme> nvme;
  std::mt19937 random{11};
};

TEST_F(ControllerTest, StartsAndLearnsWhoItIs) {
  Disk d = started();
  EXPECT_EQ(nvme->identity().serial.view(), "SIM1");
  EXPECT_EQ(nvme->identity().model.view(), "Simulated NVMe");
  EXPECT_EQ(d.size_bytes(), 4u << 20);
  EXPECT_EQ(d.block_bytes(), 512u);
  EXPECT_FALSE(d.is_read_only());
  expect_clean();
}

TEST_F(ControllerTest, ReadsAndWritesAtEveryPlaceAndLength) {
  Disk d = started();
  for (const std::size_t length :
       {std::size_t{512}, std::size_t{4096}, std::size_t{4608},
        std::size_t{8192}, std::size_t{12288}, std::size_t{300 * 1024},
        std::size_t{1 << 20}}) {
    // 1 and 2 go through the bounce page, which no command can avoid.
    for (const std::size_t shift : {0u, 4u, 512u, 4092u, 1u, 2u}) {
      if (shift % 4 != 0 && length > 16384) continue;
      expect_read(d, 1, 512, length, shift);
      expect_write(d, 1, 1536, length, shift);
    }
  }
}

TEST_F(ControllerTest, ReadsAtRandom) {
  device.answers_out_of_order = true;
  Disk d = started();
  for (int i = 0; i < 300; ++i) {
    const std::uint64_t first = random() % 8000;
    const std::uint64_t count = 1 + random() % 120;
    expect_read(d, 1, first * 512, count * 512, random() % 1024 * 4);
  }
}

TEST_F(ControllerTest, ManyRequestsAreUnderWayAtOnce) {
  Disk d = started();
  expect_read(d, 1, 0, 4 << 20);
  EXPECT_EQ(device.largest_request, Nvme::kMaxRequestBytes);
  EXPECT_EQ(device.most_in_flight, (4u << 20) / Nvme::kMaxRequestBytes);
  device.transfer_power = 1;
  device.largest_request = 0;
  Disk small = started();
  expect_read(small, 1, 0, 4 << 20);
  EXPECT_EQ(device.largest_request, 8192u) << "as the device says";
  EXPECT_EQ(device.most_in_flight, Nvme::kMaxRequests);
}

TEST_F(ControllerTest, TheSmallestQueuesAndWidestDoorbellsDo) {
  device.capabilities = 1 | std::uint64_t{3} << 32 | std::uint64_t{1} << 37;
  Disk d = started();
  expect_read(d, 1, 0, 1 << 20);
  EXPECT_EQ(device.most_in_flight, 1u);
}

TEST_F(ControllerTest, SeveralNamespacesAreDisksOfTheirOwn) {
  add_namespace(3, 1 << 20, 12);
  add_namespace(9, 64 << 10, 9).is_read_only = true;
  for (const std::uint32_t version : {0x00010000u, 0x00010400u}) {
    device.version = version;
    ASSERT_TRUE(start());
    std::vector<std::uint32_t> ids;
    ASSERT_TRUE(nvme->for_each_namespace([&](std::uint32_t id, const auto& s) {
      EXPECT_TRUE(s.has_value());
      ids.push_back(id);
      return true;
    }));
    EXPECT_EQ(ids, (std::vector<std::uint32_t>{1, 3, 9}));
  }
  Disk large = disk(3);
  EXPECT_EQ(large.block_bytes(), 4096u);
  expect_write(large, 3, 8192, 40960, 8);
  expect_read(large, 3, 0, 1 << 20);
  expect_read(large, 3, 4096, 4096, 3);
  std::vector<std::byte> sector(512);
  EXPECT_EQ(read(large, 512, sector).error(), block::Error::kMisaligned);
  Disk fixed = disk(9);
  EXPECT_TRUE(fixed.is_read_only());
  expect_read(fixed, 9, 0, 65536);
  EXPECT_EQ(write(fixed, 0, sector).error(), block::Error::kReadOnly);
  EXPECT_EQ(fixed.discard(0, 512).error(), block::Error::kReadOnly);
  expect_clean();
}

TEST_F(ControllerTest, AVisitorEndsTheWalk) {
  add_namespace(2, 1 << 20, 9);
  ASSERT_TRUE(start());
  unsigned visits = 0;
  ASSERT_TRUE(nvme->for_each_namespace([&](std::uint32_t, const auto&) {
    ++visits;
    return false;
  }));
  EXPECT_EQ(visits, 1u);
}

TEST_F(ControllerTest, NamespacesThatWeDoNotTakeSayWhy) {
  SimNamespace& space = device.namespaces[1];
  const auto reason = [&] {
    EXPECT_TRUE(start());
    std::optional<Error> why;
    EXPECT_TRUE(nvme->for_each_namespace([&](std::uint32_t, const auto& s) {
      if (!s) why = s.error();
      return true;
    }));
    return why;
  };
  EXPECT_EQ(reason(), std::nullopt);
  space.metadata_bytes = 8;
  EXPECT_EQ(reason(), Error::kMetadata);
  space.metadata_bytes = 0;
  space.protection = 1;
  EXPECT_EQ(reason(), Error::kMetadata);
  space.protection = 0;
  for (const unsigned power : {0u, 8u, 13u, 31u, 32u, 255u}) {
    space.claimed_blocks = 100;
    space.block_power = static_cast<std::uint8_t>(power);
    EXPECT_EQ(reason(), Error::kBlockBytes) << power;
  }
  space.block_power = 9;
  space.claimed_blocks = ~std::uint64_t{0};
  EXPECT_EQ(reason(), Error::kBadConfig);
  space.claimed_blocks.reset();
  space.format = 1;
  EXPECT_EQ(reason(), Error::kBadConfig) << "there is only format 0";
  space.formats = 1;
  EXPECT_EQ(reason(), std::nullopt);
}

TEST_F(ControllerTest, AListOfNamespacesThatMakesNoSenseIsRefused) {
  for (const auto& list :
       {std::vector<std::uint32_t>{2, 1}, {1, 1}, {17}, {0xffffffff}}) {
    device.active_list = list;
    ASSERT_TRUE(start());
    EXPECT_EQ(nvme->for_each_namespace([](auto, const auto&) { return true; })
                  .error(),
              Error::kBroken);
  }
}

TEST_F(ControllerTest, FlushIsForThoseThatHaveACache) {
  Disk d = started();
  expect_write(d, 1, 0, 4096);
  ASSERT_TRUE(d.flush());
  EXPECT_EQ(device.flushes, 1u);
  EXPECT_EQ(device.unflushed, 0u);
  device.has_cache = false;
  Disk other = started();
  ASSERT_TRUE(other.flush());
  EXPECT_EQ(device.flushes, 1u);
}

TEST_F(ControllerTest, DiscardsInRangesThatACommandHolds) {
  SimNamespace& space = device.namespaces[1];
  space.claimed_blocks = std::uint64_t{5} << 32;
  Disk d = started();
  ASSERT_TRUE(d.discard(4096, 8192));
  EXPECT_EQ(device.discarded, (decltype(device.discarded){{8, 16}}));
  device.discarded.clear();
  ASSERT_TRUE(d.discard(512, d.size_bytes() - 512));
  std::uint64_t next = 1;
  for (const auto& [first, count] : device.discarded) {
    EXPECT_EQ(first, next);
    next += count;
  }
  EXPECT_EQ(next, *space.claimed_blocks);
  ASSERT_TRUE(d.discard(0, 0));
  device.can_discard = false;
  Disk other = started();
  EXPECT_EQ(other.discard(0, 512).error(), block::Error::kNotOffered);
  expect_clean();
}

TEST_F(ControllerTest, RequestsOutsideAreRefusedHere) {
  Disk d = started();
  std::vector<std::byte> buffer(1024);
  EXPECT_EQ(read(d, d.size_bytes() - 512, buffer).error(),
            block::Error::kOutOfRange);
  EXPECT_EQ(read(d, 1, buffer).error(), block::Error::kMisaligned);
  EXPECT_EQ(device.requests, 0u);
  ASSERT_TRUE(read(d, 0, MutableBytes(buffer).first(0)));
}

TEST_F(ControllerTest, ABadBlockFailsItsRequestAlone) {
  device.namespaces[1].bad_block = 100;
  Disk d = started();
  std::vector<std::byte> buffer(1 << 20);
  EXPECT_EQ(read(d, 0, buffer).error(), block::Error::kIo);
  EXPECT_EQ(nvme->last_status(), 0x281);
  EXPECT_EQ(device.resets, 0u);
  expect_read(d, 1, 101 * 512, 1 << 20);
}

TEST_F(ControllerTest, DevicesThatCannotBeUsedSayWhy) {
  const std::uint64_t good = device.capabilities;
  device.capabilities = good & ~(std::uint64_t{1} << 37);
  EXPECT_EQ(start().error(), Error::kNoCommandSet);
  device.capabilities = good | std::uint64_t{1} << 48;
  EXPECT_EQ(start().error(), Error::kNoPages);
  device.capabilities = good & ~std::uint64_t{0xffff};
  EXPECT_EQ(start().error(), Error::kBadConfig);
  device.capabilities = good | std::uint64_t{15} << 32;
  EXPECT_EQ(start().error(), Error::kBadConfig) << "doorbells out of reach";
  device.capabilities = good;
  device.submission_sizes = 0x77;
  EXPECT_EQ(start().error(), Error::kBadConfig);
  device.submission_sizes = 0x66;
  device.never_ready = true;
  EXPECT_EQ(start().error(), Error::kNotReady);
  device.never_ready = false;
  device.never_stops = true;
  EXPECT_EQ(start().error(), Error::kNotStopped);
  device.never_stops = false;
  device.is_mended_by_reset = false;
  device.is_fatal = true;
  EXPECT_EQ(start().error(), Error::kNotStopped);
  device.is_fatal = false;
  for (const std::uint8_t opcode :
       {admin::kIdentify, admin::kSetFeatures, admin::kCreateCompletions,
        admin::kCreateSubmissions}) {
    device.refused_admin = opcode;
    EXPECT_EQ(start().error(), Error::kRefused);
    EXPECT_EQ(nvme->last_status(), 6);
  }
  device.refused_admin.reset();
  device.is_gone = true;
  EXPECT_EQ(start().error(), Error::kGone);
  device.is_gone = false;
  EXPECT_TRUE(start());
}

TEST_F(ControllerTest, TheTimeToBecomeReadyIsTheDevicesOwn) {
  device.capabilities &= ~(std::uint64_t{0xff} << 24);
  device.capabilities |= std::uint64_t{2} << 24;  // a second
  device.ready_after_looks = 900;
  EXPECT_TRUE(start());
  device.ready_after_looks = 1100;
  EXPECT_EQ(start().error(), Error::kNotReady);
}

TEST_F(ControllerTest, WrongAnswersToAdminCommandsAreFoundOut) {
  device.is_rude_to_admin = true;
  device.is_mended_by_reset = false;
  device.wrong_id = 0x1234;
  EXPECT_EQ(start().error(), Error::kBroken);
  device.wrong_id.reset();
  device.wrong_queue = 1;
  EXPECT_EQ(start().error(), Error::kBroken);
  device.wrong_queue.reset();
  device.answers_twice = true;
  EXPECT_EQ(start().error(), Error::kBroken);
  device.answers_twice = false;
  device.is_stuck = true;
  EXPECT_EQ(start().error(), Error::kTimeout);
}

TEST_F(ControllerTest, AStuckQueueIsResetAndTheNextRequestWorks) {
  device.honest_answers = 2;
  device.is_stuck = true;
  Disk d = started();
  expect_fault_and_recovery(d, Error::kTimeout);
}

TEST_F(ControllerTest, WrongAnswersAreFoundOut) {
  Disk d = started();
  const auto again = [&] { device.honest_answers = device.requests + 1; };
  again();
  device.wrong_id = 0xffff;
  expect_fault_and_recovery(d, Error::kBroken);
  again();
  device.wrong_id = 5;  // a slot, but never that turn of it
  expect_fault_and_recovery(d, Error::kBroken);
  again();
  device.wrong_queue = 0;
  expect_fault_and_recovery(d, Error::kBroken);
  again();
  device.wrong_head = 64;
  expect_fault_and_recovery(d, Error::kBroken);
  again();
  device.answers_twice = true;
  expect_fault_and_recovery(d, Error::kBroken);
  again();
  device.flips_phase = true;
  expect_fault_and_recovery(d, Error::kBroken);
}

TEST_F(ControllerTest, AFatalFaultEndsAWaitBeforeItsLimit) {
  Disk d = started();
  device.is_fatal = true;
  expect_fault_and_recovery(d, Error::kFatal);
}

TEST_F(ControllerTest, ADeviceThatStaysStuckIsGivenUp) {
  device.is_mended_by_reset = false;
  device.is_stuck = true;
  Disk d = started();
  std::vector<std::byte> buffer(4096);
  for (unsigned i = 0; i < Nvme::kMaxResets; ++i) {
    EXPECT_TRUE(nvme->is_working());
    EXPECT_EQ(read(d, 0, buffer).error(), block::Error::kIo);
  }
  EXPECT_FALSE(nvme->is_working());
  EXPECT_FALSE(device.is_enabled()) << "it must not write to us any more";
  const unsigned resets = device.resets;
  EXPECT_EQ(read(d, 0, buffer).error(), block::Error::kIo);
  EXPECT_EQ(write(d, 0, buffer).error(), block::Error::kIo);
  EXPECT_EQ(d.flush().error(), block::Error::kIo);
  EXPECT_EQ(d.discard(0, 512).error(), block::Error::kIo);
  EXPECT_EQ(device.resets, resets);
}

TEST_F(ControllerTest, ADeviceThatIsTakenOutIsGone) {
  Disk d = started();
  device.is_gone = true;
  std::vector<std::byte> buffer(4096);
  EXPECT_EQ(read(d, 0, buffer).error(), block::Error::kIo);
  EXPECT_EQ(nvme->last_error(), Error::kGone);
  EXPECT_FALSE(nvme->is_working());
  EXPECT_EQ(d.flush().error(), block::Error::kIo);
}

TEST_F(ControllerTest, RegistersOfNobodyMayReadAsZerosToo) {
  Disk d = started();
  device.is_gone = true;
  device.gone_value = 0;
  std::vector<std::byte> buffer(4096);
  EXPECT_EQ(read(d, 0, buffer).error(), block::Error::kIo);
  EXPECT_FALSE(nvme->is_working());
}

TEST_F(ControllerTest, AnotherDeviceInItsPlaceIsNotUsed) {
  device.is_stuck = true;
  Disk d = started();
  device.serial = "OTHER";
  std::vector<std::byte> buffer(4096);
  EXPECT_EQ(read(d, 0, buffer).error(), block::Error::kIo);
  EXPECT_EQ(nvme->last_error(), Error::kChanged);
  EXPECT_FALSE(nvme->is_working());
}

}  // namespace
}  // namespace odo::nvme
