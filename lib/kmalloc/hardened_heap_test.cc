// SPDX-License-Identifier: BSD-3-Clause
// What a hardened heap finds, and what it says.
#include "lib/kmalloc/hardened_heap.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>
#include <vector>

#include "lib/kmalloc/host/ground.h"

namespace odo::kmalloc {
namespace {

class HardGround : public HostGround {
 public:
  static constexpr bool kHardened = true;
};
using Hard = HardenedHeap<HardGround>;

class HardenedHeapTest : public ::testing::Test {
 protected:
  HardenedHeapTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  Hard heap_{HardGround(), 0x1234'5678'9abc'def0};
  HardenedLane<HardGround>& lane_ = *heap_.take_lane();
};

TEST_F(HardenedHeapTest, ServesRandomUse) {
  std::mt19937_64 random(3);
  std::vector<std::pair<unsigned char*, std::size_t>> live;
  for (int step = 0; step < 30'000; ++step) {
    if (live.empty() || random() % 9 < 5) {
      const std::size_t bytes = random() % (std::size_t{1} << random() % 17);
      auto* at =
          static_cast<unsigned char*>(heap_.allocate(lane_, "any", bytes));
      ASSERT_NE(at, nullptr);
      std::memset(at, 0xa5, bytes);
      EXPECT_EQ(heap_.bytes_of(at), bytes);
      live.emplace_back(at, bytes);
    } else {
      std::swap(live[random() % live.size()], live.back());
      const auto [at, bytes] = live.back();
      live.pop_back();
      for (std::size_t i = 0; i < bytes; ++i) ASSERT_EQ(at[i], 0xa5);
      heap_.free(lane_, at);
    }
  }
  for (const auto& [at, bytes] : live) heap_.free(lane_, at);
  heap_.free(lane_, nullptr);
}

TEST_F(HardenedHeapTest, NeighboursAreNotPredictable) {
  std::vector<char*> objects;
  for (int i = 0; i < 64; ++i) {
    objects.push_back(static_cast<char*>(heap_.allocate(lane_, "any", 20)));
  }
  std::map<std::ptrdiff_t, int> steps;
  for (std::size_t i = 1; i < objects.size(); ++i) {
    ++steps[objects[i] - objects[i - 1]];
  }
  EXPECT_GT(steps.size(), 16);
  for (char* object : objects) heap_.free(lane_, object);
}

TEST_F(HardenedHeapTest, WhatIsFreedWaits) {
  void* first = heap_.allocate(lane_, "any", 100);
  heap_.free(lane_, first);
  for (std::size_t i = 0; i + 1 < HardenedLane<HardGround>::kQuarantine; ++i) {
    void* other = heap_.allocate(lane_, "any", 100);
    EXPECT_NE(other, first);
    heap_.free(lane_, other);
  }
}

TEST_F(HardenedHeapTest, FreedTwiceIsFoundAtOnce) {
  for (const std::size_t bytes : {std::size_t{10}, std::size_t{100'000}}) {
    void* object = heap_.allocate(lane_, "inode", bytes);
    heap_.free(lane_, object);
    EXPECT_DEATH(
        heap_.free(lane_, object),
        "bytes for \"inode\": freed twice, at .*_test.cc:[0-9]+, since "
        ".*_test.cc:[0-9]+");
  }
}

TEST_F(HardenedHeapTest, ForeignAddressesAreNotLookedAt) {
  int local = 0;
  auto* object = static_cast<char*>(heap_.allocate(lane_, "inode", 100));
  const char* text = "freed, but never allocated, at .*_test.cc";
  EXPECT_DEATH(heap_.free(lane_, &local), text);
  EXPECT_DEATH(heap_.free(lane_, reinterpret_cast<void*>(0x10)), text);
  EXPECT_DEATH(heap_.free(lane_, reinterpret_cast<void*>(0x20'0000)), text);
  EXPECT_DEATH(
      heap_.free(lane_, reinterpret_cast<void*>(0xffff'8000'1234'5678)), text);
  EXPECT_DEATH(heap_.free(lane_, object + 8),
               "freed, but not the beginning of an object, at .*_test.cc");
  heap_.free(lane_, object);
}

TEST_F(HardenedHeapTest, OverrunsAreFound) {
  for (const std::size_t bytes :
       {std::size_t{0}, std::size_t{1}, std::size_t{10}, std::size_t{50'000}}) {
    auto* object = static_cast<char*>(heap_.allocate(lane_, "name", bytes));
    EXPECT_DEATH(
        {
          object[bytes] = 'x';
          heap_.free(lane_, object);
        },
        "for \"name\": written to behind its end, at .*, since .*_test.cc");
    EXPECT_DEATH(
        {
          std::memset(object, 'x', bytes + 200);
          heap_.verify(object);
        },
        "written to behind its end, at .*_test.cc");
    heap_.free(lane_, object);
  }
}

TEST_F(HardenedHeapTest, WritesAfterTheFreeAreFound) {
  auto* object = static_cast<char*>(heap_.allocate(lane_, "name", 100));
  heap_.free(lane_, object);
  EXPECT_DEATH(
      {
        object[50] = 'x';
        for (std::size_t i = 0; i < HardenedLane<HardGround>::kQuarantine;
             ++i) {
          heap_.free(lane_, heap_.allocate(lane_, "other", 10));
        }
      },
      "of 100 bytes for \"name\": written to after it was freed, at .*, since");
}

}  // namespace
}  // namespace odo::kmalloc
