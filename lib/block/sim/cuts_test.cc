// SPDX-License-Identifier: BSD-3-Clause
#include "lib/block/sim/cuts.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "lib/base/bytes.h"
#include "lib/block/memory_device.h"
#include "lib/block/sim/crash_disk.h"
#include "lib/block/sim/cut_device.h"
#include "lib/block/sim/random.h"

namespace odo::block {
namespace {

using Image = std::vector<std::byte>;

std::vector<std::byte> filled(std::size_t sectors, unsigned value) {
  return std::vector<std::byte>(sectors * kSectorBytes,
                                static_cast<std::byte>(value));
}

template <class Device>
Image image(Device& device) {
  Image bytes(device.size_bytes());
  EXPECT_TRUE(device.read(0, bytes));
  return bytes;
}

// The first byte of each sector, to be read in failures.
template <class Device>
std::string sketch(Device& device) {
  const Image bytes = image(device);
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += kSectorBytes) {
    text += static_cast<char>('0' + std::to_integer<int>(bytes[at]));
  }
  return text;
}

// What a cut should be, made the long way.
Image by_hand(const Image& base, const WriteLog& log, const Cut& cut) {
  Image bytes = base;
  const auto apply = [&](const LoggedWrite& write, const Fate& fate) {
    for (std::size_t s = 0; s < write.sectors(); ++s) {
      if (!fate.keeps(s, write.sectors())) continue;
      std::copy_n(
          write.bytes.begin() + static_cast<std::ptrdiff_t>(s * kSectorBytes),
          kSectorBytes,
          bytes.begin() + static_cast<std::ptrdiff_t>(write.offset_bytes +
                                                      s * kSectorBytes));
    }
  };
  for (std::size_t e = 0; e < cut.epoch; ++e) {
    const Epoch& epoch = log.epochs()[e];
    for (std::size_t i = 0; i < epoch.writes(); ++i) {
      apply(log.write(epoch, i), epoch.fate(i));
    }
  }
  const Epoch& last = log.epochs()[cut.epoch];
  for (std::size_t k = 0; k < cut.fates.size(); ++k) {
    const std::size_t i =
        cut.order == Order::kReversed ? cut.fates.size() - 1 - k : k;
    apply(log.write(last, i), cut.fates[i]);
  }
  return bytes;
}

TEST(FateTest, SaysWhichSectorsStay) {
  const auto kept = [](const Fate& fate, std::size_t sectors) {
    std::string text;
    for (std::size_t s = 0; s < sectors; ++s) {
      text += fate.keeps(s, sectors) ? 'x' : '.';
    }
    return text;
  };
  EXPECT_EQ(kept(Fate::lost(), 4), "....");
  EXPECT_EQ(kept(Fate::kept(), 4), "xxxx");
  EXPECT_EQ(kept(Fate::prefix(1), 4), "x...");
  EXPECT_EQ(kept(Fate::suffix(3), 4), ".xxx");
  EXPECT_EQ(kept(Fate::scattered(7), 64), kept(Fate::scattered(7), 64));
  EXPECT_NE(kept(Fate::scattered(7), 64), kept(Fate::scattered(8), 64));
  const std::string some = kept(Fate::scattered(7), 64);
  const auto n = std::ranges::count(some, 'x');
  EXPECT_GT(n, 16);
  EXPECT_LT(n, 48);
}

TEST(CutTest, ReadsWell) {
  EXPECT_EQ(to_string(Cut{.epoch = 2}), "epoch 2: no writes");
  EXPECT_EQ(to_string(Cut{
                3,
                Order::kReversed,
                {Fate::kept(), Fate::kept(), Fate::lost(), Fate::prefix(5)}}),
            "epoch 3: 0-1 kept, 2 lost, 3 first 5 sectors (in reversed order)");
}

TEST(TearTest, WaysDifferAndLieInside) {
  Random random(1);
  const CutOptions options;
  EXPECT_TRUE(ways_to_tear(1, options, random).empty());
  for (int i = 0; i < 100; ++i) {
    const Fate fate = scatter(2, random);
    EXPECT_NE(fate.keeps(0, 2), fate.keeps(1, 2));
  }
  const std::vector<Fate> of_two = ways_to_tear(2, options, random);
  EXPECT_EQ(of_two, (std::vector<Fate>{Fate::prefix(1), Fate::suffix(1)}));
  for (const std::size_t sectors : {3U, 4U, 5U, 128U}) {
    std::set<std::uint64_t> lengths;
    for (const Fate& fate : ways_to_tear(sectors, options, random)) {
      if (fate.kind != Fate::Kind::kPrefix) continue;
      EXPECT_GE(fate.value, 1U);
      EXPECT_LT(fate.value, sectors);
      EXPECT_TRUE(lengths.insert(fate.value).second);
    }
    EXPECT_EQ(lengths.size(), std::min<std::size_t>(3, sectors - 1));
    EXPECT_TRUE(lengths.contains(1));
    EXPECT_TRUE(lengths.contains(sectors - 1));
  }
  EXPECT_EQ(ways_to_tear(128, {.tears = 127, .scatters = 0}, random).size(),
            254U);
}

// Three pending writes of a sector: all eight states, each once, and what was
// flushed in all of them.
TEST(CutsTest, FewWritesGiveEverySubset) {
  ZeroDevice base(4 * kSectorBytes);
  CrashDisk disk(base);
  ASSERT_TRUE(disk.write(0, filled(1, 9)));
  ASSERT_TRUE(disk.flush());
  for (unsigned i = 1; i <= 3; ++i) {
    ASSERT_TRUE(disk.write(i * kSectorBytes, filled(1, i)));
  }
  std::vector<std::string> states;
  const std::size_t calls = for_each_cut(
      disk, {}, [&](CutDevice<ZeroDevice>& device, const CutInfo& info) {
        states.push_back(sketch(device));
        EXPECT_EQ(info.number + 1, states.size());
        EXPECT_EQ(info.flushes, info.cut.epoch);
        EXPECT_EQ(info.writes, info.cut.epoch + info.cut.fates.size());
      });
  EXPECT_EQ(states,
            (std::vector<std::string>{"0000", "9000",  // of the first epoch
                                      "9000",          // flushed
                                      "9100",          // after one more write
                                      "9120", "9020",  // after two
                                      "9123", "9023", "9103", "9003"}));
  EXPECT_EQ(calls, states.size());
}

TEST(CutsTest, OverlappingWritesLandInEitherOrder) {
  ZeroDevice base(3 * kSectorBytes);
  CrashDisk disk(base);
  ASSERT_TRUE(disk.write(0, filled(2, 1)));
  ASSERT_TRUE(disk.write(kSectorBytes, filled(2, 2)));
  std::set<std::string> states;
  for_each_cut(disk, {}, [&](auto& device, const CutInfo&) {
    states.insert(sketch(device));
  });
  // Each sector is old or from a write to it, and all mixtures come up: of
  // three sectors with 2, 3 and 2 contents.
  EXPECT_TRUE(states.contains("112"));
  EXPECT_TRUE(states.contains("122"));
  for (const std::string& state : states) {
    EXPECT_NE(state[0], '2');
    EXPECT_NE(state[2], '1');
  }
  EXPECT_GE(states.size(), 10U) << "of 12";
}

TEST(CutsTest, NothingFlushedIsEverMissing) {
  ZeroDevice base(64 * kSectorBytes);
  CrashDisk disk(base);
  for (unsigned i = 0; i < 8; ++i) {
    ASSERT_TRUE(disk.write(i * kSectorBytes, filled(1, i + 1)));
    ASSERT_TRUE(disk.write((i + 20) * kSectorBytes, filled(2, i + 1)));
    if (i % 2 == 1) ASSERT_TRUE(disk.flush());
  }
  for_each_cut(disk, {}, [&](auto& device, const CutInfo& info) {
    const std::string found = sketch(device);
    for (unsigned i = 0; i < 2 * info.flushes; ++i) {
      EXPECT_EQ(found[i], static_cast<char>('1' + i)) << to_string(info);
    }
    // Nor is there anything that hadn't been issued.
    for (std::size_t i = (info.writes + 1) / 2; i < 8; ++i) {
      EXPECT_EQ(found[i], '0') << to_string(info);
    }
  });
}

// Random logs, against cuts made by copying.
TEST(CutsTest, AreWhatTheLogSays) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Random random(seed);
    Image base_bytes(40 * kSectorBytes);
    for (std::byte& b : base_bytes) b = static_cast<std::byte>(random.next());
    MemoryDevice base(base_bytes);
    CrashDisk disk(base);
    ASSERT_TRUE(disk.write(0, filled(20, 1)));
    disk.start_log();
    copy_bytes(base_bytes, filled(20, 1));
    for (int i = 0; i < 30; ++i) {
      const std::size_t sectors = 1 + random.below(10);
      const std::size_t at = random.below(40 - sectors + 1);
      std::vector<std::byte> bytes(sectors * kSectorBytes);
      for (std::byte& b : bytes) b = static_cast<std::byte>(random.next());
      ASSERT_TRUE(disk.write(at * kSectorBytes, bytes));
      if (random.chance(50)) ASSERT_TRUE(disk.flush());
      if (random.chance(16)) disk.lose_pending(seed);
    }
    std::size_t reversed = 0;
    const CutOptions options{.seed = seed, .exhaustive_bound = 3, .samples = 4};
    for_each_cut(disk, options, [&](auto& device, const CutInfo& info) {
      reversed += info.cut.order == Order::kReversed ? 1 : 0;
      ASSERT_TRUE(image(device) == by_hand(base_bytes, disk.log(), info.cut))
          << to_string(info);
    });
    EXPECT_GT(reversed, 0U);
    // The cuts of several epochs, made in no order.
    Cutter cutter(disk);
    for (int i = 0; i < 50; ++i) {
      Cut cut{.epoch = random.below(disk.log().epochs().size())};
      cut.fates.resize(
          random.below(disk.log().epochs()[cut.epoch].writes() + 1));
      auto device = cutter.cut(cut);
      ASSERT_TRUE(image(device) == by_hand(base_bytes, disk.log(), cut));
    }
  }
}

TEST(CutsTest, ALogThatGrowsIsCutAnew) {
  ZeroDevice base(4 * kSectorBytes);
  CrashDisk disk(base);
  Cutter cutter(disk);
  ASSERT_TRUE(disk.write(0, filled(1, 1)));
  auto one = cutter.cut({.fates = {Fate::kept()}});
  EXPECT_EQ(sketch(one), "1000");
  ASSERT_TRUE(disk.write(512, filled(1, 2)));
  auto two = cutter.cut({.fates = {Fate::lost(), Fate::kept()}});
  EXPECT_EQ(sketch(two), "0200");
}

TEST(CutsTest, MayBeTriedAgainByNumber) {
  ZeroDevice base(64 * kSectorBytes);
  CrashDisk disk(base);
  for (unsigned i = 0; i < 14; ++i) {
    ASSERT_TRUE(
        disk.write(i * std::uint64_t{4} * kSectorBytes, filled(4, i + 1)));
  }
  std::vector<Cut> all;
  for_each_cut(disk, {},
               [&](auto&, const CutInfo& info) { all.push_back(info.cut); });
  ASSERT_GT(all.size(), 1000U);
  for (const std::size_t first :
       {std::size_t{0}, all.size() / 2, all.size() - 3}) {
    std::size_t at = first;
    const std::size_t calls = for_each_cut(disk, {.first = first, .count = 3},
                                           [&](auto&, const CutInfo& info) {
                                             EXPECT_EQ(info.number, at);
                                             EXPECT_EQ(info.cut, all[at]);
                                             ++at;
                                           });
    EXPECT_EQ(calls, 3U);
  }
  // Another seed, other samples.
  std::size_t differing = 0;
  for_each_cut(disk, {.seed = 2}, [&](auto&, const CutInfo& info) {
    differing += info.cut == all[info.number] ? 0 : 1;
  });
  EXPECT_GT(differing, 100U);
}

TEST(CutsTest, ACallbackMayStop) {
  ZeroDevice base(64 * kSectorBytes);
  CrashDisk disk(base);
  for (unsigned i = 0; i < 5; ++i) {
    ASSERT_TRUE(disk.write(i * kSectorBytes, filled(1, 1)));
  }
  const std::size_t calls =
      for_each_cut(disk, {}, [&](auto&, const CutInfo& info) {
        return info.number == 6 ? Walk::kStop : Walk::kOn;
      });
  EXPECT_EQ(calls, 7U);
}

TEST(CutDeviceTest, CanBeWrittenWithoutTrace) {
  ZeroDevice base(4 * kSectorBytes);
  CrashDisk disk(base);
  ASSERT_TRUE(disk.write(0, filled(2, 1)));
  Cutter cutter(disk);
  {
    auto device = cutter.cut({.fates = {Fate::prefix(1)}});
    ASSERT_TRUE(device.write(512, filled(2, 5)));
    ASSERT_TRUE(device.flush());
    EXPECT_EQ(sketch(device), "1550");
    EXPECT_EQ(device.write(100, filled(1, 5)).error(), Error::kMisaligned);
    EXPECT_EQ(device.write(2048, filled(1, 5)).error(), Error::kOutOfRange);
  }
  auto device = cutter.cut({.fates = {Fate::prefix(1)}});
  EXPECT_EQ(sketch(device), "1000");
  EXPECT_EQ(sketch(disk), "1100");
}

// Power that fails again during recovery: a disk over a cut.
TEST(CutDeviceTest, MayBeTheBaseOfAnotherDisk) {
  ZeroDevice base(4 * kSectorBytes);
  CrashDisk disk(base);
  ASSERT_TRUE(disk.write(0, filled(2, 1)));
  std::set<std::string> states;
  for_each_cut(disk, {}, [&](auto& device, const CutInfo&) {
    CrashDisk again(device);
    ASSERT_TRUE(again.write(512, filled(1, 2)));
    for_each_cut(again, {}, [&](auto& inner, const CutInfo&) {
      states.insert(sketch(inner));
    });
  });
  EXPECT_EQ(states, (std::set<std::string>{"0000", "0200", "1000", "1200",
                                           "1100", "0100"}));
}

// A disk of 8 GiB with a few thousand writes in it, and 20,000 cuts.
TEST(CutsTest, LargeDisksAreCheap) {
  ZeroDevice base(std::uint64_t{8} << 30, 4096);
  CrashDisk disk(base);
  Random random(5);
  for (unsigned i = 0; i < 600; ++i) {
    const std::uint64_t at = random.below(std::uint64_t{8} << 14) << 16;
    ASSERT_TRUE(disk.write(at, filled(i % 50 == 49 ? 128 : 8, 1 + i % 200)));
    if (i % 120 == 119) ASSERT_TRUE(disk.flush());
  }
  Image block(65536);
  const std::size_t calls = for_each_cut(
      disk, {.exhaustive_bound = 6, .samples = 32},
      [&](auto& device, const CutInfo& info) {
        const std::uint64_t at =
            info.writes == 0
                ? 0
                : disk.log().writes()[info.writes - 1].offset_bytes;
        ASSERT_TRUE(device.read(at, block));
        // The newest write reached the medium, in part at least.
        if (!info.cut.fates.empty() && info.cut.order == Order::kAsIssued) {
          ASSERT_FALSE(all_zero(block)) << to_string(info);
        }
      });
  EXPECT_GT(calls, 20000U);
}

// --- A store that must survive any cut, and the ways to get it wrong ---------

// Two slots for a header, which names the place of the newest value; values are
// of 16 sectors, all alike, and never overwritten. An update writes the value,
// flushes, writes the header into the slot that is older, and flushes.
struct Flaws {
  enum class Flush : std::uint8_t { kBoth, kNoneBeforeHeader };
  enum class Slots : std::uint8_t { kTwo, kOne };
  enum class Check : std::uint8_t { kChecked, kTrusted };
  Flush flush = Flush::kBoth;
  Slots slots = Slots::kTwo;
  Check check = Check::kChecked;
};

constexpr std::size_t kSlotSectors = 4;
constexpr std::size_t kValueSectors = 16;

// Each sector of a header holds the sequence number, so that they check each
// other. The first is to say what the number is, and the last where the value
// lies.
template <class Device>
void update(Device& device, unsigned sequence, const Flaws& flaws) {
  const std::uint64_t slot =
      flaws.slots == Flaws::Slots::kTwo ? sequence % 2 : 0;
  const std::uint64_t place = 2 * kSlotSectors + sequence * kValueSectors;
  ASSERT_TRUE(
      device.write(place * kSectorBytes, filled(kValueSectors, sequence)));
  if (flaws.flush == Flaws::Flush::kBoth) ASSERT_TRUE(device.flush());
  ASSERT_TRUE(device.write(slot * kSlotSectors * kSectorBytes,
                           filled(kSlotSectors, sequence)));
  ASSERT_TRUE(device.flush());
}

// The newest sequence number, 0 on a blank disk, or none if its value isn't
// where it should be.
template <class Device>
std::optional<unsigned> recover(Device& device, const Flaws& flaws) {
  const std::string all = sketch(device);
  unsigned newest = 0;
  unsigned place = 0;
  for (std::size_t slot = 0; slot < 2; ++slot) {
    const std::string header = all.substr(slot * kSlotSectors, kSlotSectors);
    const bool whole = header == std::string(kSlotSectors, header[0]);
    if (!whole && flaws.check == Flaws::Check::kChecked) continue;
    const auto sequence = static_cast<unsigned>(header.front() - '0');
    if (sequence <= newest) continue;
    newest = sequence;
    place = static_cast<unsigned>(header.back() - '0');
  }
  if (newest == 0) return 0;
  const std::string value =
      all.substr(2 * kSlotSectors + place * kValueSectors, kValueSectors);
  if (value != std::string(kValueSectors, static_cast<char>('0' + newest))) {
    return std::nullopt;
  }
  return newest;
}

// How many cuts lose what was durable or show what never was.
std::size_t bad_cuts(const Flaws& flaws) {
  ZeroDevice base(256 * kSectorBytes);
  CrashDisk disk(base);
  std::vector<std::size_t> durable_at = {0};  // flushes, by sequence number
  std::vector<std::size_t> begun_at = {0};    // writes
  for (unsigned sequence = 1; sequence <= 6; ++sequence) {
    begun_at.push_back(disk.writes());
    update(disk, sequence, flaws);
    durable_at.push_back(disk.flushes());
  }
  std::size_t bad = 0;
  for_each_cut(disk, {}, [&](auto& device, const CutInfo& info) {
    const std::optional<unsigned> found = recover(device, flaws);
    const bool right = found &&
                       (*found == 6 || info.flushes < durable_at[*found + 1]) &&
                       info.writes >= begun_at[*found];
    bad += right ? 0 : 1;
  });
  return bad;
}

TEST(ProtocolTest, TheRightOneSurvivesEveryCut) { EXPECT_EQ(bad_cuts({}), 0U); }

TEST(ProtocolTest, AMissingFlushIsFound) {
  EXPECT_GT(bad_cuts({.flush = Flaws::Flush::kNoneBeforeHeader}), 0U);
}

TEST(ProtocolTest, ASingleHeaderIsFound) {
  EXPECT_GT(bad_cuts({.slots = Flaws::Slots::kOne}), 0U);
}

TEST(ProtocolTest, AHeaderThatIsNotCheckedIsFound) {
  EXPECT_GT(bad_cuts({.check = Flaws::Check::kTrusted}), 0U);
}

}  // namespace
}  // namespace odo::block
