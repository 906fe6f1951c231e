// SPDX-License-Identifier: BSD-3-Clause
#include "lib/btree/string_map.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/btree/arena.h"
#include "lib/btree/testing/failing_nodes.h"
#include "lib/btree/testing/needs_vectors.h"
#include "lib/btree/testing/string_inspector.h"
#include "lib/btree/testing/string_operations.h"

namespace odo::btree {
namespace {

using Map = BTreeStringMap<int>;
using Set = BTreeStringSet<>;

static_assert(std::movable<Map> && !std::copy_constructible<Map>);
static_assert(std::convertible_to<Map::iterator, Map::const_iterator>);
static_assert(!std::convertible_to<Map::const_iterator, Map::iterator>);

std::string numbered(const char* prefix, int number) {
  char text[64];
  std::snprintf(text, sizeof text, "%s%06d", prefix, number);
  return text;
}

template <class T>
class StringModelTest : public ::testing::Test {};

using Kinds = ::testing::Types<testing::SmallStringMap, testing::UsualStringMap,
                               testing::LinearStringMap,
                               testing::OwnerStringMap, testing::ByteStringMap>;
TYPED_TEST_SUITE(StringModelTest, Kinds);

TYPED_TEST(StringModelTest, AgreesWithTheStandardMap) {
  std::minstd_rand random(11);
  std::size_t highest = 0;
  for (int round = 0; round < 10; ++round) {
    TypeParam operations;
    std::vector<std::uint8_t> bytes(12'000);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random() >> 8);
    operations.run(bytes, 1 + static_cast<std::size_t>(round) * 16);
    highest = std::max(highest, operations.height());
  }
  EXPECT_GE(highest, 1U);
}

TEST(StringKeyTest, PiecesReadAsOneString) {
  const std::string text("prefixHEADhead\0tail", 19);
  for (std::size_t prefix = 0; prefix <= text.size(); ++prefix) {
    for (std::size_t size = prefix; size <= text.size(); ++size) {
      const std::string_view whole = std::string_view(text).substr(0, size);
      const StringKey key(
          whole.substr(0, prefix), detail::head_of(whole, prefix),
          static_cast<std::uint32_t>(size - prefix), text.data() + prefix + 8);
      ASSERT_EQ(key.size(), size);
      ASSERT_TRUE(key == whole);
      for (std::size_t i = 0; i < size; ++i) ASSERT_EQ(key[i], whole[i]);
      for (std::size_t from = 0; from <= size; ++from) {
        std::string part(size - from, '?');
        key.copy(from, part.size(), part.data());
        ASSERT_EQ(part, whole.substr(from));
        ASSERT_TRUE(key.starts_with(whole.substr(0, from)));
        ASSERT_TRUE(key.first(from) == whole.substr(0, from));
        ASSERT_EQ(key.common(whole.substr(0, from)), from);
      }
      ASSERT_TRUE(key < StringKey(text + "z"));
      ASSERT_EQ((key <=> StringKey("prefix")) < 0, size < 6);
    }
  }
}

TEST(StringMapTest, EmptyAnswersNothing) {
  Map map;
  EXPECT_TRUE(map.empty());
  EXPECT_EQ(map.begin(), map.end());
  EXPECT_EQ(map.find(""), map.end());
  EXPECT_EQ(map.lower_bound("a"), map.end());
  EXPECT_EQ(map.upper_bound("a"), map.end());
  EXPECT_TRUE(map.with_prefix("").empty());
  EXPECT_EQ(map.erase("a"), 0U);
  EXPECT_EQ(map.bytes(), 0U);
  EXPECT_EQ(faults_of(map), "");
}

TEST(StringMapTest, ReadsAsAStandardMap) {
  Map map;
  ASSERT_TRUE(map.insert("three", 30)->second);
  ASSERT_TRUE(map.insert("one", 10)->second);
  ASSERT_FALSE(map.insert("three", 31)->second);
  ASSERT_FALSE(map.insert_or_assign("one", 11)->second);
  EXPECT_EQ(map.find("one")->second, 11);
  for (auto [key, value] : map) value += static_cast<int>(key.size());
  EXPECT_EQ(map.begin().value(), 14);
  EXPECT_EQ(std::prev(map.end()).value(), 35);
  Map::KeyBuffer buffer;
  EXPECT_EQ(std::prev(map.end()).key(buffer), "three");
  EXPECT_TRUE(std::as_const(map).lower_bound("p")->first == "three");
}

TEST(StringMapTest, OrdersBytesAsUnsignedAndShorterFirst) {
  using namespace std::string_view_literals;
  const std::vector<std::string_view> sorted{
      ""sv,
      "\0"sv,
      "\0\0"sv,
      "\0\x01"sv,
      "\x01"sv,
      "a"sv,
      "a\0"sv,
      "a\0\0"sv,
      "a\0b"sv,
      "aa"sv,
      "aaaaaaaa"sv,
      "aaaaaaaa\0"sv,
      "aaaaaaaab"sv,
      "b"sv,
      "\x7f"sv,
      "\x80"sv,
      "\xff"sv,
      "\xff\0"sv,
      "\xff\xff"sv,
      "\xff\xff\xff\xff\xff\xff\xff\xff"sv,
      "\xff\xff\xff\xff\xff\xff\xff\xff\xff"sv};
  std::vector<std::string_view> shuffled = sorted;
  std::shuffle(shuffled.begin(), shuffled.end(), std::minstd_rand(3));
  Set set;
  for (const auto key : shuffled) ASSERT_TRUE(set.insert(key)->second);
  EXPECT_EQ(faults_of(set), "");
  ASSERT_TRUE(std::equal(set.begin(), set.end(), sorted.begin(), sorted.end()));
  for (const auto key : sorted) EXPECT_TRUE(set.contains(key));
  EXPECT_EQ(std::ranges::distance(set.with_prefix("\xff")), 5);
  EXPECT_EQ(std::ranges::distance(set.with_prefix("a")), 8);
  EXPECT_EQ(std::ranges::distance(set.with_prefix("a\0"sv)), 3);
  EXPECT_EQ(std::ranges::distance(set.with_prefix("")), 21);
}

TEST(StringMapTest, RefusesKeysThatAreTooLong) {
  Set set;
  const std::string most(StringOptions::kMaxKeyBytes, 'k');
  ASSERT_TRUE(set.insert(most));
  const auto refused = set.insert(most + "k");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), Error::kTooLong);
  EXPECT_EQ(set.size(), 1U);
  // They may be asked for.
  EXPECT_FALSE(set.contains(most + "k"));
  EXPECT_EQ(set.upper_bound(most + "k"), set.end());
}

TEST(StringMapTest, HoldsManyKeysOfTheGreatestLength) {
  // They differ in their last bytes only, or in their first.
  for (const bool at_end : {true, false}) {
    Map map;
    std::map<std::string, int> model;
    std::minstd_rand random(5);
    for (int i = 0; i < 600; ++i) {
      std::string key(StringOptions::kMaxKeyBytes - 6, 'x');
      const auto number = numbered("", static_cast<int>(random() % 1000));
      key = at_end ? key + number : number + key;
      ASSERT_TRUE(map.insert_or_assign(key, i));
      model[key] = i;
      if (i % 3 == 0) {
        map.erase(model.begin()->first);
        model.erase(model.begin());
      }
    }
    EXPECT_EQ(faults_of(map), "");
    ASSERT_EQ(map.size(), model.size());
    auto it = map.begin();
    for (const auto& [key, value] : model) {
      ASSERT_TRUE(it->first == key);
      ASSERT_EQ(it.value(), value);
      ++it;
    }
    // One page stores what they have in common once.
    if (at_end) EXPECT_LT(map.bytes(), 400'000U);
  }
}

TEST(StringMapTest, KeysInOrderLeaveFullLeavesBehind) {
  Map up;
  Map down;
  for (int i = 0; i < 20'000; ++i) {
    ASSERT_TRUE(up.insert(numbered("/usr/share/doc/", i), i));
    ASSERT_TRUE(down.insert(numbered("/usr/share/doc/", 19'999 - i), i));
  }
  std::vector<std::pair<std::string, int>> sorted;
  for (int i = 0; i < 20'000; ++i) {
    sorted.emplace_back(numbered("/usr/share/doc/", i), i);
  }
  const auto built = Map::build(sorted);
  ASSERT_TRUE(built);
  for (const Map* map : {&std::as_const(up), &std::as_const(down), &*built}) {
    EXPECT_EQ(faults_of(*map), "");
    EXPECT_EQ(map->size(), 20'000U);
    // A head, a spot and a value each, and nothing else to speak of.
    EXPECT_LT(map->bytes(), 20'000U * 20);
  }
}

TEST(StringMapTest, BuildRefusesWhatIsNotSorted) {
  const std::vector<std::string> twice{"a", "b", "b"};
  const std::vector<std::string> down{"b", "a"};
  EXPECT_EQ(Set::build(twice).error(), Error::kUnsorted);
  EXPECT_EQ(Set::build(down).error(), Error::kUnsorted);
  EXPECT_EQ(Set::build(std::vector<std::string>{})->size(), 0U);
}

TEST(StringMapTest, SeparatorsAreShort) {
  Map map;
  std::minstd_rand random(9);
  for (int i = 0; i < 50'000; ++i) {
    const std::string key = "https://example.org/a/rather/long/path/" +
                            std::to_string(random()) + "/index.html";
    ASSERT_TRUE(map.insert(key, i));
  }
  std::size_t bytes = 0;
  std::size_t count = 0;
  StringInspector<int, StringOptions>::separators(map, bytes, count);
  ASSERT_GT(count, 100U);
  EXPECT_LT(bytes, count * 6);
}

TEST(StringMapTest, ErasingGivesPagesBack) {
  using Inspect = StringInspector<int, StringOptions>;
  Map map;
  std::vector<std::string> keys;
  for (int i = 0; i < 30'000; ++i) keys.push_back(numbered("/var/log/", i));
  std::shuffle(keys.begin(), keys.end(), std::minstd_rand(1));
  for (const auto& key : keys) ASSERT_TRUE(map.insert(key, 1));
  const std::size_t full = map.bytes();
  std::shuffle(keys.begin(), keys.end(), std::minstd_rand(2));
  while (keys.size() > 3'000) {
    ASSERT_EQ(map.erase(keys.back()), 1U);
    keys.pop_back();
  }
  EXPECT_EQ(faults_of(map), "");
  EXPECT_LT(map.bytes(), full / 4);
  while (!keys.empty()) {
    ASSERT_EQ(map.erase(keys.back()), 1U);
    keys.pop_back();
  }
  EXPECT_EQ(map.bytes(), 0U);
  EXPECT_EQ(Inspect::height(map), 0U);
}

TEST(StringMapTest, ErasingNeedsNoMemory) {
  testing::NodeLedger ledger;
  BTreeStringMap<int, testing::SmallPages> map{testing::FailingNodes(ledger)};
  for (int i = 0; i < 2'000; ++i) {
    ASSERT_TRUE(map.insert(numbered("k", i * 7919 % 2'000), i));
  }
  for (int i = 0; i < 2'000; ++i) {
    ledger.granted = 0;  // every merge is refused
    ASSERT_EQ(map.erase(numbered("k", i * 1'237 % 2'000)), 1U);
    if (i % 50 == 0) {
      ASSERT_EQ(faults_of(map), "");
    }
  }
  EXPECT_GT(ledger.refused, 0U);
  EXPECT_TRUE(map.empty());
  EXPECT_EQ(ledger.live, 0U);
}

TEST(StringMapTest, RefusedMemoryChangesNothing) {
  // Every single request of a tree's growth is refused once.
  testing::NodeLedger ledger;
  BTreeStringMap<int, testing::SmallPages> map{testing::FailingNodes(ledger)};
  std::set<std::string> model;
  std::minstd_rand random(21);
  for (int i = 0; i < 3'000; ++i) {
    const std::string key(random() % 90, static_cast<char>('a' + random() % 3));
    const std::string text = key + std::to_string(random() % 1'000);
    for (std::uint64_t granted = 0;; ++granted) {
      ledger.granted = granted;
      const std::size_t live = ledger.live;
      const std::size_t bytes = map.bytes();
      const auto result = map.insert(text, i);
      if (result) break;
      ASSERT_EQ(result.error(), Error::kNoMemory);
      ASSERT_EQ(ledger.live, live);
      ASSERT_EQ(map.bytes(), bytes);
      ASSERT_EQ(map.size(), model.size());
      ASSERT_FALSE(map.contains(text));
      if (i % 16 == 0) {
        ASSERT_EQ(faults_of(map), "");
      }
    }
    model.insert(text);
  }
  ledger.granted = testing::NodeLedger().granted;
  EXPECT_EQ(faults_of(map), "");
  EXPECT_GT(ledger.refused, 1'000U);
  auto it = map.begin();
  for (const auto& key : model) {
    ASSERT_TRUE(it->first == key);
    ++it;
  }
}

TEST(StringMapTest, KeysWithoutThePrefixOfAFullLeafGoTogether) {
  // In the gap behind a leaf whose keys share a long prefix: each newcomer
  // would be alone if it could not join the last.
  BTreeStringSet<testing::SmallPages> set;
  for (int i = 0; i < 400; ++i) {
    ASSERT_TRUE(set.insert(std::string(120, 'c') + std::to_string(i)));
  }
  ASSERT_TRUE(set.insert("z"));
  for (int i = 999; i >= 0; --i) {
    ASSERT_TRUE(set.insert("d" + std::to_string(i)));
  }
  EXPECT_EQ(faults_of(set), "");
  using Inspect = StringInspector<NoValue, testing::SmallPages>;
  EXPECT_LT(Inspect::leaves(set), 400U);
}

TEST(StringMapTest, LivesInAnArena) {
  NodeArena<FreeStore> arena;
  struct InArena : StringOptions {
    using Allocator = ArenaNodes<FreeStore>;
  };
  BTreeStringMap<int, InArena> map{ArenaNodes(arena)};
  for (int i = 0; i < 5'000; ++i) {
    ASSERT_TRUE(map.insert(numbered("n", i * 4'999 % 5'000), i));
  }
  EXPECT_EQ(faults_of(map), "");
}

}  // namespace
}  // namespace odo::btree
