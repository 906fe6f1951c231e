// SPDX-License-Identifier: BSD-3-Clause
#include "lib/usched/scheduler.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <span>
#include <thread>
#include <vector>

#include "lib/platform/archetype.h"
#include "lib/platform/host/atomic.h"

namespace odo::usched {

struct Ground : platform::ArchetypeAtomics {};
template class Scheduler<Ground>;
template class MachineView<Ground>;

namespace {

using Thread = UserThread<Ground>;

// Two nodes of two caches of two cores of two CPUs.
class SchedulerTest : public ::testing::Test {
 protected:
  static constexpr unsigned kCpus = 16;

  SchedulerTest() {
    CpuPlace places[kCpus];
    for (std::uint16_t cpu = 0; cpu < kCpus; ++cpu) {
      places[cpu] = {static_cast<std::uint16_t>(cpu / 2),
                     static_cast<std::uint16_t>(cpu / 4),
                     static_cast<std::uint16_t>(cpu / 8)};
    }
    EXPECT_TRUE(topology_->build(places).has_value());
    scheduler_ = std::make_unique<Scheduler<Ground>>(
        std::span(queues_.get(), kCpus), *topology_);
    for (CpuId cpu = 0; cpu < kCpus; ++cpu) {
      EXPECT_TRUE(scheduler_->set_online(cpu, 0).has_value());
    }
  }
  ~SchedulerTest() override {
    for (CpuId cpu = 0; cpu < kCpus; ++cpu) {
      auto& q = s().queue(cpu);
      if (q.chosen() != nullptr) q.remove(*q.chosen(), State::kOff, now_ns_);
      while (s().drain(cpu, now_ns_).move != nullptr) {
      }
    }
  }

  Scheduler<Ground>& s() { return *scheduler_; }
  // A new thread that is chosen on `cpu`.
  Thread& run_on(CpuId cpu) {
    Thread& thread = make();
    EXPECT_EQ(s().acquire(cpu, thread, now_ns_).run, &thread);
    return thread;
  }
  Thread& wait_on(CpuId cpu) {
    Thread& thread = make();
    EXPECT_TRUE(s().enqueue(cpu, thread, now_ns_).has_value());
    return thread;
  }
  Thread& make() { return *threads_.emplace_back(std::make_unique<Thread>()); }
  void make_class(Thread& thread, Class klass, unsigned priority = 0) {
    EXPECT_TRUE(s().set_class(thread, klass, priority, now_ns_).has_value());
  }
  // So that it ran on `cpu` last.
  Thread& asleep_on(CpuId cpu) {
    Thread& thread = run_on(cpu);
    (void)s().release(cpu, thread, now_ns_);
    return thread;
  }
  Decision<Ground> balance(CpuId cpu) {
    return s().balance(cpu, now_ns_, [this](CpuId low, CpuId high) {
      EXPECT_LT(low, high);
      ++locked_;
      return 0;
    });
  }

  std::uint64_t now_ns_ = kStepNs;
  unsigned locked_ = 0;
  std::unique_ptr<Topology> topology_ = std::make_unique<Topology>();
  std::unique_ptr<CpuQueue<Ground>[]> queues_ =
      std::make_unique<CpuQueue<Ground>[]>(kCpus);
  std::unique_ptr<Scheduler<Ground>> scheduler_;
  std::vector<std::unique_ptr<Thread>> threads_;
};

// --- the states
// ---------------------------------------------------------------

TEST_F(SchedulerTest, AFreeCpuTakesWhoComes) {
  Thread& thread = make();
  EXPECT_EQ(thread.state(), State::kOff);
  EXPECT_EQ(s().acquire(3, thread, now_ns_).run, &thread);
  EXPECT_EQ(thread.state(), State::kChosen);
  EXPECT_EQ(thread.cpu(), 3);
  // Again is the same.
  EXPECT_EQ(s().acquire(3, thread, now_ns_).run, &thread);
  EXPECT_EQ(s().release(3, thread, now_ns_).run, nullptr);
  EXPECT_EQ(thread.state(), State::kInKernel);
  s().charge_in_kernel(thread, 500, now_ns_);
  EXPECT_EQ(thread.usage().decayed_ns(), 500U);
}

TEST_F(SchedulerTest, ABusyCpuSendsTheSecondAway) {
  run_on(3);
  Thread& second = make();
  const auto decision = s().acquire(3, second, now_ns_);
  EXPECT_EQ(decision.run, nullptr);
  EXPECT_EQ(decision.move, &second);
  EXPECT_EQ(second.state(), State::kOff);
}

TEST_F(SchedulerTest, ReleaseChoosesTheNext) {
  Thread& first = run_on(0);
  Thread& second = wait_on(0);
  EXPECT_EQ(s().release(0, first, now_ns_).run, &second);
  EXPECT_EQ(second.state(), State::kChosen);
}

TEST_F(SchedulerTest, AQueuedThreadOnAnIdleCpuAsksForIt) {
  Thread& thread = make();
  const auto decision = s().enqueue(5, thread, now_ns_);
  ASSERT_TRUE(decision.has_value());
  EXPECT_EQ(decision->resched, 5);
  EXPECT_EQ(thread.state(), State::kQueued);
  EXPECT_EQ(s().reschedule(5, Why::kAsked, now_ns_).run, &thread);
}

TEST_F(SchedulerTest, ATickEndsATurnOnlyIfSomebodyWaits) {
  Thread& first = run_on(0);
  s().charge(0, kTurnNs, now_ns_);
  EXPECT_FALSE(s().tick(0, now_ns_).resched);
  Thread& second = wait_on(0);
  s().charge(0, kTurnNs, now_ns_);
  EXPECT_TRUE(s().tick(0, now_ns_).resched);
  EXPECT_EQ(s().reschedule(0, Why::kAsked, now_ns_).run, &second);
  EXPECT_EQ(first.state(), State::kQueued);
}

TEST_F(SchedulerTest, TicksAskForBalancingOncePerPeriod) {
  unsigned due = 0;
  for (unsigned ms = 1; ms <= 320; ++ms) {
    if (s().tick(7, ms * 1'000'000ULL).balance_due) ++due;
  }
  EXPECT_EQ(due, 10U);
}

// --- bad input
// ----------------------------------------------------------------

TEST_F(SchedulerTest, RefusesNumbersOutOfRange) {
  Thread& thread = make();
  EXPECT_EQ(s().set_nice(thread, -21, now_ns_).error(), Error::kBadNice);
  EXPECT_EQ(s().set_nice(thread, 21, now_ns_).error(), Error::kBadNice);
  EXPECT_EQ(s().set_class(thread, Class::kIdle, 32, now_ns_).error(),
            Error::kBadPriority);
  EXPECT_EQ(s().enqueue(kCpus, thread, now_ns_).error(), Error::kBadCpu);
  EXPECT_EQ(s().enqueue(kNoCpu, thread, now_ns_).error(), Error::kBadCpu);
  EXPECT_EQ(s().set_online(kCpus, now_ns_).error(), Error::kBadCpu);
  EXPECT_EQ(s().set_offline(kNoCpu).error(), Error::kBadCpu);
  EXPECT_EQ(thread.state(), State::kOff);
}

TEST_F(SchedulerTest, AnAffinityWithoutAnOnlineCpuIsRefused) {
  Thread& thread = make();
  EXPECT_EQ(s().set_affinity(thread, CpuSet(), now_ns_).error(), Error::kNoCpu);
  EXPECT_EQ(s().set_affinity(thread, CpuSet::of(kCpus), now_ns_).error(),
            Error::kNoCpu);
  EXPECT_EQ(thread.affinity(), CpuSet::all());
  ASSERT_TRUE(s().set_affinity(thread, CpuSet::of(9), now_ns_).has_value());
  ASSERT_TRUE(s().set_offline(9).has_value());
  EXPECT_EQ(s().place(thread, 0).error(), Error::kNoCpu);
  EXPECT_EQ(s().enqueue(9, thread, now_ns_).error(), Error::kBadCpu);
}

// --- placement
// ----------------------------------------------------------------

TEST_F(SchedulerTest, HomeIfIdle) {
  for (CpuId cpu = 0; cpu < kCpus; ++cpu) {
    EXPECT_EQ(s().place(asleep_on(cpu), 0), cpu);
  }
}

TEST_F(SchedulerTest, ANewThreadStartsWhereItsParentRunsOrNear) {
  EXPECT_EQ(s().place(make(), 6), 6);
  run_on(6);
  const auto cpu = s().place(make(), 6);
  ASSERT_TRUE(cpu.has_value());
  EXPECT_TRUE(topology_->around(6, Level::kCache).has(*cpu));
  EXPECT_TRUE(s().place(make(), kNoCpu).has_value());
}

TEST_F(SchedulerTest, AnIdleCoreOfTheCacheThenItsRestThenFurther) {
  Thread& thread = asleep_on(0);
  run_on(0);
  // CPU 1 shares a core with the busy one.
  for (int i = 0; i < 20; ++i) {
    const auto cpu = s().place(thread, 0);
    EXPECT_TRUE(cpu == 2 || cpu == 3) << *cpu;
  }
  run_on(2);
  run_on(3);
  EXPECT_EQ(s().place(thread, 0), 1);
  run_on(1);
  const auto in_node = s().place(thread, 0);
  EXPECT_TRUE(*in_node >= 4 && *in_node < 8) << *in_node;
  for (CpuId cpu = 4; cpu < 8; ++cpu) run_on(cpu);
  EXPECT_GE(*s().place(thread, 0), 8);
}

TEST_F(SchedulerTest, ACpuOfAWorseClassIsAsGoodAsIdle) {
  for (CpuId cpu = 0; cpu < kCpus; ++cpu) {
    if (cpu != 13) {
      run_on(cpu);
    } else {
      Thread& idle = make();
      make_class(idle, Class::kIdle);
      EXPECT_EQ(s().acquire(cpu, idle, now_ns_).run, &idle);
    }
  }
  Thread& timeshare = make();
  EXPECT_EQ(s().place(timeshare, 0), 13);
  ASSERT_TRUE(s().enqueue(13, timeshare, now_ns_).has_value());
  EXPECT_EQ(s().reschedule(13, Why::kAsked, now_ns_).run, &timeshare);
  // Realtime finds timeshare everywhere, and stays at home.
  Thread& realtime = make();
  make_class(realtime, Class::kRealtime);
  EXPECT_EQ(s().place(realtime, 4), 4);
  EXPECT_EQ(s().enqueue(4, realtime, now_ns_)->resched, 4);
  Thread& another = make();
  make_class(another, Class::kRealtime);
  EXPECT_NE(*s().place(another, 4), 4);
}

TEST_F(SchedulerTest, TheLeastBurdenedIfItIsClearlyLess) {
  Thread& thread = asleep_on(0);
  for (CpuId cpu = 0; cpu < kCpus; ++cpu) run_on(cpu);
  // All alike: home.
  EXPECT_EQ(s().place(thread, 0), 0);
  // One more at home: a neighbour in the cache.
  wait_on(0);
  const auto near = s().place(thread, 0);
  EXPECT_TRUE(*near >= 1 && *near < 4) << *near;
  // The whole cache has one more: not enough to leave it.
  for (CpuId cpu = 1; cpu < 4; ++cpu) wait_on(cpu);
  EXPECT_EQ(s().place(thread, 0), 0);
  for (CpuId cpu = 0; cpu < 4; ++cpu) wait_on(cpu);
  EXPECT_GE(*s().place(thread, 0), 4);
}

TEST_F(SchedulerTest, PlacesInsideTheAffinityOnly) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 2000; ++round) {
    Thread thread;
    CpuSet set;
    for (int i = 0; i < 3; ++i) {
      set.add(static_cast<CpuId>(random() % kMaxCpus));
    }
    const bool possible = !(set & topology_->all()).empty();
    const auto changed = s().set_affinity(thread, set, now_ns_);
    ASSERT_EQ(changed.has_value(), possible);
    const auto cpu = s().place(thread, static_cast<CpuId>(random() % 300));
    ASSERT_TRUE(cpu.has_value());
    ASSERT_LT(*cpu, kCpus);
    if (possible) {
      ASSERT_TRUE(set.has(*cpu));
    }
    if (threads_.size() < 60) wait_on(*cpu);
  }
}

// --- balancing
// ----------------------------------------------------------------

TEST_F(SchedulerTest, AnIdleCpuPullsFromTheNearestThatIsCrowded) {
  run_on(0);
  run_on(12);
  Thread& far = wait_on(12);
  wait_on(12);
  Thread& near = wait_on(0);
  now_ns_ += kClaimNs;
  EXPECT_EQ(balance(2).resched, 2);
  EXPECT_EQ(s().reschedule(2, Why::kAsked, now_ns_).run, &near);
  EXPECT_EQ(balance(3).resched, 3);
  EXPECT_EQ(s().reschedule(3, Why::kAsked, now_ns_).run, &far);
  EXPECT_EQ(locked_, 2U);
}

TEST_F(SchedulerTest, APullRespectsAffinity) {
  run_on(0);
  Thread& pinned = wait_on(0);
  ASSERT_TRUE(s().set_affinity(pinned, CpuSet::of(0), now_ns_).has_value());
  EXPECT_EQ(balance(1).resched, kNoCpu);
  EXPECT_EQ(pinned.cpu(), 0);
  Thread& loose = wait_on(0);
  EXPECT_EQ(balance(1).resched, 1);
  EXPECT_EQ(loose.cpu(), 1);
}

TEST_F(SchedulerTest, ACpuThatWasJustAskedKeepsItsThread) {
  Thread& thread = wait_on(0);
  EXPECT_EQ(balance(1).resched, kNoCpu);
  now_ns_ += kClaimNs;
  EXPECT_EQ(balance(1).resched, 1);
  EXPECT_EQ(thread.cpu(), 1);
}

TEST_F(SchedulerTest, ABusyCpuPullsWhoRanLessThanItsOwn) {
  Thread& spoilt = run_on(1);
  s().charge(1, kFullNs, now_ns_);
  s().queue(1).publish(now_ns_);
  run_on(0);
  Thread& deprived = wait_on(0);
  EXPECT_EQ(balance(1).resched, 1);
  EXPECT_EQ(deprived.cpu(), 1);
  EXPECT_EQ(spoilt.state(), State::kChosen);
  EXPECT_EQ(s().reschedule(1, Why::kAsked, now_ns_).run, &deprived);
  // And not the other way, right afterwards.
  EXPECT_EQ(balance(0).resched, kNoCpu);
  EXPECT_EQ(spoilt.cpu(), 1);
}

TEST_F(SchedulerTest, BalancingLocksFewQueues) {
  // Everybody is crowded with threads that can't move.
  for (CpuId cpu = 1; cpu < kCpus; ++cpu) {
    run_on(cpu);
    Thread& pinned = wait_on(cpu);
    ASSERT_TRUE(s().set_affinity(pinned, CpuSet::of(cpu), now_ns_).has_value());
  }
  EXPECT_EQ(balance(0).resched, kNoCpu);
  EXPECT_LE(locked_, kPullTries);
}

TEST_F(SchedulerTest, AnOfflineCpuPullsNothing) {
  run_on(0);
  wait_on(0);
  ASSERT_TRUE(s().set_offline(1).has_value());
  EXPECT_EQ(balance(1).resched, kNoCpu);
  EXPECT_EQ(locked_, 0U);
}

// --- settings
// -----------------------------------------------------------------

TEST_F(SchedulerTest, ForbiddenCpusAreLeft) {
  Thread& chosen = run_on(0);
  Thread& queued = wait_on(0);
  const auto out = s().set_affinity(queued, CpuSet::of(1), now_ns_);
  EXPECT_EQ(out->move, &queued);
  EXPECT_EQ(queued.state(), State::kOff);
  const auto asked = s().set_affinity(chosen, CpuSet::of(2), now_ns_);
  EXPECT_EQ(asked->resched, 0);
  EXPECT_TRUE(s().tick(0, now_ns_).resched);
  const auto decision = s().reschedule(0, Why::kAsked, now_ns_);
  EXPECT_EQ(decision.run, nullptr);
  EXPECT_EQ(decision.move, &chosen);
  EXPECT_EQ(s().place(chosen, 0), 2);
}

TEST_F(SchedulerTest, ACpuGoesOffline) {
  Thread& chosen = run_on(0);
  wait_on(0);
  wait_on(0);
  EXPECT_EQ(s().set_offline(0)->resched, 0);
  unsigned drained = 0;
  while (s().drain(0, now_ns_).move != nullptr) ++drained;
  EXPECT_EQ(drained, 2U);
  EXPECT_EQ(s().reschedule(0, Why::kAsked, now_ns_).move, &chosen);
  EXPECT_NE(*s().place(chosen, 0), 0);
}

TEST_F(SchedulerTest, AClassChangeTakesEffectWhereTheThreadIs) {
  run_on(0);
  Thread& waiting = wait_on(0);
  const auto decision = s().set_class(waiting, Class::kRealtime, 0, now_ns_);
  EXPECT_EQ(decision->resched, 0);
  EXPECT_EQ(s().reschedule(0, Why::kAsked, now_ns_).run, &waiting);
  // The chosen one falls behind those who wait.
  EXPECT_EQ(s().set_class(waiting, Class::kIdle, 0, now_ns_)->resched, 0);
  EXPECT_NE(s().reschedule(0, Why::kAsked, now_ns_).run, &waiting);
}

TEST_F(SchedulerTest, AChildInheritsAndItsEndIsRemembered) {
  Thread& parent = run_on(4);
  ASSERT_TRUE(s().set_nice(parent, 7, now_ns_).has_value());
  s().charge(4, 100'000'000, now_ns_);
  Thread& child = make();
  s().forking(parent, child, now_ns_);
  EXPECT_EQ(child.nice(), 7);
  EXPECT_EQ(child.cpu(), 4);
  EXPECT_EQ(parent.usage().decayed_ns(), 100'000'000 + kForkCostNs);
  EXPECT_EQ(child.usage().decayed_ns(), parent.usage().decayed_ns());
  EXPECT_EQ(s().acquire(9, child, now_ns_).run, &child);
  s().charge(9, 200'000'000, now_ns_);
  (void)s().release(9, child, now_ns_);
  s().exiting(child, &parent, now_ns_);
  EXPECT_EQ(parent.usage().decayed_ns(), 300'000'000 + kForkCostNs);
  EXPECT_EQ(child.state(), State::kOff);
}

// --- the locks are enough
// -----------------------------------------------------

// Four CPUs at once, with the locks that scheduler.h names and no others; the
// thread sanitizer watches.
struct HostGround {
  template <class T>
  using Atomic = platform::HostAtomic<T>;
};

TEST(SchedulerLockingTest, FourCpusAtOnce) {
  constexpr unsigned kCpus = 4;
  constexpr unsigned kThreads = 24;
  struct Task {
    UserThread<HostGround> thread;
    std::mutex in_hand;  // the kernel's lock of a thread: waking and settings
  };
  auto topology = std::make_unique<Topology>();
  const CpuPlace places[kCpus] = {{0, 0, 0}, {0, 0, 0}, {1, 1, 0}, {1, 1, 0}};
  ASSERT_TRUE(topology->build(places).has_value());
  auto queues = std::make_unique<CpuQueue<HostGround>[]>(kCpus);
  Scheduler<HostGround> scheduler(std::span(queues.get(), kCpus), *topology);
  std::array<std::mutex, kCpus> locks;
  std::vector<Task> tasks(kThreads);
  std::mutex sleepers_lock;
  std::vector<Task*> sleepers;
  sleepers.reserve(kThreads);
  for (Task& task : tasks) sleepers.push_back(&task);
  for (CpuId cpu = 0; cpu < kCpus; ++cpu) {
    ASSERT_TRUE(scheduler.set_online(cpu, 0).has_value());
  }

  const auto task_of = [&](UserThread<HostGround>* thread) {
    return reinterpret_cast<Task*>(thread);  // its first member
  };
  const auto send = [&](Task& task, CpuId near_cpu, std::uint64_t now_ns) {
    std::scoped_lock hold(task.in_hand);
    const auto cpu = scheduler.place(task.thread, near_cpu);
    ASSERT_TRUE(cpu.has_value());
    std::scoped_lock lock(locks[*cpu]);
    ASSERT_TRUE(scheduler.enqueue(*cpu, task.thread, now_ns).has_value());
  };
  const auto run_cpu = [&](CpuId cpu) {
    std::mt19937_64 random(cpu);
    std::uint64_t now_ns = 0;
    for (int step = 0; step < 20'000; ++step) {
      now_ns += 500'000;
      UserThread<HostGround>* slept = nullptr;
      bool balance_due = false;
      {
        std::scoped_lock lock(locks[cpu]);
        auto* chosen = scheduler.queue(cpu).chosen();
        if (chosen != nullptr) scheduler.charge(cpu, 500'000, now_ns);
        if (chosen != nullptr && random() % 3 == 0) {
          (void)scheduler.release(cpu, *chosen, now_ns);
          slept = chosen;
        }
        const TickResult tick = scheduler.tick(cpu, now_ns);
        if (tick.resched) {
          ASSERT_EQ(scheduler.reschedule(cpu, Why::kAsked, now_ns).move,
                    nullptr);
        }
        balance_due =
            tick.balance_due || scheduler.queue(cpu).chosen() == nullptr;
      }
      if (balance_due) {
        (void)scheduler.balance(cpu, now_ns, [&](CpuId low, CpuId high) {
          std::array<std::unique_lock<std::mutex>, 2> guard;
          guard[0] = std::unique_lock(locks[low]);
          guard[1] = std::unique_lock(locks[high]);
          return guard;
        });
      }
      Task* woken = nullptr;
      {
        std::scoped_lock lock(sleepers_lock);
        if (slept != nullptr) sleepers.push_back(task_of(slept));
        if (!sleepers.empty() && random() % 2 == 0) {
          std::swap(sleepers[random() % sleepers.size()], sleepers.back());
          woken = sleepers.back();
          sleepers.pop_back();
        }
      }
      if (woken != nullptr) send(*woken, cpu, now_ns);
      if (random() % 8 == 0) {
        // From outside: find the queue whose lock the thread is under.
        Task& task = tasks[random() % kThreads];
        std::scoped_lock hold(task.in_hand);
        for (;;) {
          const CpuId at = task.thread.cpu();
          if (at == kNoCpu) break;
          std::scoped_lock lock(locks[at]);
          if (task.thread.cpu() != at) continue;
          ASSERT_TRUE(scheduler
                          .set_nice(task.thread,
                                    static_cast<int>(random() % 41) - 20,
                                    now_ns)
                          .has_value());
          break;
        }
      }
    }
  };
  {
    std::vector<std::jthread> cpus;
    cpus.reserve(kCpus);
    for (CpuId cpu = 0; cpu < kCpus; ++cpu) {
      cpus.emplace_back([&, cpu] { run_cpu(cpu); });
    }
  }
  // Everybody is somewhere, once.
  unsigned found = static_cast<unsigned>(sleepers.size());
  for (CpuId cpu = 0; cpu < kCpus; ++cpu) {
    auto& q = scheduler.queue(cpu);
    if (q.chosen() != nullptr) {
      ++found;
      q.remove(*q.chosen(), State::kOff, 0);
    }
    while (scheduler.drain(cpu, 0).move != nullptr) ++found;
    EXPECT_EQ(q.hint_burden(), 0U);
    EXPECT_EQ(q.load(), 0U);
  }
  EXPECT_EQ(found, kThreads);
}

}  // namespace
}  // namespace odo::usched
