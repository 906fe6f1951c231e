// SPDX-License-Identifier: BSD-3-Clause
#include "lib/usched/cpu_set.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "lib/platform/archetype.h"

namespace odo::usched {

struct Ground : platform::ArchetypeAtomics {};
template class SharedCpuSet<Ground>;

namespace {

TEST(CpuSetTest, FirstN) {
  for (unsigned count : {0U, 1U, 63U, 64U, 65U, 128U, 255U, 256U, 300U}) {
    const CpuSet set = CpuSet::first_n(count);
    EXPECT_EQ(set.count(), std::min(count, kMaxCpus));
    for (CpuId cpu = 0; cpu < kMaxCpus; ++cpu) {
      EXPECT_EQ(set.has(cpu), cpu < count) << count << " " << cpu;
    }
  }
}

TEST(CpuSetTest, NumbersThatAreNoCpuAreInNoSet) {
  CpuSet set = CpuSet::all();
  EXPECT_FALSE(set.has(256));
  EXPECT_FALSE(set.has(kNoCpu));
  set.remove(kNoCpu);
  EXPECT_EQ(set, CpuSet::all());
  CpuSet empty;
  empty.add(256);
  empty.add(kNoCpu);
  EXPECT_TRUE(empty.empty());
}

TEST(CpuSetTest, FirstFromGoesRound) {
  CpuSet set = CpuSet::of(3);
  set.add(200);
  EXPECT_EQ(set.first(), 3);
  EXPECT_EQ(set.first_from(0), 3);
  EXPECT_EQ(set.first_from(3), 3);
  EXPECT_EQ(set.first_from(4), 200);
  EXPECT_EQ(set.first_from(201), 3);
  EXPECT_EQ(set.first_from(256 + 4), 200);
  EXPECT_EQ(CpuSet().first_from(77), kNoCpu);
}

TEST(CpuSetTest, BehavesAsAStandardSet) {
  std::mt19937 random(1);
  CpuSet a;
  std::set<CpuId> model;
  for (int step = 0; step < 5000; ++step) {
    const CpuId cpu = static_cast<CpuId>(random() % kMaxCpus);
    if (random() % 2 == 0) {
      a.add(cpu);
      model.insert(cpu);
    } else {
      a.remove(cpu);
      model.erase(cpu);
    }
    ASSERT_EQ(a.count(), model.size());
    ASSERT_EQ(a.first(), model.empty() ? kNoCpu : *model.begin());
    const CpuId from = static_cast<CpuId>(random() % kMaxCpus);
    auto it = model.lower_bound(from);
    if (it == model.end()) it = model.begin();
    ASSERT_EQ(a.first_from(from), it == model.end() ? kNoCpu : *it);
  }
}

TEST(CpuSetTest, Algebra) {
  const CpuSet low = CpuSet::first_n(100);
  const CpuSet high = CpuSet::all() - low;
  EXPECT_TRUE((low & high).empty());
  EXPECT_EQ(low | high, CpuSet::all());
  EXPECT_TRUE(CpuSet::all().contains(low));
  EXPECT_FALSE(low.contains(CpuSet::all()));
  EXPECT_TRUE(low.contains(CpuSet()));
}

TEST(SharedCpuSetTest, AddsAndRemoves) {
  SharedCpuSet<Ground> set;
  EXPECT_TRUE(set.read().empty());
  set.add(255);
  set.add(255);
  set.add(64);
  EXPECT_EQ(set.read().count(), 2U);
  set.remove(64);
  set.remove(64);
  EXPECT_EQ(set.read(), CpuSet::of(255));
}

}  // namespace
}  // namespace odo::usched
