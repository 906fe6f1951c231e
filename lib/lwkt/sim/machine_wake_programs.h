// SPDX-License-Identifier: BSD-3-Clause
// Programs for a machine of any number of CPUs in which threads of all of them
// wait: for each other, for the clock, for their turn.
//
// Contexts: inside an exploration.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/lwkt/sim/machine_thread_programs.h"

namespace odo::lwkt {

// Threads of many CPUs each want one of what a few others bring to two
// addresses, with one wake-up for each; some ask with a deadline first. Those
// of all other CPUs are woken at once, and half of those who bring with them,
// when all have asked. Then the ones who have got theirs wait at a door,
// through which each lets one more. A wake-up that is lost ends in a deadlock,
// and one that is for two is counted.
class SleepersOfAllCpus {
 public:
  explicit SleepersOfAllCpus(unsigned cpus)
      : cpus_(cpus), world_(cpus), supply_(kAddresses) {}

  void run(Engine& m) {
    const unsigned bringers = cpus_ / 8;
    const unsigned takers = 3 * bringers;
    for (unsigned i = 0; i < cpus_; ++i) {
      world_.add(i, [this, i, bringers, takers](SimThread& self) {
        // Far from those who wake them.
        if (i % 2 == 1 && i >= 2 * bringers) {
          if (asked_.fetch_add(1, std::memory_order_relaxed) + 1 == takers) {
            wanted_.store(true, std::memory_order_relaxed);
            SimSleepers::wakeup(self, &wanted_);
          }
          take(self, supply_[i / 2 % kAddresses], i % 4 == 1);
          go_through(self, takers);
        } else {
          if (i % 2 == 0 || i >= bringers) sleep_until(self, wanted_);
          if (i < bringers) bring(self, supply_[i % kAddresses]);
        }
        inspect(self);
      });
    }
    world_.run(m, [this, takers] {
      for (auto& left : supply_) {
        if (left.load(std::memory_order_relaxed) != 0) return false;
      }
      return woken_at_door_ + 1 == takers && let_in_ == takers;
    });
  }

 private:
  static constexpr unsigned kAddresses = 2;

  static void bring(SimThread& self, SimAtomic<std::uint32_t>& left) {
    for (int i = 0; i < 3; ++i) {
      (void)left.fetch_add(1, std::memory_order_relaxed);
      SimSleepers::wakeup_one(self, &left);
    }
  }
  static void take(SimThread& self, SimAtomic<std::uint32_t>& left,
                   bool with_deadline) {
    while (true) {
      SimSleepers::interlock(self, &left);
      std::uint32_t seen = left.load(std::memory_order_relaxed);
      if (seen != 0 && left.compare_exchange_strong(
                           seen, seen - 1, std::memory_order_relaxed,
                           std::memory_order_relaxed)) {
        break;
      }
      if (seen != 0) continue;
      // At once, so that it may be due with the wake-up; then for good.
      const SleepResult result = SimSleepers::sleep(
          self, &left, with_deadline ? 0 : SimSleepers::kNoTimeout);
      if (result == SleepResult::kTimedOut && !with_deadline) {
        Engine::current().fail("timed out without a deadline");
      }
      with_deadline = false;
    }
    SimSleepers::cancel(self);
    // Before that a second one may have woken us, who need nothing more: it is
    // for somebody else, who sleeps.
    if (left.load(std::memory_order_relaxed) != 0) {
      SimSleepers::wakeup_one(self, &left);
    }
  }
  // The last to come goes through; then one lets in one, whoever it is.
  void go_through(SimThread& self, unsigned takers) {
    SimSleepers::interlock(self, &let_in_);
    if (arrived_.fetch_add(1, std::memory_order_relaxed) + 1 != takers) {
      if (SimSleepers::sleep(self, &let_in_) != SleepResult::kWoken) {
        Engine::current().fail("timed out without a deadline");
      }
      if (++woken_at_door_ > let_in_) {
        Engine::current().fail("one wake-up woke two");
      }
    }
    SimSleepers::cancel(self);
    ++let_in_;
    SimSleepers::wakeup_one(self, &let_in_);
  }

  unsigned cpus_;
  LwktWorld world_;
  std::vector<SimAtomic<std::uint32_t>> supply_;
  SimAtomic<std::uint32_t> asked_{0};
  SimAtomic<bool> wanted_{false};
  SimAtomic<std::uint32_t> arrived_{0};
  // What the host's one thread counts is no operation of the machine.
  unsigned let_in_ = 0;
  unsigned woken_at_door_ = 0;
};

inline void sleepers_of_all_cpus(Engine& m, unsigned cpus) {
  SleepersOfAllCpus(cpus).run(m);
}

// Every CPU has a callout that is cancelled at home, one that is cancelled from
// afar, one that is waited for, and one that is armed again where its thread
// has moved to; and sleepers whom only the clock wakes, at home and abroad.
class CalloutsOfAllCpus {
 public:
  explicit CalloutsOfAllCpus(unsigned cpus) : cpus_(cpus), world_(cpus) {}

  void run(Engine& m) {
    on_each_cpu(world_, cpus_, [this](SimThread& self, unsigned i) {
      act(self, i, i % 4);
      inspect(self);
      act(self, i, (i / 4 + 1) % 4);
    });
    world_.run(m, [this] { return done_ == 2 * cpus_; });
  }

 private:
  using SimCallout = Callout<LwktSimGround>;
  struct Fired {
    SimInt times{0};
    SimThread* sleeper = nullptr;

    static void fire(void* argument) {
      auto& fired = *static_cast<Fired*>(argument);
      add_one(fired.times);
      if (fired.sleeper == nullptr) return;
      fired.sleeper->cpu().wake(*std::exchange(fired.sleeper, nullptr));
    }
  };

  void act(SimThread& self, unsigned cpu, unsigned what) {
    Fired fired;
    SimCallout callout(&Fired::fire, &fired);
    int times = 0;
    switch (what) {
      case 0:  // perhaps due already, but looked at only between sections
        callout.arm(self, self.cpu().ground().now_ns());
        times = callout.cancel(self) ? 0 : 1;
        break;
      case 1:
        callout.arm(self, 0);
        self.set_cpu(far_from(self.cpu().index(), cpus_));
        inspect(self);
        times = callout.cancel(self) ? 0 : 1;
        break;
      case 2:
        wait_for(self, callout, fired);
        self.set_cpu(far_from(cpu, cpus_));
        wait_for(self, callout, fired);
        times = 2;
        if (callout.cancel(self)) Engine::current().fail("it is still armed");
        break;
      default:
        sleep_a_moment(self, cpu);
        callout.arm(self, SimSleepers::kNoTimeout - 1);
        self.set_cpu(far_from(self.cpu().index(), cpus_));
        sleep_a_moment(self, cpu);
        callout.arm(self, SimSleepers::kNoTimeout - 1);  // from afar to here
        if (!callout.cancel(self)) Engine::current().fail("it was not armed");
        break;
    }
    if (fired.times.get() != times) {
      Engine::current().fail("a call was made too often, or too seldom");
    }
    ++done_;
  }
  static void wait_for(SimThread& self, SimCallout& callout, Fired& fired) {
    self.enter_critical();
    fired.sleeper = &self;
    callout.arm(self, self.cpu().ground().now_ns() + 1);
    self.sleep_in_critical();
    self.exit_critical();
  }
  void sleep_a_moment(SimThread& self, unsigned cpu) {
    // Deadlines of many CPUs in different ticks.
    const std::uint64_t deadline_ns =
        self.cpu().ground().now_ns() + cpu % 8 * TimerWheel::kTickNs;
    if (SimSleepers::sleep(self, this, deadline_ns) != SleepResult::kTimedOut) {
      Engine::current().fail("woken by nobody");
    }
    if (self.cpu().ground().now_ns() < deadline_ns) {
      Engine::current().fail("too early");
    }
  }

  unsigned cpus_;
  LwktWorld world_;
  unsigned done_ = 0;  // the host's count
};

inline void callouts_of_all_cpus(Engine& m, unsigned cpus) {
  CalloutsOfAllCpus(cpus).run(m);
}

// One serializer for threads of all CPUs, some of whom sleep in it.
inline void a_serializer_for_all_cpus(Engine& m, unsigned cpus) {
  LwktWorld w(cpus);
  Serializer<LwktSimGround> serializer("sim");
  SimInt data(0);
  bool inside = false;
  on_each_cpu(w, cpus,
              [&](SimThread& self, unsigned i) ODO_NO_THREAD_SAFETY_ANALYSIS {
                if (i % 8 != 0) {
                  serializer.enter(self);
                } else {
                  // Or not at once, and never twice.
                  while (!serializer.try_enter(self)) {
                    (void)SimSleepers::sleep(self, &data,
                                             self.cpu().ground().now_ns() + 1);
                  }
                }
                if (std::exchange(inside, true))
                  Engine::current().fail("two at once");
                add_one(data);
                if (i % 4 == 1) {
                  (void)SimSleepers::sleep(self, &data,
                                           self.cpu().ground().now_ns() + 1);
                }
                add_one(data);
                inside = false;
                serializer.leave(self);
                inspect(self);
              });
  w.run(m, [&] { return data.get() == static_cast<int>(2 * cpus); });
}

}  // namespace odo::lwkt
