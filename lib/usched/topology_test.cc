// SPDX-License-Identifier: BSD-3-Clause
#include "lib/usched/topology.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace odo::usched {
namespace {

std::unique_ptr<Topology> empty() { return std::make_unique<Topology>(); }

TEST(TopologyTest, GroupsByLevel) {
  // Two nodes of one cache of two cores of two CPUs.
  std::vector<CpuPlace> places;
  places.reserve(kMaxCpus + 1);
  for (std::uint16_t cpu = 0; cpu < 8; ++cpu) {
    places.push_back({static_cast<std::uint16_t>(cpu / 2),
                      static_cast<std::uint16_t>(cpu / 4),
                      static_cast<std::uint16_t>(cpu / 4)});
  }
  auto topology = empty();
  ASSERT_TRUE(topology->build(places).has_value());
  EXPECT_EQ(topology->cpus(), 8U);
  EXPECT_EQ(topology->around(5, Level::kCore).count(), 2U);
  EXPECT_TRUE(topology->around(5, Level::kCore).has(4));
  EXPECT_EQ(topology->around(5, Level::kCache).first(), 4);
  EXPECT_EQ(topology->around(5, Level::kCache).count(), 4U);
  EXPECT_EQ(topology->around(5, Level::kMachine), CpuSet::first_n(8));
}

TEST(TopologyTest, TakesTheLargest) {
  std::vector<CpuPlace> places;
  places.reserve(kMaxCpus + 1);
  for (std::uint16_t cpu = 0; cpu < kMaxCpus; ++cpu) {
    places.push_back({cpu, cpu, cpu});
  }
  auto topology = empty();
  ASSERT_TRUE(topology->build(places).has_value());
  EXPECT_EQ(topology->around(255, Level::kNode), CpuSet::of(255));
  places.push_back({});
  EXPECT_EQ(topology->build(places).error(), Error::kBadTopology);
  EXPECT_EQ(topology->cpus(), 0U);
}

TEST(TopologyTest, RefusesWhatDoesNotNest) {
  auto topology = empty();
  // One core in two caches; one cache in two nodes.
  const CpuPlace split_core[] = {{0, 0, 0}, {0, 1, 0}};
  const CpuPlace split_cache[] = {{0, 0, 0}, {1, 0, 1}};
  EXPECT_EQ(topology->build(split_core).error(), Error::kBadTopology);
  EXPECT_EQ(topology->build(split_cache).error(), Error::kBadTopology);
}

TEST(TopologyTest, RefusesNoCpusAndNumbersOutOfRange) {
  auto topology = empty();
  EXPECT_EQ(topology->build({}).error(), Error::kBadTopology);
  const CpuPlace bad[3] = {{256, 0, 0}, {0, 256, 0}, {0, 0, 65535}};
  for (const CpuPlace& place : bad) {
    EXPECT_EQ(topology->build(std::span(&place, 1)).error(),
              Error::kBadTopology);
  }
}

}  // namespace
}  // namespace odo::usched
