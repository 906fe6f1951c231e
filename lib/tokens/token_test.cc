// SPDX-License-Identifier: BSD-3-Clause
// What one thread, or two that take turns, can see of tokens. The
// interleavings are the simulator's business (token_sim_test.cc).
#include <gtest/gtest.h>

#include <csignal>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "lib/platform/archetype.h"
#include "lib/tokens/guard.h"
#include "lib/tokens/host/thread_token.h"
#include "lib/tokens/order_validator.h"
#include "lib/tokens/parking_blocker.h"
#include "lib/tokens/pool.h"

namespace odo::tokens {
namespace {

constexpr TokenClass kVnode{"vnode", 10};
constexpr TokenClass kInode{"inode", 20};
constexpr TokenClass kLoose{"loose"};
constexpr TokenClass kOther{"other"};

using Ground = HostGround;
using HostToken = Token<Ground>;
using Self = ThreadTokens<Ground, ThreadBlocker>;

static_assert(sizeof(HostToken) == 32);
static_assert(sizeof(ThreadToken) == 32);
static_assert(sizeof(Lane<Ground>) == 128);
static_assert(sizeof(TokenRef<Ground>) == 32);

// A ground with nothing but what TokenPlatform lists.
struct Archetype : platform::ArchetypeAtomics,
                   platform::ArchetypeRelax,
                   platform::ArchetypeFences {
  static constexpr TokenTuning kTokenTuning = {.spin_rounds = 1,
                                               .max_pause = 1,
                                               .impatient_after = 0,
                                               .let_pass = 1,
                                               .bias_after_reads = 1};
  struct Counter {
    void add_one() {}
    [[nodiscard]] std::uint32_t read() const { return 0; }
  };
  void wake_all(Atomic<std::uint32_t>& /*word*/) {}
  void token_fault(const TokenFault& /*fault*/) {}
};
struct ArchetypeBlocker {
  void switch_until_held(TokenStack<Archetype>& /*stack*/) {}
  [[nodiscard]] bool may_block() const { return true; }
};
static_assert(TokenPlatform<Archetype> && !CanPark<Archetype>);
inline constexpr TokenClass kArchetypeClass{"archetype"};

}  // namespace

template class Token<Archetype>;
template class TokenStack<Archetype>;
template class ThreadTokens<Archetype, ArchetypeBlocker>;
template class TokenPool<Archetype, 4, kArchetypeClass>;
template class Guarded<int, Archetype>;

namespace {

class TokenTest : public ::testing::Test {
 protected:
  TokenDomain<Ground> domain_;
  Lane<Ground> lane_{domain_};
  Lane<Ground> other_lane_{domain_};
  Self self_{lane_};
  Self other_{other_lane_};
  HostToken token_{kVnode};
  HostToken second_{kInode};

  void SetUp() override {
    domain_.add(lane_);
    domain_.add(other_lane_);
  }
  // Reads until readers use their lanes.
  void bias(HostToken& token) {
    for (std::uint32_t i = 0; i <= Ground::kTokenTuning.bias_after_reads; ++i) {
      self_.acquire_shared(token);
      self_.release(token);
    }
    ASSERT_TRUE(token.is_read_biased());
  }
};

TEST_F(TokenTest, ExclusiveKeepsEverybodyElseOut) {
  self_.acquire(token_);
  EXPECT_TRUE(self_.holds(token_));
  EXPECT_TRUE(self_.holds_exclusive(token_));
  EXPECT_TRUE(token_.is_held_exclusive());
  EXPECT_FALSE(other_.holds(token_));
  EXPECT_FALSE(other_.try_acquire(token_));
  EXPECT_FALSE(other_.try_acquire_shared(token_));
  self_.release(token_);
  EXPECT_FALSE(self_.holds(token_));
  ASSERT_TRUE(other_.try_acquire(token_));
  other_.release(token_);
  EXPECT_EQ(other_.depth(), 0u);
}

TEST_F(TokenTest, SharedLetsOthersShare) {
  self_.acquire_shared(token_);
  EXPECT_TRUE(self_.holds(token_));
  EXPECT_FALSE(self_.holds_exclusive(token_));
  ASSERT_TRUE(other_.try_acquire_shared(token_));
  EXPECT_FALSE(other_.try_acquire(token_));  // nor is this an upgrade
  other_.release(token_);
  EXPECT_FALSE(other_.try_acquire(token_));
  self_.release(token_);
  ASSERT_TRUE(other_.try_acquire(token_));
  other_.release(token_);
}

TEST_F(TokenTest, RecursionNeedsAsManyReleases) {
  self_.acquire(token_);
  self_.acquire(token_);
  self_.acquire_shared(token_);  // whoever has all may also have a part
  ASSERT_TRUE(self_.try_acquire(token_));
  EXPECT_EQ(self_.depth(), 4u);
  for (int i = 0; i < 3; ++i) {
    self_.release(token_);
    EXPECT_FALSE(other_.try_acquire_shared(token_));
  }
  self_.release(token_);
  EXPECT_TRUE(other_.try_acquire_shared(token_));
  other_.release(token_);
}

TEST_F(TokenTest, ManyReadsMakeReadersUseTheirLanes) {
  bias(token_);
  self_.acquire_shared(token_);
  EXPECT_EQ(self_.refs()[0].have, TokenRef<Ground>::Have::kLane);
  // The lane's reader is found though it left no mark in the token.
  EXPECT_FALSE(other_.try_acquire(token_));
  EXPECT_FALSE(token_.is_read_biased());
  ASSERT_TRUE(other_.try_acquire_shared(token_));
  EXPECT_EQ(other_.refs()[0].have, TokenRef<Ground>::Have::kCounted);
  other_.release(token_);
  EXPECT_FALSE(other_.try_acquire(token_));
  self_.release(token_);
  ASSERT_TRUE(other_.try_acquire(token_));
  other_.release(token_);
  // And the run of reads begins anew.
  self_.acquire_shared(token_);
  EXPECT_EQ(self_.refs()[0].have, TokenRef<Ground>::Have::kCounted);
  self_.release(token_);
}

TEST_F(TokenTest, MoreReadsAtOnceThanALaneHasSlots) {
  bias(token_);
  for (unsigned i = 0; i < TokenStack<Ground>::kMaxTokens; ++i) {
    self_.acquire_shared(token_);
  }
  EXPECT_FALSE(other_.try_acquire(token_));
  for (unsigned i = TokenStack<Ground>::kMaxTokens; i-- > 0;) {
    self_.release(token_);
    EXPECT_EQ(other_.try_acquire(token_), i == 0) << i;
  }
  other_.release(token_);
}

TEST_F(TokenTest, SwapLetsTheOlderGoFirst) {
  self_.acquire(token_);
  self_.acquire_shared(second_);
  self_.swap_top();
  self_.release(token_);
  EXPECT_TRUE(other_.try_acquire(token_));
  EXPECT_TRUE(self_.holds(second_));
  self_.release(second_);
  other_.release(token_);
}

TEST_F(TokenTest, SwapOfOneTokenWithItselfKeepsIt) {
  self_.acquire(token_);
  self_.acquire(token_);
  self_.swap_top();
  self_.release(token_);
  EXPECT_TRUE(self_.holds_exclusive(token_));
  self_.release(token_);
}

TEST_F(TokenTest, AllAreGivenUpAndComeBackTogether) {
  HostToken third(kLoose);
  bias(third);
  self_.acquire(token_);
  self_.acquire(token_);
  self_.acquire_shared(second_);
  self_.acquire_shared(third);
  self_.release_all();
  EXPECT_FALSE(self_.holds(token_));
  EXPECT_EQ(self_.depth(), 4u);
  ASSERT_TRUE(other_.try_acquire(third));
  ASSERT_TRUE(other_.try_acquire(token_));
  EXPECT_FALSE(self_.try_reacquire_all());
  EXPECT_EQ(&self_.waits_for(), &token_);
  EXPECT_FALSE(self_.may_try_again());
  other_.release(token_);
  EXPECT_TRUE(self_.may_try_again());
  // All or none: the last one is missing, so the others stay free.
  EXPECT_FALSE(self_.try_reacquire_all());
  EXPECT_EQ(&self_.waits_for(), &third);
  EXPECT_FALSE(self_.holds(token_));
  EXPECT_FALSE(self_.holds(second_));
  ASSERT_TRUE(other_.try_acquire(token_));
  other_.release(token_);
  other_.release(third);
  EXPECT_TRUE(self_.try_reacquire_all());
  EXPECT_TRUE(self_.holds_exclusive(token_));
  EXPECT_TRUE(self_.holds(second_));
  EXPECT_TRUE(self_.holds(third));
  EXPECT_FALSE(other_.try_acquire(second_));
  self_.release(third);
  self_.release(second_);
  self_.release(token_);
  self_.release(token_);
  EXPECT_FALSE(token_.is_held_exclusive());
}

TEST_F(TokenTest, AWaitingWriterHoldsNewReadersBackButNotForEver) {
  self_.acquire_shared(token_);
  // A writer that waits, as far as a thread that isn't one can show it.
  other_.acquire(second_);
  other_.release_all();
  self_.acquire(second_);
  EXPECT_FALSE(other_.try_reacquire_all());
  Lane<Ground> third_lane(domain_);
  domain_.add(third_lane);
  Self reader(third_lane);
  self_.release(second_);
  EXPECT_FALSE(reader.try_acquire_shared(second_));
  EXPECT_TRUE(other_.try_reacquire_all());
  other_.release(second_);
  EXPECT_TRUE(reader.try_acquire_shared(second_));
  reader.release(second_);
  self_.release(token_);
}

TEST_F(TokenTest, AReaderThatLetOneWriterPassGoesBeforeTheNext) {
  Lane<Ground> third_lane(domain_);
  domain_.add(third_lane);
  Self reader(third_lane);
  reader.acquire_shared(token_);
  reader.release_all();
  other_.acquire(token_);
  other_.release_all();
  self_.acquire(token_);
  EXPECT_FALSE(other_.try_reacquire_all());  // posts a request
  EXPECT_FALSE(reader.try_reacquire_all());  // finds an exclusive holder
  self_.release(token_);
  EXPECT_TRUE(reader.try_reacquire_all());
  EXPECT_FALSE(other_.try_reacquire_all());
  // Once blocked and back, it gives way again.
  reader.release_all();
  EXPECT_FALSE(reader.try_reacquire_all());
  EXPECT_TRUE(other_.try_reacquire_all());
  other_.release(token_);
  EXPECT_TRUE(reader.try_reacquire_all());
  reader.release(token_);
}

TEST_F(TokenTest, BlockGivesTheTokensToOthers) {
  self_.acquire(token_);
  bool others_turn = false;
  self_.block([&] {
    ASSERT_TRUE(other_.try_acquire(token_));
    others_turn = true;
    other_.release(token_);
  });
  EXPECT_TRUE(others_turn);
  self_.assert_held(token_);
  self_.release(token_);
}

TEST_F(TokenTest, CountsCollisions) {
  EXPECT_EQ(token_.contended(), 0u);
  self_.acquire(token_);
  std::thread waiter([&] {
    other_.acquire(token_);
    other_.release(token_);
  });
  while (token_.collisions() == 0) std::this_thread::yield();
  self_.release(token_);
  waiter.join();
  EXPECT_EQ(token_.contended(), 1u);
  EXPECT_GE(token_.collisions(), 1u);
  EXPECT_STREQ(token_.name(), "vnode");
}

// --- misuse: always a panic that names the token and both places

using TokenDeathTest = TokenTest;
const auto kAborts = ::testing::KilledBySignal(SIGABRT);

TEST_F(TokenDeathTest, ReleaseOfWhatIsNotHeld) {
  EXPECT_EXIT(self_.release(token_), kAborts,
              "token \"vnode\": released a token that this thread does not "
              "hold\n  at .*token_test.cc:");
  self_.acquire(second_);
  EXPECT_EXIT(self_.release(token_), kAborts,
              "\"vnode\".*does not hold(.|\n)*holding \"inode\" since "
              ".*token_test.cc:");
  self_.release(second_);
}

TEST_F(TokenDeathTest, ReleaseByAnotherThread) {
  self_.acquire(token_);
  EXPECT_EXIT(other_.release(token_), kAborts, "\"vnode\".*does not hold");
  self_.release(token_);
}

TEST_F(TokenDeathTest, ReleaseOutOfOrder) {
  self_.acquire(token_);
  self_.acquire(second_);
  EXPECT_EXIT(self_.release(token_), kAborts,
              "\"vnode\": released a token before a younger one(.|\n)*holding "
              "\"inode\" since .*token_test.cc:");
  self_.release(second_);
  self_.release(token_);
}

TEST_F(TokenDeathTest, TooManyTokens) {
  std::vector<std::unique_ptr<HostToken>> many;
  for (unsigned i = 0; i < TokenStack<Ground>::kMaxTokens; ++i) {
    many.push_back(std::make_unique<HostToken>(kLoose));
    self_.acquire(*many.back());
  }
  for (int how = 0; how < 4; ++how) {
    EXPECT_EXIT(
        {
          if (how == 0) self_.acquire(token_);
          if (how == 1) self_.acquire_shared(token_);
          if (how == 2) (void)self_.try_acquire(token_);
          if (how == 3) (void)self_.try_acquire_shared(token_);
        },
        kAborts,
        "\"vnode\": holds too many(.|\n)*holding \"loose\" since "
        ".*token_test.cc:");
  }
  while (!many.empty()) {
    self_.release(*many.back());
    many.pop_back();
  }
}

TEST_F(TokenDeathTest, ExclusiveWhileHoldingShared) {
  self_.acquire_shared(token_);
  EXPECT_EXIT(self_.acquire(token_), kAborts,
              "\"vnode\": asked for a token exclusively while holding it "
              "shared(.|\n)*since .*token_test.cc:");
  EXPECT_FALSE(self_.try_acquire(token_));  // a try says no
  self_.release(token_);
  bias(token_);
  self_.acquire_shared(token_);  // in the lane: found as well
  EXPECT_EXIT(self_.acquire(token_), kAborts, "while holding it shared");
  self_.release(token_);
}

TEST_F(TokenDeathTest, WaitingInACriticalSection) {
  EXPECT_EXIT(
      {
        NoBlock critical;
        blocking([] {});
      },
      kAborts, "blocking is forbidden\n  at .*token_test.cc:");
  EXPECT_EXIT(
      {
        NoBlock critical;
        this_thread().acquire(second_);  // free: no wait
        self_.acquire(token_);
        this_thread().acquire(token_);
      },
      kAborts,
      "\"vnode\": would have to wait(.|\n)*holding \"inode\" since "
      ".*token_test.cc:");
}

TEST_F(TokenDeathTest, SwapOfTooFew) {
  self_.acquire(token_);
  EXPECT_EXIT(self_.swap_top(), kAborts, "fewer than two");
  self_.release(token_);
}

TEST_F(TokenDeathTest, AThreadThatEndsHoldingAToken) {
  EXPECT_DEATH(
      {
        Self gone(lane_);
        gone.acquire(token_);
      },
      "");
}

// --- pools, guards, guarded data

inline constexpr TokenClass kPoolClass{"pool"};

TEST(TokenPoolTest, AnAddressAlwaysFindsItsToken) {
  static TokenPool<Ground, 1024, kPoolClass> pool;
  std::set<HostToken*> used;
  std::vector<std::uint64_t> things(4096);
  for (std::uint64_t& thing : things) {
    HostToken& token = pool.of(&thing);
    EXPECT_EQ(&token, &pool.of(&thing));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(&token) % 64, 0u);
    EXPECT_STREQ(token.name(), "pool");
    used.insert(&token);
  }
  // Neighbours in an array spread over nearly the whole pool.
  EXPECT_GT(used.size(), 900u);
  // And so do pages.
  used.clear();
  for (std::uintptr_t page = 1; page <= 4096; ++page) {
    used.insert(&pool.of(reinterpret_cast<void*>(page << 12)));
  }
  EXPECT_GT(used.size(), 900u);
}

TEST(TokenPoolTest, APoolOfOne) {
  TokenPool<Ground, 1, kPoolClass> pool;
  int a = 0;
  int b = 0;
  EXPECT_EQ(&pool.of(&a), &pool.of(&b));
}

struct Account {
  HostToken token{kLoose};
  int balance ODO_GUARDED_BY(token) = 0;
};

TEST_F(TokenTest, GuardsHoldForAsLongAsTheyLive) {
  Account account;
  {
    TokenGuard hold(self_, account.token);
    account.balance = 7;
    EXPECT_TRUE(self_.holds_exclusive(account.token));
  }
  EXPECT_FALSE(self_.holds(account.token));
  {
    SharedTokenGuard hold(self_, account.token);
    EXPECT_EQ(account.balance, 7);
    EXPECT_TRUE(self_.holds(account.token));
  }
  EXPECT_EQ(self_.depth(), 0u);
}

TEST_F(TokenTest, GuardedDataIsReachedUnderItsToken) {
  Guarded<std::vector<int>, Ground> list(kLoose, 2u, 5);
  {
    auto access = list.exclusive(self_);
    access->push_back(9);
    EXPECT_TRUE(self_.holds_exclusive(list.token()));
    static_assert(std::is_same_v<decltype(*access), std::vector<int>&>);
  }
  auto view = list.shared(self_);
  static_assert(std::is_same_v<decltype(*view), const std::vector<int>&>);
  EXPECT_EQ(*view, (std::vector<int>{5, 5, 9}));
}

// --- the validator

struct Heard {
  std::vector<std::string> reports;
};
struct ListeningGround : HostGround {
  Heard* heard = nullptr;
  void order_misuse(const OrderMisuse& misuse) const {
    std::string text;
    for (const OrderStep& step : misuse.before) {
      text += std::string(step.kind->name) + " ";
      EXPECT_NE(step.where.line(), 0u);
    }
    text += "|";
    for (const OrderStep& step : misuse.now) {
      text += " " + std::string(step.kind->name);
      EXPECT_NE(step.where.line(), 0u);
    }
    heard->reports.push_back(text);
  }
};

class OrderValidatorTest : public ::testing::Test {
 protected:
  using Blocker = ParkingBlocker<ListeningGround>;
  using Checked =
      ThreadTokens<ListeningGround, Blocker, OrderValidator<ListeningGround>>;
  using CheckedToken = Token<ListeningGround>;

  Heard heard_;
  ListeningGround ground_{.heard = &heard_};
  OrderGraph<ListeningGround> graph_{ground_};
  TokenDomain<ListeningGround> domain_;
  Lane<ListeningGround> lane_{domain_};
  Checked self_{lane_, ground_, Blocker(),
                OrderValidator<ListeningGround>(graph_)};

  void SetUp() override { domain_.add(lane_); }
  void both(CheckedToken& first, CheckedToken& second) {
    self_.acquire(first);
    self_.acquire_shared(second);
    self_.release(second);
    self_.release(first);
  }
};

TEST_F(OrderValidatorTest, RanksRise) {
  CheckedToken vnode(kVnode);
  CheckedToken inode(kInode);
  both(vnode, inode);
  EXPECT_TRUE(heard_.reports.empty());
  both(inode, vnode);
  both(inode, vnode);
  EXPECT_EQ(heard_.reports, (std::vector<std::string>{"| inode vnode"}));
}

TEST_F(OrderValidatorTest, TheFirstOrderSeenIsTheRightOne) {
  CheckedToken loose(kLoose);
  CheckedToken other(kOther);
  both(loose, other);
  EXPECT_TRUE(heard_.reports.empty());
  both(other, loose);
  both(other, loose);
  both(loose, other);
  EXPECT_EQ(heard_.reports,
            (std::vector<std::string>{"loose other | other loose"}));
}

TEST_F(OrderValidatorTest, RecursionAndSiblingsHaveNoOrder) {
  CheckedToken a(kLoose);
  CheckedToken b(kLoose);
  both(a, b);
  both(b, a);
  self_.acquire(a);
  self_.acquire(b);
  self_.acquire(a);
  self_.release(a);
  self_.release(b);
  self_.release(a);
  EXPECT_TRUE(heard_.reports.empty());
  EXPECT_FALSE(graph_.full());
}

}  // namespace
}  // namespace odo::tokens
