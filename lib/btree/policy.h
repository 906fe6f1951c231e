// SPDX-License-Identifier: BSD-3-Clause
// What a B+tree decides about its nodes, apart from how a node is made: when
// neighbours share or merge, where a full node is parted, who gives to whom.
// Numbers in, numbers out; the same for nodes in memory and pages on media.
//
// Contexts: any; constexpr, no state.
// Sizes: a node has four slots at least.
// Origin: sharing before a split is Knuth's B* tree (TAOCP 3, 6.2.4).
//   policy_test.cc proves the bounds.
#pragma once

#include <cstddef>
#include <cstdint>

namespace odo::btree::policy {

// When a leaf is full, up to so many neighbours share before one more is made.
// The fill of a tree grown in random order is about n ln((n + 1) / n): 69 % at
// 1, 81 % at 2, 86 % at 3, 89 % at 4.
inline constexpr std::uint32_t kMostSpread = 8;
// How full a node is at least that is not at an edge of the tree. Two nodes
// that are just too full to merge must each stay above it when they share.
inline constexpr std::uint32_t kLeastFillPercent = 40;
inline constexpr std::uint32_t kMostLeastFillPercent = 43;

// A leaf with fewer elements looks for a neighbour.
[[nodiscard]] constexpr std::uint32_t least_in_leaf(
    std::uint32_t slots, std::uint32_t percent = kLeastFillPercent) {
  const std::uint32_t least = slots * percent / 100;
  return least == 0 ? 1 : least;
}

// An inner node with fewer children likewise; one child would be no choice.
[[nodiscard]] constexpr std::uint32_t least_in_inner(
    std::uint32_t slots, std::uint32_t percent = kLeastFillPercent) {
  const std::uint32_t least = slots * percent / 100;
  return least < 2 ? 2 : least;
}

// Whether two neighbours with `all` entries together become one. The room to
// spare keeps the next insertion from splitting it again.
[[nodiscard]] constexpr bool merges(std::uint32_t all, std::uint32_t slots) {
  return all <= slots - slots / 8;
}

// Whether `nodes` full or nearly full leaves share what they have instead of
// taking one leaf more: worth its moves while each gains a few slots.
[[nodiscard]] constexpr bool sharing_gains(std::uint32_t elements,
                                           std::uint32_t nodes,
                                           std::uint32_t slots) {
  return nodes > 1 && elements + nodes * (slots / 16 + 1) <= nodes * slots;
}

// The children that share with child `index`, `spread` of them at most.
struct Window {
  std::uint32_t first;
  std::uint32_t count;
};
[[nodiscard]] constexpr Window spread_window(std::uint32_t index,
                                             std::uint32_t children,
                                             std::uint32_t spread) {
  const std::uint32_t count = children < spread ? children : spread;
  const std::uint32_t before = count / 2;
  std::uint32_t first = index < before ? 0 : index - before;
  if (first + count > children) first = children - count;
  return {first, count};
}

enum class Edge : std::uint8_t { kNone, kLeft, kRight, kBoth };

// How many children a full inner node keeps when one more comes at `at`. At an
// edge of the tree keys come in order: the full side is left alone.
[[nodiscard]] constexpr std::uint32_t split_keeps(std::uint32_t slots,
                                                  std::uint32_t at, Edge edge) {
  const bool right = edge == Edge::kRight || edge == Edge::kBoth;
  const bool left = edge == Edge::kLeft || edge == Edge::kBoth;
  if (right && at == slots) return slots - 1;
  if (left && at == 0) return 1;
  return slots / 2;
}

// Where among `nodes` neighbours an element goes that is about to come.
struct Landing {
  std::uint32_t node;
  std::uint32_t index;
};

// Even shares of `elements` and of one to come at `place` among them: `want` is
// what each node holds before it comes.
[[nodiscard]] constexpr Landing share_out(std::uint32_t elements,
                                          std::uint32_t place,
                                          std::uint32_t nodes,
                                          std::uint32_t* want) {
  Landing landing{nodes, 0};
  std::uint32_t passed = 0;
  for (std::uint32_t i = 0; i < nodes; ++i) {
    want[i] = (elements + 1) / nodes + (i < (elements + 1) % nodes ? 1U : 0U);
    if (landing.node == nodes && place < passed + want[i]) {
      landing = {i, place - passed};
      --want[i];
      // Its own slot is not passed by elements that are there now.
      passed += 1;
    }
    passed += want[i];
  }
  return landing;
}

// Moves elements between neighbours until node i holds want[i] of them.
// push(i, n): the last n of node i become the first of node i + 1.
// pull(i, n): the first n of node i + 1 become the last of node i.
// Across each border flows what its left side has too much or too little; a
// flow may have to wait for supply from the next border. There is always room:
// who receives has given first, all that it must or all that it had.
template <class Push, class Pull>
constexpr void even_out(std::uint32_t* have, const std::uint32_t* want,
                        std::uint32_t nodes, const Push& push,
                        const Pull& pull) {
  for (bool moved = true; moved;) {
    moved = false;
    std::int64_t flows[kMostSpread + 1] = {};
    std::int64_t surplus = 0;
    for (std::uint32_t i = 0; i + 1 < nodes; ++i) {
      surplus += static_cast<std::int64_t>(have[i]) - want[i];
      flows[i] = surplus;
    }
    for (std::uint32_t i = nodes - 1; i-- > 0;) {
      if (flows[i] <= 0 || have[i] == 0) continue;
      const auto wish = static_cast<std::uint32_t>(flows[i]);
      const std::uint32_t flow = wish < have[i] ? wish : have[i];
      push(i, flow);
      have[i] -= flow;
      have[i + 1] += flow;
      moved = true;
    }
    for (std::uint32_t i = 0; i + 1 < nodes; ++i) {
      if (flows[i] >= 0 || have[i + 1] == 0) continue;
      const auto wish = static_cast<std::uint32_t>(-flows[i]);
      const std::uint32_t flow = wish < have[i + 1] ? wish : have[i + 1];
      pull(i, flow);
      have[i] += flow;
      have[i + 1] -= flow;
      moved = true;
    }
  }
}

namespace detail {

// Two nodes that are just too full to merge stay above the least when they
// share, for every size of node.
[[nodiscard]] consteval bool halves_suffice() {
  for (std::uint32_t slots = 4; slots < 2000; ++slots) {
    const std::uint32_t all = slots - slots / 8 + 1;
    if (all / 2 < least_in_leaf(slots, kMostLeastFillPercent) ||
        all / 2 < least_in_inner(slots, kMostLeastFillPercent)) {
      return false;
    }
    // And a node that was merged is above it, and that was split.
    if (slots / 2 < least_in_inner(slots, kMostLeastFillPercent)) return false;
  }
  return true;
}
static_assert(halves_suffice());
static_assert(spread_window(0, 2, 3).count == 2);
static_assert(spread_window(5, 6, 3).first == 3);
static_assert(split_keeps(8, 8, Edge::kRight) == 7);
static_assert(split_keeps(8, 8, Edge::kLeft) == 4);

}  // namespace detail
}  // namespace odo::btree::policy
