// SPDX-License-Identifier: BSD-3-Clause
#include "lib/base/byte_ring.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <deque>
#include <optional>
#include <random>

namespace odo {
namespace {

TEST(ByteRingTest, DoesAsAQueueOfItsSizeDoes) {
  ByteRing<8> ring;
  std::deque<std::byte> queue;
  std::mt19937 random(5);
  for (int i = 0; i < 10'000; ++i) {
    if (random() % 2 == 0) {
      const auto byte = static_cast<std::byte>(random());
      const bool fits = queue.size() < 8;
      EXPECT_EQ(ring.put(byte), fits);
      if (fits) queue.push_back(byte);
    } else {
      const auto taken = ring.take();
      ASSERT_EQ(taken.has_value(), !queue.empty());
      if (queue.empty()) continue;
      EXPECT_EQ(*taken, queue.front());
      queue.pop_front();
    }
    EXPECT_EQ(ring.empty(), queue.empty());
    EXPECT_EQ(ring.room(), 8 - queue.size());
  }
}

}  // namespace
}  // namespace odo
