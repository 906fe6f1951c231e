// SPDX-License-Identifier: BSD-3-Clause
// Every two things that threads do, at once: on two CPUs, or by neighbours on
// one. The exploration chooses the second act and who stands where; all places
// of all threads are looked at in every switch (ground.h), and an act that is
// forgotten ends in a deadlock.
//
// Contexts: inside an exploration.
#pragma once

#include <cstdint>

#include "lib/lwkt/sim/wake_programs.h"

namespace odo::lwkt {

enum class Act : std::uint8_t {
  kStart,     // makes and starts another thread
  kWake,      // wakes the sleeper, on CPU 1
  kSleep,     // sleeps until woken or a deadline
  kExit,      // ends at once
  kJoin,      // waits for the end of a thread that began on CPU 1
  kMove,      // goes to the other CPU
  kCall,      // has the other CPU make a call
  kYield,     // twice
  kPreempt,   // wakes a thread of the interrupt band, on CPU 0
  kToken,     // takes the token that others want, and yields with it
  kTick,      // ends quanta on CPU 0
  kCritical,  // a section that interrupts have to wait for
};
inline constexpr unsigned kActs = 12;

// Two actors and whom they act upon: none of these is made before an act needs
// it, so that a pair costs no more than itself.
class PairOfActs {
 public:
  PairOfActs(Act first, Act second, unsigned second_cpu)
      : acts_{first, second}, cpus_{0, second_cpu} {}

  void run(Engine& m) {
    // What the acts want of others, who are there first.
    if (has(Act::kWake)) {
      world_.add(1, [this](SimThread& self) {
        sleep_until(self, bell_);
        inspect(self);
      });
    }
    if (has(Act::kPreempt)) {
      world_.add(0,
                 [this](SimThread& self) {
                   sleep_until(self, alarm_);
                   inspect(self);
                   add_one(alarms_);
                 },
                 {.priority = kInterruptLow});
    }
    for (unsigned i = 0; i < 2; ++i) {
      if (acts_[i] != Act::kJoin) continue;
      joined_[i] = &world_.add(1, [this, i](SimThread& self) {
        self.yield();
        add_one(ended_[i]);
      });
    }
    for (unsigned i = 0; i < 2; ++i) {
      world_.add(cpus_[i], [this, i](SimThread& self) {
        act(self, i);
        if (acts_[i] != Act::kExit) inspect(self);
        add_one(done_[i]);
      });
    }
    world_.run(m, [this] { return holds(); });
  }

 private:
  [[nodiscard]] bool has(Act act) const {
    return acts_[0] == act || acts_[1] == act;
  }
  [[nodiscard]] int count(Act act) const {
    return (acts_[0] == act ? 1 : 0) + (acts_[1] == act ? 1 : 0);
  }
  [[nodiscard]] bool holds() {
    for (unsigned i = 0; i < 2; ++i) {
      if (done_[i].get() != 1) return false;
    }
    return calls_.load(std::memory_order_relaxed) ==
               static_cast<std::uint32_t>(count(Act::kCall)) &&
           under_token_.get() == 2 * count(Act::kToken) &&
           alarms_.get() == (has(Act::kPreempt) ? 1 : 0);
  }

  // The other CPU of the two.
  [[nodiscard]] unsigned beside(SimThread& self) const {
    return world_.at(self.cpu().index() == world_.at(0) ? 1 : 0);
  }

  void act(SimThread& self, unsigned me) {
    switch (acts_[me]) {
      case Act::kStart:
        world_.start(self.cpu(), [](SimThread& child) { child.yield(); },
                     {.lifetime = Lifetime::kDetached});
        return;
      case Act::kWake:
        bell_.store(true, std::memory_order_relaxed);
        SimSleepers::wakeup(self, &bell_);
        return;
      case Act::kSleep:
        // On the sleeper's address: a wake-up is for both.
        (void)SimSleepers::sleep(self, &bell_,
                                 self.cpu().ground().now_ns() + 1);
        return;
      case Act::kExit:
        return;
      case Act::kJoin:
        self.join(*joined_[me]);
        if (ended_[me].get() != 1) Engine::current().fail("joined too early");
        return;
      case Act::kMove:
        self.set_cpu(beside(self));
        return;
      case Act::kCall:
        self.cpu().call_on(
            self, beside(self),
            {[](void* argument, void*) {
               (void)static_cast<SimAtomic<std::uint32_t>*>(argument)
                   ->fetch_add(1, std::memory_order_relaxed);
             },
             &calls_});
        return;
      case Act::kYield:
        self.yield();
        self.yield();
        return;
      case Act::kPreempt:
        alarm_.store(true, std::memory_order_relaxed);
        SimSleepers::wakeup(self, &alarm_);
        return;
      case Act::kToken:
        self.tokens().acquire(token_);
        add_one(under_token_);
        self.yield();
        add_one(under_token_);
        self.tokens().release(token_);
        return;
      case Act::kTick:
        world_.cpu(0).attention().raise(self.cpu().ground(), world_.at(0),
                                        Attention<LwktSimGround>::kTick);
        self.yield_if_due();
        return;
      case Act::kCritical:
        self.enter_critical();
        (void)calls_.load(std::memory_order_relaxed);
        self.exit_critical();
        return;
    }
  }

  Act acts_[2];
  unsigned cpus_[2];
  LwktWorld world_{2};
  SimToken token_{kSimToken};
  SimAtomic<bool> bell_{false};
  SimAtomic<bool> alarm_{false};
  SimAtomic<std::uint32_t> calls_{0};
  SimInt alarms_{0};
  SimInt under_token_{0};
  SimInt ended_[2] = {SimInt(0), SimInt(0)};
  SimInt done_[2] = {SimInt(0), SimInt(0)};
  SimThread* joined_[2] = {nullptr, nullptr};
};

// This act with itself and each later one, on two CPUs either way round, and on
// one.
inline void a_pair_of_acts(Engine& m, Act first) {
  const auto from = static_cast<unsigned>(first);
  const auto other = static_cast<Act>(from + m.choose(kActs - from));
  const unsigned stand = m.choose(first == other ? 2 : 3);
  if (stand == 2) {
    PairOfActs(other, first, 1).run(m);
  } else {
    PairOfActs(first, other, stand).run(m);
  }
}

}  // namespace odo::lwkt
