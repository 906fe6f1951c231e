// SPDX-License-Identifier: BSD-3-Clause
#include "lib/block/sim/overlay.h"

#include <cstddef>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "lib/base/bytes.h"
#include "lib/block/sim/random.h"

namespace odo::block {
namespace {

constexpr std::size_t kSectors = 400;  // more than three chunks

std::vector<std::byte> random_sectors(Random& random, std::size_t sectors) {
  std::vector<std::byte> bytes(sectors * kSectorBytes);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random.next());
  return bytes;
}

TEST(PieceTest, PiecesLieInOneChunk) {
  std::vector<std::array<std::uint64_t, 4>> pieces;
  for_each_piece((kChunkSectors - 1) * kSectorBytes,
                 (kChunkSectors + 2) * kSectorBytes,
                 [&](std::uint64_t number, std::size_t first, std::size_t count,
                     std::size_t done) {
                   pieces.push_back({number, first, count, done});
                 });
  const std::vector<std::array<std::uint64_t, 4>> expected = {
      {0, kChunkSectors - 1, 1, 0},
      {1, 0, kChunkSectors, kSectorBytes},
      {2, 0, 1, (kChunkSectors + 1) * kSectorBytes}};
  EXPECT_EQ(pieces, expected);
}

TEST(OwnedOverlayTest, IsWhatAnArrayIs) {
  Random random(1);
  const std::vector<std::byte> base = random_sectors(random, kSectors);
  std::vector<std::byte> expected = base;
  OwnedOverlay below;
  OwnedOverlay above;
  for (int round = 0; round < 300; ++round) {
    OwnedOverlay& overlay = round < 150 ? below : above;
    const std::size_t sectors = 1 + random.below(160);
    const std::size_t at = random.below(kSectors - sectors + 1) * kSectorBytes;
    const std::vector<std::byte> bytes = random_sectors(random, sectors);
    overlay.write(at, bytes);
    copy_bytes(MutableBytes(expected).subspan(at), bytes);
    if (round % 10 != 0) continue;
    const std::size_t length = 1 + random.below(kSectors);
    const std::size_t from = random.below(kSectors - length + 1) * kSectorBytes;
    std::vector<std::byte> got(length * kSectorBytes);
    copy_bytes(got, Bytes(base).subspan(from, got.size()));
    below.paint(from, got);
    above.paint(from, got);
    ASSERT_TRUE(equal_bytes(got, Bytes(expected).subspan(from, got.size())));
  }
  below.absorb(above);
  above.clear();
  std::vector<std::byte> got = base;
  below.paint(0, got);
  EXPECT_EQ(got, expected);
  got = base;
  above.paint(0, got);
  EXPECT_EQ(got, base);
}

TEST(OwnedOverlayTest, CostsWhatWasWritten) {
  OwnedOverlay overlay;
  const std::vector<std::byte> sector(kSectorBytes, std::byte{7});
  overlay.write(0, sector);
  overlay.write(std::uint64_t{1} << 40, sector);
  EXPECT_LT(overlay.memory_bytes(), 3 * kChunkBytes);
  std::vector<std::byte> got(kSectorBytes);
  overlay.paint(std::uint64_t{1} << 40, got);
  EXPECT_EQ(got, sector);
}

TEST(SectorMapTest, PaintsWhatItPointsAt) {
  Random random(2);
  const std::vector<std::byte> source = random_sectors(random, kSectors);
  std::vector<std::byte> expected(source.size());
  SectorMap map;
  for (int i = 0; i < 200; ++i) {
    const std::size_t to = random.below(kSectors);
    const std::size_t from = random.below(kSectors);
    map.point(to, source.data() + from * kSectorBytes);
    copy_bytes(MutableBytes(expected).subspan(to * kSectorBytes),
               Bytes(source).subspan(from * kSectorBytes, kSectorBytes));
  }
  std::vector<std::byte> got(source.size());
  map.paint(0, got);
  EXPECT_EQ(got, expected);
}

}  // namespace
}  // namespace odo::block
