// SPDX-License-Identifier: BSD-3-Clause
#include "lib/base/queue.h"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <random>
#include <utility>
#include <vector>

namespace odo {
namespace {

struct Item {
  Item(int v = 0) : value(v) {}
  int value;
  QueueHook hook;
};
using Items = Queue<Item, &Item::hook>;
static_assert(sizeof(Items) == sizeof(void*));
static_assert(sizeof(QueueHook) == sizeof(void*));

std::vector<int> values(Items& queue) {
  std::vector<int> all;
  for (Item& item : queue) all.push_back(item.value);
  return all;
}

TEST(QueueTest, FirstInFirstOut) {
  std::array<Item, 3> items{1, 2, 3};
  Items queue;
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.pop_front(), nullptr);
  EXPECT_EQ(values(queue), (std::vector<int>{}));
  queue.push_back(items[0]);
  queue.push_back(items[1]);
  EXPECT_EQ(queue.pop_front(), &items[0]);
  EXPECT_FALSE(items[0].hook.is_linked());
  queue.push_back(items[2]);
  queue.push_front(items[0]);
  EXPECT_EQ(values(queue), (std::vector{1, 2, 3}));
  EXPECT_EQ(&queue.front(), &items[0]);
  EXPECT_EQ(&queue.back(), &items[2]);
  queue.clear();
  EXPECT_TRUE(queue.empty());
}

TEST(QueueTest, MovesTakeTheElementsAlong) {
  std::array<Item, 2> items{1, 2};
  Items queue;
  queue.push_back(items[0]);
  Items moved = std::move(queue);
  EXPECT_TRUE(queue.empty());
  queue.push_back(items[1]);
  moved.append(queue);
  EXPECT_EQ(values(moved), (std::vector{1, 2}));
  moved.append(moved);
  queue = std::move(moved);
  EXPECT_EQ(values(queue), (std::vector{1, 2}));
  queue.clear();
}

TEST(QueueTest, RandomOperationsAgreeWithStdDeque) {
  std::mt19937 random(3);
  std::vector<Item> items(30);
  std::vector<Item*> idle;
  for (std::size_t i = 0; i < items.size(); ++i) {
    items[i].value = static_cast<int>(i);
    idle.push_back(&items[i]);
  }
  std::array<Items, 2> ours;
  std::array<std::deque<int>, 2> model;
  for (int step = 0; step < 20000; ++step) {
    std::size_t side = random() % 2;
    switch (random() % 5) {
      case 0:
      case 1:
      case 2: {
        if (idle.empty()) break;
        std::swap(idle[random() % idle.size()], idle.back());
        Item* item = idle.back();
        idle.pop_back();
        if (random() % 4 == 0) {
          ours[side].push_front(*item);
          model[side].push_front(item->value);
        } else {
          ours[side].push_back(*item);
          model[side].push_back(item->value);
        }
        break;
      }
      case 3: {
        Item* item = ours[side].pop_front();
        ASSERT_EQ(item == nullptr, model[side].empty());
        if (item == nullptr) break;
        ASSERT_EQ(item->value, model[side].front());
        ASSERT_FALSE(item->hook.is_linked());
        model[side].pop_front();
        idle.push_back(item);
        break;
      }
      default:
        if (random() % 8 != 0) break;
        ours[side].append(ours[1 - side]);
        model[side].insert(model[side].end(), model[1 - side].begin(),
                           model[1 - side].end());
        model[1 - side].clear();
    }
    for (std::size_t i = 0; i < 2; ++i) {
      ASSERT_EQ(values(ours[i]),
                std::vector<int>(model[i].begin(), model[i].end()));
      if (!model[i].empty()) {
        ASSERT_EQ(ours[i].front().value, model[i].front());
        ASSERT_EQ(ours[i].back().value, model[i].back());
      }
    }
  }
  for (Items& queue : ours) queue.clear();
}

#if !defined(NDEBUG)
TEST(QueueDeathTest, MisuseStopsInDebugBuilds) {
  EXPECT_DEATH(
      {
        Item item;
        Items queue;
        queue.push_back(item);
        queue.push_back(item);
      },
      "");
  EXPECT_DEATH(
      {
        Items queue;
        {
          Item item;
          queue.push_back(item);
        }
      },
      "");
  EXPECT_DEATH((void)Items().front(), "");
}
#endif

}  // namespace
}  // namespace odo
