// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <limits>
#include <memory>
#include <random>
#include <ranges>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/btree/arena.h"
#include "lib/btree/index.h"
#include "lib/btree/map.h"
#include "lib/btree/set.h"
#include "lib/btree/testing/failing_nodes.h"
#include "lib/btree/testing/inspector.h"
#include "lib/btree/testing/kinds.h"
#include "lib/btree/testing/needs_vectors.h"
#include "lib/kmalloc/host/thread_heap.h"

namespace odo::btree {
namespace {

using Map = BTreeMap<std::uint64_t, int>;
using Set = BTreeSet<std::uint64_t>;

static_assert(std::ranges::bidirectional_range<Map>);
static_assert(std::ranges::bidirectional_range<const Map>);
static_assert(std::ranges::bidirectional_range<Set>);
static_assert(std::ranges::sized_range<Map>);
static_assert(std::ranges::common_range<Set>);
static_assert(std::bidirectional_iterator<Map::iterator>);
static_assert(std::bidirectional_iterator<Map::const_iterator>);
static_assert(std::bidirectional_iterator<Set::iterator>);
static_assert(std::sentinel_for<Map::iterator, Map::iterator>);
static_assert(std::convertible_to<Map::iterator, Map::const_iterator>);
static_assert(!std::convertible_to<Map::const_iterator, Map::iterator>);
static_assert(
    std::indirectly_writable<Map::iterator::value_type*, Map::value_type>);
static_assert(!std::copy_constructible<Map> && std::movable<Map>);
// A set's node has no room for values that it doesn't hold.
static_assert(sizeof(detail::Leaf<std::uint64_t, NoValue, 1008>) <= 1008);
static_assert(detail::Leaf<std::uint64_t, NoValue, 1008>::kSlots == 123);

template <class T>
class ModelTest : public ::testing::Test {};

using Kinds =
    ::testing::Types<testing::NumberMap, testing::NumberMultiMap,
                     testing::TinyMap, testing::TinyMultiMap, testing::AloneMap,
                     testing::LinearMap, testing::WordMap,
                     testing::WordMultiMap, testing::OwnerMap,
                     testing::CountingMap, testing::CountingMultiMap,
                     testing::SpanMap, testing::SpanMultiMap>;
TYPED_TEST_SUITE(ModelTest, Kinds);

TYPED_TEST(ModelTest, AgreesWithTheStandardMap) {
  std::minstd_rand random(7);
  for (int round = 0; round < 12; ++round) {
    TypeParam operations;
    std::vector<std::uint8_t> bytes(12'000);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random() >> 8);
    operations.run(bytes, 1 + static_cast<std::size_t>(round) * 16);
  }
}

TEST(BTreeTest, EmptyAnswersNothing) {
  Map map;
  EXPECT_TRUE(map.empty());
  EXPECT_EQ(map.begin(), map.end());
  EXPECT_EQ(map.find(1), map.end());
  EXPECT_EQ(map.lower_bound(1), map.end());
  EXPECT_EQ(map.upper_bound(1), map.end());
  EXPECT_EQ(map.erase(1), 0U);
  EXPECT_EQ(map.erase_range(0, 9), 0U);
  EXPECT_EQ(map.erase(map.begin(), map.end()), map.end());
  EXPECT_EQ(map.bytes(), 0U);
  EXPECT_TRUE(map.split(3)->empty());
  EXPECT_EQ(faults_of(map), "");
}

TEST(BTreeTest, ReadsAsAStandardMap) {
  Map map;
  ASSERT_TRUE(map.insert(3, 30)->second);
  ASSERT_TRUE(map.insert(1, 10)->second);
  ASSERT_FALSE(map.insert(3, 31)->second);
  ASSERT_FALSE(map.insert_or_assign(1, 11)->second);
  EXPECT_EQ(map.find(1)->second, 11);
  for (auto [key, value] : map) value += static_cast<int>(key);
  EXPECT_EQ(map.begin()->second, 12);
  EXPECT_EQ(std::prev(map.end())->second, 33);
  EXPECT_EQ(map.rbegin()->first, 3U);
  EXPECT_EQ(std::as_const(map).equal_range(2).first.key(), 3U);
}

TEST(BTreeTest, SetsWorkWithRangeAlgorithms) {
  Set set;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    ASSERT_TRUE(set.insert(i * 7919 % 1000));
  }
  EXPECT_TRUE(std::ranges::equal(set, std::views::iota(0U, 1000U)));
  EXPECT_TRUE(std::ranges::is_sorted(set));
  EXPECT_EQ(std::ranges::distance(set | std::views::reverse), 1000);
  EXPECT_EQ(*std::ranges::find(set, 500U), 500U);
  Map map;
  for (const std::uint64_t key : set) {
    ASSERT_TRUE(map.insert(key, static_cast<int>(key) * 2));
  }
  const auto half = std::ranges::find_if(
      map, [](const auto& element) { return element.second == 1000; });
  EXPECT_EQ(half.key(), 500U);
}

TEST(BTreeTest, LooksUpByOtherTypesIfTheOrderIsTransparent) {
  BTreeMap<std::string, int, Options<std::string, std::less<>>> map;
  ASSERT_TRUE(map.insert("one", 1));
  ASSERT_TRUE(map.insert("two", 2));
  EXPECT_EQ(map.find(std::string_view("two"))->second, 2);
  EXPECT_TRUE(map.contains("one"));
  EXPECT_FALSE(map.contains("three"));
}

TEST(BTreeTest, AscendingKeysLeaveFullLeaves) {
  Map map;
  for (std::uint64_t i = 0; i < 100'000; ++i) ASSERT_TRUE(map.insert(i, 0));
  EXPECT_EQ(faults_of(map), "");
  EXPECT_LT(static_cast<double>(map.bytes()) / 100'000, 12.9);
}

TEST(BTreeTest, DescendingKeysLeaveFullLeaves) {
  Map map;
  for (std::uint64_t i = 100'000; i > 0; --i) ASSERT_TRUE(map.insert(i, 0));
  EXPECT_EQ(faults_of(map), "");
  EXPECT_LT(static_cast<double>(map.bytes()) / 100'000, 12.9);
}

TEST(BTreeTest, GreatestAndLeastKeysAreOrdinary) {
  using Limits = std::numeric_limits<std::uint64_t>;
  Set set;
  for (std::uint64_t i = 0; i < 500; ++i) {
    ASSERT_TRUE(set.insert(Limits::max() - i * i));
    ASSERT_TRUE(set.insert(i * i));
  }
  EXPECT_EQ(set.size(), 1000U);
  EXPECT_EQ(*set.find(Limits::max()), Limits::max());
  EXPECT_EQ(set.upper_bound(Limits::max()), set.end());
  EXPECT_EQ(*set.lower_bound(0), 0U);
  EXPECT_EQ(faults_of(set), "");
}

TEST(BTreeTest, SignedAndDescendingKeysFindTheirPlace) {
  BTreeSet<std::int64_t, Options<std::int64_t, std::greater<>>> set;
  for (std::int64_t i = -1000; i < 1000; ++i) {
    ASSERT_TRUE(set.insert(i * 37 % 1009));
  }
  EXPECT_TRUE(std::ranges::is_sorted(set, std::greater<>()));
  for (std::int64_t i = -1000; i < 1000; ++i) {
    EXPECT_TRUE(set.contains(i * 37 % 1009));
    const auto next = set.upper_bound(i);
    if (next != set.end()) EXPECT_LT(*next, i);
  }
}

TEST(BTreeTest, BuildNeedsOrder) {
  const std::vector<std::pair<std::uint64_t, int>> sorted = {{1, 1}, {2, 2}};
  const std::vector<std::pair<std::uint64_t, int>> twice = {{1, 1}, {1, 2}};
  EXPECT_EQ(Map::build(sorted)->size(), 2U);
  EXPECT_EQ(Map::build(twice).error(), Error::kUnsorted);
  EXPECT_EQ((BTreeMultiMap<std::uint64_t, int>::build(twice)->size()), 2U);
}

TEST(BTreeTest, BuiltTreesOfEverySizeAreSound) {
  using Small = BTreeSet<std::uint64_t, testing::Tiny>;
  for (std::size_t size = 0; size < 300; ++size) {
    auto built = Small::build(std::views::iota(std::size_t{0}, size));
    ASSERT_TRUE(built);
    ASSERT_EQ(faults_of(*built), "") << size;
    ASSERT_EQ(built->size(), size);
    ASSERT_TRUE(std::ranges::equal(*built, std::views::iota(0U, size)));
  }
}

TEST(BTreeTest, SplitAndConcatenateAtEveryKeyOfEverySize) {
  using Small = BTreeSet<std::uint64_t, testing::Tiny>;
  for (std::size_t size = 1; size < 90; size += 3) {
    for (std::size_t at = 0; at <= size; ++at) {
      auto left = *Small::build(std::views::iota(std::size_t{0}, size));
      auto right = *left.split(at);
      ASSERT_EQ(left.size(), at);
      ASSERT_EQ(right.size(), size - at);
      ASSERT_EQ(faults_of(left) + faults_of(right), "");
      ASSERT_TRUE(left.concatenate(right));
      ASSERT_EQ(faults_of(left), "");
      ASSERT_TRUE(std::ranges::equal(left, std::views::iota(0U, size)));
    }
  }
}

// Every allocation of a workload is refused once; each time the operation that
// needed it fails, and nothing else.
TEST(BTreeTest, SurvivesEachRefusedAllocation) {
  testing::NodeLedger ledger;
  std::uint64_t refused = 0;
  for (std::uint64_t granted = 0;; ++granted) {
    ledger.granted = granted;
    BTreeSet<std::uint64_t, testing::Tiny> set{testing::FailingNodes(ledger)};
    std::uint64_t failures = 0;
    for (std::uint64_t i = 0; i < 200; ++i) {
      const std::uint64_t key = i * 61 % 200;
      const std::size_t before = set.size();
      auto result = set.insert(key);
      if (!result) {
        ++failures;
        ASSERT_EQ(set.size(), before);
        ASSERT_FALSE(set.contains(key));
        ASSERT_EQ(faults_of(set), "");
        ASSERT_TRUE(set.insert(key));
      }
    }
    ASSERT_EQ(set.size(), 200U);
    ASSERT_EQ(faults_of(set), "");
    if (failures == 0) break;
    ASSERT_EQ(failures, 1U);
    ++refused;
  }
  EXPECT_GT(refused, 50U);
  EXPECT_EQ(ledger.live, 0U);
}

TEST(BTreeTest, TryEmplaceLeavesItsArgumentsAloneIfItFails) {
  testing::NodeLedger ledger;
  ledger.granted = 0;
  BTreeMap<std::uint64_t, std::unique_ptr<int>,
           testing::SmallNodes<std::uint64_t>>
      map{testing::FailingNodes(ledger)};
  auto value = std::make_unique<int>(5);
  ASSERT_EQ(map.try_emplace(std::uint64_t{1}, std::move(value)).error(),
            Error::kNoMemory);
  ASSERT_NE(value, nullptr);  // NOLINT(bugprone-use-after-move): the claim
  ASSERT_TRUE(map.try_emplace(std::uint64_t{1}, std::move(value)));
  EXPECT_EQ(*map.find(1)->second, 5);
}

TEST(BTreeTest, LargeElementsMakeLargerNodes) {
  struct Large {
    std::uint64_t words[100];
  };
  BTreeMap<int, Large> map;
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(map.insert(i, Large{{static_cast<std::uint64_t>(i)}}));
  }
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(map.find(i)->second.words[0], static_cast<std::uint64_t>(i));
  }
}

struct Process {
  int pid;
  int parent;
};

TEST(IndexTest, OrdersObjectsThatStayWhereTheyAre) {
  std::vector<Process> processes;
  for (int i = 0; i < 1000; ++i) processes.push_back({i * 17 % 1000, i % 10});
  BTreeIndex<Process, &Process::pid> by_pid;
  BTreeIndex<Process, &Process::parent, Options<int>, false> by_parent;
  for (Process& process : processes) {
    ASSERT_TRUE(*by_pid.insert(process));
    ASSERT_TRUE(*by_parent.insert(process));
  }
  Process twin{5, 0};
  EXPECT_FALSE(*by_pid.insert(twin));
  EXPECT_FALSE(by_pid.erase(twin));
  EXPECT_EQ(by_pid.find(34), &processes[2]);
  EXPECT_EQ(by_pid.find(1000), nullptr);
  EXPECT_EQ(std::prev(by_pid.end())->pid, 999);
  EXPECT_TRUE(by_parent.erase(processes[503]));
  EXPECT_FALSE(by_parent.erase(processes[503]));
  EXPECT_EQ(std::distance(by_parent.lower_bound(3), by_parent.upper_bound(3)),
            99);
  EXPECT_EQ(by_pid.erase(by_pid.lower_bound(7))->pid, 8);
  EXPECT_EQ(by_pid.size(), 999U);
}

struct InArena : Options<std::uint64_t> {
  using Allocator = ArenaNodes<testing::FailingNodes>;
};

TEST(ArenaTest, KeepsNodesAndGivesBlocksBack) {
  testing::NodeLedger ledger;
  {
    NodeArena<testing::FailingNodes> arena{testing::FailingNodes(ledger),
                                           64 << 10};
    BTreeSet<std::uint64_t, InArena> set{ArenaNodes(arena)};
    for (int round = 0; round < 3; ++round) {
      for (std::uint64_t i = 0; i < 50'000; ++i) ASSERT_TRUE(set.insert(i));
      EXPECT_EQ(ledger.live, 7U) << "blocks, in round " << round;
      for (std::uint64_t i = 0; i < 50'000; ++i) ASSERT_TRUE(set.erase(i));
    }
    ledger.granted = 0;
    std::uint64_t taken = 0;
    while (set.insert(taken)) ++taken;
    EXPECT_GT(taken, 50'000U);
    EXPECT_EQ(set.size(), taken);
  }
  EXPECT_EQ(ledger.live, 0U);
}

struct InHeap : Options<std::uint64_t> {
  using Allocator = HeapNodes<kmalloc::ThreadHeap>;
};

TEST(HeapNodesTest, LiveInAHeapOfKmalloc) {
  kmalloc::ThreadHeap heap;
  BTreeSet<std::uint64_t, InHeap> set{HeapNodes(heap)};
  for (std::uint64_t i = 0; i < 10'000; ++i) ASSERT_TRUE(set.insert(i));
  EXPECT_EQ(faults_of(set), "");
  EXPECT_EQ(set.erase_range(0, 10'000), 10'000U);
}

template <class Search>
void compare_with_standard() {
  std::minstd_rand random(3);
  for (std::size_t count = 0; count < 140; ++count) {
    std::vector<std::uint32_t> narrow(count);
    std::vector<std::int64_t> wide(count);
    for (auto& key : narrow) key = static_cast<std::uint32_t>(random() * 2);
    for (auto& key : wide) key = static_cast<std::int64_t>(random() % 64) - 32;
    std::ranges::sort(narrow);
    std::ranges::sort(wide, std::greater<>());
    for (int tries = 0; tries < 50; ++tries) {
      const auto query = static_cast<std::uint32_t>(random() * 2);
      const auto at = std::ranges::lower_bound(narrow, query);
      ASSERT_EQ(Search::lower(narrow.data(), count, query, std::less<>()),
                static_cast<std::size_t>(at - narrow.begin()));
      const std::int64_t small = static_cast<std::int64_t>(random() % 70) - 35;
      const auto [low, high] =
          std::ranges::equal_range(wide, small, std::greater<>());
      ASSERT_EQ(Search::lower(wide.data(), count, small, std::greater<>()),
                static_cast<std::size_t>(low - wide.begin()));
      ASSERT_EQ(Search::upper(wide.data(), count, small, std::greater<>()),
                static_cast<std::size_t>(high - wide.begin()));
    }
  }
}

TEST(SearchTest, PoliciesAgreeWithTheStandard) {
  compare_with_standard<LinearSearch>();
  compare_with_standard<BinarySearch>();
}

#if defined(__AVX2__)
TEST(SearchTest, VectorsAgreeWithTheStandard) {
  compare_with_standard<VectorSearch>();
}
#endif

}  // namespace
}  // namespace odo::btree
