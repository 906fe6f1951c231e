// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "lib/block/archetype.h"
#include "lib/block/faulty_device.h"
#include "lib/block/memory_device.h"
#include "lib/partition/partition_device.h"
#include "lib/partition/read_table.h"
#include "lib/partition/testing/tables.h"

namespace odo::partition {

template class PartitionDevice<block::ArchetypeWritableDevice>;

namespace {

using block::FaultyDevice;
using block::MemoryDevice;
using testing::Disk;
using testing::kHammer2Type;
using testing::kLabel64Type;

constexpr MbrEntry kExtended{.first_block = 100, .blocks = 900, .type = 0x05};

[[nodiscard]] Table table_of(Disk& disk) {
  MemoryDevice device(disk.bytes(), disk.block_bytes());
  Table table;
  read_table(device, table);
  return table;
}

[[nodiscard]] Partition in_blocks(std::uint64_t first, std::uint64_t blocks,
                                  std::uint32_t number, Kind kind,
                                  std::uint64_t block_bytes = 512) {
  return {.begin_bytes = first * block_bytes,
          .size_bytes = blocks * block_bytes,
          .number = number,
          .kind = kind};
}

void expect(const Table& table, Scheme scheme,
            const std::vector<Partition>& partitions,
            const std::vector<Problem>& problems = {}) {
  EXPECT_EQ(table.scheme(), scheme);
  EXPECT_TRUE(std::ranges::equal(table.partitions(), partitions));
  EXPECT_EQ(table.partitions().size(), partitions.size());
  EXPECT_TRUE(std::ranges::equal(table.problems(), problems));
  EXPECT_EQ(table.problems().size(), problems.size());
}

// --- None ---

TEST(TableTest, NothingIsNoTable) {
  for (const std::uint64_t blocks : {0u, 1u, 3u, 100u}) {
    Disk disk(blocks);
    expect(table_of(disk), Scheme::kNone, {});
  }
}

TEST(TableTest, BootCodeOfAFilesystemIsNoTable) {
  Disk disk(100);
  std::ranges::fill(std::span(disk.bytes()).subspan(400, 110), std::byte{0x4f});
  disk.put<std::uint16_t>(510, kMbrSignature);
  expect(table_of(disk), Scheme::kNone, {});
}

TEST(TableTest, DeviceThatCannotBeReadIsTold) {
  Disk disk(100);
  MemoryDevice memory(disk.bytes());
  FaultyDevice<MemoryDevice> device(memory);
  device.fail_after(0);
  Table table;
  read_table(device, table);
  expect(table, Scheme::kNone, {}, {{.reason = Reason::kUnreadable}});
}

// --- GPT ---

TEST(GptTest, EntriesOfEveryLegalShape) {
  for (const std::uint32_t block : {512u, 2048u, 4096u}) {
    for (const testing::GptShape shape :
         {testing::GptShape{}, testing::GptShape{.entries = 4},
          testing::GptShape{.entries = 3, .entry_bytes = 256},
          testing::GptShape{.entries = 5, .entry_bytes = 8192},
          testing::GptShape{.entries = 4, .header_bytes = 512}}) {
      Disk disk(2048, block);
      testing::put_gpt(
          disk,
          {{kHammer2Type, 600, 699}, {{}, 0, 0}, {kLabel64Type, 500, 500}},
          shape);
      expect(table_of(disk), Scheme::kGpt,
             {in_blocks(600, 100, 1, Kind::kHammer2, block),
              in_blocks(500, 1, 3, Kind::kDragonFly, block)});
    }
  }
}

TEST(GptTest, TableOfSmallerBlocksOnACd) {
  Disk disk(4096);
  testing::put_gpt(disk, {{kHammer2Type, 1024, 2047}, {kLabel64Type, 51, 59}});
  MemoryDevice device(disk.bytes(), 2048);
  Table table;
  read_table(device, table);
  expect(table, Scheme::kGpt, {in_blocks(1024, 1024, 1, Kind::kHammer2)},
         {{.number = 2, .reason = Reason::kMisaligned}});
}

TEST(GptTest, BadEntriesAreLeftOutEachForItsReason) {
  Disk disk(2048);
  testing::put_gpt(disk, {{kHammer2Type, 100, 199},
                          {kHammer2Type, 199, 250},
                          {kHammer2Type, 300, 299},
                          {kHammer2Type, 10, 20},
                          {kHammer2Type, 400, 2047},
                          {kHammer2Type, 400, 2048},
                          {kHammer2Type, 400, ~std::uint64_t{0}},
                          {kHammer2Type, 200, 250}});
  expect(table_of(disk), Scheme::kGpt,
         {in_blocks(100, 100, 1, Kind::kHammer2),
          in_blocks(200, 51, 8, Kind::kHammer2)},
         {{.number = 2, .reason = Reason::kOverlapping, .other = 1},
          {.number = 3, .reason = Reason::kEmpty},
          {.number = 4, .reason = Reason::kOffLimits},
          {.number = 5, .reason = Reason::kOffLimits},
          {.number = 6, .reason = Reason::kOutOfRange},
          {.number = 7, .reason = Reason::kOutOfRange}});
}

TEST(GptTest, EachCopyAloneIsEnough) {
  for (const std::uint64_t at :
       {512u + 0, 512u + 16, 512u + 44, 512u + 90, 1024u, 1024u + 16383}) {
    Disk disk(2048);
    testing::put_gpt(disk, {{kHammer2Type, 100, 199}});
    disk.bytes()[at] ^= std::byte{1};
    expect(table_of(disk), Scheme::kGpt,
           {in_blocks(100, 100, 1, Kind::kHammer2)},
           {{.reason = Reason::kFromBackup}});
  }
  Disk disk(2048);
  testing::put_gpt(disk, {{kHammer2Type, 100, 199}});
  disk.block(2047)[20] ^= std::byte{1};
  expect(table_of(disk), Scheme::kGpt, {in_blocks(100, 100, 1, Kind::kHammer2)},
         {{.reason = Reason::kBackupDamaged}});
}

TEST(GptTest, WithoutAGoodCopyThereAreNoPartitions) {
  Disk disk(2048);
  testing::put_gpt(disk, {{kHammer2Type, 100, 199}});
  testing::put_mbr_entry(disk, 0, 1,
                         {.first_block = 50, .blocks = 9, .type = 0x83});
  disk.block(1)[0] ^= std::byte{1};
  disk.block(2047)[20] ^= std::byte{1};
  expect(table_of(disk), Scheme::kGpt, {},
         {{.reason = Reason::kBadHeader}, {.reason = Reason::kBackupDamaged}});
}

TEST(GptTest, HeadersThatCannotBeAreRefusedThoughTheirSumIsRight) {
  struct Case {
    std::uint64_t at;
    std::uint64_t value;
    Reason reason;
  };
  for (const Case& bad :
       {Case{24, 2, Reason::kBadHeader}, Case{40, 19'990, Reason::kBadHeader},
        Case{48, 20'000, Reason::kBadHeader}, Case{72, 0, Reason::kBadHeader},
        Case{72, 2048, Reason::kBadHeader}, Case{72, 100, Reason::kBadHeader},
        Case{72, ~std::uint64_t{0}, Reason::kBadHeader},
        Case{80, 128ull << 32 | 40'000, Reason::kTooLarge},
        Case{80, 0xffffffff00000001, Reason::kBadHeader},
        Case{80, 0x80000000ffffffff, Reason::kBadHeader},
        Case{80, 64ull << 32 | 4, Reason::kBadHeader},
        Case{80, 129ull << 32 | 4, Reason::kBadHeader}}) {
    SCOPED_TRACE(std::to_string(bad.at) + " " + std::to_string(bad.value));
    Disk disk(20'000);
    testing::put_gpt(disk, {{kHammer2Type, 15'000, 15'099}});
    disk.put(512 + bad.at, bad.value);
    // A list of its own place would be inside what is usable.
    if (bad.at == 80) disk.put<std::uint64_t>(512 + 40, 14'000);
    testing::mend_gpt(disk, 1);
    disk.block(19'999)[0] ^= std::byte{1};
    expect(table_of(disk), Scheme::kGpt, {},
           {{.reason = bad.reason}, {.reason = Reason::kBackupDamaged}});
  }
}

TEST(GptTest, MoreThanAreKeptAreTold) {
  Disk disk(4096);
  testing::put_gpt(disk, {}, {.entries = 200});
  for (std::uint64_t i = 0; i < 200; ++i) {
    const std::uint64_t at = 1024 + i * 128;
    std::ranges::copy(kHammer2Type.bytes, disk.bytes().data() + at);
    disk.put(at + 32, 100 + i);
    disk.put(at + 40, 100 + i);
  }
  testing::mend_gpt(disk, 1);
  const Table table = table_of(disk);
  EXPECT_EQ(table.partitions().size(), Table::kMaxPartitions);
  ASSERT_EQ(table.problems().size(), Table::kMaxProblems);
  EXPECT_EQ(table.problems()[0],
            (Problem{.number = 129, .reason = Reason::kTooMany}));
  EXPECT_EQ(table.more_problems(), 72 - Table::kMaxProblems);
}

TEST(GptTest, DeviceThatFailsInTheFirstCopy) {
  Disk disk(2048);
  testing::put_gpt(disk, {{kHammer2Type, 100, 199}});
  MemoryDevice memory(disk.bytes());
  FaultyDevice<MemoryDevice> device(memory);
  device.break_range(1024, 512);
  Table table;
  read_table(device, table);
  expect(table, Scheme::kGpt, {in_blocks(100, 100, 1, Kind::kHammer2)},
         {{.reason = Reason::kFromBackup}});
}

// --- MBR ---

TEST(MbrTest, PrimaryAndLogicalPartitions) {
  for (const std::uint32_t block : {512u, 4096u}) {
    Disk disk(2000, block);
    using testing::put_mbr_entry;
    put_mbr_entry(disk, 0, 0, {.first_block = 10, .blocks = 50, .type = 0x6c},
                  0x80);
    put_mbr_entry(disk, 0, 2, kExtended);
    put_mbr_entry(disk, 0, 3,
                  {.first_block = 1500, .blocks = 500, .type = 0x83});
    put_mbr_entry(disk, 100, 0, {.first_block = 1, .blocks = 99, .type = 0x82});
    put_mbr_entry(disk, 100, 1,
                  {.first_block = 300, .blocks = 50, .type = 0x05});
    put_mbr_entry(disk, 400, 0, {.first_block = 2, .blocks = 48, .type = 0x0c});
    expect(table_of(disk), Scheme::kMbr,
           {in_blocks(10, 50, 1, Kind::kDragonFly, block),
            in_blocks(1500, 500, 4, Kind::kLinux, block),
            in_blocks(101, 99, 5, Kind::kSwap, block),
            in_blocks(402, 48, 6, Kind::kFat, block)});
  }
}

TEST(MbrTest, BadEntriesAreLeftOutEachForItsReason) {
  Disk disk(2000);
  using testing::put_mbr_entry;
  put_mbr_entry(disk, 0, 0, {.first_block = 10, .blocks = 50, .type = 0x83});
  put_mbr_entry(disk, 0, 1, {.first_block = 59, .blocks = 50, .type = 0x83});
  put_mbr_entry(disk, 0, 2, {.first_block = 0, .blocks = 9, .type = 0x83});
  put_mbr_entry(disk, 0, 3,
                {.first_block = 0xffffffff, .blocks = 0xffffffff, .type = 7});
  expect(table_of(disk), Scheme::kMbr, {in_blocks(10, 50, 1, Kind::kLinux)},
         {{.number = 2, .reason = Reason::kOverlapping, .other = 1},
          {.number = 3, .reason = Reason::kOffLimits},
          {.number = 4, .reason = Reason::kOutOfRange}});
}

TEST(MbrTest, ChainThatLeadsBackEnds) {
  Disk disk(2000);
  using testing::put_mbr_entry;
  put_mbr_entry(disk, 0, 0, kExtended);
  put_mbr_entry(disk, 0, 1, {.first_block = 1200, .blocks = 5, .type = 0x0f});
  put_mbr_entry(disk, 100, 0, {.first_block = 1, .blocks = 9, .type = 0x83});
  put_mbr_entry(disk, 100, 1, {.first_block = 200, .blocks = 9, .type = 0x05});
  put_mbr_entry(disk, 300, 0, {.first_block = 1, .blocks = 9, .type = 0x83});
  put_mbr_entry(disk, 300, 1, {.first_block = 0, .blocks = 9, .type = 0x05});
  expect(
      table_of(disk), Scheme::kMbr,
      {in_blocks(101, 9, 5, Kind::kLinux), in_blocks(301, 9, 6, Kind::kLinux)},
      {{.number = 2, .reason = Reason::kSecondExtended},
       {.number = 1, .reason = Reason::kLoop}});
}

TEST(MbrTest, ChainThatEndsInNoTableOrOutsideIsTold) {
  for (const auto& [block, reason] :
       {std::pair{200u, Reason::kNoSignature},
        std::pair{900u, Reason::kOutOfRange},
        std::pair{0xffffffffu, Reason::kOutOfRange}}) {
    Disk disk(2000);
    using testing::put_mbr_entry;
    put_mbr_entry(disk, 0, 3, kExtended);
    put_mbr_entry(disk, 100, 0,
                  {.first_block = 800, .blocks = 100, .type = 0x83});
    put_mbr_entry(disk, 100, 1,
                  {.first_block = block, .blocks = 9, .type = 0x05});
    expect(table_of(disk), Scheme::kMbr, {in_blocks(900, 100, 5, Kind::kLinux)},
           {{.number = 4, .reason = reason}});
  }
}

TEST(MbrTest, LongChainEnds) {
  Disk disk(4000);
  testing::put_mbr_entry(disk, 0, 0,
                         {.first_block = 10, .blocks = 3990, .type = 0x05});
  for (std::uint32_t i = 0; i < 1000; ++i) {
    testing::put_mbr_entry(
        disk, 10 + 2 * i, 1,
        {.first_block = 2 * i + 2, .blocks = 2, .type = 0x05});
  }
  expect(table_of(disk), Scheme::kMbr, {},
         {{.number = 1, .reason = Reason::kTooMany}});
}

TEST(MbrTest, ExtendedPartitionThatCannotBe) {
  for (const auto& [entry, reason] :
       {std::pair{MbrEntry{.first_block = 0, .blocks = 10, .type = 5},
                  Reason::kOffLimits},
        std::pair{MbrEntry{.first_block = 9, .blocks = 0, .type = 5},
                  Reason::kEmpty},
        std::pair{MbrEntry{.first_block = 9, .blocks = 2000, .type = 5},
                  Reason::kOutOfRange}}) {
    Disk disk(2000);
    testing::put_mbr_entry(disk, 0, 0, entry);
    expect(table_of(disk), Scheme::kMbr, {}, {{.number = 1, .reason = reason}});
  }
}

// --- disklabel64 ---

TEST(Disklabel64Test, OfAWholeDisk) {
  for (const std::uint32_t block : {512u, 4096u}) {
    Disk disk(1 << 20 >> 8, block);
    testing::put_label(
        disk.bytes(), 65536,
        {{65536, 4096, 7}, {0, 0, 0}, {131072, 65536, 23}, {69632, 4096, 1}});
    expect(table_of(disk), Scheme::kDisklabel64,
           {in_blocks(128, 8, 1, Kind::kUfs),
            in_blocks(256, 128, 3, Kind::kHammer2),
            in_blocks(136, 8, 4, Kind::kSwap)});
  }
  EXPECT_EQ(disklabel_letter(1), 'a');
  EXPECT_EQ(disklabel_letter(16), 'p');
}

TEST(Disklabel64Test, BadEntriesAreLeftOutEachForItsReason) {
  constexpr std::uint64_t kMost = ~std::uint64_t{0};
  Disk disk(1024);
  testing::put_label(disk.bytes(), 65536,
                     {{65536, 4096, 7},
                      {67584, 4096, 7},
                      {4096, 4096, 7},
                      {131072, 100, 7},
                      {kMost, kMost, 7},
                      {4096, kMost, 7},
                      {131072, 0, 7}});
  expect(table_of(disk), Scheme::kDisklabel64,
         {in_blocks(128, 8, 1, Kind::kUfs)},
         {{.number = 2, .reason = Reason::kOverlapping, .other = 1},
          {.number = 3, .reason = Reason::kOffLimits},
          {.number = 4, .reason = Reason::kMisaligned},
          {.number = 5, .reason = Reason::kOutOfRange},
          {.number = 6, .reason = Reason::kOutOfRange},
          {.number = 7, .reason = Reason::kEmpty}});
}

TEST(Disklabel64Test, DamageIsTold) {
  Disk disk(1024);
  testing::put_label(disk.bytes(), 65536, {{65536, 4096, 7}});
  disk.bytes()[700] ^= std::byte{1};
  expect(table_of(disk), Scheme::kDisklabel64, {},
         {{.reason = Reason::kBadChecksum}});
  disk.put<std::uint32_t>(disklabel64::kCountAt, 17);
  expect(table_of(disk), Scheme::kDisklabel64, {},
         {{.reason = Reason::kTooMany}});
}

// A label's fields by DragonFly's own words: a slice that its disklabel64(8)
// would make, of 4 MiB at block 63, written out byte by byte.
TEST(Disklabel64Test, InASlice) {
  Disk disk(63 + 8192);
  testing::put_mbr_entry(disk, 0, 0,
                         {.first_block = 63, .blocks = 8192, .type = 0x6c});
  const MutableBytes slice = MutableBytes(disk.bytes()).subspan(63 * 512);
  testing::put_label(slice, 1016320, {{1016320, 1 << 20, 23}});
  MemoryDevice device(disk.bytes());
  Table table;
  read_table(device, table);
  ASSERT_EQ(table.partitions().size(), 1u);
  PartitionDevice<MemoryDevice> part(device, table.partitions()[0]);
  read_label(part, table);
  expect(table, Scheme::kDisklabel64,
         {{.begin_bytes = 1016320,
           .size_bytes = 1 << 20,
           .number = 1,
           .kind = Kind::kHammer2}});
}

// --- A part as a device ---

TEST(PartitionDeviceTest, ReadsAndWritesItsOwnBytesAlone) {
  std::vector<std::byte> bytes(16 * 512, std::byte{7});
  block::WritableMemoryDevice disk(bytes);
  PartitionDevice<block::WritableMemoryDevice> part(disk,
                                                    in_blocks(4, 8, 1, {}));
  EXPECT_EQ(part.size_bytes(), 8u * 512);
  EXPECT_EQ(part.begin_bytes(), 4u * 512);
  std::vector<std::byte> ones(512, std::byte{1});
  EXPECT_TRUE(part.write(0, ones));
  EXPECT_TRUE(part.write(7 * 512, ones));
  EXPECT_TRUE(part.flush());
  std::vector<std::byte> back(512);
  EXPECT_TRUE(part.read(7 * 512, back));
  EXPECT_EQ(back, ones);
  for (std::size_t i = 0; i < 16; ++i) {
    EXPECT_EQ(bytes[i * 512], i == 4 || i == 11 ? std::byte{1} : std::byte{7});
  }
  EXPECT_EQ(part.write(8 * 512, ones).error(), block::Error::kOutOfRange);
  EXPECT_EQ(part.read(8 * 512, back).error(), block::Error::kOutOfRange);
  EXPECT_EQ(part.read(~std::uint64_t{511}, back).error(),
            block::Error::kOutOfRange);
  EXPECT_EQ(part.read(1, back).error(), block::Error::kMisaligned);
}

static_assert(block::WritableBlockDevice<
              PartitionDevice<block::ArchetypeWritableDevice>>);
static_assert(!block::WritableBlockDevice<PartitionDevice<MemoryDevice>>);
static_assert(
    !block::DiscardingDevice<PartitionDevice<block::ArchetypeWritableDevice>>);

// --- Other people's tables ---

// What sfdisk(8) writes for `script` on a disk of `blocks`.
[[nodiscard]] std::optional<Disk> by_sfdisk(const std::string& script,
                                            std::uint64_t blocks) {
  namespace fs = std::filesystem;
  if (!fs::exists("/sbin/sfdisk")) return std::nullopt;
  const fs::path folder = ::testing::TempDir();
  const std::string name = (folder / "partition_table_test.img").string();
  std::ofstream(name).put('\0');
  fs::resize_file(name, blocks * 512);
  std::ofstream(name + ".txt") << script;
  const std::string command = "/sbin/sfdisk -q --no-reread --no-tell-kernel '" +
                              name + "' < '" + name + ".txt' > '" + name +
                              ".log' 2>&1";
  EXPECT_EQ(std::system(command.c_str()), 0);
  Disk disk(blocks);
  std::ifstream in(name, std::ios::binary);
  in.read(reinterpret_cast<char*>(disk.bytes().data()),
          static_cast<std::streamsize>(disk.bytes().size()));
  for (const char* end : {"", ".txt", ".log"}) fs::remove(name + end);
  return disk;
}

TEST(SfdiskTest, Gpt) {
  auto disk = by_sfdisk(
      "label: gpt\n"
      "2048,2048,21686148-6449-6E6F-744E-656564454649\n"
      "4096,4096,C12A7328-F81F-11D2-BA4B-00A0C93EC93B\n"
      "8192,1000,5CBB9AD1-862D-11DC-A94D-01301BB8A9F5\n",
      16384);
  if (!disk) GTEST_SKIP() << "sfdisk is not installed";
  const std::vector<Partition> wanted = {
      in_blocks(2048, 2048, 1, Kind::kBiosBoot),
      in_blocks(4096, 4096, 2, Kind::kEfiSystem),
      in_blocks(8192, 1000, 3, Kind::kHammer2)};
  expect(table_of(*disk), Scheme::kGpt, wanted);
  disk->block(1)[0] ^= std::byte{1};
  expect(table_of(*disk), Scheme::kGpt, wanted,
         {{.reason = Reason::kFromBackup}});
}

TEST(SfdiskTest, MbrWithLogicalPartitions) {
  auto disk = by_sfdisk(
      "label: dos\n"
      "2048,2048,6c\n4096,12288,5\n4352,1000,83\n6144,1000,82\n8192,1000,c\n",
      32768);
  if (!disk) GTEST_SKIP() << "sfdisk is not installed";
  expect(table_of(*disk), Scheme::kMbr,
         {in_blocks(2048, 2048, 1, Kind::kDragonFly),
          in_blocks(4352, 1000, 5, Kind::kLinux),
          in_blocks(6144, 1000, 6, Kind::kSwap),
          in_blocks(8192, 1000, 7, Kind::kFat)});
}

}  // namespace
}  // namespace odo::partition
