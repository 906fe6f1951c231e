// SPDX-License-Identifier: BSD-3-Clause
#include "lib/frames/frame_allocator.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <map>
#include <random>
#include <set>
#include <vector>

namespace odo::frames {
namespace {

// Physical memory that is really there only where it is touched.
class Memory {
 public:
  explicit Memory(std::uint64_t bytes) : bytes_(bytes) {
    base_ = static_cast<std::byte*>(
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    EXPECT_NE(base_, MAP_FAILED);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { munmap(base_, bytes_); }

  std::byte* base() const { return base_; }

  // How many 4 KiB pages of it were ever touched.
  std::size_t touched_pages() const {
    std::vector<unsigned char> seen(bytes_ / kFrameBytes);
    EXPECT_EQ(mincore(base_, bytes_, seen.data()), 0);
    std::size_t count = 0;
    for (unsigned char page : seen) count += page & 1;
    return count;
  }

 private:
  std::byte* base_;
  std::uint64_t bytes_;
};

struct Offset {
  std::byte* base;
  std::byte* at(std::uint64_t physical) const { return base + physical; }
};
static_assert(PhysicalMap<Offset>);

using Allocator = FrameAllocator<Offset>;

constexpr std::uint64_t frame(std::uint64_t index) {
  return index * kFrameBytes;
}
constexpr Range frames(std::uint64_t first, std::uint64_t count) {
  return {frame(first), frame(count)};
}

class FrameAllocatorTest : public ::testing::Test {
 protected:
  Memory memory_{std::uint64_t{16} << 20};
  Allocator allocator_{Offset{memory_.base()}};
};

TEST_F(FrameAllocatorTest, EmptyHasNothing) {
  EXPECT_EQ(allocator_.allocate({}), fail(Error::kNoMemory));
  Stats stats = allocator_.stats();
  EXPECT_EQ(stats.managed_frames, 0u);
  EXPECT_EQ(stats.free_frames, 0u);
  EXPECT_EQ(stats.free_runs, 0u);
  EXPECT_EQ(stats.largest_run_frames, 0u);
}

TEST_F(FrameAllocatorTest, OneFrameOfMemory) {
  ASSERT_TRUE(allocator_.add(frames(7, 1)));
  auto got = allocator_.allocate({});
  ASSERT_TRUE(got);
  EXPECT_EQ(*got, frame(7));
  EXPECT_EQ(allocator_.allocate({}), fail(Error::kNoMemory));
  EXPECT_EQ(allocator_.stats().free_runs, 0u);
  allocator_.free(*got, 1);
  EXPECT_EQ(allocator_.stats().free_frames, 1u);
  EXPECT_EQ(allocator_.allocate({}), got);
}

TEST_F(FrameAllocatorTest, TakesTheHighestThatFits) {
  ASSERT_TRUE(allocator_.add(frames(10, 10)));
  ASSERT_TRUE(allocator_.add(frames(30, 4)));
  EXPECT_EQ(allocator_.allocate({}), frame(33));
  EXPECT_EQ(allocator_.allocate({.frames = 4}), frame(16));
  EXPECT_EQ(allocator_.allocate({.frames = 3}), frame(30));
  EXPECT_EQ(allocator_.allocate({.frames = 6}), frame(10));
  EXPECT_EQ(allocator_.stats().free_frames, 0u);
}

TEST_F(FrameAllocatorTest, LimitCutsARun) {
  ASSERT_TRUE(allocator_.add(frames(10, 10)));
  EXPECT_EQ(allocator_.allocate({.frames = 2, .below_bytes = frame(15)}),
            frame(13));
  // A limit inside a frame excludes that frame.
  EXPECT_EQ(allocator_.allocate({.below_bytes = frame(13) - 1}), frame(11));
  EXPECT_EQ(allocator_.allocate({.frames = 2, .below_bytes = frame(15)}),
            fail(Error::kNoMemory));
  EXPECT_EQ(allocator_.allocate({.below_bytes = frame(11)}), frame(10));
  EXPECT_EQ(allocator_.allocate({.below_bytes = frame(11)}),
            fail(Error::kNoMemory));
  EXPECT_EQ(allocator_.allocate({.below_bytes = 0}), fail(Error::kNoMemory));
  EXPECT_EQ(allocator_.stats().free_frames, 6u);
  EXPECT_TRUE(allocator_.is_valid());
}

TEST_F(FrameAllocatorTest, AlignmentIsExactWhenMemoryIsTight) {
  // Exactly one aligned place, in a run shorter than size + alignment - 1, and
  // a higher run that is long enough but has none.
  ASSERT_TRUE(allocator_.add(frames(15, 6)));  // holds 16..19
  ASSERT_TRUE(allocator_.add(frames(33, 5)));  // 36..39 sticks out
  auto got = allocator_.allocate({.frames = 4, .align_frames = 4});
  EXPECT_EQ(got, frame(16));
  EXPECT_EQ(allocator_.allocate({.frames = 4, .align_frames = 4}),
            fail(Error::kNoMemory));
  EXPECT_EQ(allocator_.stats().free_runs, 3u);
  EXPECT_TRUE(allocator_.is_valid());
  allocator_.free(*got, 4);
  EXPECT_EQ(allocator_.stats().free_runs, 2u);
  EXPECT_TRUE(allocator_.is_valid());
}

TEST_F(FrameAllocatorTest, AlignmentWithALimitInsideARun) {
  ASSERT_TRUE(allocator_.add(frames(1, 40)));
  EXPECT_EQ(allocator_.allocate(
                {.frames = 3, .align_frames = 8, .below_bytes = frame(27)}),
            frame(24));
  EXPECT_EQ(allocator_.allocate(
                {.frames = 4, .align_frames = 8, .below_bytes = frame(27)}),
            frame(16));
  EXPECT_TRUE(allocator_.is_valid());
}

TEST_F(FrameAllocatorTest, RefusesNonsense) {
  ASSERT_TRUE(allocator_.add(frames(10, 10)));
  EXPECT_EQ(allocator_.allocate({.frames = 0}), fail(Error::kBadRequest));
  EXPECT_EQ(allocator_.allocate({.align_frames = 0}), fail(Error::kBadRequest));
  EXPECT_EQ(allocator_.allocate({.align_frames = 3}), fail(Error::kBadRequest));
  EXPECT_EQ(allocator_.allocate({.frames = ~std::uint64_t{0}}),
            fail(Error::kNoMemory));
  EXPECT_EQ(allocator_.allocate({.align_frames = std::uint64_t{1} << 63}),
            fail(Error::kNoMemory));
  EXPECT_EQ(allocator_.add({1, kFrameBytes}), fail(Error::kBadRequest));
  EXPECT_EQ(allocator_.add({0, 100}), fail(Error::kBadRequest));
  EXPECT_EQ(allocator_.add({0, 0}), fail(Error::kBadRequest));
  EXPECT_EQ(allocator_.add({~std::uint64_t{0} - 4095, 4096}),
            fail(Error::kBadRequest));
  EXPECT_EQ(allocator_.stats().free_frames, 10u);
}

TEST_F(FrameAllocatorTest, OverlapIsRefusedEvenWhenAllocated) {
  ASSERT_TRUE(allocator_.add(frames(10, 10)));
  ASSERT_TRUE(allocator_.allocate({.frames = 10}));
  for (Range range : {frames(10, 10), frames(9, 2), frames(19, 1),
                      frames(12, 3), frames(5, 30)}) {
    EXPECT_EQ(allocator_.add(range), fail(Error::kOverlap));
  }
  EXPECT_TRUE(allocator_.add(frames(20, 1)));
  EXPECT_TRUE(allocator_.add(frames(9, 1)));
  ASSERT_EQ(allocator_.managed().size(), 1u);
  EXPECT_EQ(allocator_.managed()[0], frames(9, 12));
}

TEST_F(FrameAllocatorTest, RangesThatTouchBecomeOne) {
  ASSERT_TRUE(allocator_.add(frames(20, 10)));
  ASSERT_TRUE(allocator_.add(frames(5, 5)));
  ASSERT_TRUE(allocator_.add(frames(10, 10)));
  EXPECT_EQ(allocator_.managed().size(), 1u);
  EXPECT_EQ(allocator_.stats().largest_run_frames, 25u);
  EXPECT_EQ(allocator_.stats().free_runs, 1u);
  EXPECT_EQ(allocator_.allocate({.frames = 25}), frame(5));
  // Two allocations may be freed as one, and one in parts.
  allocator_.free(frame(8), 12);
  allocator_.free(frame(5), 3);
  allocator_.free(frame(20), 10);
  EXPECT_EQ(allocator_.stats().largest_run_frames, 25u);
  EXPECT_TRUE(allocator_.is_valid());
}

TEST_F(FrameAllocatorTest, TableOfRangesFills) {
  for (std::uint64_t i = 0; i < Allocator::kMaxRanges; ++i) {
    ASSERT_TRUE(allocator_.add(frames(2 * i, 1)));
  }
  EXPECT_EQ(allocator_.add(frames(1000, 1)), fail(Error::kTooManyRanges));
  EXPECT_TRUE(allocator_.add(frames(1, 1)));  // joins two: room for another
  EXPECT_TRUE(allocator_.add(frames(1000, 1)));
  EXPECT_TRUE(allocator_.is_valid());
}

TEST_F(FrameAllocatorTest, TouchesOnePagePerRangeAtStart) {
  constexpr std::uint64_t kBytes = std::uint64_t{8} << 30;
  Memory big(kBytes);
  Allocator allocator(Offset{big.base()});
  ASSERT_TRUE(allocator.add({frame(1), (std::uint64_t{3} << 30) - frame(1)}));
  ASSERT_TRUE(allocator.add({std::uint64_t{4} << 30, std::uint64_t{4} << 30}));
  // The kernel under this test may give whole 2 MiB pages at one touch.
  EXPECT_LE(big.touched_pages(), 2u * 512);
  EXPECT_EQ(allocator.stats().free_frames, (std::uint64_t{7} << 18) - 1);
  EXPECT_EQ(allocator.allocate({}), kBytes - kFrameBytes);
  EXPECT_EQ(allocator.allocate({.below_bytes = kBelow4GiB}),
            (std::uint64_t{3} << 30) - kFrameBytes);
  EXPECT_EQ(allocator.allocate({.below_bytes = kBelow1MiB}),
            kBelow1MiB - kFrameBytes);
  // 1 GiB, aligned to itself.
  EXPECT_EQ(allocator.allocate({.frames = 1 << 18, .align_frames = 1 << 18}),
            std::uint64_t{6} << 30);
}

using FrameAllocatorDeathTest = FrameAllocatorTest;

TEST_F(FrameAllocatorDeathTest, DoubleAndForeignFreesStop) {
  ASSERT_TRUE(allocator_.add(frames(10, 10)));
  auto got = allocator_.allocate({.frames = 4});
  ASSERT_TRUE(got);
  EXPECT_DEATH(allocator_.free(frame(10), 1), "");        // free already
  EXPECT_DEATH(allocator_.free(*got - frame(1), 2), "");  // half of it free
  EXPECT_DEATH(allocator_.free(*got, 5), "");             // past the end
  EXPECT_DEATH(allocator_.free(*got + 1, 1), "");
  EXPECT_DEATH(allocator_.free(*got, 0), "");
  EXPECT_DEATH(allocator_.free(frame(500), 1), "");
  EXPECT_DEATH(allocator_.free(frame(2), 1), "");
  EXPECT_DEATH(allocator_.free(*got, ~std::uint64_t{0}), "");
  allocator_.free(*got, 4);
  EXPECT_DEATH(allocator_.free(*got, 4), "");
}

TEST_F(FrameAllocatorDeathTest, WriteToFreedMemoryIsFound) {
  ASSERT_TRUE(allocator_.add(frames(10, 10)));
  __builtin_memset(memory_.base() + frame(10), 0xa5, kFrameBytes);
  EXPECT_DEATH((void)allocator_.allocate({}), "");
  // So that the destructor finds the tree as it was left.
  new (&allocator_) Allocator(Offset{memory_.base()});
}

// Against a model that knows every frame, with every rule restated naively.
class FrameModel {
 public:
  explicit FrameModel(std::uint64_t total) : free_(total, false) {}
  void add(std::uint64_t first, std::uint64_t count) {
    set(first, count, true);
  }
  void set(std::uint64_t first, std::uint64_t count, bool value) {
    for (std::uint64_t i = first; i < first + count; ++i) free_[i] = value;
  }
  bool is_free(std::uint64_t first, std::uint64_t count) const {
    for (std::uint64_t i = first; i < first + count; ++i) {
      if (!free_[i]) return false;
    }
    return true;
  }
  bool has(std::uint64_t count, std::uint64_t align,
           std::uint64_t below) const {
    for (std::uint64_t i = 0; i + count <= std::min(below, free_.size());
         i += align) {
      if (is_free(i, count)) return true;
    }
    return false;
  }
  Stats stats() const {
    Stats stats{};
    std::uint64_t run = 0;
    for (bool free : free_) {
      if (free) {
        ++stats.free_frames;
        if (++run == 1) ++stats.free_runs;
        stats.largest_run_frames = std::max(stats.largest_run_frames, run);
      } else {
        run = 0;
      }
    }
    return stats;
  }

 private:
  std::vector<bool> free_;
};

class FrameAllocatorRandomTest : public ::testing::TestWithParam<unsigned> {};

TEST_P(FrameAllocatorRandomTest, AgreesWithAModelOfEveryFrame) {
  constexpr std::uint64_t kTotal = 700;
  std::mt19937 random(GetParam());
  auto pick = [&](std::uint64_t low, std::uint64_t high) {
    return std::uniform_int_distribution<std::uint64_t>(low, high)(random);
  };
  Memory memory(frame(kTotal));
  Allocator allocator(Offset{memory.base()});
  FrameModel model(kTotal);
  for (std::uint64_t at = pick(0, 5); at < kTotal;) {
    std::uint64_t count = std::min(pick(1, 150), kTotal - at);
    ASSERT_TRUE(allocator.add(frames(at, count)));
    model.add(at, count);
    at += count + pick(0, 20);
  }
  std::vector<std::pair<std::uint64_t, std::uint64_t>> held;
  for (int step = 0; step < 3000; ++step) {
    if (held.empty() || pick(0, 99) < 55) {
      std::uint64_t count = pick(0, 9) == 0 ? pick(1, 80) : pick(1, 6);
      std::uint64_t align = std::uint64_t{1} << (pick(0, 3) ? 0 : pick(0, 6));
      std::uint64_t below = pick(0, 3) ? kTotal + 10 : pick(0, kTotal);
      auto got = allocator.allocate({.frames = count,
                                     .align_frames = align,
                                     .below_bytes = frame(below)});
      ASSERT_EQ(got.has_value(), model.has(count, align, below))
          << count << " frames aligned to " << align << " below " << below;
      if (got) {
        std::uint64_t first = *got / kFrameBytes;
        ASSERT_EQ(*got % frame(align), 0u);
        ASSERT_LE(first + count, below);
        ASSERT_TRUE(model.is_free(first, count));
        model.set(first, count, false);
        // It is the caller's now: scribbling must harm nobody.
        __builtin_memset(memory.base() + *got, 0xa5, frame(count));
        held.emplace_back(first, count);
      }
    } else {
      std::swap(held[pick(0, held.size() - 1)], held.back());
      auto [first, count] = held.back();
      held.pop_back();
      if (count > 1 && pick(0, 3) == 0) {  // give back a part only
        std::uint64_t keep = pick(1, count - 1);
        held.emplace_back(first, keep);
        first += keep;
        count -= keep;
      }
      allocator.free(frame(first), count);
      model.set(first, count, true);
    }
    ASSERT_TRUE(allocator.is_valid());
    Stats ours = allocator.stats();
    Stats theirs = model.stats();
    ASSERT_EQ(ours.free_frames, theirs.free_frames);
    ASSERT_EQ(ours.free_runs, theirs.free_runs);
    ASSERT_EQ(ours.largest_run_frames, theirs.largest_run_frames);
  }
  for (auto [first, count] : held) allocator.free(frame(first), count);
  EXPECT_EQ(allocator.stats().free_frames, allocator.stats().managed_frames);
  EXPECT_EQ(allocator.stats().free_runs, allocator.managed().size());
}

INSTANTIATE_TEST_SUITE_P(Seeds, FrameAllocatorRandomTest,
                         ::testing::Range(0u, 20u));

}  // namespace
}  // namespace odo::frames
