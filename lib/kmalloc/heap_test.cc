// SPDX-License-Identifier: BSD-3-Clause
// The heap on host memory: what it gives out, and that it takes all of it back.
#include "lib/kmalloc/heap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include "lib/kmalloc/host/ground.h"

namespace odo::kmalloc {
namespace {

// Host memory of which there may be no more, and which knows what is mapped.
struct Pages {
  std::map<void*, std::size_t> mapped;
  std::size_t bytes = 0;
  std::optional<std::uint64_t>
      fails_in;  // this many maps from now on, and then
};
Pages* pages = nullptr;

class TestGround : public HostGround {
 public:
  [[nodiscard]] void* map(std::size_t bytes, std::size_t alignment) const {
    if (pages->fails_in.has_value()) {
      if (*pages->fails_in == 0) return nullptr;
      --*pages->fails_in;
    }
    void* memory = HostGround::map(bytes, alignment);
    EXPECT_NE(memory, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory) % alignment, 0);
    pages->mapped[memory] = bytes;
    pages->bytes += bytes;
    return memory;
  }
  void unmap(void* memory, std::size_t bytes) const {
    ASSERT_TRUE(pages->mapped.contains(memory));
    EXPECT_EQ(pages->mapped[memory], bytes);
    pages->mapped.erase(memory);
    pages->bytes -= bytes;
    HostGround::unmap(memory, bytes);
  }
  [[nodiscard]] void* remap(void* memory, std::size_t bytes,
                            std::size_t new_bytes,
                            std::size_t alignment) const {
    void* now = HostGround::remap(memory, bytes, new_bytes, alignment);
    if (now == nullptr) return nullptr;
    EXPECT_EQ(pages->mapped[memory], bytes);
    pages->mapped.erase(memory);
    pages->mapped[now] = new_bytes;
    pages->bytes = pages->bytes - bytes + new_bytes;
    return now;
  }
};

class HeapTest : public ::testing::Test {
 protected:
  using HeapT = Heap<TestGround>;
  using LaneT = Lane<TestGround>;

  HeapTest() {
    pages = &pages_;
    heap_.emplace(TestGround());
    lane_ = heap_->take_lane();
  }
  ~HeapTest() override {
    if (heap_.has_value()) end();
    pages = nullptr;
  }
  void end() {
    heap_->leave_lane(*lane_);
    heap_.reset();
    EXPECT_TRUE(pages_.mapped.empty());
  }
  void* allocate(std::size_t bytes) {
    return heap_->allocate(*lane_, bytes, [this] { return lane_; });
  }
  void* allocate_aligned(std::size_t bytes, std::size_t alignment) {
    return heap_->allocate_aligned(*lane_, bytes, alignment,
                                   [this] { return lane_; });
  }
  void* allocate_zeroed(std::size_t bytes) {
    return heap_->allocate_zeroed(*lane_, bytes, [this] { return lane_; });
  }
  void free(void* object) {
    heap_->free(*lane_, object, [this] { return lane_; });
  }
  void free_sized(void* object, std::size_t bytes) {
    heap_->free_sized(*lane_, object, bytes, [this] { return lane_; });
  }

  Pages pages_;
  std::optional<HeapT> heap_;
  LaneT* lane_ = nullptr;
};

TEST_F(HeapTest, EverySizeUpToAMebibyteHasRoomAndAnAddressOfItsOwn) {
  std::map<std::uintptr_t, std::size_t> live;
  std::vector<void*> objects;
  for (std::size_t bytes = 0; bytes < std::size_t{1} << 20;
       bytes += 1 + bytes / 16) {
    void* object = allocate(bytes);
    ASSERT_NE(object, nullptr);
    std::memset(object, 0xa5, bytes);
    const auto at = reinterpret_cast<std::uintptr_t>(object);
    EXPECT_EQ(at % 8, 0);
    EXPECT_GE(heap_->usable_bytes(object), bytes);
    if (bytes > 8) {
      EXPECT_LE(heap_->usable_bytes(object) - align_up(bytes, 8), bytes / 8);
    }
    const std::size_t size = std::max<std::size_t>(bytes, 1);
    const auto after = live.lower_bound(at);
    if (after != live.end()) {
      EXPECT_LE(at + size, after->first);
    }
    if (after != live.begin()) {
      const auto before = std::prev(after);
      EXPECT_LE(before->first + before->second, at);
    }
    live[at] = size;
    objects.push_back(object);
  }
  for (void* object : objects) free(object);
}

TEST_F(HeapTest, AlignmentsAreKept) {
  for (std::size_t alignment = 1; alignment <= std::size_t{8} << 20;
       alignment *= 2) {
    std::vector<void*> objects;
    for (const std::size_t bytes :
         {std::size_t{0}, std::size_t{1}, std::size_t{24}, std::size_t{100},
          std::size_t{5000}, std::size_t{70'000}, std::size_t{3'000'000}}) {
      void* object = allocate_aligned(bytes, alignment);
      ASSERT_NE(object, nullptr) << bytes << " at " << alignment;
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(object) % alignment, 0)
          << bytes << " at " << alignment;
      EXPECT_GE(heap_->usable_bytes(object), bytes);
      std::memset(object, 0xff, bytes);
      objects.push_back(object);
    }
    for (void* object : objects) free(object);
  }
}

TEST_F(HeapTest, ZeroedIsZeroAlsoWhereSomebodyWrote) {
  for (const std::size_t bytes :
       {std::size_t{8}, std::size_t{4000}, std::size_t{50'000},
        std::size_t{2'000'000}}) {
    for (int round = 0; round < 3; ++round) {
      auto* object = static_cast<unsigned char*>(allocate_zeroed(bytes));
      ASSERT_NE(object, nullptr);
      EXPECT_TRUE(std::all_of(object, object + bytes,
                              [](unsigned char c) { return c == 0; }));
      std::memset(object, 0xee, bytes);
      free(object);
    }
  }
}

TEST_F(HeapTest, NullIsFreedWithoutEffect) {
  free(nullptr);
  free_sized(nullptr, 0);
  EXPECT_EQ(heap_->usable_bytes(nullptr), 0);
}

TEST_F(HeapTest, SizesThatCannotBeAreRefused) {
  for (const std::size_t bytes :
       {~std::size_t{0}, ~std::size_t{0} - 1, ~std::size_t{0} - kPageBytes,
        ~std::size_t{0} / 2, ~std::size_t{0} / 4 + 1}) {
    EXPECT_EQ(allocate(bytes), nullptr);
    EXPECT_EQ(allocate_zeroed(bytes), nullptr);
    EXPECT_EQ(allocate_aligned(bytes, 64), nullptr);
    EXPECT_EQ(allocate_aligned(64, std::size_t{1} << 63), nullptr);
  }
}

TEST_F(HeapTest, ResizesInPlaceWhereThereIsRoom) {
  void* small = allocate(100);
  EXPECT_TRUE(heap_->resize(small, 104));
  EXPECT_FALSE(heap_->resize(small, 105));
  EXPECT_TRUE(heap_->resize(small, 60));
  EXPECT_FALSE(heap_->resize(small, 30));
  free(small);
  auto* run = static_cast<char*>(allocate(100'000));
  std::memset(run, 1, 100'000);
  EXPECT_TRUE(heap_->resize(run, 500'000));
  EXPECT_GE(heap_->usable_bytes(run), 500'000);
  std::memset(run, 1, 500'000);
  EXPECT_TRUE(heap_->resize(run, 40'000));
  EXPECT_LT(heap_->usable_bytes(run), 45'000);
  void* next = allocate(60'000);  // from what was given up
  EXPECT_FALSE(heap_->resize(run, 1'000'000));
  free(next);
  free(run);
}

TEST_F(HeapTest, WhatGrowsIsCopiedFewTimes) {
  std::size_t copied = 0;
  void* object = allocate(16);
  for (std::size_t bytes = 24; bytes < 100'000; bytes += bytes / 2) {
    if (heap_->resize(object, bytes)) continue;
    copied += heap_->usable_bytes(object);
    free(object);
    object = allocate(heap_->bytes_to_grow(bytes));
  }
  EXPECT_LT(copied, 50'000);
  // And stays until half of it would be unused.
  EXPECT_TRUE(heap_->resize(object, 40'000));
  EXPECT_TRUE(heap_->resize(object, 30'000));
  EXPECT_FALSE(heap_->resize(object, 15'000));
  free(object);
  EXPECT_EQ(heap_->bytes_to_grow(1'000), 1'000);
  EXPECT_EQ(heap_->bytes_to_grow(200'000), 200'000);
}

TEST_F(HeapTest, AVeryLargeOneMovesWithItsPages) {
  for (const std::size_t alignment : {1u << 12, 1u << 16, 1u << 22}) {
    auto* object = static_cast<unsigned char*>(
        heap_->allocate_large(3'000'000, alignment, false));
    ASSERT_NE(object, nullptr);
    void* in_the_way = heap_->allocate_large(3'000'000, 4096, false);
    std::memset(object, 7, 3'000'000);
    for (const std::size_t bytes :
         {5'000'000u, 40'000'000u, 8'000'000u, 1'500'000u}) {
      object = static_cast<unsigned char*>(heap_->move(object, bytes));
      ASSERT_NE(object, nullptr);
      EXPECT_GE(heap_->usable_bytes(object), bytes);
      EXPECT_LT(heap_->usable_bytes(object), bytes + 4096);
      for (std::size_t i = 0; i < std::min(bytes, std::size_t{3'000'000});
           ++i) {
        ASSERT_EQ(object[i], 7);
      }
      object[bytes - 1] = 7;
      EXPECT_GE(pages_.bytes, heap_->counts().mapped);
    }
    // Not to where there is no header, nor past what there can be.
    EXPECT_EQ(heap_->move(object, 100'000), nullptr);
    EXPECT_EQ(heap_->move(object, ~std::size_t{0} / 2), nullptr);
    free(object);
    free(in_the_way);
  }
  EXPECT_EQ(heap_->counts().in_use, 0);
  void* small = allocate(100);
  EXPECT_EQ(heap_->move(small, 3'000'000), nullptr);
  free(small);
  end();
}

// Random operations beside a model that knows what each byte has to be.
TEST_F(HeapTest, RandomUseMatchesAModel) {
  struct Block {
    unsigned char* at;
    std::size_t bytes;
    unsigned char fill;
  };
  std::mt19937_64 random(1);
  std::vector<Block> live;
  const auto check = [](const Block& block) {
    return std::all_of(block.at, block.at + block.bytes,
                       [&](unsigned char c) { return c == block.fill; });
  };
  constexpr int kSteps = 200'000;
  for (int step = 0; step < kSteps; ++step) {
    const bool grows = (step / 20'000) % 2 == 0;
    if (live.empty() || random() % 8 < (grows ? 5u : 3u)) {
      const std::size_t bytes =
          random() % 100 == 0 ? random() % 200'000
                              : random() % (std::size_t{1} << random() % 13);
      const std::size_t alignment = std::size_t{1} << random() % 8;
      auto* at = static_cast<unsigned char*>(
          random() % 2 == 0 ? allocate(bytes)
                            : allocate_aligned(bytes, alignment));
      ASSERT_NE(at, nullptr);
      const auto fill = static_cast<unsigned char>(random());
      std::memset(at, fill, bytes);
      live.push_back({at, bytes, fill});
    } else {
      std::swap(live[random() % live.size()], live.back());
      ASSERT_TRUE(check(live.back()));
      if (random() % 2 == 0 ||
          heap_->usable_bytes(live.back().at) != live.back().bytes) {
        free(live.back().at);
      } else {
        free_sized(live.back().at, live.back().bytes);
      }
      live.pop_back();
    }
  }
  for (const Block& block : live) {
    ASSERT_TRUE(check(block));
    free(block.at);
  }
  lane_->flush();
  EXPECT_LE(heap_->counts().in_use, Depot<TestGround>::kSlots * kUnitBytes);
}

// A live set that shrinks to a tenth gives most of its pages back.
TEST_F(HeapTest, PagesComeBackWhenTheLiveSetShrinks) {
  std::mt19937_64 random(2);
  std::vector<void*> live;
  constexpr std::size_t kObjects = 200'000;
  for (std::size_t i = 0; i < kObjects; ++i) {
    live.push_back(allocate(16 + random() % 500));
  }
  for (int round = 0; round < 3; ++round) {
    for (void*& object : live) {
      if (random() % 2 == 0) continue;
      free(object);
      object = allocate(16 + random() % 500);
    }
  }
  const std::size_t before = heap_->counts().in_use;
  // The oldest tenth stays, as where a program keeps what it began with.
  for (std::size_t i = kObjects / 10; i < kObjects; ++i) free(live[i]);
  (void)heap_->reclaim(*lane_, ~std::size_t{0});
  const ArenaCounts after = heap_->counts();
  EXPECT_EQ(after.kept, 0);
  EXPECT_LE(after.in_use, before * 3 / 10) << after.in_use << " of " << before;
  for (std::size_t i = 0; i < kObjects / 10; ++i) free(live[i]);
}

TEST_F(HeapTest, WithoutMemoryTheAnswerIsNull) {
  for (std::uint64_t fails_in = 0; fails_in < 6; ++fails_in) {
    pages_.fails_in = fails_in;
    std::vector<void*> objects;
    bool failed = false;
    for (std::size_t i = 0; i < 40'000; ++i) {
      void* object = allocate(i % 100 == 0 ? 300'000 : i % 2'000);
      failed = failed || object == nullptr;
      if (object != nullptr) objects.push_back(object);
    }
    EXPECT_TRUE(failed);
    pages_.fails_in.reset();
    EXPECT_NE(allocate(3'000'000), nullptr);
    for (void* object : objects) free(object);
    (void)heap_->reclaim(*lane_, ~std::size_t{0});
  }
  // The huge ones above are the program's still: give them back with the rest.
  heap_->leave_lane(*lane_);
  heap_.reset();
  for (const auto& [memory, bytes] : pages_.mapped) {
    HostGround().unmap(memory, bytes);
  }
}

// --- two lanes in one thread -------------------------------------------------

TEST_F(HeapTest, WhatAnotherLaneFreesComesBack) {
  LaneT* other = heap_->take_lane();
  ASSERT_NE(other, nullptr);
  const auto others = [&] { return other; };
  constexpr std::size_t kObjects = 5'000;
  for (const std::size_t bytes : {std::size_t{8}, std::size_t{64},
                                  std::size_t{1500}, std::size_t{20'000}}) {
    const std::size_t before = heap_->counts().mapped;
    for (int round = 0; round < 20; ++round) {
      std::set<void*> objects;
      for (std::size_t i = 0; i < kObjects; ++i) {
        void* object = allocate(bytes);
        ASSERT_NE(object, nullptr);
        EXPECT_TRUE(objects.insert(object).second) << "given out twice";
      }
      for (void* object : objects) heap_->free(*other, object, others);
      if (round == 0) continue;
      // It does not grow from round to round.
      EXPECT_LE(heap_->counts().mapped - before,
                2 * kObjects * bytes + 8 * kChunkBytes);
    }
  }
  heap_->leave_lane(*other);
}

TEST_F(HeapTest, ALeftLaneIsLookedAfterAndAdopted) {
  LaneT* other = heap_->take_lane();
  const auto others = [&] { return other; };
  std::vector<void*> objects;
  for (int i = 0; i < 10'000; ++i) {
    objects.push_back(heap_->allocate(*other, 100, others));
  }
  heap_->leave_lane(*other);
  const std::size_t before = heap_->counts().in_use;
  for (void* object : objects) free(object);
  lane_->flush();
  // Freed to a lane that nobody has, they went further.
  EXPECT_LT(heap_->counts().in_use,
            before / 2 + Depot<TestGround>::kSlots * kUnitBytes);
  EXPECT_EQ(heap_->take_lane(), other);
  heap_->leave_lane(*other);
}

// --- memory that comes as it is ----------------------------------------------

class DirtyGround : public HostGround {
 public:
  static constexpr bool kMapsZeros = false;

  [[nodiscard]] void* map(std::size_t bytes, std::size_t alignment) const {
    void* memory = HostGround::map(bytes, alignment);
    if (memory != nullptr) std::memset(memory, 0xa5, bytes);
    return memory;
  }
  [[nodiscard]] bool release(void*, std::size_t) const { return false; }
};

class DirtyHeapTest : public ::testing::Test {
 protected:
  ~DirtyHeapTest() override { heap_.leave_lane(*lane_); }

  Heap<DirtyGround> heap_{DirtyGround()};
  Lane<DirtyGround>* lane_ = heap_.take_lane();
};

TEST_F(DirtyHeapTest, WhatIsToBeZeroedIsSo) {
  for (const std::size_t bytes :
       {std::size_t{1}, std::size_t{100}, std::size_t{32'768},
        std::size_t{40'000}, std::size_t{300'000}, std::size_t{3'000'000}}) {
    for (int round = 0; round < 3; ++round) {
      auto* object = static_cast<unsigned char*>(
          heap_.allocate_zeroed(*lane_, bytes, [this] { return lane_; }));
      ASSERT_NE(object, nullptr);
      EXPECT_TRUE(std::all_of(object, object + bytes,
                              [](unsigned char byte) { return byte == 0; }));
      std::memset(object, 0xa5, bytes);
      heap_.free(*lane_, object, [this] { return lane_; });
    }
  }
}

TEST_F(DirtyHeapTest, WhatIsNotReleasedCountsAsKept) {
  constexpr std::size_t kObjects = 40'000;
  std::vector<void*> objects;
  for (std::size_t i = 0; i < kObjects; ++i) {
    objects.push_back(heap_.allocate(*lane_, 1000, [this] { return lane_; }));
  }
  const std::size_t most = heap_.counts().mapped;
  // An object in each chunk, but for the last, stays.
  std::vector<void*> others;
  for (std::size_t i = 0; i < kObjects; ++i) {
    if (i % 1000 == 0) {
      others.push_back(objects[i]);
    } else {
      heap_.free(*lane_, objects[i], [this] { return lane_; });
    }
  }
  (void)heap_.reclaim(*lane_, ~std::size_t{0});
  const ArenaCounts counts = heap_.counts();
  // Whole chunks alone.
  EXPECT_EQ(counts.mapped + counts.released, most);
  EXPECT_GT(counts.kept, Arena<DirtyGround>::kKeptBytes);
  EXPECT_LE(counts.kept + counts.in_use, counts.mapped);
  for (void* object : others) {
    heap_.free(*lane_, object, [this] { return lane_; });
  }
  (void)heap_.reclaim(*lane_, ~std::size_t{0});
  EXPECT_LE(heap_.counts().mapped, kChunkBytes);
  EXPECT_EQ(heap_.counts().mapped + heap_.counts().released, most);
}

// --- misuse ------------------------------------------------------------------

class HeapDeathTest : public HeapTest {
 protected:
  HeapDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(HeapDeathTest, FreedTwice) {
  void* object = allocate(48);
  EXPECT_DEATH(
      {
        free(object);
        free(object);
        lane_->flush();
      },
      "of 48 bytes: freed twice");
  void* run = allocate(100'000);
  EXPECT_DEATH(
      {
        free(run);
        free(run);
      },
      "freed, but never allocated");
  free(run);
  free(object);
}

TEST_F(HeapDeathTest, FreedInside) {
  auto* object = static_cast<char*>(allocate(48));
  EXPECT_DEATH(
      {
        free(object + 8);
        lane_->flush();
      },
      "of 48 bytes: freed, but not the beginning");
  auto* run = static_cast<char*>(allocate(100'000));
  EXPECT_DEATH(free(run + 4096), "freed, but never allocated");
  EXPECT_DEATH(free(run + 8), "freed, but never allocated");
  free(run);
  free(object);
}

// What a left lane has at hand may be the caller's.
TEST_F(HeapTest, WhatALeftLaneHasIsReclaimed) {
  LaneT* other = heap_->take_lane();
  for (int i = 0; i < 10; ++i) {
    heap_->free(*other, allocate(100), [&] { return other; });
  }
  heap_->leave_lane(*other);
  (void)heap_->reclaim(*lane_, ~std::size_t{0});
  EXPECT_EQ(heap_->counts().in_use, 0);
}

// In front of objects of eight bytes lie their slab's bits: in the slab, and no
// object's.
TEST_F(HeapDeathTest, FreedInFrontOfTheFirstObject) {
  void* object = allocate(8);
  const auto at = reinterpret_cast<std::uintptr_t>(object);
  auto* front = reinterpret_cast<char*>(align_down(at, kUnitBytes));
  EXPECT_DEATH(
      {
        free(front + 64);
        lane_->flush();
      },
      "of 8 bytes: freed, but not the beginning");
  free(object);
}

TEST_F(HeapDeathTest, FreedTwiceFromAfar) {
  LaneT* other = heap_->take_lane();
  void* object = allocate(48);
  EXPECT_DEATH(
      {
        for (int i = 0; i < 2; ++i) {
          heap_->free(*other, object, [&] { return other; });
        }
        other->flush();
      },
      "of 48 bytes: freed twice");
  free(object);
  heap_->leave_lane(*other);
}

TEST_F(HeapDeathTest, FreedWithAnotherSize) {
  void* object = allocate(48);
  EXPECT_DEATH(free_sized(object, 50), "of 48 bytes: freed with another size");
  EXPECT_DEATH(free_sized(object, 50'000), "freed with another size");
  void* run = allocate(100'000);
  EXPECT_DEATH(free_sized(run, 20), "freed with another size");
  EXPECT_DEATH(free_sized(run, 200'000), "freed with another size");
  free(run);
  free(object);
}

}  // namespace
}  // namespace odo::kmalloc
