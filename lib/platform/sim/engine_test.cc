// SPDX-License-Identifier: BSD-3-Clause
// The simulated machine itself: what it must find, what it must not report,
// and that a failure can be run again.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "lib/platform/sim/explore.h"
#include "lib/platform/sim/mutation_run.h"
#include "lib/platform/sim/sim_platform.h"
#include "lib/platform/spinlock.h"

namespace odo::sim {
namespace {

using Order = std::memory_order;
using Lock = platform::SpinLock<SimPlatform>;

// Two threads add to plain data under a lock.
Report count_under_lock(ExploreOptions options, int threads, int rounds) {
  return explore(options, [=](Engine& m) {
    Lock lock;
    Plain<int> count(0);
    for (int t = 0; t < threads; ++t) {
      m.spawn(static_cast<CpuId>(t), "adder", [&] {
        for (int i = 0; i < rounds; ++i) {
          lock.lock();
          count.set(count.get() + 1);
          lock.unlock();
        }
      });
    }
    if (m.run() == Engine::Outcome::kFinished &&
        count.get() != threads * rounds) {
      m.fail("an addition was lost");
    }
  });
}

TEST(EngineTest, AKnownGoodLockHoldsInEverySchedule) {
  const Report once = count_under_lock({}, 2, 1);
  EXPECT_TRUE(once.ok() && once.complete) << once.text();
  ExploreOptions options;
  options.preemption_bound = 2;
  const Report report = count_under_lock(options, 2, 2);
  EXPECT_TRUE(report.ok()) << report.text();
  EXPECT_TRUE(report.complete) << report.text();
  EXPECT_GT(report.executions, 3U);
}

TEST(EngineTest, ThreeThreadsWithinAPreemptionBound) {
  ExploreOptions options;
  options.preemption_bound = 2;
  const Report report = count_under_lock(options, 3, 1);
  EXPECT_TRUE(report.ok()) << report.text();
  EXPECT_TRUE(report.complete) << report.text();
}

TEST(EngineTest, RandomAndPctSchedulesAgree) {
  for (const Mode mode : {Mode::kRandom, Mode::kPct}) {
    ExploreOptions options;
    options.mode = mode;
    options.executions = 2000;
    const Report report = count_under_lock(options, 4, 3);
    EXPECT_TRUE(report.ok()) << report.text();
    EXPECT_EQ(report.executions, 2000U);
  }
}

TEST(EngineTest, EveryWeakenedOrderOfTheSpinLockIsCaught) {
  const MutationReport report =
      run_mutations("lib/platform/spinlock.h", [](Mutator* mutator) {
        ExploreOptions options;
        options.mutator = mutator;
        options.preemption_bound = 2;
        Report first = count_under_lock(options, 2, 2);
        if (!first.ok()) return first;
        return explore(options, [](Engine& m) {
          Lock lock;
          Plain<int> data(0);
          for (CpuId t = 0; t < 2; ++t) {
            m.spawn(t, "try", [&] {
              if (lock.try_lock()) {
                data.set(data.get() + 1);
                lock.unlock();
              }
            });
          }
          m.run();
        });
      });
  EXPECT_TRUE(report.survivors.empty()) << report.text();
  EXPECT_GE(report.killed.size(), 4U) << report.text();
}

// A lock whose unlock forgot to release.
Report broken_lock(ExploreOptions options) {
  return explore(options, [](Engine& m) {
    SimAtomic<bool> held(false);
    Plain<int> data(0);
    for (CpuId t = 0; t < 2; ++t) {
      m.spawn(t, "locker", [&] {
        while (held.exchange(true, Order::acquire)) Engine::current().relax();
        data.set(data.get() + 1);
        held.store(false, Order::relaxed);
      });
    }
    m.run();
  });
}

TEST(EngineTest, AMissingReleaseIsADataRace) {
  const Report report = broken_lock({});
  ASSERT_FALSE(report.ok());
  EXPECT_NE(report.failure.find("data race"), std::string::npos)
      << report.text();
  // A person can read what happened: cpu, thread, operation, order, value and
  // the line it stands on.
  EXPECT_NE(report.trace.find("cpu1"), std::string::npos);
  EXPECT_NE(report.trace.find("exchange"), std::string::npos);
  EXPECT_NE(report.trace.find("acquire"), std::string::npos);
  EXPECT_NE(report.trace.find("engine_test.cc:"), std::string::npos);
}

TEST(EngineTest, AFailureCanBeRunAgain) {
  for (const Mode mode : {Mode::kExhaustive, Mode::kRandom, Mode::kPct}) {
    ExploreOptions options;
    options.mode = mode;
    const Report first = broken_lock(options);
    ASSERT_FALSE(first.ok());
    setenv("ODO_SIM_REPLAY", first.answers.c_str(), 1);
    const Report again = broken_lock(options);
    unsetenv("ODO_SIM_REPLAY");
    EXPECT_EQ(again.trace, first.trace);
    EXPECT_EQ(again.executions, 1U);
    // And from the seed alone.
    options.seed = first.seed;
    EXPECT_EQ(broken_lock(options).trace, first.trace);
  }
}

TEST(EngineTest, LostUpdatesAreFound) {
  const Report report = explore({}, [](Engine& m) {
    SimAtomic<std::uint32_t> n(0);
    for (CpuId t = 0; t < 2; ++t) {
      m.spawn(t, "adder",
              [&] { n.store(n.load(Order::seq_cst) + 1, Order::seq_cst); });
    }
    if (m.run() == Engine::Outcome::kFinished && n.load(Order::seq_cst) != 2) {
      m.fail("lost");
    }
  });
  EXPECT_FALSE(report.ok());
}

TEST(EngineTest, DeadlockAndLivelockAreToldApart) {
  const Report dead = explore({}, [](Engine& m) {
    m.spawn(0, "sleeper", [&] { Engine::current().block(); });
    m.run();
  });
  EXPECT_NE(dead.failure.find("deadlock"), std::string::npos) << dead.text();
  const Report live = explore({}, [](Engine& m) {
    SimAtomic<bool> never(false);
    m.spawn(0, "waiter", [&] {
      while (!never.load(Order::acquire)) Engine::current().relax();
    });
    m.run();
  });
  EXPECT_NE(live.failure.find("livelock"), std::string::npos) << live.text();
}

TEST(EngineTest, AnEndlessLoopEnds) {
  ExploreOptions options;
  options.engine.max_steps = 100;
  const Report report = explore(options, [](Engine& m) {
    SimAtomic<std::uint32_t> n(0);
    m.spawn(0, "counter", [&] {
      while (true) n.fetch_add(1, Order::relaxed);
    });
    m.run();
  });
  EXPECT_NE(report.failure.find("does not end"), std::string::npos);
}

TEST(EngineTest, AWakeBeforeTheBlockIsNotLost) {
  const Report report = explore({}, [](Engine& m) {
    Plain<int> data(0);
    const ThreadId sleeper = m.spawn(0, "sleeper", [&] {
      Engine::current().block();
      if (data.get() != 1) Engine::current().fail("woken too early");
    });
    m.spawn(1, "waker", [&] {
      data.set(1);
      Engine::current().wake(sleeper);
    });
    m.run();
  });
  EXPECT_TRUE(report.ok()) << report.text();
  EXPECT_TRUE(report.complete);
}

TEST(EngineTest, ACpuRunsOneThreadAtATime) {
  // Two threads of one CPU touch data with no lock; neither gives way, so they
  // can't interleave, but nothing orders them either unless the CPU does.
  const Report report = explore({}, [](Engine& m) {
    SimAtomic<std::uint32_t> n(0);
    for (int t = 0; t < 2; ++t) {
      m.spawn(0, "adder",
              [&] { n.store(n.load(Order::relaxed) + 1, Order::relaxed); });
    }
    if (m.run() == Engine::Outcome::kFinished && n.load(Order::relaxed) != 2) {
      m.fail("interleaved");
    }
  });
  EXPECT_TRUE(report.ok()) << report.text();
}

TEST(EngineTest, InterruptsComeAtAnyPointUnlessMasked) {
  std::set<int> seen;
  for (const bool masked : {false, true}) {
    seen.clear();
    const Report report = explore({}, [&](Engine& m) {
      SimAtomic<std::uint32_t> n(0);
      int between = -1;
      m.spawn(0, "worker", [&] {
        Engine& e = Engine::current();
        if (masked) e.disable_interrupts();
        const auto a = n.load(Order::relaxed);
        const auto b = n.load(Order::relaxed);
        if (masked) e.enable_interrupts();
        between = static_cast<int>(b - a);
      });
      m.spawn(1, "sender", [&] {
        Engine::current().send_ipi(0, [&] { n.store(1, Order::relaxed); });
      });
      if (m.run() == Engine::Outcome::kFinished) {
        seen.insert(between);
        if (n.load(Order::relaxed) != 1) m.fail("the interrupt was lost");
      }
    });
    EXPECT_TRUE(report.ok()) << report.text();
    EXPECT_TRUE(report.complete);
    EXPECT_EQ(seen, masked ? (std::set<int>{0}) : (std::set<int>{0, 1}));
  }
}

TEST(EngineTest, TimersFireInVirtualTime) {
  const Report report = explore({}, [](Engine& m) {
    SimAtomic<bool> fired(false);
    m.spawn(0, "waiter", [&] {
      Engine& e = Engine::current();
      const std::uint64_t start = e.now_ns();
      e.set_timer(1'000'000, [&] { fired.store(true, Order::release); });
      while (!fired.load(Order::acquire)) e.relax();
      if (e.now_ns() - start < 1'000'000) e.fail("too early");
    });
    m.run();
  });
  EXPECT_TRUE(report.ok()) << report.text();
}

TEST(EngineTest, AHandlerThatEndedItsInterruptMayBeInterrupted) {
  bool nested = false;
  bool not_nested = false;
  const Report report = explore({}, [&](Engine& m) {
    SimAtomic<std::uint32_t> n(0);
    unsigned depth = 0;
    const auto handler = [&](bool ends) {
      if (ends) Engine::current().end_interrupt();
      ++depth;
      (void)n.fetch_add(1, Order::relaxed);
      (ends ? nested : not_nested) |= depth == 2;
      (void)n.fetch_add(1, Order::relaxed);
      --depth;
    };
    const bool ends = m.choose(2) == 1;
    // Runs until both have returned: an idle CPU has a stack for each.
    m.spawn(0, "target", [&] {
      while (n.load(Order::relaxed) != 4) Engine::current().relax();
    });
    m.spawn(1, "sender", [&, ends] {
      for (int i = 0; i < 2; ++i) {
        Engine::current().send_ipi(0, [&, ends] { handler(ends); });
      }
    });
    m.run();
  });
  EXPECT_TRUE(report.ok()) << report.text();
  EXPECT_TRUE(nested);
  EXPECT_FALSE(not_nested);
}

// A stack below a thread's own, to go to and from as a kernel's switch does.
struct OtherStack {
  // Static: an execution that is given up leaves it in the middle of things.
  inline static std::byte room[std::size_t{64} * 1024];
  inline static void* there = nullptr;
  inline static void* here = nullptr;
  inline static void (*body)() = nullptr;

  static void prepare(void (*runs)()) {
    body = runs;
    auto* top = reinterpret_cast<std::uintptr_t*>(room + sizeof room);
    *--top = 0;
    *--top = reinterpret_cast<std::uintptr_t>(&OtherStack::enter);
    for (int i = 0; i < 6; ++i) *--top = 0;
    there = top;
  }
  static void enter() {
    body();
    ODO_PANIC("the other stack came to its end");
  }
  static void go() { detail::switch_stack(&here, there); }
  static void back() { detail::switch_stack(&there, here); }
};

TEST(EngineTest, AHandlerMayGoToAnotherStackAndReturnAfterOthers) {
  // The first interrupt leaves for the other stack from the middle of an
  // operation; the second one, which comes there, leads back; and the operation
  // that the first one interrupted is done once, and sees what they did.
  static SimAtomic<std::uint32_t>* n = nullptr;
  static bool away = false;
  bool back_by_itself = false;
  bool back_by_another = false;
  const Report report = explore({}, [&](Engine& m) {
    SimAtomic<std::uint32_t> count(0);
    n = &count;
    away = false;
    bool returned = false;
    bool led_back = false;
    OtherStack::prepare([] {
      while (true) {
        // Interrupted here, or not at all: then it goes back by itself.
        (void)n->fetch_add(16, Order::relaxed);
        if (away) {
          away = false;
          OtherStack::back();
        }
      }
    });
    const auto handler = [&] {
      Engine::current().end_interrupt();
      if (away) {
        away = false;
        led_back = true;
        OtherStack::back();  // to the first handler; this one stays there
      }
      away = true;
      OtherStack::go();
      returned = true;
    };
    m.spawn(0, "target", [&] {
      Engine& e = Engine::current();
      (void)count.fetch_add(1, Order::relaxed);
      const std::uint32_t seen = count.fetch_add(1, Order::relaxed);
      if ((seen & 15) != 1) e.fail("an interrupted operation was done twice");
      // Interrupts come again after the return.
      while ((count.load(Order::relaxed) & 256) == 0) e.relax();
      back_by_itself |= returned && !led_back;
      back_by_another |= returned && led_back;
    });
    m.spawn(1, "sender", [&] {
      Engine& e = Engine::current();
      for (int i = 0; i < 2; ++i) e.send_ipi(0, handler);
      e.send_ipi(0, [&] { (void)count.fetch_add(256, Order::relaxed); });
    });
    m.run();
  });
  EXPECT_TRUE(report.ok()) << report.text();
  EXPECT_TRUE(report.complete);
  EXPECT_TRUE(back_by_itself);
  EXPECT_TRUE(back_by_another);
}

TEST(EngineTest, AnInterruptedOperationIsStillInTheWayOfOthers) {
  // What the handler did last must not pass for what its CPU does next: then
  // that next thing would never come between the two looks, as if it made no
  // difference to them.
  std::set<std::pair<std::uint32_t, std::uint32_t>> seen;
  const Report report = explore({}, [&](Engine& m) {
    SimAtomic<std::uint32_t> wanted(0);
    SimAtomic<bool> handled(false);
    bool done = false;
    bool in_between = false;
    std::uint32_t first = 0;
    std::uint32_t second = 0;
    m.spawn(0, "target", [&] {
      (void)wanted.fetch_add(1, Order::relaxed);
      done = true;
    });
    m.spawn(1, "sender", [&] {
      Engine::current().send_ipi(0, [&] {
        in_between = !done;
        handled.store(true, Order::relaxed);
      });
      while (!handled.load(Order::relaxed)) Engine::current().relax();
      first = wanted.fetch_add(0, Order::relaxed);
      second = wanted.fetch_add(0, Order::relaxed);
    });
    if (m.run() == Engine::Outcome::kFinished && in_between) {
      seen.insert({first, second});
    }
  });
  EXPECT_TRUE(report.ok()) << report.text();
  EXPECT_TRUE(report.complete);
  EXPECT_EQ(seen.size(), 3u);
  EXPECT_TRUE(seen.contains({0, 1}));
}

TEST(EngineTest, AnInterruptComesAfterAHandlerThatSaidNothing) {
  const Report report = explore({}, [](Engine& m) {
    SimAtomic<std::uint32_t> n(0);
    m.spawn(0, "target", [&] {
      while (n.load(Order::relaxed) != 2) Engine::current().relax();
    });
    m.spawn(1, "sender", [&] {
      for (int i = 0; i < 2; ++i) {
        Engine::current().send_ipi(
            0, [&] { (void)n.fetch_add(1, Order::relaxed); });
      }
    });
    m.run();
  });
  EXPECT_TRUE(report.ok()) << report.text();
}

TEST(EngineTest, ATimerFarAwayHoldsUpNoOtherInterrupt) {
  const Report report = explore({}, [](Engine& m) {
    SimAtomic<bool> came(false);
    m.spawn(0, "target", [&] {
      Engine::current().set_timer(1'000'000, [] {});
      while (!came.load(Order::acquire)) Engine::current().relax();
      if (Engine::current().now_ns() >= 1'000'000) {
        Engine::current().fail("the interrupt waited for the timer");
      }
    });
    m.spawn(1, "sender", [&] {
      Engine::current().send_ipi(0, [&] { came.store(true, Order::release); });
    });
    m.run();
  });
  EXPECT_TRUE(report.ok()) << report.text();
}

TEST(EngineTest, EveryPageRequestMayFail) {
  std::set<int> got;
  const Report report = explore({}, [&](Engine& m) {
    int pages = 0;
    m.spawn(0, "user", [&] {
      SimPages source;
      for (int i = 0; i < 3; ++i) {
        void* page = source.map(1);
        if (page == nullptr) continue;
        ++pages;
        source.unmap(page, 1);
      }
    });
    m.run();
    got.insert(pages);
  });
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(got, (std::set<int>{1, 2, 3}));
}

TEST(EngineTest, APanicIsAFailureOfTheExecution) {
  const Report report = explore({}, [](Engine& m) {
    m.spawn(0, "panics", [&] { ODO_PANIC("broken invariant"); });
    m.run();
  });
  EXPECT_NE(report.failure.find("broken invariant"), std::string::npos);
}

TEST(EngineTest, TheReductionHidesNothing) {
  // The same outcomes with any bound large enough, and fewer executions than
  // without sleep sets would be: independent threads need one execution.
  const Report report = explore({}, [](Engine& m) {
    SimAtomic<std::uint32_t> a(0), b(0), c(0);
    m.spawn(0, "a", [&] { a.store(1, Order::seq_cst); });
    m.spawn(1, "b", [&] { b.store(1, Order::seq_cst); });
    m.spawn(2, "c", [&] { c.store(1, Order::seq_cst); });
    m.run();
  });
  EXPECT_TRUE(report.complete);
  EXPECT_EQ(report.executions, 1U) << report.text();
}

}  // namespace
}  // namespace odo::sim
