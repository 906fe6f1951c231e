// SPDX-License-Identifier: BSD-3-Clause
#include "lib/btree/policy.h"

#include <array>
#include <cstdint>
#include <deque>
#include <numeric>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "lib/btree/partition.h"

namespace odo::btree::policy {
namespace {

// One more node than this shares at most.
constexpr std::uint32_t kSpread = 4;

// For every node size and fill: what shares can do, and what merges.
TEST(BTreePolicyTest, WindowLiesAmongTheChildren) {
  for (std::uint32_t children = 1; children < 20; ++children) {
    for (std::uint32_t index = 0; index < children; ++index) {
      const Window window = spread_window(index, children, kSpread);
      EXPECT_GE(window.count, 1U);
      EXPECT_LE(window.count, kSpread);
      EXPECT_LE(window.first, index);
      EXPECT_LT(index, window.first + window.count);
      EXPECT_LE(window.first + window.count, children);
    }
  }
}

TEST(BTreePolicyTest, BothSidesOfASplitHoldTwoChildren) {
  for (std::uint32_t slots = 4; slots < 300; ++slots) {
    for (const Edge edge :
         {Edge::kNone, Edge::kLeft, Edge::kRight, Edge::kBoth}) {
      for (std::uint32_t at = 0; at <= slots; ++at) {
        const std::uint32_t keep = split_keeps(slots, at, edge);
        const std::uint32_t left = keep + (at <= keep ? 1 : 0);
        const std::uint32_t right = slots - keep + (at <= keep ? 0 : 1);
        EXPECT_GE(left, 2U);
        EXPECT_GE(right, 2U);
        EXPECT_LE(left, slots);
        EXPECT_LE(right, slots);
      }
    }
  }
}

// Nodes as queues of numbers: they stay in order and in bounds on the way, and
// hold what they should at the end, with room for the one to come.
void try_even_out(std::vector<std::deque<int>> nodes, std::uint32_t slots,
                  std::uint32_t place) {
  std::array<std::uint32_t, kSpread + 1> have{};
  std::array<std::uint32_t, kSpread + 1> want{};
  const auto count = static_cast<std::uint32_t>(nodes.size());
  std::uint32_t elements = 0;
  int next = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    have[i] = static_cast<std::uint32_t>(nodes[i].size());
    elements += have[i];
    std::iota(nodes[i].begin(), nodes[i].end(), next);
    next += static_cast<int>(have[i]);
  }
  const Landing landing = share_out(elements, place, count, want.data());
  even_out(
      have.data(), want.data(), count,
      [&](std::uint32_t i, std::uint32_t n) {
        ASSERT_LT(i + 1, count);
        ASSERT_LE(n, nodes[i].size());
        ASSERT_LE(nodes[i + 1].size() + n, slots);
        for (; n > 0; --n) {
          nodes[i + 1].push_front(nodes[i].back());
          nodes[i].pop_back();
        }
      },
      [&](std::uint32_t i, std::uint32_t n) {
        ASSERT_LT(i + 1, count);
        ASSERT_LE(n, nodes[i + 1].size());
        ASSERT_LE(nodes[i].size() + n, slots);
        for (; n > 0; --n) {
          nodes[i].push_back(nodes[i + 1].front());
          nodes[i + 1].pop_front();
        }
      });
  int expected = 0;
  std::uint32_t least = slots;
  std::uint32_t most = 0;
  std::uint32_t before = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    ASSERT_EQ(nodes[i].size(), want[i]);
    for (const int number : nodes[i]) ASSERT_EQ(number, expected++);
    const std::uint32_t holds = want[i] + (landing.node == i ? 1 : 0);
    least = holds < least ? holds : least;
    most = holds > most ? holds : most;
    if (i < landing.node) before += want[i];
  }
  ASSERT_LE(most, slots);
  ASSERT_LE(most - least, 1U);
  ASSERT_LT(landing.node, count);
  ASSERT_LE(landing.index, want[landing.node]);
  ASSERT_EQ(before + landing.index, place);
}

TEST(BTreePolicyTest, SharesAreEvenForAllSmallNodes) {
  constexpr std::uint32_t kSlots = 4;
  for (std::uint32_t count = 2; count <= kSpread + 1; ++count) {
    std::uint32_t all = 1;
    for (std::uint32_t i = 0; i < count; ++i) all *= kSlots + 1;
    for (std::uint32_t code = 0; code < all; ++code) {
      std::vector<std::deque<int>> nodes(count);
      std::uint32_t elements = 0;
      std::uint32_t rest = code;
      for (auto& node : nodes) {
        node.resize(rest % (kSlots + 1));
        elements += rest % (kSlots + 1);
        rest /= kSlots + 1;
      }
      if (elements + 1 > count * kSlots) continue;
      for (std::uint32_t place = 0; place <= elements; ++place) {
        ASSERT_NO_FATAL_FAILURE(try_even_out(nodes, kSlots, place)) << code;
      }
    }
  }
}

TEST(BTreePolicyTest, SharesAreEvenForRandomNodes) {
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    const std::uint32_t slots = 4 + random() % 250;
    std::vector<std::deque<int>> nodes(2 + random() % kSpread);
    std::uint32_t elements = 0;
    for (auto& node : nodes) {
      const std::uint32_t fill =
          random() % 3 == 0
              ? slots
              : static_cast<std::uint32_t>(random()) % (slots + 1);
      node.resize(fill);
      elements += fill;
    }
    if (elements + 1 > nodes.size() * slots) continue;
    ASSERT_NO_FATAL_FAILURE(try_even_out(
        nodes, slots, static_cast<std::uint32_t>(random()) % (elements + 1)));
  }
}

TEST(BTreePolicyTest, PartitionFindsEveryBorder) {
  for (std::uint32_t count = 0; count < 70; ++count) {
    for (std::uint32_t border = 0; border <= count; ++border) {
      EXPECT_EQ(partition(count, [&](std::size_t i) { return i < border; }),
                border);
    }
  }
}

}  // namespace
}  // namespace odo::btree::policy
