// SPDX-License-Identifier: BSD-3-Clause
// The concurrent tree under threads: what the simulator proves in the small, in
// the large and under ThreadSanitizer.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include "lib/btree/concurrent.h"
#include "lib/btree/concurrent_inspect.h"
#include "lib/btree/host/ground.h"

namespace odo::btree {
namespace {

using Key = std::uint64_t;

// Small nodes, so that shapes change all the time; and small batches, so that
// memory comes back and is used again.
template <unsigned Tries>
struct Stress : ConcurrentOptions<Key> {
  static constexpr std::size_t kLeafSlots = 4;
  static constexpr std::size_t kInnerSlots = 5;
  static constexpr unsigned kTries = Tries;
  static constexpr std::uint64_t kRetireBatch = 8;
};
template <unsigned Tries>
using Tree = ConcurrentBTree<Key, Key, HostGround, Stress<Tries>>;

// An element's value says whose key it is, so that no reader takes one
// element's value for another's.
constexpr Key value_of(Key key, Key tag) { return key * 1000 + tag % 1000; }
constexpr Key key_of(Key value) { return value / 1000; }

template <class T>
void expect_in_order(T& tree) {
  const TreeReport report = ConcurrentInspector<T>(tree).report();
  EXPECT_EQ(report.wrong, nullptr) << report.wrong;
  EXPECT_EQ(report.elements, tree.size());
}

// Each thread owns a quarter of the keys, which it alone changes, and knows;
// it looks at all. Multiples of seven are always there.
template <class T>
void work(T& tree, unsigned thread, unsigned threads, Key keys, int rounds) {
  std::mt19937_64 random(thread);
  std::vector<bool> mine(keys, false);
  for (int i = 0; i < rounds; ++i) {
    Key key = random() % keys;
    switch (random() % 8) {
      case 0: {
        const auto found = tree.find(key);
        if (found.has_value()) {
          ASSERT_EQ(key_of(*found), key);
        }
        if (key % 7 == 0) {
          ASSERT_TRUE(found.has_value());
        }
        break;
      }
      case 1: {
        const auto first = tree.first_at_or_after(key);
        const Key always = (key + 6) / 7 * 7;
        if (always >= keys) break;
        ASSERT_TRUE(first.has_value());
        ASSERT_GE(first->key, key);
        ASSERT_LE(first->key, always);
        ASSERT_EQ(key_of(first->value), first->key);
        break;
      }
      case 2: {
        Key next = key;
        Key always = (key + 6) / 7 * 7;
        const std::size_t visited =
            tree.scan(key, 30, [&](Key found, Key value) {
              ASSERT_GE(found, next);
              ASSERT_LE(found, always);
              ASSERT_EQ(key_of(value), found);
              if (found == always) always += 7;
              next = found + 1;
            });
        if (visited < 30) {
          ASSERT_GE(always, keys);
        }
        break;
      }
      default: {
        key -= key % threads;
        key += thread;
        if (key >= keys || key % 7 == 0) break;
        if (random() % 2 == 0) {
          const auto erased = tree.erase(key);
          ASSERT_EQ(erased.has_value(), mine[key]);
          mine[key] = false;
        } else {
          const Result<bool> inserted =
              random() % 2 == 0
                  ? tree.insert(key, value_of(key, random()))
                  : tree.insert_or_assign(key, value_of(key, random()));
          ASSERT_TRUE(inserted.has_value());
          ASSERT_EQ(*inserted, !mine[key]);
          mine[key] = true;
        }
        ASSERT_EQ(tree.contains(key), mine[key]);
      }
    }
  }
}

template <unsigned Tries>
void stress(Key keys, int rounds) {
  constexpr unsigned kThreads = 4;
  Tree<Tries> tree;
  for (Key key = 0; key < keys; key += 7) {
    ASSERT_TRUE(tree.insert(key, value_of(key, 0)).has_value());
  }
  std::array<std::thread, kThreads> threads;
  for (unsigned t = 0; t < kThreads; ++t) {
    threads[t] = std::thread([&, t] { work(tree, t, kThreads, keys, rounds); });
  }
  for (std::thread& thread : threads) thread.join();
  expect_in_order(tree);
}

TEST(ConcurrentHostTest, FewKeys) { stress<32>(40, 30000); }
TEST(ConcurrentHostTest, ManyKeys) { stress<32>(5000, 30000); }
TEST(ConcurrentHostTest, OftenByLocks) { stress<1>(200, 20000); }
TEST(ConcurrentHostTest, AlwaysByLocks) { stress<0>(200, 5000); }

// Everybody wants the same keys; each insert and each erase that succeeds is
// one, and they alternate.
TEST(ConcurrentHostTest, TheSameKeys) {
  constexpr Key kKeys = 12;
  Tree<32> tree;
  std::array<std::atomic<std::int64_t>, kKeys> balance{};
  std::array<std::thread, 4> threads;
  for (unsigned t = 0; t < threads.size(); ++t) {
    threads[t] = std::thread([&, t] {
      std::mt19937 random(t);
      for (int i = 0; i < 30000; ++i) {
        const Key key = random() % kKeys;
        if (random() % 2 == 0) {
          const Result<bool> inserted = tree.insert(key, value_of(key, t));
          ASSERT_TRUE(inserted.has_value());
          if (*inserted) balance[key].fetch_add(1, std::memory_order_relaxed);
        } else if (tree.erase(key).has_value()) {
          balance[key].fetch_sub(1, std::memory_order_relaxed);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (Key key = 0; key < kKeys; ++key) {
    EXPECT_EQ(balance[key].load(std::memory_order_relaxed),
              tree.contains(key) ? 1 : 0);
  }
  expect_in_order(tree);
}

// It grows to a few levels and shrinks to nothing, again and again, while
// threads that come and go read.
TEST(ConcurrentHostTest, ReadersComeAndGo) {
  constexpr Key kKeys = 600;
  Tree<32> tree;
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int round = 0; round < 15; ++round) {
      for (Key key = 0; key < kKeys; ++key) {
        ASSERT_TRUE(tree.insert(key, value_of(key, 1)).has_value());
      }
      for (Key key = 0; key < kKeys; ++key) {
        ASSERT_TRUE(tree.erase(key * 7 % kKeys).has_value());
      }
    }
    stop.store(true, std::memory_order_relaxed);
  });
  while (!stop.load(std::memory_order_relaxed)) {
    std::array<std::thread, 3> readers;
    for (unsigned t = 0; t < readers.size(); ++t) {
      readers[t] = std::thread([&, t] {
        std::mt19937 random(t);
        for (int i = 0; i < 500; ++i) {
          const auto found = tree.first_at_or_after(random() % kKeys);
          if (found.has_value()) {
            ASSERT_EQ(key_of(found->value), found->key);
          }
        }
      });
    }
    for (std::thread& reader : readers) reader.join();
  }
  writer.join();
  EXPECT_EQ(tree.size(), 0u);
  expect_in_order(tree);
  // Lanes were handed on.
  EXPECT_LE(HostGround().lanes(), 16u);
}

}  // namespace
}  // namespace odo::btree
