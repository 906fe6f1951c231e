// SPDX-License-Identifier: BSD-3-Clause
// Tokens under plain threads, for real: what the simulator proves in the small,
// in the large and under ThreadSanitizer.
#include "lib/tokens/host/thread_token.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <shared_mutex>
#include <thread>
#include <vector>

#include "lib/tokens/pool.h"
#include "lib/tokens/self_test.h"

namespace odo::tokens {
namespace {

constexpr TokenClass kClass{"stress"};

void on_threads(int count, const std::function<void(int)>& body) {
  std::vector<std::thread> threads;
  threads.reserve(static_cast<std::size_t>(count));
  for (int t = 0; t < count; ++t) threads.emplace_back(body, t);
  for (std::thread& thread : threads) thread.join();
}

TEST(ThreadTokenTest, WorksWithTheStandardGuards) {
  ThreadToken token(kClass);
  {
    std::scoped_lock hold(token);
    EXPECT_TRUE(token.held_by_me());
    std::thread([&] {
      EXPECT_FALSE(token.held_by_me());
      std::unique_lock attempt(token, std::try_to_lock);
      EXPECT_FALSE(attempt.owns_lock());
    }).join();
  }
  std::shared_lock hold(token);
  std::thread([&] {
    std::shared_lock also(token, std::try_to_lock);
    EXPECT_TRUE(also.owns_lock());
  }).join();
}

TEST(ThreadTokenTest, ExcludesUnderContention) {
  ThreadToken token(kClass);
  std::uint64_t count = 0;
  on_threads(4, [&](int) {
    for (int i = 0; i < 20000; ++i) {
      std::scoped_lock hold(token);
      ++count;
    }
  });
  EXPECT_EQ(count, 80000u);
}

TEST(ThreadTokenTest, ReadersSeeWholeWrites) {
  ThreadToken token(kClass);
  std::array<std::uint64_t, 8> words{};
  on_threads(4, [&](int t) {
    std::mt19937 random(static_cast<unsigned>(t));
    for (int i = 0; i < 20000; ++i) {
      // Long runs of reads between the writes, so that the bias comes and goes.
      if (t == 0 && i % 1000 == 0) {
        std::scoped_lock hold(token);
        for (std::uint64_t& word : words) ++word;
      } else {
        std::shared_lock hold(token);
        for (const std::uint64_t word : words) ASSERT_EQ(word, words[0]);
      }
    }
  });
  EXPECT_EQ(words[0], 20u);
}

TEST(ThreadTokenTest, OppositeOrdersDoNotDeadlock) {
  ThreadToken a(kClass);
  ThreadToken b(kClass);
  ThreadToken c(kClass);
  ThreadToken* tokens[] = {&a, &b, &c};
  std::uint64_t data[3] = {};
  on_threads(3, [&](int t) {
    const auto first = static_cast<std::size_t>(t);
    const std::size_t second = (first + 1) % 3;
    ThisThread& self = this_thread();
    for (int i = 0; i < 5000; ++i) {
      self.acquire(tokens[first]->token());
      self.acquire(tokens[second]->token());
      ++data[first];
      ++data[second];
      self.release(tokens[second]->token());
      self.release(tokens[first]->token());
    }
  });
  for (const std::uint64_t count : data) EXPECT_EQ(count, 10000u);
}

TEST(ThreadTokenTest, TokensLapseWhileAThreadSleeps) {
  ThreadToken a(kClass);
  ThreadToken b(kClass);
  std::mutex mutex;
  std::condition_variable changed;
  int turn = 0;  // guarded by `mutex`
  int data = 0;  // guarded by both tokens
  // Two threads hand the turn to and fro. Each sleeps with both tokens "held":
  // were they kept, the other could never answer.
  on_threads(2, [&](int t) {
    for (int i = 0; i < 500; ++i) {
      std::scoped_lock outer(a);
      std::shared_lock inner(b);
      blocking([&] {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return turn % 2 == t; });
      });
      EXPECT_TRUE(a.held_by_me() && b.held_by_me());
      ++data;
      const std::scoped_lock lock(mutex);
      ++turn;
      changed.notify_all();
    }
  });
  EXPECT_EQ(data, 1000);
}

TEST(ThreadTokenTest, AMixtureOfEverything) {
  static constexpr std::size_t kData = 4;
  static TokenPool<HostGround, 2, kClass> pool;
  std::array<Token<HostGround>, kData> tokens{
      Token<HostGround>(kClass), Token<HostGround>(kClass),
      Token<HostGround>(kClass), Token<HostGround>(kClass)};
  std::array<std::uint64_t, kData> data{};
  std::array<std::atomic<std::uint64_t>, kData> expected{};
  std::uint64_t pooled[2] = {};
  on_threads(4, [&](int t) {
    std::mt19937 random(static_cast<unsigned>(t) + 100);
    ThisThread& self = this_thread();
    for (int i = 0; i < 5000; ++i) {
      const std::size_t first = random() % kData;
      const std::size_t second = (first + 1 + random() % (kData - 1)) % kData;
      switch (random() % 6) {
        case 0:
          self.acquire(tokens[first]);
          self.acquire(tokens[second]);
          ++data[first];
          ++data[second];
          expected[first].fetch_add(1, std::memory_order_relaxed);
          expected[second].fetch_add(1, std::memory_order_relaxed);
          self.swap_top();
          self.release(tokens[first]);
          self.release(tokens[second]);
          break;
        case 1:
          self.acquire_shared(tokens[first]);
          self.acquire(tokens[second]);
          ASSERT_LE(data[first], 4u * 5000u * 2u);
          ++data[second];
          expected[second].fetch_add(1, std::memory_order_relaxed);
          self.release(tokens[second]);
          self.release(tokens[first]);
          break;
        case 2:
          if (self.try_acquire(tokens[first])) {
            ++data[first];
            expected[first].fetch_add(1, std::memory_order_relaxed);
            self.release(tokens[first]);
          }
          break;
        case 3: {
          self.acquire(tokens[first]);
          self.acquire_shared(tokens[second]);
          blocking([] { std::this_thread::yield(); });
          ++data[first];
          expected[first].fetch_add(1, std::memory_order_relaxed);
          self.release(tokens[second]);
          self.release(tokens[first]);
          break;
        }
        case 4: {
          Token<HostGround>& token = pool.of(&pooled[i % 2]);
          self.acquire(token);
          ++pooled[i % 2];
          self.release(token);
          break;
        }
        default:
          for (int r = 0; r < 20; ++r) {
            self.acquire_shared(tokens[first]);
            ASSERT_LE(data[first], 4u * 5000u * 2u);
            self.release(tokens[first]);
          }
      }
    }
    EXPECT_EQ(self.depth(), 0u);
  });
  for (std::size_t i = 0; i < kData; ++i) {
    EXPECT_EQ(data[i], expected[i].load(std::memory_order_relaxed));
  }
}

TEST(ThreadTokenTest, LanesOutliveTheirThreads) {
  ThreadToken token(kClass);
  std::uint64_t seen = 0;
  for (int i = 0; i < 50; ++i) {
    std::thread([&] {
      std::shared_lock hold(token);
      seen += 1;
    }).join();
    std::scoped_lock hold(token);
    ++seen;
  }
  EXPECT_EQ(seen, 100u);
}

TEST(ThreadTokenTest, TheSelfTestOfKernelsPassesHere) {
  SelfTest<HostGround> test;
  on_threads(3, [&](int) { test.run(this_thread(), 1000); });
  EXPECT_STREQ(test.verdict(), nullptr);
}

// --- any scheduler that satisfies Blocker

// A lane whose threads take turns by the host's scheduler, and never park.
class YieldingBlocker {
 public:
  void switch_until_held(TokenStack<HostGround>& stack) {
    stack.release_all();
    do {
      std::this_thread::yield();
    } while (!stack.try_reacquire_all());
  }
  [[nodiscard]] bool may_block() const { return true; }
};

TEST(ThreadTokenTest, ASchedulerMayPoll) {
  TokenDomain<HostGround> domain;
  Token<HostGround> a(kClass);
  Token<HostGround> b(kClass);
  std::vector<std::unique_ptr<Lane<HostGround>>> lanes;
  for (int t = 0; t < 3; ++t) {
    lanes.push_back(std::make_unique<Lane<HostGround>>(domain));
    domain.add(*lanes.back());
  }
  std::uint64_t count = 0;
  on_threads(3, [&](int t) {
    ThreadTokens<HostGround, YieldingBlocker> self(
        *lanes[static_cast<std::size_t>(t)]);
    for (int i = 0; i < 5000; ++i) {
      Token<HostGround>& first = t % 2 == 0 ? a : b;
      Token<HostGround>& second = t % 2 == 0 ? b : a;
      self.acquire(first);
      self.acquire(second);
      ++count;
      self.release(second);
      self.release(first);
    }
  });
  EXPECT_EQ(count, 15000u);
}

}  // namespace
}  // namespace odo::tokens
