// SPDX-License-Identifier: BSD-3-Clause
#include "lib/usched/cpu_queue.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <random>
#include <vector>

#include "lib/platform/archetype.h"
#include "lib/usched/scheduler.h"

namespace odo::usched {

struct Ground : platform::ArchetypeAtomics {};
template class CpuQueue<Ground>;

namespace {

using Thread = UserThread<Ground>;

// Declared after the threads of a test, it lets them go before they end.
class Emptier {
 public:
  explicit Emptier(CpuQueue<Ground>& queue) : queue_(queue) {}
  Emptier(const Emptier&) = delete;
  Emptier& operator=(const Emptier&) = delete;
  ~Emptier() {
    if (queue_.chosen() != nullptr) {
      queue_.remove(*queue_.chosen(), State::kOff, 0);
    }
    while (queue_.first_waiting() != nullptr) {
      queue_.remove(*queue_.first_waiting(), State::kOff, 0);
    }
  }

 private:
  CpuQueue<Ground>& queue_;
};

// One CPU. Settings go through a scheduler, as everybody's do.
class CpuQueueTest : public ::testing::Test {
 protected:
  CpuQueueTest() {
    const CpuPlace places[1] = {};
    EXPECT_TRUE(topology_->build(places).has_value());
    scheduler_ = std::make_unique<Scheduler<Ground>>(std::span(queue_.get(), 1),
                                                     *topology_);
    EXPECT_TRUE(scheduler_->set_online(0, 0).has_value());
  }
  CpuQueue<Ground>& queue() { return *queue_; }
  void make(Thread& thread, Class klass, unsigned priority) {
    EXPECT_TRUE(
        scheduler_->set_class(thread, klass, priority, now_ns_).has_value());
  }
  void wait(Thread& thread) { queue().insert(thread, 0, now_ns_); }
  // The next one, which then runs for so long and leaves.
  Thread* take(std::uint64_t ran_ns = 0) {
    Thread* thread = queue().choose(now_ns_);
    if (thread == nullptr) return nullptr;
    now_ns_ += ran_ns;
    queue().charge(ran_ns, now_ns_);
    queue().remove(*thread, State::kInKernel, now_ns_);
    return thread;
  }
  // Gives a thread that much usage; no time passes.
  void burn(Thread& thread, std::uint64_t ran_ns) {
    ASSERT_EQ(queue().chosen(), nullptr);
    ASSERT_EQ(queue().waiting(), 0U);
    queue().choose_at_once(thread, 0, now_ns_);
    queue().charge(ran_ns, now_ns_);
    queue().remove(thread, State::kInKernel, now_ns_);
  }
  // Lets threads wait on a CPU that is as loaded for the first as for the last.
  void wait_under_load(std::initializer_list<Thread*> threads) {
    Thread anchor;
    ASSERT_TRUE(scheduler_->set_nice(anchor, kMinNice, now_ns_).has_value());
    queue().choose_at_once(anchor, 0, now_ns_);
    for (Thread* thread : threads) wait(*thread);
    queue().remove(anchor, State::kOff, now_ns_);
  }

  std::uint64_t now_ns_ = kStepNs;
  std::unique_ptr<Topology> topology_ = std::make_unique<Topology>();
  std::unique_ptr<CpuQueue<Ground>> queue_ =
      std::make_unique<CpuQueue<Ground>>();
  std::unique_ptr<Scheduler<Ground>> scheduler_;
};

TEST_F(CpuQueueTest, EmptyHasNobody) {
  EXPECT_EQ(queue().choose(now_ns_), nullptr);
  EXPECT_EQ(queue().first_waiting(), nullptr);
  EXPECT_FALSE(queue().should_switch(now_ns_));
  EXPECT_EQ(queue().hint_waiting_rank(), kNoRank);
  EXPECT_EQ(queue().hint_chosen_rank(), kNoRank);
  EXPECT_EQ(queue().hint_burden(), 0U);
}

TEST_F(CpuQueueTest, ClassesThenPrioritiesThenAge) {
  std::array<Thread, 8> t;
  make(t[0], Class::kIdle, 31);
  make(t[1], Class::kIdle, 0);
  make(t[3], Class::kRealtime, 31);
  make(t[4], Class::kRealtime, 0);
  make(t[5], Class::kRealtime, 0);
  make(t[6], Class::kIdle, 31);
  for (Thread& thread : t) wait(thread);
  EXPECT_EQ(queue().waiting(), 8U);
  for (Thread* expected :
       {&t[4], &t[5], &t[3], &t[2], &t[7], &t[1], &t[0], &t[6]}) {
    EXPECT_EQ(take(), expected);
  }
  EXPECT_EQ(take(), nullptr);
  EXPECT_EQ(queue().load(), 0U);
  EXPECT_EQ(queue().hint_burden(), 0U);
}

TEST_F(CpuQueueTest, LightThreadsGoBeforeHogs) {
  Thread hog;
  Thread light;
  burn(hog, 500'000'000);
  wait(hog);
  wait(light);
  EXPECT_EQ(take(), &light);
  EXPECT_EQ(take(), &hog);
}

TEST_F(CpuQueueTest, HogsGoInOrderOfUsage) {
  std::array<Thread, 4> t;
  burn(t[0], 600'000'000);
  burn(t[1], 300'000'000);
  burn(t[2], 400'000'000);
  burn(t[3], 200'000'000);
  wait_under_load({&t[0], &t[1], &t[2], &t[3]});
  for (Thread* expected : {&t[3], &t[1], &t[2], &t[0]}) {
    EXPECT_EQ(take(), expected);
  }
}

TEST_F(CpuQueueTest, NiceGoesFurtherBack) {
  Thread normal;
  Thread nicer;
  ASSERT_TRUE(scheduler_->set_nice(nicer, 4, now_ns_).has_value());
  burn(nicer, 200'000'000);
  burn(normal, 200'000'000);
  wait_under_load({&nicer, &normal});
  EXPECT_EQ(take(), &normal);
  EXPECT_EQ(take(), &nicer);
}

// Sleeping in the middle of a turn is no way to the front, but costs no more
// than what was used.
TEST_F(CpuQueueTest, WhoUsedLittleOfATurnWaitsLittle) {
  Thread whole;
  Thread part;
  burn(whole, 400'000'000);
  burn(part, 400'000'000);
  wait(part);
  ASSERT_EQ(take(kTurnNs / 10), &part);
  wait_under_load({&whole, &part});
  EXPECT_EQ(take(), &part);
  EXPECT_EQ(take(), &whole);
}

TEST_F(CpuQueueTest, ABetterClassTakesOverAndGivesTheTurnBack) {
  Thread a;
  Thread b;
  Thread realtime;
  const Emptier emptier(queue());
  make(realtime, Class::kRealtime, 5);
  burn(a, 400'000'000);
  burn(b, 400'000'000);
  wait_under_load({&a, &b});
  Thread* first = queue().choose(now_ns_);
  EXPECT_FALSE(queue().should_switch(now_ns_));
  queue().charge(kTurnNs / 2, now_ns_);
  wait(realtime);
  EXPECT_TRUE(queue().should_switch(now_ns_));
  queue().put_back(PutBack::kFair, now_ns_);
  EXPECT_EQ(take(), &realtime);
  // Half of its turn was left.
  EXPECT_EQ(queue().choose(now_ns_), first);
  queue().charge(kTurnNs / 2 - 1, now_ns_);
  EXPECT_FALSE(queue().should_switch(now_ns_));
  queue().charge(1, now_ns_);
  EXPECT_TRUE(queue().should_switch(now_ns_));
  queue().put_back(PutBack::kFair, now_ns_);
  EXPECT_NE(queue().choose(now_ns_), first);
}

TEST_F(CpuQueueTest, EqualRealtimeThreadsTakeTurnsOthersDoNot) {
  Thread a;
  Thread b;
  Thread lower;
  const Emptier emptier(queue());
  make(a, Class::kRealtime, 5);
  make(b, Class::kRealtime, 5);
  make(lower, Class::kRealtime, 6);
  wait(a);
  wait(lower);
  EXPECT_EQ(queue().choose(now_ns_), &a);
  queue().charge(kTurnNs, now_ns_);
  EXPECT_FALSE(queue().should_switch(now_ns_));
  wait(b);
  EXPECT_TRUE(queue().should_switch(now_ns_));
  queue().put_back(PutBack::kFair, now_ns_);
  EXPECT_EQ(queue().choose(now_ns_), &b);
}

TEST_F(CpuQueueTest, YieldLetsOneOtherGoFirst) {
  Thread a;
  Thread b;
  const Emptier emptier(queue());
  burn(a, 200'000'000);
  burn(b, 600'000'000);
  wait_under_load({&a, &b});
  EXPECT_EQ(queue().choose(now_ns_), &a);
  queue().put_back(PutBack::kYield, now_ns_);
  EXPECT_EQ(queue().choose(now_ns_), &b);
  queue().put_back(PutBack::kYield, now_ns_);
  EXPECT_EQ(queue().choose(now_ns_), &a);
}

TEST_F(CpuQueueTest, FrontThreadsCannotStarveTheCalendar) {
  Thread hog;
  // Light ones without end, each new.
  std::vector<std::unique_ptr<Thread>> light;
  const Emptier emptier(queue());
  burn(hog, 700'000'000);
  wait(hog);
  std::uint64_t before_hog_ns = 0;
  for (;;) {
    light.push_back(std::make_unique<Thread>());
    wait(*light.back());
    if (take(1'000'000) == &hog) break;
    before_hog_ns += 1'000'000;
    ASSERT_LE(before_hog_ns, 2 * kFrontLimitNs);
  }
  EXPECT_EQ(before_hog_ns, kFrontLimitNs);
}

// Q3, in the form of its proof: a thread that waits sees every other thread
// have one turn a slot at most, whatever usage they come back with.
TEST_F(CpuQueueTest, AWaitingThreadIsServedWithinItsSlots) {
  constexpr unsigned kOthers = 10;
  Thread patient;
  burn(patient, 2'000'000'000);
  std::array<Thread, kOthers> others;
  const Emptier emptier(queue());
  for (Thread& other : others) burn(other, 200'000'000);
  wait(patient);
  for (Thread& other : others) wait(other);
  unsigned turns = 0;
  for (;; ++turns) {
    ASSERT_LE(turns, kOthers * kMaxOffset);
    Thread* thread = queue().choose(now_ns_);
    if (thread == &patient) break;
    // No time passes, so no usage decays: the worst there is for `patient`.
    queue().put_back(PutBack::kFair, now_ns_);
  }
  EXPECT_GT(turns, 0U);
}

TEST_F(CpuQueueTest, HandedOverThreadsKeepTheirPlaceInLine) {
  CpuQueue<Ground> other;
  Thread hog;
  Thread rival;
  burn(hog, 400'000'000);
  burn(rival, 500'000'000);
  wait_under_load({&hog, &rival});
  queue().hand_over(hog, other, 0, now_ns_);
  EXPECT_EQ(queue().waiting(), 1U);
  EXPECT_EQ(other.waiting(), 1U);
  EXPECT_EQ(queue().load(), other.load());
  queue().hand_over(rival, other, 0, now_ns_);
  EXPECT_EQ(queue().hint_burden(), 0U);
  EXPECT_EQ(other.choose(now_ns_), &hog);
  other.remove(hog, State::kOff, now_ns_);
  EXPECT_EQ(other.choose(now_ns_), &rival);
  other.remove(rival, State::kOff, now_ns_);
}

// Against a model that only counts: nobody is lost or found twice, classes are
// kept, and the figures are sums.
TEST_F(CpuQueueTest, RandomStepsKeepTheInvariants) {
  std::mt19937_64 random(7);
  std::array<Thread, 60> threads;
  const Emptier emptier(queue());
  for (Thread& thread : threads) {
    make(thread, static_cast<Class>(random() % 3),
         static_cast<unsigned>(random() % kPriorities));
    ASSERT_TRUE(
        scheduler_
            ->set_nice(thread, static_cast<int>(random() % 41) - 20, now_ns_)
            .has_value());
  }
  for (int step = 0; step < 100'000; ++step) {
    now_ns_ += random() % 3'000'000;
    Thread& thread = threads[random() % threads.size()];
    switch (random() % 7) {
      case 0:
      case 1:
        if (!thread.is_attached()) wait(thread);
        break;
      case 2:
        if (thread.is_attached()) {
          queue().remove(thread, State::kOff, now_ns_);
        }
        break;
      case 3:
        if (queue().chosen() == nullptr) {
          Thread* best = queue().choose(now_ns_);
          for (Thread& other : threads) {
            if (other.state() != State::kQueued) continue;
            ASSERT_NE(best, nullptr);
            ASSERT_LE(best->klass(), other.klass());
            if (best->klass() == other.klass() &&
                best->klass() != Class::kTimeshare) {
              ASSERT_LE(best->priority(), other.priority());
            }
          }
        } else {
          queue().put_back(random() % 2 == 0 ? PutBack::kFair : PutBack::kYield,
                           now_ns_);
        }
        break;
      case 4:
        if (queue().chosen() != nullptr) {
          queue().charge(random() % kTurnNs, now_ns_);
        }
        break;
      case 5:
        make(thread, static_cast<Class>(random() % 3),
             static_cast<unsigned>(random() % kPriorities));
        break;
      default:
        ASSERT_TRUE(scheduler_
                        ->set_nice(thread, static_cast<int>(random() % 41) - 20,
                                   now_ns_)
                        .has_value());
        break;
    }
    unsigned waiting = 0;
    std::uint64_t load = 0;
    for (const Thread& each : threads) {
      if (each.state() == State::kQueued) ++waiting;
      ASSERT_EQ(each.state() == State::kChosen, &each == queue().chosen());
      if (each.is_attached() && each.klass() == Class::kTimeshare) {
        load += weight_of(each.nice());
      }
    }
    ASSERT_EQ(queue().waiting(), waiting);
    ASSERT_EQ(queue().load(), load);
    ASSERT_EQ(queue().first_waiting() == nullptr, waiting == 0);
    unsigned seen = 0;
    EXPECT_EQ(queue().find_waiting(1000,
                                   [&](Thread&) {
                                     ++seen;
                                     return false;
                                   }),
              nullptr);
    ASSERT_EQ(seen, waiting);
  }
}

}  // namespace
}  // namespace odo::usched
