// SPDX-License-Identifier: BSD-3-Clause
#include "lib/base/list.h"

#include <gtest/gtest.h>

#include <array>
#include <list>
#include <random>
#include <utility>
#include <vector>

namespace odo {
namespace {

struct Item {
  Item(int v = 0) : value(v) {}
  int value;
  ListHook hook;
  ListHook other_hook;
};
using Items = List<Item, &Item::hook>;
using OtherItems = List<Item, &Item::other_hook>;

template <class L>
std::vector<int> values(L& list) {
  std::vector<int> forward;
  for (Item& item : list) forward.push_back(item.value);
  std::vector<int> backward;
  for (auto it = list.end(); it != list.begin();) {
    --it;
    backward.insert(backward.begin(), it->value);
  }
  EXPECT_EQ(forward, backward);
  return forward;
}

TEST(ListTest, OrderFollowsTheEnds) {
  std::array<Item, 4> items{1, 2, 3, 4};
  Items list;
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.pop_front(), nullptr);
  EXPECT_EQ(list.pop_back(), nullptr);
  list.push_back(items[1]);
  list.push_front(items[0]);
  list.push_back(items[3]);
  list.insert_before(items[3], items[2]);
  EXPECT_EQ(values(list), (std::vector{1, 2, 3, 4}));
  EXPECT_EQ(&list.front(), &items[0]);
  EXPECT_EQ(&list.back(), &items[3]);
  list.erase(items[1]);
  EXPECT_FALSE(items[1].hook.is_linked());
  EXPECT_EQ(list.pop_back(), &items[3]);
  EXPECT_EQ(list.pop_front(), &items[0]);
  EXPECT_EQ(values(list), (std::vector{3}));
  list.clear();
  EXPECT_TRUE(list.empty());
  EXPECT_FALSE(items[2].hook.is_linked());
}

TEST(ListTest, TwoHooksAreTwoMemberships) {
  std::array<Item, 2> items{1, 2};
  Items list;
  OtherItems other;
  list.push_back(items[0]);
  list.push_back(items[1]);
  other.push_back(items[1]);
  other.push_back(items[0]);
  list.erase(items[0]);
  EXPECT_EQ(values(list), (std::vector{2}));
  EXPECT_EQ(values(other), (std::vector{2, 1}));
  list.clear();
  other.clear();
}

TEST(ListTest, MovesTakeTheElementsAlong) {
  std::array<Item, 3> items{1, 2, 3};
  Items list;
  list.push_back(items[0]);
  list.push_back(items[1]);
  Items moved = std::move(list);
  EXPECT_EQ(values(moved), (std::vector{1, 2}));
  EXPECT_TRUE(list.empty());
  list.push_back(items[2]);  // a list that was moved from is an empty list
  Items assigned;
  assigned = std::move(list);
  EXPECT_EQ(values(assigned), (std::vector{3}));
  assigned.splice_back(moved);
  EXPECT_EQ(values(assigned), (std::vector{3, 1, 2}));
  EXPECT_TRUE(moved.empty());
  assigned.splice_back(assigned);
  assigned.splice_back(moved);
  EXPECT_EQ(values(assigned), (std::vector{3, 1, 2}));
  Items empty_moved = std::move(moved);
  EXPECT_TRUE(empty_moved.empty());
  assigned.clear();
}

TEST(ListTest, EraseWhileWalking) {
  std::array<Item, 6> items{0, 1, 2, 3, 4, 5};
  Items list;
  for (Item& item : items) list.push_back(item);
  for (auto it = list.begin(); it != list.end();) {
    Item& item = *it++;
    if (item.value % 2 == 0) list.erase(item);
  }
  EXPECT_EQ(values(list), (std::vector{1, 3, 5}));
  EXPECT_EQ((--list.iterator_to(items[3]))->value, 1);
  list.clear();
}

TEST(ListTest, RandomOperationsAgreeWithStdList) {
  std::mt19937 random(2);
  std::vector<Item> items(40);
  for (std::size_t i = 0; i < items.size(); ++i) {
    items[i].value = static_cast<int>(i);
  }
  std::array<Items, 2> ours;
  std::array<std::list<int>, 2> model;
  std::vector<int> where(items.size(), -1);
  for (int step = 0; step < 20000; ++step) {
    std::size_t at = random() % items.size();
    std::size_t side = random() % 2;
    int value = static_cast<int>(at);
    if (where[at] < 0) {
      switch (random() % 3) {
        case 0:
          ours[side].push_back(items[at]);
          model[side].push_back(value);
          break;
        case 1:
          ours[side].push_front(items[at]);
          model[side].push_front(value);
          break;
        default:
          if (ours[side].empty()) continue;
          ours[side].insert_before(ours[side].back(), items[at]);
          model[side].insert(std::prev(model[side].end()), value);
      }
      where[at] = static_cast<int>(side);
    } else if (random() % 50 == 0) {
      ours[side].splice_back(ours[1 - side]);
      model[side].splice(model[side].end(), model[1 - side]);
      for (int& w : where) {
        if (w >= 0) w = static_cast<int>(side);
      }
    } else {
      auto from = static_cast<std::size_t>(where[at]);
      ours[from].erase(items[at]);
      model[from].remove(value);
      where[at] = -1;
    }
    for (std::size_t i = 0; i < 2; ++i) {
      ASSERT_EQ(values(ours[i]),
                std::vector<int>(model[i].begin(), model[i].end()));
    }
    for (std::size_t i = 0; i < items.size(); ++i) {
      ASSERT_EQ(items[i].hook.is_linked(), where[i] >= 0);
    }
  }
  for (Items& list : ours) list.clear();
}

#if !defined(NDEBUG)
TEST(ListDeathTest, MisuseStopsInDebugBuilds) {
  EXPECT_DEATH(
      {
        Item item;
        Items list;
        list.push_back(item);
        list.push_back(item);
      },
      "");
  EXPECT_DEATH(
      {
        Item item;
        Items list;
        list.erase(item);
      },
      "");
  EXPECT_DEATH(
      {
        Items list;
        {
          Item item;
          list.push_back(item);
        }
      },
      "");
  EXPECT_DEATH((void)Items().front(), "");
}
#endif

}  // namespace
}  // namespace odo
