// SPDX-License-Identifier: BSD-3-Clause
#include "lib/base/tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <utility>
#include <vector>

namespace odo {
namespace {

struct Item {
  explicit Item(int k, int w = 0) : key(k), weight(w) {}
  int key;
  int weight;
  int heaviest = 0;  // of the subtree
  int count = 0;     // of the subtree
  TreeHook hook;
};

struct ByKey {
  static const int& key(const Item& item) { return item.key; }
};

struct HeaviestAndCount {
  static bool update(Item& item, const Item* left, const Item* right) {
    int heaviest = item.weight;
    int count = 1;
    for (const Item* child : {left, right}) {
      if (child == nullptr) continue;
      heaviest = std::max(heaviest, child->heaviest);
      count += child->count;
    }
    bool changed = heaviest != item.heaviest || count != item.count;
    item.heaviest = heaviest;
    item.count = count;
    return changed;
  }
};

// Only the maximum: it often stays the same when the tree changes, so that a
// repair which stops too early is seen.
struct HeaviestOnly {
  static bool update(Item& item, const Item* left, const Item* right) {
    int heaviest = item.weight;
    if (left != nullptr) heaviest = std::max(heaviest, left->heaviest);
    if (right != nullptr) heaviest = std::max(heaviest, right->heaviest);
    return std::exchange(item.heaviest, heaviest) != heaviest;
  }
};

template <class T>
class TreeTest : public ::testing::Test {};
using Summaries = ::testing::Types<NoSummary, HeaviestAndCount, HeaviestOnly>;
TYPED_TEST_SUITE(TreeTest, Summaries);

// Every summary recomputed from the whole subtree.
template <class S>
int check_summaries(const Tree<Item, &Item::hook, ByKey, S>& tree,
                    const Item* item, int& heaviest) {
  if (item == nullptr) return 0;
  int left_heaviest = -1;
  int right_heaviest = -1;
  int count = 1 + check_summaries(tree, tree.left(*item), left_heaviest) +
              check_summaries(tree, tree.right(*item), right_heaviest);
  heaviest = std::max({item->weight, left_heaviest, right_heaviest});
  if constexpr (!std::is_same_v<S, NoSummary>) {
    EXPECT_EQ(item->heaviest, heaviest) << item->key;
  }
  if constexpr (std::is_same_v<S, HeaviestAndCount>) {
    EXPECT_EQ(item->count, count) << item->key;
  }
  return count;
}

TYPED_TEST(TreeTest, SmallTreesInEveryOrder) {
  using Items = Tree<Item, &Item::hook, ByKey, TypeParam>;
  // Every insertion order of up to six keys, each erased in every rotation.
  for (int n = 1; n <= 6; ++n) {
    std::vector<int> order;
    for (int i = 0; i < n; ++i) order.push_back(i);
    do {
      for (int shift = 0; shift < n; ++shift) {
        std::vector<std::unique_ptr<Item>> items;
        Items tree;
        for (int i : order) {
          items.push_back(std::make_unique<Item>(i, 10 - (i * 7) % 5));
          ASSERT_TRUE(tree.insert(*items.back()));
          ASSERT_TRUE(tree.is_valid());
        }
        for (int i = 0; i < n; ++i) {
          Item* item = tree.find((i * 5 + shift) % n);
          // For n == 5 the stride repeats: erase what is first instead.
          if (item == nullptr) item = tree.first();
          tree.erase(*item);
          ASSERT_FALSE(item->hook.is_linked());
          ASSERT_TRUE(tree.is_valid());
          int heaviest = 0;
          ASSERT_EQ(check_summaries(tree, tree.root(), heaviest), n - 1 - i);
        }
        ASSERT_TRUE(tree.empty());
      }
    } while (std::next_permutation(order.begin(), order.end()));
  }
}

TYPED_TEST(TreeTest, RandomOperationsAgreeWithStdMap) {
  using Items = Tree<Item, &Item::hook, ByKey, TypeParam>;
  std::mt19937 random(4);
  auto pick = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  for (int keys : {3, 20, 150}) {
    Items tree;
    std::map<int, std::unique_ptr<Item>> model;
    for (int step = 0; step < 4000; ++step) {
      int key = pick(0, keys);
      auto found = model.find(key);
      switch (pick(0, 3)) {
        case 0:
        case 1: {
          auto item = std::make_unique<Item>(key, pick(0, 9));
          ASSERT_EQ(tree.insert(*item), found == model.end());
          if (found == model.end()) {
            model.emplace(key, std::move(item));
          } else {
            ASSERT_FALSE(item->hook.is_linked());
          }
          break;
        }
        case 2:
          if (found != model.end()) {
            tree.erase(*found->second);
            model.erase(found);
          }
          break;
        default:
          if (found == model.end()) break;
          if (pick(0, 1) == 0) {
            found->second->weight = pick(0, 9);
            tree.refresh(*found->second);
          } else {
            auto fresh = std::make_unique<Item>(key, pick(0, 9));
            tree.replace(*found->second, *fresh);
            ASSERT_FALSE(found->second->hook.is_linked());
            found->second = std::move(fresh);
          }
      }
      ASSERT_TRUE(tree.is_valid());
      int heaviest = 0;
      ASSERT_EQ(check_summaries(tree, tree.root(), heaviest),
                static_cast<int>(model.size()));
      ASSERT_FALSE(::testing::Test::HasFailure());

      auto expect = [&](Item* got, auto want) {
        ASSERT_EQ(got, want == model.end() ? nullptr : want->second.get());
      };
      int probe = pick(-1, keys + 1);
      expect(tree.find(probe), model.find(probe));
      expect(tree.lower_bound(probe), model.lower_bound(probe));
      expect(tree.upper_bound(probe), model.upper_bound(probe));
      auto above = model.upper_bound(probe);
      expect(tree.floor(probe),
             above == model.begin() ? model.end() : std::prev(above));

      auto want = model.begin();
      for (Item& item : tree) expect(&item, want++);
      ASSERT_EQ(want, model.end());
      auto back = tree.end();
      for (auto it = model.rbegin(); it != model.rend(); ++it) {
        ASSERT_EQ(&*--back, it->second.get());
      }
      ASSERT_EQ(back, tree.begin());
    }
    tree.clear();
    ASSERT_TRUE(tree.empty());
    for (auto& [key, item] : model) ASSERT_FALSE(item->hook.is_linked());
  }
}

TYPED_TEST(TreeTest, HeightStaysWithinTheBound) {
  using Items = Tree<Item, &Item::hook, ByKey, TypeParam>;
  constexpr int kCount = 10000;
  std::vector<std::unique_ptr<Item>> items;
  Items tree;
  for (int i = 0; i < kCount; ++i) {
    items.push_back(std::make_unique<Item>(i));
    ASSERT_TRUE(tree.insert(*items.back()));
  }
  EXPECT_TRUE(tree.is_valid());
  int deepest = 0;
  for (Item& item : tree) {
    int depth = 0;
    for (Item* at = &item; at != nullptr; at = tree.parent(*at)) ++depth;
    deepest = std::max(deepest, depth);
  }
  EXPECT_LE(deepest, 19);  // 1.4405 log2(10002) - 0.3
  Items moved = std::move(tree);
  EXPECT_TRUE(tree.empty());
  EXPECT_EQ(moved.last()->key, kCount - 1);
  tree = std::move(moved);
  EXPECT_EQ(tree.first()->key, 0);
  EXPECT_EQ(tree.last()->key, kCount - 1);
  tree.clear();
}

#if !defined(NDEBUG)
TEST(TreeDeathTest, MisuseStopsInDebugBuilds) {
  using Items = Tree<Item, &Item::hook, ByKey>;
  EXPECT_DEATH(
      {
        Item item(1);
        Items tree;
        (void)tree.insert(item);
        (void)tree.insert(item);
      },
      "");
  EXPECT_DEATH(
      {
        Item item(1);
        Items tree;
        tree.erase(item);
      },
      "");
  EXPECT_DEATH(
      {
        Items tree;
        {
          Item item(1);
          (void)tree.insert(item);
        }
      },
      "");
}
#endif

}  // namespace
}  // namespace odo
