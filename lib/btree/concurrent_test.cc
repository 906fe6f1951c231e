// SPDX-License-Identifier: BSD-3-Clause
// The concurrent tree in one thread: against std::map, by versions and by
// locks, with memory that fails; and what it asks of its ground.
#include "lib/btree/concurrent.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "lib/btree/concurrent_inspect.h"
#include "lib/btree/host/ground.h"
#include "lib/platform/archetype.h"

namespace odo::btree {

// No operation is used that the concept does not list.
struct ArchetypeGround : platform::ArchetypeAtomics,
                         platform::ArchetypeRelax,
                         platform::ArchetypeFences {
  static constexpr unsigned kMaxLanes = 1;
  unsigned lane() { return 0; }
  unsigned lanes() { return 1; }
  void enter_lane() {}
  void exit_lane() {}
  Atomic<std::uint64_t>& section(unsigned /*lane*/) { return word; }
  void fence(std::memory_order /*order*/) {}
  Atomic<std::uint64_t> word;

  ArchetypeGround() = default;
  ArchetypeGround(ArchetypeGround&& /*other*/) noexcept {}
};
template class ConcurrentBTree<std::uint64_t, std::uint32_t, ArchetypeGround>;

namespace {

// Memory that can be counted and can fail.
class Nodes {
 public:
  struct Account {
    std::set<void*> live;
    std::size_t until_failure = std::numeric_limits<std::size_t>::max();
  };
  explicit Nodes(Account& account) : account_(&account) {}

  void* allocate(std::size_t bytes, std::size_t align) {
    if (account_->until_failure == 0) return nullptr;
    --account_->until_failure;
    void* node = FreeStore::allocate(bytes, align);
    account_->live.insert(node);
    return node;
  }
  void deallocate(void* node, std::size_t bytes, std::size_t align) {
    EXPECT_EQ(account_->live.erase(node), 1u);
    FreeStore::deallocate(node, bytes, align);
  }

 private:
  Account* account_;
};

template <class K, std::size_t Leaf, std::size_t Inner, unsigned Tries,
          class Order = std::less<K>>
struct Small : ConcurrentOptions<K, Order> {
  using Allocator = Nodes;
  static constexpr std::size_t kLeafSlots = Leaf;
  static constexpr std::size_t kInnerSlots = Inner;
  static constexpr unsigned kTries = Tries;
  static constexpr std::uint64_t kRetireBatch = 4;
};

template <class Options, class Key = std::uint64_t, class Value = std::uint64_t>
struct Fixture {
  using Tree = ConcurrentBTree<Key, Value, HostGround, Options>;
  using Model = std::map<Key, Value, typename Options::Less>;

  Nodes::Account account;
  Tree tree{HostGround(), Nodes(account)};
  Model model;

  void insert(Key key, Value value) {
    const Result<bool> inserted = tree.insert(key, value);
    ASSERT_TRUE(inserted.has_value());
    ASSERT_EQ(*inserted, model.emplace(key, value).second);
  }
  void put(Key key, Value value) {
    const Result<bool> inserted = tree.insert_or_assign(key, value);
    ASSERT_TRUE(inserted.has_value());
    ASSERT_EQ(*inserted, model.insert_or_assign(key, value).second);
  }
  void assign(Key key, Value value) {
    const auto it = model.find(key);
    ASSERT_EQ(tree.assign(key, value), it != model.end());
    if (it != model.end()) it->second = value;
  }
  void erase(Key key) {
    const auto it = model.find(key);
    const std::optional<Value> erased = tree.erase(key);
    ASSERT_EQ(erased.has_value(), it != model.end());
    if (it == model.end()) return;
    ASSERT_EQ(*erased, it->second);
    model.erase(it);
  }
  void find(Key key) {
    const auto it = model.find(key);
    const std::optional<Value> found = tree.find(key);
    ASSERT_EQ(found.has_value(), it != model.end());
    ASSERT_EQ(tree.contains(key), it != model.end());
    if (it != model.end()) {
      ASSERT_EQ(*found, it->second);
    }
  }
  void first(Key key) {
    const auto it = model.lower_bound(key);
    const auto found = tree.first_at_or_after(key);
    ASSERT_EQ(found.has_value(), it != model.end());
    if (it == model.end()) return;
    ASSERT_EQ(found->key, it->first);
    ASSERT_EQ(found->value, it->second);
  }
  void scan(Key from, std::size_t limit) {
    auto it = model.lower_bound(from);
    const std::size_t visited = tree.scan(from, limit, [&](Key key, Value v) {
      ASSERT_NE(it, model.end());
      ASSERT_EQ(key, it->first);
      ASSERT_EQ(v, it->second);
      ++it;
    });
    ASSERT_TRUE(visited == limit || it == model.end());
  }
  void expect_in_order() {
    const TreeReport report = ConcurrentInspector<Tree>(tree).report();
    ASSERT_EQ(report.wrong, nullptr);
    ASSERT_EQ(report.elements, model.size());
    ASSERT_EQ(tree.size(), model.size());
    (void)tree.reclaim();
    ASSERT_EQ(account.live.size(), report.leaves + report.inner_nodes);
    for (const auto& [key, value] : model) ASSERT_EQ(tree.find(key), value);
  }
};

template <class Options, class Key = std::uint64_t, class Value = std::uint64_t>
void agree_with_a_map(unsigned keys, int operations) {
  Fixture<Options, Key, Value> f;
  std::mt19937_64 random(keys);
  for (int i = 0; i < operations; ++i) {
    const auto key = static_cast<Key>(random() % keys);
    const auto value = static_cast<Value>(random());
    // Phases in which it grows, and in which it shrinks.
    const bool grows = i / 1000 % 2 == 0;
    switch (random() % 9) {
      case 0:
      case 1:
        grows ? f.insert(key, value) : f.erase(key);
        break;
      case 2:
        grows ? f.put(key, value) : f.erase(key);
        break;
      case 3:
        f.insert(key, value);
        break;
      case 4:
        f.erase(key);
        break;
      case 5:
        f.assign(key, value);
        break;
      case 6:
        f.find(key);
        break;
      case 7:
        f.first(key);
        break;
      default:
        f.scan(key, random() % 30);
    }
    if (::testing::Test::HasFatalFailure()) return;
    if (i % 1000 == 0) f.expect_in_order();
  }
  f.expect_in_order();
  while (!f.model.empty()) f.erase(f.model.begin()->first);
  f.expect_in_order();
}

TEST(ConcurrentTest, AgreesWithAMap) {
  using K = std::uint64_t;
  for (const unsigned keys : {3U, 20U, 300U, 5000U}) {
    agree_with_a_map<Small<K, 3, 4, 8>>(keys, 20000);
    agree_with_a_map<Small<K, 4, 5, 8>>(keys, 20000);
    agree_with_a_map<Small<K, 17, 9, 8>>(keys, 20000);
    agree_with_a_map<Small<K, 62, 62, 8>>(keys, 20000);
  }
}

TEST(ConcurrentTest, AgreesWithAMapByLocks) {
  using K = std::uint64_t;
  for (const unsigned keys : {3U, 20U, 300U, 5000U}) {
    agree_with_a_map<Small<K, 3, 4, 0>>(keys, 20000);
    agree_with_a_map<Small<K, 10, 6, 0>>(keys, 20000);
  }
}

TEST(ConcurrentTest, OtherWordsAndOrders) {
  agree_with_a_map<Small<std::int8_t, 3, 4, 8>, std::int8_t, bool>(120, 20000);
  agree_with_a_map<Small<std::uint16_t, 5, 4, 8>, std::uint16_t, float>(500,
                                                                        20000);
  agree_with_a_map<Small<std::int32_t, 3, 4, 8, std::greater<>>, std::int32_t,
                   std::int64_t>(500, 20000);
}

TEST(ConcurrentTest, AnEmptyTree) {
  Fixture<Small<std::uint64_t, 3, 4, 8>> f;
  f.find(1);
  f.first(0);
  f.scan(0, 10);
  f.erase(1);
  f.assign(1, 2);
  f.expect_in_order();
  EXPECT_TRUE(f.account.live.empty());
}

TEST(ConcurrentTest, Extremes) {
  Fixture<Small<std::uint64_t, 3, 4, 8>> f;
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  for (std::uint64_t i = 0; i < 20; ++i) {
    f.insert(i, i);
    f.insert(kMost - i, i);
  }
  f.first(kMost);
  f.first(20);
  f.scan(0, kMost);
  f.scan(0, 0);
  f.erase(kMost);
  f.first(kMost);
  f.expect_in_order();
}

TEST(ConcurrentTest, AVisitMayEndAScanAndUseTheTree) {
  Fixture<Small<std::uint64_t, 3, 4, 8>> f;
  for (std::uint64_t i = 0; i < 50; ++i) f.insert(i, i);
  EXPECT_EQ(
      f.tree.scan(10, 100,
                  [](std::uint64_t key, std::uint64_t) { return key < 14; }),
      5u);
  // Each is erased while it is visited.
  EXPECT_EQ(
      f.tree.scan(0, 100,
                  [&](std::uint64_t key, std::uint64_t) { f.erase(key); }),
      50u);
  f.expect_in_order();
}

// Whichever allocation fails: the tree is as it was, and works on.
TEST(ConcurrentTest, EveryAllocationFailsOnce) {
  for (const bool by_locks : {false, true}) {
    const auto run = [](auto& f) {
      std::mt19937_64 random(7);
      for (int i = 0; i < 300; ++i) {
        const std::uint64_t key = random() % 100;
        bool failed = false;
        for (std::size_t failing = 0;; ++failing) {
          f.account.until_failure = failing;
          const std::size_t live = f.account.live.size();
          const Result<bool> inserted = f.tree.insert(key, 1);
          f.account.until_failure = std::numeric_limits<std::size_t>::max();
          if (inserted.has_value()) {
            ASSERT_EQ(*inserted, f.model.emplace(key, 1).second);
            break;
          }
          failed = true;
          ASSERT_EQ(inserted.error(), Error::kNoMemory);
          // Splits further up may have been made already.
          ASSERT_LE(live, f.account.live.size());
          f.expect_in_order();
        }
        if (failed) f.expect_in_order();
        if (i % 3 == 0) f.erase(random() % 100);
        if (::testing::Test::HasFatalFailure()) return;
      }
      f.expect_in_order();
    };
    if (by_locks) {
      Fixture<Small<std::uint64_t, 3, 4, 0>> f;
      run(f);
    } else {
      Fixture<Small<std::uint64_t, 3, 4, 8>> f;
      run(f);
    }
  }
}

TEST(ConcurrentTest, AKeyThatIsThereNeedsNoMemory) {
  Fixture<Small<std::uint64_t, 3, 4, 8>> f;
  for (std::uint64_t i = 0; i < 3; ++i) f.insert(i, i);
  f.account.until_failure = 0;
  f.insert(1, 7);
  f.put(1, 8);
  EXPECT_FALSE(f.tree.insert(9, 9).has_value());
}

TEST(ConcurrentTest, NodesAreFilled) {
  using Options = ConcurrentOptions<std::uint64_t>;
  ConcurrentBTree<std::uint64_t, std::uint64_t, HostGround> tree;
  std::mt19937_64 random(1);
  for (int i = 0; i < 100'000; ++i) (void)tree.insert(random(), 1);
  const TreeReport report = ConcurrentInspector<decltype(tree)>(tree).report();
  ASSERT_EQ(report.wrong, nullptr);
  // Random order: ln 2 of the room, more or less.
  EXPECT_GT(report.elements, report.leaves * Options::kLeafSlots * 6 / 10);
}

}  // namespace
}  // namespace odo::btree
