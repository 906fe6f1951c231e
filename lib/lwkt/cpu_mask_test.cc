// SPDX-License-Identifier: BSD-3-Clause
// Sets of CPUs against std::set, at the edges of words, and from two threads.
#include "lib/lwkt/cpu_mask.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "lib/platform/archetype.h"
#include "lib/platform/host/host_platform.h"

namespace odo::lwkt {

struct MaskArchetype : platform::ArchetypeAtomics {};
template class AtomicCpuMask<MaskArchetype>;

namespace {

using HostMask = AtomicCpuMask<platform::HostPlatform>;

constexpr auto kRelaxed = std::memory_order_relaxed;

static_assert(sizeof(CpuMask) == 32);
static_assert(sizeof(HostMask) == 32);
static_assert(!CpuMask().any());
static_assert(CpuMask::of(200).first() == 200u);
static_assert(CpuMask::below(256).count() == 256);

std::vector<unsigned> members(const CpuMask& mask) {
  std::vector<unsigned> all;
  mask.for_each([&](unsigned cpu) { all.push_back(cpu); });
  return all;
}

TEST(CpuMaskTest, AgreesWithASet) {
  CpuMask mask;
  std::set<unsigned> model;
  std::uint32_t state = 1;
  for (int i = 0; i < 5000; ++i) {
    state = state * 1664525 + 1013904223;
    const unsigned cpu = (state >> 16) % CpuMask::kMaxCpus;
    if ((state >> 30) != 0) {
      mask.set(cpu);
      model.insert(cpu);
    } else {
      mask.clear(cpu);
      model.erase(cpu);
    }
    ASSERT_EQ(mask.test(cpu), model.contains(cpu));
    ASSERT_EQ(mask.count(), model.size());
    ASSERT_EQ(mask.any(), !model.empty());
    ASSERT_EQ(mask.first(),
              model.empty() ? std::nullopt : std::optional(*model.begin()));
  }
  EXPECT_EQ(members(mask), std::vector<unsigned>(model.begin(), model.end()));
}

TEST(CpuMaskTest, BelowStopsAtItsCount) {
  for (const unsigned count : {0u, 1u, 63u, 64u, 65u, 128u, 200u, 255u, 256u}) {
    const CpuMask mask = CpuMask::below(count);
    EXPECT_EQ(mask.count(), count);
    for (unsigned cpu = 0; cpu < CpuMask::kMaxCpus; ++cpu) {
      EXPECT_EQ(mask.test(cpu), cpu < count);
    }
  }
}

TEST(CpuMaskTest, ComplementHasNoCpuThatIsNotThere) {
  CpuMask mask = CpuMask::of(0);
  mask.set(70);
  mask.set(100);
  const CpuMask rest = mask.complement(72);
  EXPECT_EQ(rest.count(), 70u);
  EXPECT_FALSE(rest.test(0) || rest.test(70) || rest.test(72));
  EXPECT_TRUE(rest.test(1) && rest.test(71));
  EXPECT_EQ(rest & mask, CpuMask());
  EXPECT_EQ((rest | mask).count(), 73u);
}

TEST(CpuMaskTest, UnionAndIntersection) {
  const CpuMask a = CpuMask::of(3) | CpuMask::of(130);
  const CpuMask b = CpuMask::of(130) | CpuMask::of(255);
  EXPECT_EQ(members(a | b), (std::vector<unsigned>{3, 130, 255}));
  EXPECT_EQ(members(a & b), (std::vector<unsigned>{130}));
  EXPECT_NE(a, b);
}

TEST(CpuMaskTest, VisitorsMayChangeTheSet) {
  CpuMask mask = CpuMask::below(66);
  unsigned visits = 0;
  mask.for_each([&](unsigned cpu) {
    mask.clear(65 - cpu);
    ++visits;
  });
  EXPECT_EQ(visits, 66u);
  EXPECT_FALSE(mask.any());
}

TEST(AtomicCpuMaskTest, TellsWhatWasThereBefore) {
  HostMask mask;
  EXPECT_FALSE(mask.set(64, kRelaxed));
  EXPECT_TRUE(mask.set(64, kRelaxed));
  EXPECT_TRUE(mask.test(64, kRelaxed));
  EXPECT_EQ(mask.load(kRelaxed), CpuMask::of(64));
  EXPECT_TRUE(mask.clear(64, kRelaxed));
  EXPECT_FALSE(mask.clear(64, kRelaxed));
  EXPECT_FALSE(mask.test(64, kRelaxed));
}

TEST(AtomicCpuMaskTest, TakeEmptiesTheWordsInUse) {
  HostMask mask;
  for (const unsigned cpu : {2u, 63u, 64u, 255u}) mask.set(cpu, kRelaxed);
  EXPECT_EQ(mask.take(64, kRelaxed), CpuMask::of(2) | CpuMask::of(63));
  EXPECT_EQ(mask.take(64, kRelaxed), CpuMask());
  EXPECT_EQ(mask.take(65, kRelaxed), CpuMask::of(64));
  EXPECT_EQ(mask.take(256, kRelaxed), CpuMask::of(255));
}

TEST(AtomicCpuMaskTest, EveryBitIsTakenOnce) {
  constexpr unsigned kRounds = 20000;
  HostMask mask;
  std::uint64_t set = 0;
  std::uint64_t taken = 0;
  std::atomic<bool> done = false;
  std::thread setter([&] {
    for (unsigned i = 0; i < kRounds; ++i) {
      if (!mask.set(i % CpuMask::kMaxCpus, kRelaxed)) ++set;
    }
    done.store(true, std::memory_order_release);
  });
  while (!done.load(std::memory_order_acquire)) {
    taken += mask.take(CpuMask::kMaxCpus, kRelaxed).count();
  }
  setter.join();
  taken += mask.take(CpuMask::kMaxCpus, kRelaxed).count();
  EXPECT_EQ(set, taken);
}

}  // namespace
}  // namespace odo::lwkt
