// SPDX-License-Identifier: BSD-3-Clause
#include "lib/lwkt/timer_wheel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "lib/base/container_of.h"

namespace odo::lwkt {
namespace {

constexpr std::uint64_t kTick = TimerWheel::kTickNs;
constexpr std::uint64_t kNever = TimerWheel::kNeverNs;
// The last time at which a tick begins.
constexpr std::uint64_t kLastTickNs = kNever - (kTick - 1);

using Names = std::vector<int>;

// A timer with a name and with a function that a test may choose.
struct Named {
  ~Named() { EXPECT_FALSE(timer.is_armed()); }
  static Named& of(Timer& timer) {
    return *container_of(&timer, &Named::timer);
  }
  int name = 0;
  std::function<void()> then;
  Timer timer{[](Timer& fired) {
    if (of(fired).then) of(fired).then();
  }};
};

class TimerWheelTest : public testing::Test {
 protected:
  TimerWheelTest() {
    for (std::size_t i = 0; i < named_.size(); ++i) {
      named_[i].name = static_cast<int>(i);
    }
  }
  ~TimerWheelTest() override {
    for (Named& named : named_) wheel_.cancel(named.timer);
  }

  Timer& timer(int name) {
    return named_[static_cast<std::size_t>(name)].timer;
  }
  void then(int name, std::function<void()> body) {
    named_[static_cast<std::size_t>(name)].then = std::move(body);
  }
  void arm(int name, std::uint64_t deadline_ns) {
    wheel_.arm(timer(name), deadline_ns);
  }
  bool cancel(int name) { return wheel_.cancel(timer(name)); }

  // Who fires, in order. more_ keeps what advance() answered.
  Names advance(std::uint64_t now_ns,
                std::uint32_t max_fired = TimerWheel::kAll) {
    Names fired;
    more_ = wheel_.advance(
        now_ns,
        [&](Timer& timer) {
          EXPECT_FALSE(timer.is_armed());
          EXPECT_LE(timer.deadline_ns(), now_ns);
          fired.push_back(Named::of(timer).name);
          timer.call();
        },
        max_fired);
    return fired;
  }

  TimerWheel wheel_;
  bool more_ = false;
  std::array<Named, 256> named_;
};

TEST_F(TimerWheelTest, StartsEmpty) {
  EXPECT_TRUE(wheel_.empty());
  EXPECT_EQ(wheel_.next_deadline_ns(), kNever);
  EXPECT_FALSE(cancel(0));
  for (std::uint64_t now_ns : {std::uint64_t{0}, kTick, kNever}) {
    EXPECT_EQ(advance(now_ns), Names());
    EXPECT_FALSE(more_);
  }
}

TEST_F(TimerWheelTest, NeverFiresEarlyAndAlwaysByTheEndOfItsTick) {
  std::uint64_t start_ns = 0;
  for (std::uint64_t delay_ns :
       {kTick, kTick + 1, 2 * kTick - 1, 63 * kTick, 64 * kTick, 64 * kTick + 1,
        4095 * kTick + 5, 4096 * kTick, std::uint64_t{1} << 40,
        (std::uint64_t{1} << 50) + 77, std::uint64_t{1} << 62}) {
    const std::uint64_t deadline_ns = start_ns + delay_ns;
    const std::uint64_t due_ns = (deadline_ns + kTick - 1) / kTick * kTick;
    arm(1, deadline_ns);
    EXPECT_FALSE(wheel_.empty());
    EXPECT_TRUE(timer(1).is_armed());
    EXPECT_EQ(timer(1).deadline_ns(), deadline_ns);
    EXPECT_EQ(wheel_.next_deadline_ns(), due_ns);
    EXPECT_EQ(advance(due_ns - 1), Names()) << delay_ns;
    EXPECT_FALSE(more_);
    EXPECT_EQ(wheel_.next_deadline_ns(), due_ns);
    EXPECT_EQ(advance(due_ns), Names{1}) << delay_ns;
    EXPECT_FALSE(more_);
    EXPECT_TRUE(wheel_.empty());
    start_ns = due_ns;
  }
}

TEST_F(TimerWheelTest, FiresInTheOrderOfTicksAndThenOfArming) {
  arm(0, 5000 * kTick);
  arm(1, 70 * kTick);
  arm(2, 5000 * kTick - 1);  // the same tick as 0
  arm(3, 70 * kTick - 500);
  EXPECT_EQ(advance(60 * kTick), Names());
  // These two reach their slots on a shorter way than those before them.
  arm(4, 70 * kTick - 1);
  EXPECT_EQ(advance(71 * kTick), (Names{1, 3, 4}));
  EXPECT_EQ(advance(4990 * kTick), Names());
  arm(5, 5000 * kTick - 900);
  arm(6, 4999 * kTick);
  EXPECT_EQ(advance(5000 * kTick), (Names{6, 0, 2, 5}));
}

TEST_F(TimerWheelTest, PastDeadlinesFireAtTheNextAdvanceBeforeTheWheel) {
  EXPECT_EQ(advance(1000 * kTick), Names());
  arm(0, 1001 * kTick);
  arm(1, 900 * kTick);
  arm(2, 0);
  arm(3, 1000 * kTick);
  EXPECT_EQ(wheel_.next_deadline_ns(), 0u);
  EXPECT_EQ(advance(1001 * kTick), (Names{1, 2, 3, 0}));
}

TEST_F(TimerWheelTest, DeadlineZeroFiresAtTimeZero) {
  arm(0, 0);
  EXPECT_EQ(wheel_.next_deadline_ns(), 0u);
  EXPECT_EQ(advance(0), Names{0});
}

TEST_F(TimerWheelTest, DeadlinesOfTheLastTickNeverCome) {
  arm(0, kNever);
  arm(1, kLastTickNs + 1);
  arm(2, kLastTickNs);
  EXPECT_EQ(wheel_.next_deadline_ns(), kLastTickNs);
  EXPECT_EQ(advance(kLastTickNs - 1), Names());
  EXPECT_EQ(advance(kNever), Names{2});
  EXPECT_FALSE(more_);
  EXPECT_EQ(wheel_.next_deadline_ns(), kNever);
  EXPECT_FALSE(wheel_.empty());
  EXPECT_EQ(advance(kNever), Names());
  // The wheel still serves what can be served.
  arm(3, 5);
  EXPECT_EQ(advance(kNever), Names{3});
  EXPECT_TRUE(cancel(0));
  EXPECT_TRUE(cancel(1));
  EXPECT_TRUE(wheel_.empty());
}

TEST_F(TimerWheelTest, TimeGoingBackCountsAsTheLatest) {
  arm(0, 10 * kTick);
  EXPECT_EQ(advance(100 * kTick), Names{0});
  arm(1, 110 * kTick);
  EXPECT_EQ(advance(0), Names());
  arm(2, 99 * kTick);
  more_ = wheel_.advance(3);
  EXPECT_FALSE(timer(2).is_armed());
  EXPECT_TRUE(timer(1).is_armed());
  EXPECT_EQ(advance(110 * kTick), Names{1});
  // What was due stays due.
  for (int i = 0; i < 3; ++i) {
    arm(i, static_cast<std::uint64_t>(120 + i) * kTick);
  }
  EXPECT_EQ(advance(200 * kTick, 1), Names{0});
  EXPECT_FALSE(wheel_.advance(0));
  EXPECT_TRUE(wheel_.empty());
}

TEST_F(TimerWheelTest, CancelledTimersDontFire) {
  for (int i = 0; i < 8; ++i) arm(i, 1000 * kTick);
  arm(8, 3);
  for (int i : {0, 7, 3, 8}) EXPECT_TRUE(cancel(i));
  for (int i : {0, 7, 3, 8}) EXPECT_FALSE(cancel(i));
  EXPECT_EQ(advance(1000 * kTick), (Names{1, 2, 4, 5, 6}));
  EXPECT_FALSE(cancel(1));
}

TEST_F(TimerWheelTest, ArmingMovesAnArmedTimer) {
  arm(0, 10 * kTick);
  arm(1, 10 * kTick);
  arm(0, 10 * kTick);  // now behind 1
  arm(2, 5 * kTick);
  arm(2, 4000 * kTick);
  arm(3, 4000 * kTick);
  arm(3, 6 * kTick);
  EXPECT_EQ(advance(10 * kTick), (Names{3, 1, 0}));
  EXPECT_EQ(advance(4000 * kTick), Names{2});
}

TEST_F(TimerWheelTest, JumpsFireEverythingOnTheWayInOrder) {
  std::uint64_t deadline_ns = kTick;
  Names all;
  for (int i = 0; i < 17; ++i, deadline_ns *= 11) {
    arm(i, deadline_ns);
    all.push_back(i);
  }
  EXPECT_EQ(advance(kNever), all);
}

TEST_F(TimerWheelTest, NextDeadlineForgetsACancelledTimerAfterOneCall) {
  // All in one slot of a high level.
  constexpr std::uint64_t kFarNs = std::uint64_t{1} << 40;
  for (int i = 0; i < 4; ++i) {
    arm(i, kFarNs + static_cast<std::uint64_t>(i + 1) * 100 * kTick);
  }
  const std::uint64_t first_ns = kFarNs + 100 * kTick;
  EXPECT_EQ(wheel_.next_deadline_ns(), first_ns);
  cancel(0);
  EXPECT_EQ(wheel_.next_deadline_ns(), first_ns);
  EXPECT_EQ(advance(first_ns), Names());
  EXPECT_FALSE(more_);
  EXPECT_EQ(wheel_.next_deadline_ns(), first_ns + 100 * kTick);
  // Where none is left in the slot, the next slot counts at once.
  arm(4, 4 * kFarNs);
  for (int i = 1; i < 4; ++i) cancel(i);
  EXPECT_EQ(wheel_.next_deadline_ns(), 4 * kFarNs);
}

TEST_F(TimerWheelTest, SlotsOccupiedOnlyByLaterTimersDontHideNearOnes) {
  // The clock stands inside the slot of a far timer, which is whole still.
  constexpr std::uint64_t kFarNs = std::uint64_t{1} << 40;
  arm(0, kFarNs + 5000 * kTick);
  EXPECT_EQ(advance(kFarNs + 100 * kTick), Names());
  arm(1, kFarNs + 101 * kTick);
  arm(2, kFarNs + 100 * kTick);
  arm(3, kFarNs + 5000 * kTick);
  EXPECT_EQ(wheel_.next_deadline_ns(), 0u);
  EXPECT_EQ(advance(kFarNs + 100 * kTick), Names{2});
  EXPECT_EQ(wheel_.next_deadline_ns(), kFarNs + 101 * kTick);
  EXPECT_EQ(advance(kFarNs + 4999 * kTick), Names{1});
  EXPECT_EQ(advance(kFarNs + 5000 * kTick), (Names{0, 3}));
}

// --- from timer functions

TEST_F(TimerWheelTest, FunctionsCancelTheNextToFire) {
  for (int i = 0; i < 4; ++i) arm(i, 10 * kTick);
  arm(4, 11 * kTick);
  then(0, [&] {
    EXPECT_FALSE(cancel(0));
    EXPECT_TRUE(cancel(1));
    EXPECT_TRUE(cancel(3));
  });
  then(2, [&] { EXPECT_TRUE(cancel(4)); });
  EXPECT_EQ(advance(20 * kTick), (Names{0, 2}));
  EXPECT_FALSE(more_);
  EXPECT_TRUE(wheel_.empty());
}

TEST_F(TimerWheelTest, FunctionsMoveTheNextToFire) {
  for (int i = 0; i < 4; ++i) arm(i, 10 * kTick);
  then(0, [&] {
    arm(1, 15 * kTick);
    arm(2, 50 * kTick);
  });
  EXPECT_EQ(advance(20 * kTick), (Names{0, 3, 1}));
  EXPECT_EQ(advance(50 * kTick), Names{2});
}

TEST_F(TimerWheelTest, PeriodicTimersCatchUpInOrder) {
  then(0, [&] { arm(0, timer(0).deadline_ns() + 10 * kTick); });
  then(1, [&] { arm(1, timer(1).deadline_ns() + 15 * kTick); });
  arm(0, 10 * kTick);
  arm(1, 15 * kTick);
  EXPECT_EQ(advance(45 * kTick), (Names{0, 1, 0, 1, 0, 0, 1}));
  EXPECT_EQ(wheel_.next_deadline_ns(), 50 * kTick);
}

TEST_F(TimerWheelTest, WhatFunctionsArmForThePastWaitsForTheNextCall) {
  then(0, [&] { arm(0, 0); });
  then(1, [&] { arm(2, timer(1).deadline_ns()); });
  arm(0, 5 * kTick);
  arm(1, 5 * kTick);
  arm(3, 6 * kTick);
  EXPECT_EQ(advance(10 * kTick), (Names{0, 1, 3}));
  EXPECT_TRUE(more_);
  EXPECT_EQ(wheel_.next_deadline_ns(), 0u);
  EXPECT_EQ(advance(10 * kTick), (Names{0, 2}));
}

TEST_F(TimerWheelTest, FunctionsMayDestroyTheirTimer) {
  auto doomed = std::make_unique<Named>();
  doomed->then = [&] { doomed.reset(); };
  arm(0, kTick);
  wheel_.arm(doomed->timer, kTick);
  arm(1, kTick);
  wheel_.advance(kTick);
  EXPECT_EQ(doomed, nullptr);
  EXPECT_TRUE(wheel_.empty());
}

// --- bounds

TEST_F(TimerWheelTest, MaxFiredStopsAndTheNextCallGoesOn) {
  for (int i = 0; i < 5; ++i) arm(i, 10 * kTick);
  EXPECT_EQ(advance(10 * kTick, 0), Names());
  EXPECT_TRUE(more_);
  EXPECT_EQ(advance(10 * kTick, 2), (Names{0, 1}));
  EXPECT_TRUE(more_);
  EXPECT_EQ(wheel_.next_deadline_ns(), 0u);
  EXPECT_TRUE(cancel(2));
  arm(5, 10 * kTick);  // too late for this tick
  EXPECT_EQ(advance(10 * kTick, 2), (Names{3, 4}));
  EXPECT_TRUE(more_);
  EXPECT_EQ(advance(10 * kTick, 2), Names{5});
  EXPECT_FALSE(more_);
}

TEST_F(TimerWheelTest, CallsThatOnlySortKeepOrderAndBound) {
  // More timers in one high slot than one call may sort: it takes some calls
  // until the first fires.
  constexpr std::uint64_t kFarNs = std::uint64_t{1} << 40;
  constexpr int kTimers = 250;
  std::mt19937_64 random(1);
  std::vector<std::pair<std::uint64_t, int>> expected;
  for (int i = 0; i < kTimers; ++i) {
    const std::uint64_t deadline_ns = kFarNs + (210 + random() % 50) * kTick;
    arm(i, deadline_ns);
    expected.emplace_back(deadline_ns, i);
  }
  Names fired;
  int calls = 0;
  bool sorted_only = false;
  do {
    // While the slot is half sorted, one joins it, one comes too late for it,
    // and one leaves.
    if (calls == 1) {
      arm(kTimers, kFarNs + 217 * kTick);
      expected.emplace_back(kFarNs + 217 * kTick, kTimers);
      arm(kTimers + 1, kFarNs + 2 * kTick);
      expected.emplace_back(0, kTimers + 1);
      const auto third = expected.begin() + 3;
      EXPECT_TRUE(cancel(third->second));
      expected.erase(third);
    }
    const Names some = advance(kFarNs + 300 * kTick, 3);
    EXPECT_LE(some.size(), 3u);
    sorted_only = sorted_only || (more_ && some.empty());
    fired.insert(fired.end(), some.begin(), some.end());
    ASSERT_LT(++calls, 1000);
    if (more_) {
      EXPECT_LE(wheel_.next_deadline_ns(), kFarNs + 300 * kTick);
    }
  } while (more_);
  EXPECT_TRUE(sorted_only);
  std::ranges::sort(expected);  // names follow the order of arming
  Names names;
  for (const auto& [deadline_ns, name] : expected) names.push_back(name);
  EXPECT_EQ(fired, names);
}

TEST_F(TimerWheelTest, TheOneThatIsDueMayBeTheLastOfALongSlot) {
  constexpr std::uint64_t kFarNs = std::uint64_t{1} << 40;
  for (int i = 1; i < 100; ++i) arm(i, kFarNs + 1000 * kTick);
  arm(0, kFarNs + 10 * kTick);
  int calls = 0;
  do {
    for (int name : advance(kFarNs + 10 * kTick, 3)) EXPECT_EQ(name, 0);
    ASSERT_LT(++calls, 100);
  } while (more_);
  EXPECT_FALSE(timer(0).is_armed());
  EXPECT_GT(calls, 5);
}

TEST_F(TimerWheelTest, TimersArmedForThePastAlwaysLeaveTurnsToOthers) {
  for (int i = 0; i < 10; ++i) {
    then(i, [this, i] { arm(i, 0); });
    arm(i, 0);
  }
  for (int i = 10; i < 40; ++i) {
    arm(i, static_cast<std::uint64_t>(i) * 100 * kTick);
  }
  int calls = 0;
  while (timer(39).is_armed()) {
    advance(5000 * kTick, 4);
    ASSERT_LT(++calls, 1000);
  }
}

TEST_F(TimerWheelTest, ASleeperWakesAboutOncePerTimer) {
  std::mt19937_64 random(2);
  std::size_t cancelled = 0;
  for (int i = 0; i < 200; ++i) arm(i, random() >> (random() % 60));
  for (int i = 0; i < 200; i += 3) cancelled += cancel(i) ? 1 : 0;
  std::size_t wakes = 0;
  std::size_t fired = 0;
  while (wheel_.next_deadline_ns() != kNever) {
    fired += advance(wheel_.next_deadline_ns()).size();
    ASSERT_LE(++wakes, fired + cancelled);
  }
}

#if !defined(NDEBUG)
TEST(TimerWheelDeathTest, MisuseStopsInDebugBuilds) {
  const auto function = [](Timer&) {};
  EXPECT_DEATH(
      {
        TimerWheel wheel;
        {
          Timer timer(function);
          wheel.arm(timer, 5);
        }
      },
      "");
  EXPECT_DEATH(
      {
        Timer timer(function);
        {
          TimerWheel wheel;
          wheel.arm(timer, 5);
        }
      },
      "");
}
#endif

// --- against a model

// What the header promises, in the plainest form.
class Model {
 public:
  void arm(int name, std::uint64_t deadline_ns) {
    cancel(name);
    const std::uint64_t tick =
        deadline_ns / kTick + (deadline_ns % kTick != 0 ? 1 : 0);
    if (tick < collected_) {
      late_.push_back(name);
    } else {
      ahead_.emplace(tick, name);
    }
  }
  bool cancel(int name) {
    const auto is_it = [&](const auto& entry) { return entry.second == name; };
    return std::erase_if(ahead_, is_it) + std::erase(ready_, name) +
               std::erase(late_, name) !=
           0;
  }
  template <class Fire>
  void advance(std::uint64_t now_ns, Fire fire) {
    now_tick_ = std::max(now_tick_, now_ns / kTick);
    ready_.insert(ready_.end(), late_.begin(), late_.end());
    late_.clear();
    bool collected = collect();
    while (true) {
      if (!ready_.empty()) {
        const int name = ready_.front();
        ready_.pop_front();
        fire(name);
      } else if (collected) {
        collected = collect();
      } else {
        return;
      }
    }
  }
  [[nodiscard]] std::uint64_t next_deadline_ns() const {
    if (!late_.empty()) return 0;
    if (ahead_.empty()) return kNever;
    const std::uint64_t tick = ahead_.begin()->first;
    return tick > kNever / kTick ? kNever : tick * kTick;
  }

 private:
  bool collect() {
    if (ahead_.empty() || ahead_.begin()->first > now_tick_) {
      collected_ = std::max(collected_, now_tick_ + 1);
      return false;
    }
    const std::uint64_t tick = ahead_.begin()->first;
    const auto end = ahead_.upper_bound(tick);
    for (auto it = ahead_.begin(); it != end; ++it)
      ready_.push_back(it->second);
    ahead_.erase(ahead_.begin(), end);
    collected_ = tick + 1;
    return true;
  }

  std::multimap<std::uint64_t, int> ahead_;  // by tick, then by age
  std::deque<int> ready_;
  std::deque<int> late_;
  std::uint64_t collected_ = 0;
  std::uint64_t now_tick_ = 0;
};

struct Change {
  int name;
  bool is_arm;
  std::uint64_t deadline_ns;
};

class TimerWheelModelTest : public TimerWheelTest {
 protected:
  void run(std::uint64_t seed, int steps, bool with_cancel);

  std::uint64_t any_deadline() {
    const std::uint64_t far = random_() >> (random_() % 64);
    switch (random_() % 8) {
      case 0:
        return far;
      case 1:
        return now_ns_ - std::min(far, now_ns_);
      case 2:
      case 3:  // two timers of one tick are not rare
        return now_ns_ + std::min(random_() % 8 * kTick, kNever - now_ns_);
      case 4:  // as well as a carry into high digits
        return now_ns_ | ((std::uint64_t{1} << (random_() % 64)) - 1);
      default:
        return now_ns_ + std::min(far % kReachNs, kNever - now_ns_);
    }
  }
  Change any_change(bool with_cancel) {
    const int name = static_cast<int>(random_() % population_);
    if (with_cancel && random_() % 3 == 0) return {name, false, 0};
    // Moving is cancelling too.
    if (!with_cancel && timer(name).is_armed()) return {-1, false, 0};
    return {name, true, any_deadline()};
  }
  void apply(const Change& change) {
    if (change.name < 0) return;
    if (change.is_arm) {
      arm(change.name, change.deadline_ns);
    } else {
      last_cancel_ = cancel(change.name);
    }
  }
  void apply_to_model(const Change& change) {
    if (change.name < 0) return;
    if (change.is_arm) {
      model_.arm(change.name, change.deadline_ns);
    } else {
      last_cancel_in_model_ = model_.cancel(change.name);
    }
  }

  static constexpr std::uint64_t kReachNs = std::uint64_t{1} << 36;
  std::mt19937_64 random_;
  Model model_;
  std::uint64_t now_ns_ = 0;
  unsigned population_ = 0;
  bool last_cancel_ = false;
  bool last_cancel_in_model_ = false;
};

void TimerWheelModelTest::run(std::uint64_t seed, int steps, bool with_cancel) {
  random_.seed(seed);
  population_ = 1U << (1 + random_() % 8);
  struct Fired {
    int name;
    std::vector<Change> changes;
  };
  for (int step = 0; step < steps; ++step) {
    if (random_() % 4 != 0) {
      const Change change = any_change(with_cancel);
      apply(change);
      apply_to_model(change);
      ASSERT_EQ(last_cancel_, last_cancel_in_model_);
    } else {
      // Mostly steps that leave the clock somewhere below its end.
      const unsigned reach = random_() % 64 == 0 ? 60 : 34;
      const std::uint64_t jump = random_() >> (64 - random_() % reach - 1);
      const std::uint64_t next_ns = wheel_.next_deadline_ns();
      if (random_() % 4 == 0 && next_ns > now_ns_ && next_ns != kNever) {
        now_ns_ = next_ns - random_() % 2;
      } else {
        now_ns_ += std::min(jump, kNever - now_ns_);
      }
      std::vector<Fired> log;
      const bool more = wheel_.advance(now_ns_, [&](Timer& timer) {
        ASSERT_FALSE(timer.is_armed());
        ASSERT_LE(timer.deadline_ns(), now_ns_);
        log.push_back({Named::of(timer).name, {}});
        // A function that always armed another would never let go.
        if (log.size() > 500) return;
        for (auto count = random_() % 4; count > 1; --count) {
          log.back().changes.push_back(any_change(with_cancel));
          apply(log.back().changes.back());
        }
      });
      std::size_t at = 0;
      model_.advance(now_ns_, [&](int name) {
        ASSERT_LT(at, log.size());
        ASSERT_EQ(log[at].name, name);
        for (const Change& change : log[at].changes) apply_to_model(change);
        ++at;
      });
      ASSERT_EQ(at, log.size());
      ASSERT_EQ(more, model_.next_deadline_ns() == 0);
    }
    if (with_cancel) {
      ASSERT_LE(wheel_.next_deadline_ns(), model_.next_deadline_ns());
    } else {
      ASSERT_EQ(wheel_.next_deadline_ns(), model_.next_deadline_ns());
    }
  }
}

class TimerWheelRandomTest : public TimerWheelModelTest,
                             public testing::WithParamInterface<int> {};

TEST_P(TimerWheelRandomTest, AgreesWithTheModel) {
  run(static_cast<std::uint64_t>(GetParam()), 6000, true);
}

TEST_P(TimerWheelRandomTest, NextDeadlineIsExactWithoutCancelling) {
  run(static_cast<std::uint64_t>(GetParam()), 6000, false);
}

INSTANTIATE_TEST_SUITE_P(Seeds, TimerWheelRandomTest, testing::Range(1, 25));

}  // namespace
}  // namespace odo::lwkt
