// SPDX-License-Identifier: BSD-3-Clause
#include "lib/hammer2/shared_cache.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "lib/block/memory_device.h"
#include "lib/hammer2/cache/objcache_frames.h"
#include "lib/hammer2/filesystem.h"
#include "lib/hammer2/testing/image_builder.h"
#include "lib/objcache/host/ground.h"
#include "lib/platform/archetype.h"
#include "lib/platform/host/host_platform.h"
#include "lib/tokens/host/thread_token.h"

namespace odo::hammer2::testing {
namespace {

// --- The least of everything -------------------------------------------------

struct ArchetypeToken {
  explicit ArchetypeToken(const tokens::TokenClass& /*kind*/) {}
  void lock() {}
  void unlock() {}
  void lock_shared() {}
  void unlock_shared() {}
};

struct ArchetypeFrames {
  cache::FrameMemory* take() { return nullptr; }
  void give(cache::FrameMemory& /*memory*/) {}
  void release_idle() {}
};

}  // namespace
}  // namespace odo::hammer2::testing

template class odo::hammer2::SharedCache<
    odo::platform::ArchetypeAtomics, odo::hammer2::testing::ArchetypeToken,
    odo::hammer2::testing::ArchetypeFrames>;

namespace odo::hammer2::testing {
namespace {

// --- A cache of the host's ---------------------------------------------------

// Memory that is counted, and that may be refused.
struct Supply {
  std::atomic<std::size_t> live_bytes{0};
  std::atomic<bool> refuses{false};
};

struct SupplyBacking {
  Supply* supply;

  [[nodiscard]] void* allocate(std::size_t bytes, std::size_t align) const {
    if (supply->refuses) return nullptr;
    supply->live_bytes += bytes;
    return std::aligned_alloc(align, align_up(bytes, align));
  }
  void free(void* memory, std::size_t bytes) const {
    supply->live_bytes -= bytes;
    std::free(memory);
  }
};

using Frames = cache::ObjcacheFrames<objcache::HostGround, SupplyBacking>;
using Cache = SharedCache<platform::HostPlatform, tokens::ThreadToken, Frames>;

struct Shared {
  explicit Shared(std::size_t frames, std::size_t readers = 1)
      : source(frames, {}, SupplyBacking{&supply}),
        tables(Cache::table_bytes_for(frames)),
        opened(cache.init(tables, frames, readers)) {}

  Supply supply;
  Frames source;
  std::vector<std::byte> tables;
  Cache cache{source};
  Result<void> opened;
};

BlockId id_of(std::uint64_t number, unsigned radix = 16) {
  BlockId id;
  id.data_off = number << 16 | radix;
  return id;
}

Cache::Pin add(Cache& cache, std::uint64_t number, unsigned radix = 16) {
  const BlockId id = id_of(number, radix);
  const Cache::Room room = cache.reserve(id, radix);
  if (!room.held()) return {};
  store_le(room.space().data(), number);
  store_le(room.space().data() + room.space().size() - 8, ~number);
  return cache.publish(room, id, static_cast<std::uint32_t>(number));
}

void expect_intact(const Cache::Pin& pin, std::uint64_t number) {
  ASSERT_TRUE(pin.held());
  EXPECT_EQ(load_le<std::uint64_t>(pin.bytes().data()), number);
  EXPECT_EQ(load_le<std::uint64_t>(pin.bytes().last(8).data()), ~number);
  EXPECT_EQ(pin.count(), number);
}

TEST(SharedCacheTest, SaysWhatMemoryItNeeds) {
  EXPECT_TRUE(Shared(8, 2).opened);
  const Shared small(7, 2);
  ASSERT_FALSE(small.opened);
  std::string text(kErrorTextBytes, '\0');
  EXPECT_EQ(error_text(small.opened.error(), text),
            "not enough memory for the block cache: 448 KiB, needs 512 KiB");
  EXPECT_FALSE(Shared(0, 0).opened);
}

TEST(SharedCacheTest, IsCutIntoShardsThatHoldEveryReader) {
  const struct {
    std::size_t frames, readers, shards, usable;
  } cases[] = {{4, 1, 1, 4},   {8, 1, 2, 8},           {15, 1, 2, 14},
               {64, 4, 4, 64}, {63, 4, 2, 62},         {2000, 8, 16, 2000},
               {32, 8, 1, 32}, {100000, 1, 16, 100000}};
  for (const auto& c : cases) {
    const Shared shared(c.frames, c.readers);
    ASSERT_TRUE(shared.opened);
    EXPECT_EQ(shared.cache.shards(), c.shards) << c.frames;
    EXPECT_EQ(shared.cache.frames(), c.usable) << c.frames;
  }
}

// Neighbouring 64 KiB of media go to different shards.
TEST(SharedCacheTest, SpreadsBlocksOverItsShards) {
  Shared shared(64, 1);
  ASSERT_EQ(shared.cache.shards(), 16U);
  std::vector<Cache::Pin> pins;
  for (std::uint64_t i = 0; i < 40; ++i) {
    pins.push_back(add(shared.cache, 1000 + i));
    EXPECT_TRUE(pins.back().held()) << i;
  }
}

TEST(SharedCacheTest, FindsWhatWasPublished) {
  Shared shared(64, 4);
  EXPECT_FALSE(shared.cache.find(id_of(1)).held());
  for (std::uint64_t i = 0; i < 16; ++i) add(shared.cache, i);
  for (std::uint64_t i = 0; i < 16; ++i) {
    expect_intact(shared.cache.find(id_of(i)), i);
  }
  BlockId other = id_of(1);
  other.check[23] = std::byte{1};
  EXPECT_FALSE(shared.cache.find(other).held());
}

TEST(SharedCacheTest, KeepsToItsLimit) {
  Shared shared(64, 4);
  EXPECT_EQ(shared.source.existing(), 0U);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    expect_intact(add(shared.cache, i), i);
    EXPECT_LE(shared.source.existing(), 64U);
  }
  EXPECT_EQ(shared.source.existing(), 64U);
}

TEST(SharedCacheTest, PinnedBlocksStay) {
  Shared shared(4);
  std::vector<Cache::Pin> pins;
  pins.reserve(4);
  for (std::uint64_t i = 0; i < 4; ++i) pins.push_back(add(shared.cache, i));
  EXPECT_FALSE(add(shared.cache, 100).held());
  EXPECT_EQ(shared.cache.reclaim(4), 0U);
  pins.erase(pins.begin() + 2);
  expect_intact(add(shared.cache, 100), 100);
  expect_intact(pins[0], 0);
  expect_intact(pins[1], 1);
  expect_intact(pins[2], 3);
}

TEST(SharedCacheTest, ReclaimGivesMemoryBack) {
  Shared shared(64, 4);
  for (std::uint64_t i = 0; i < 1000; ++i) add(shared.cache, i);
  const std::size_t full = shared.supply.live_bytes;
  const Cache::Pin kept = add(shared.cache, 2000);
  EXPECT_EQ(shared.cache.reclaim(16), 16U);
  EXPECT_EQ(shared.source.existing(), 48U);
  EXPECT_LT(shared.supply.live_bytes, full - 16 * cache::kFrameBytes);
  EXPECT_EQ(shared.cache.reclaim(1), 1U);
  EXPECT_EQ(shared.cache.reclaim(~std::size_t{0}), 46U);
  EXPECT_EQ(shared.source.existing(), 1U);
  EXPECT_LT(shared.supply.live_bytes, 2 * cache::kFrameBytes);
  expect_intact(kept, 2000);
  expect_intact(shared.cache.find(id_of(2000)), 2000);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    EXPECT_FALSE(shared.cache.find(id_of(i)).held());
    expect_intact(add(shared.cache, i), i);
  }
  EXPECT_EQ(shared.source.existing(), 64U);
}

TEST(SharedCacheTest, WithoutMemoryThereIsNoRoom) {
  Shared shared(8, 1);
  shared.supply.refuses = true;
  EXPECT_FALSE(add(shared.cache, 1).held());
  shared.supply.refuses = false;
  expect_intact(add(shared.cache, 1), 1);
  shared.supply.refuses = true;
  expect_intact(shared.cache.find(id_of(1)), 1);
  // The same shard's one frame is used again.
  BlockId again = id_of(1);
  again.key = 7;
  const Cache::Room room = shared.cache.reserve(again, 16);
  ASSERT_TRUE(room.held());
  EXPECT_FALSE(shared.cache.find(id_of(1)).held());
  shared.cache.discard(room, again);
}

// --- Readers -----------------------------------------------------------------

// Counts what is read.
class CountingDevice {
 public:
  explicit CountingDevice(Bytes bytes) : inner_(bytes) {}

  [[nodiscard]] std::uint64_t size_bytes() const { return inner_.size_bytes(); }
  [[nodiscard]] std::uint32_t block_bytes() const {
    return inner_.block_bytes();
  }
  [[nodiscard]] block::Result<void> read(std::uint64_t offset,
                                         MutableBytes to) {
    ++reads_;
    return inner_.read(offset, to);
  }
  [[nodiscard]] unsigned reads() const { return reads_; }

 private:
  block::MemoryDevice inner_;
  std::atomic<unsigned> reads_{0};
};

using Reader = FileSystem<CountingDevice, VerifyChecks, Cache&>;

std::string noise(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

// Files of noise, one of a few blocks, many small ones.
struct Sample {
  static constexpr std::uint64_t kSmall = 300;
  static constexpr std::uint64_t kFirstInum = 2000;

  Sample() {
    Inode root = ImageBuilder::directory(1);
    Inode big = ImageBuilder::file(1024, content.size());
    std::vector<Blockref> blocks;
    for (std::size_t at = 0; at < content.size(); at += 65536) {
      blocks.push_back(image.put(
          BlockType::kData,
          as_bytes(std::string_view(content).substr(at, 65536)), at, 16));
    }
    image.attach(big, blocks);
    std::vector<Blockref> inodes = {image.indexed(big)};
    for (std::uint64_t i = 0; i < kSmall; ++i) {
      inodes.push_back(image.indexed(
          ImageBuilder::embedded(kFirstInum + i, std::to_string(i))));
    }
    image.attach(root, inodes);
    image.finish(root);
  }

  ImageBuilder image;
  std::string content = noise(30 * 65536 + 1234, 1);
};

struct Opened {
  Opened(CountingDevice& device, Cache& cache)
      : memory(Reader::kMinMemoryBytes), fs({}, cache) {
    CountingDevice* devices[] = {&device};
    EXPECT_TRUE(fs.open(devices, memory));
    Pfs pfs;
    EXPECT_TRUE(fs.default_pfs(pfs));
    EXPECT_TRUE(fs.root(pfs, root));
  }

  // True if a piece of a file is what it should be.
  bool reads(const Sample& sample, std::uint64_t inum, std::uint64_t offset,
             std::size_t length) {
    Node node;
    if (!fs.node_by_inum(root, inum, node)) return false;
    const std::string expected =
        inum == 1024 ? sample.content.substr(offset, length)
                     : std::to_string(inum - Sample::kFirstInum);
    std::string got(expected.size(), '?');
    const auto read = fs.read(node, inum == 1024 ? offset : 0,
                              std::as_writable_bytes(std::span(got)));
    return read && *read == expected.size() && got == expected;
  }

  std::vector<std::byte> memory;
  Reader fs;
  Node root;
};

TEST(SharedCacheTest, WhatOneReaderReadIsThereForOthers) {
  Sample sample;
  CountingDevice device(sample.image.bytes());
  Shared shared(64, 2);
  Opened first(device, shared.cache);
  // By halves: whole blocks go past the cache.
  for (std::size_t at = 0; at < sample.content.size(); at += 32768) {
    EXPECT_TRUE(first.reads(sample, 1024, at, 32768));
  }
  Opened second(device, shared.cache);
  const unsigned before = device.reads();
  EXPECT_TRUE(second.reads(sample, 1024, 0, sample.content.size()));
  EXPECT_EQ(device.reads(), before);
}

TEST(SharedCacheTest, AReaderTakesLittleMemoryOfItsOwn) {
  EXPECT_LT(Reader::kMinMemoryBytes, std::size_t{160} << 10);
  EXPECT_GT(FileSystem<CountingDevice>::kMinMemoryBytes,
            BlockCache::bytes_for(BlockCache::kMinFrames));
}

// Many threads over few frames, so that they evict each other's blocks all the
// time, while another takes frames away.
TEST(SharedCacheTest, ManyReadersAtOnce) {
  constexpr unsigned kThreads = 4;
  const int rounds = std::getenv("ODO_SANITIZER") != nullptr ? 500 : 3000;
  Sample sample;
  CountingDevice device(sample.image.bytes());
  Shared shared(kThreads * Cache::kFramesPerReader, kThreads);
  ASSERT_TRUE(shared.opened);
  std::atomic<unsigned> wrong{0};
  std::atomic<bool> done{false};
  std::vector<std::thread> readers;
  readers.reserve(kThreads);
  for (unsigned t = 0; t < kThreads; ++t) {
    readers.emplace_back([&, t] {
      Opened at(device, shared.cache);
      std::mt19937 random(t);
      for (int i = 0; i < rounds; ++i) {
        const bool big = random() % 2 == 0;
        const std::uint64_t inum =
            big ? 1024 : Sample::kFirstInum + random() % Sample::kSmall;
        const std::uint64_t offset = random() % sample.content.size();
        if (!at.reads(sample, inum, offset, random() % 200000)) ++wrong;
      }
    });
  }
  std::thread reclaimer([&] {
    while (!done) {
      (void)shared.cache.reclaim(3);
      std::this_thread::yield();
    }
  });
  for (std::thread& reader : readers) reader.join();
  done = true;
  reclaimer.join();
  EXPECT_EQ(wrong, 0U);
  EXPECT_LE(shared.source.existing(), shared.cache.frames());
  // No pin was lost: every frame can be given back.
  (void)shared.cache.reclaim(shared.cache.frames());
  EXPECT_EQ(shared.source.existing(), 0U);
}

}  // namespace
}  // namespace odo::hammer2::testing
