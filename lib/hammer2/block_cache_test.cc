// SPDX-License-Identifier: BSD-3-Clause
#include "lib/hammer2/block_cache.h"

#include <cstdint>
#include <map>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace odo::hammer2 {
namespace {

BlockId id_of(std::uint64_t number, unsigned radix = 16) {
  BlockId id;
  id.data_off = number << 16 | radix;
  return id;
}

class BlockCacheTest : public ::testing::Test {
 protected:
  void init(std::size_t frames) {
    memory_.resize(BlockCache::bytes_for(frames));
    ASSERT_TRUE(cache_.init(memory_));
    ASSERT_EQ(cache_.frames(), frames);
  }

  BlockCache::Pin add(std::uint64_t number, unsigned radix = 16) {
    const BlockId id = id_of(number, radix);
    const BlockCache::Room room = cache_.reserve(id, radix);
    if (!room.held()) return {};
    const MutableBytes to = room.space();
    EXPECT_EQ(to.size(), std::size_t{1} << radix);
    store_le(to.data(), number);
    store_le(to.data() + to.size() - 8, ~number);
    return cache_.publish(room, id,
                          static_cast<std::uint32_t>(number & 0xffff));
  }

  static void expect_intact(const BlockCache::Pin& pin, std::uint64_t number) {
    const Bytes bytes = pin.bytes();
    EXPECT_EQ(load_le<std::uint64_t>(bytes.data()), number);
    EXPECT_EQ(load_le<std::uint64_t>(bytes.data() + bytes.size() - 8), ~number);
    EXPECT_EQ(pin.count(), number & 0xffff);
  }

  std::vector<std::byte> memory_;
  BlockCache cache_;
};

TEST_F(BlockCacheTest, WantsEightFrames) {
  std::vector<std::byte> memory(BlockCache::bytes_for(8));
  EXPECT_TRUE(cache_.init(memory));
  EXPECT_FALSE(cache_.init(MutableBytes(memory).first(memory.size() - 1)));
  EXPECT_FALSE(cache_.init({}));
  // At any alignment.
  std::vector<std::byte> odd(BlockCache::bytes_for(8) + 64);
  for (std::size_t skip = 0; skip < 64; skip += 7) {
    EXPECT_TRUE(
        cache_.init(MutableBytes(odd).subspan(skip, BlockCache::bytes_for(8))));
    expect_intact(add(1, 10), 1);
  }
}

TEST_F(BlockCacheTest, FindsWhatWasPublished) {
  init(8);
  EXPECT_FALSE(cache_.find(id_of(1)).held());
  add(1);
  expect_intact(cache_.find(id_of(1)), 1);
  BlockId other = id_of(1);
  other.check[23] = std::byte{1};
  EXPECT_FALSE(cache_.find(other).held());
  other = id_of(1);
  other.tree = 1;
  EXPECT_FALSE(cache_.find(other).held());
}

TEST_F(BlockCacheTest, DiscardedRoomIsUsedAgain) {
  init(8);
  for (int i = 0; i < 10000; ++i) {
    const BlockCache::Room room = cache_.reserve(BlockId{}, 10);
    ASSERT_TRUE(room.held());
    cache_.discard(room, BlockId{});
  }
  for (std::uint64_t i = 0; i < 8 * 64; ++i) {
    ASSERT_TRUE(add(i, 10).held());
  }
  for (std::uint64_t i = 0; i < 8 * 64; ++i) {
    expect_intact(cache_.find(id_of(i, 10)), i);
  }
}

TEST_F(BlockCacheTest, PinnedBlocksStay) {
  init(8);
  std::vector<BlockCache::Pin> pins;
  for (std::uint64_t i = 0; i < 8; ++i) pins.push_back(add(i));
  EXPECT_FALSE(cache_.reserve(BlockId{}, 16).held());
  EXPECT_FALSE(cache_.reserve(BlockId{}, 10).held());
  pins.erase(pins.begin() + 3);
  EXPECT_TRUE(add(100).held());  // and released at once
  EXPECT_TRUE(add(101).held());
  std::uint64_t number = 0;
  for (const BlockCache::Pin& pin : pins) {
    if (number == 3) ++number;
    expect_intact(pin, number++);
  }
  EXPECT_FALSE(cache_.find(id_of(3)).held());
}

TEST_F(BlockCacheTest, WhatIsUsedStaysLongest) {
  init(8);
  add(1);
  for (std::uint64_t i = 1000; i < 1500; ++i) {
    add(i);
    expect_intact(cache_.find(id_of(1)), 1);
  }
}

// Many sizes, pins and finds; whatever is found is what was published.
TEST_F(BlockCacheTest, AgreesWithAModel) {
  for (const std::size_t frames : {8U, 9U, 20U}) {
    init(frames);
    std::mt19937 random(static_cast<unsigned>(frames));
    std::map<std::uint64_t, BlockCache::Pin> pins;
    std::size_t found = 0;
    for (int step = 0; step < 100000; ++step) {
      const std::uint64_t number = random() % 300;
      const unsigned radix = 10 + static_cast<unsigned>(number % 7);
      if (random() % 4 == 0 && !pins.empty()) {
        pins.erase(pins.begin());
        continue;
      }
      BlockCache::Pin pin = cache_.find(id_of(number, radix));
      if (pin.held()) {
        ++found;
      } else if (random() % 10 == 0) {
        const BlockId id = id_of(number, radix);
        const BlockCache::Room room = cache_.reserve(id, radix);
        if (room.held()) cache_.discard(room, id);
        continue;
      } else {
        pin = add(number, radix);
        if (!pin.held()) {
          EXPECT_GE(pins.size(), frames);
          continue;
        }
      }
      expect_intact(pin, number);
      if (pins.size() < frames + 3 && random() % 3 == 0) {
        pins[number] = std::move(pin);
      }
      for (const auto& [held, kept] : pins) {
        ASSERT_EQ(load_le<std::uint64_t>(kept.bytes().data()), held);
      }
    }
    EXPECT_GT(found, 1000U);
    pins.clear();
    for (std::uint64_t i = 0; i < frames; ++i) {  // none was lost on the way
      pins[1000 + i] = add(1000 + i);
      EXPECT_TRUE(pins[1000 + i].held());
    }
    EXPECT_FALSE(add(1).held());
  }
}

TEST_F(BlockCacheTest, TheFirstPublishedWins) {
  init(8);
  const BlockId id = id_of(1, 12);
  const BlockCache::Room first = cache_.reserve(id, 12);
  const BlockCache::Room second = cache_.reserve(id, 12);
  store_le(first.space().data(), std::uint64_t{1});
  store_le(second.space().data(), std::uint64_t{2});
  const BlockCache::Pin kept = cache_.publish(second, id, 2);
  const BlockCache::Pin other = cache_.publish(first, id, 1);
  EXPECT_EQ(kept.bytes().data(), other.bytes().data());
  EXPECT_EQ(load_le<std::uint64_t>(other.bytes().data()), 2U);
  EXPECT_EQ(other.count(), 2U);
}

// Slots are given back in any order, and all are used again.
TEST_F(BlockCacheTest, RoomIsGivenBackInAnyOrder) {
  init(8);
  std::vector<BlockCache::Room> rooms;
  for (int i = 0; i < 64; ++i) {
    rooms.push_back(cache_.reserve(id_of(1, 10), 10));
  }
  for (std::size_t i = 0; i < 64; i += 2) cache_.discard(rooms[i], BlockId{});
  for (std::uint64_t i = 0; i < 32; ++i) ASSERT_TRUE(add(i, 10).held());
  for (std::size_t i = 1; i < 64; i += 2) {
    EXPECT_EQ(rooms[i].space().size(), 1024U);
    cache_.discard(rooms[i], BlockId{});
  }
  for (std::uint64_t i = 0; i < 32; ++i) {
    expect_intact(cache_.find(id_of(i, 10)), i);
  }
}

TEST_F(BlockCacheTest, PinsMove) {
  init(8);
  BlockCache::Pin a = add(1);
  BlockCache::Pin b = std::move(a);
  EXPECT_FALSE(a.held());  // NOLINT: moved from, and known to be empty
  expect_intact(b, 1);
  a = add(2);
  b = std::move(a);
  expect_intact(b, 2);
  b.release();
  EXPECT_FALSE(b.held());
}

}  // namespace
}  // namespace odo::hammer2
