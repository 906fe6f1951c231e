// SPDX-License-Identifier: BSD-3-Clause
// Programs about how many wake up, when and where: one sleeper of several, the
// clock alone, those who move on, those who preempt each other.
//
// Contexts: inside an exploration.
#pragma once

#include "lib/lwkt/sim/sleep_programs.h"

namespace odo::lwkt {

using SimToken = tokens::Token<LwktSimGround>;

// One wake-up for two who certainly sleep, on two CPUs: one of them wakes, not
// none and not both.
inline void one_of_two_wakes(Engine& m, unsigned waker_cpu) {
  LwktWorld w(2);
  SimToken token(kSimToken);
  SimInt asleep(0);
  SimInt woken(0);
  SimAtomic<bool> bell(false);
  for (unsigned i = 0; i < 2; ++i) {
    w.add(i, [&](SimThread& self) {
      self.tokens().acquire(token);
      add_one(asleep);
      SimSleepers::wakeup(self, &asleep);
      SimSleepers::sleep(self, &bell);
      add_one(woken);
      SimSleepers::wakeup(self, &woken);
      self.tokens().release(token);
    });
  }
  w.add(waker_cpu, [&](SimThread& self) {
    self.tokens().acquire(token);
    while (asleep.get() != 2) SimSleepers::sleep(self, &asleep);
    SimSleepers::wakeup_one(self, &bell);
    // For ever, if none wakes.
    while (woken.get() == 0) SimSleepers::sleep(self, &woken);
    // By now the search is over, and whoever it found counts: it runs on the
    // other CPU or this one, but under the token, when we let it.
    self.tokens().release(token);
    CpuSync<LwktSimGround>::synchronize(self, w.everybody());
    self.yield();
    self.tokens().acquire(token);
    if (woken.get() != 1) Engine::current().fail("one wake-up woke two");
    self.tokens().release(token);
    SimSleepers::wakeup_one(self, &bell);
  });
  w.run(m, [&] { return woken.get() == 2; });
}

// One wake-up for two, one of whom may be about to time out: if it does, the
// wake-up is the other's, else it passes the wake-up on. Lost it is never.
inline void a_timeout_takes_no_wakeup(Engine& m, unsigned waker_cpu) {
  LwktWorld w(2);
  SimToken token(kSimToken);
  SimInt asleep(0);
  SimAtomic<bool> bell(false);
  w.add(0, [&](SimThread& self) {
    // At once, so that it may be due with the wake-up, or while that waits.
    if (SimSleepers::sleep(self, &bell, 0) == SleepResult::kWoken) {
      SimSleepers::wakeup_one(self, &bell);
    }
    inspect(self);
  });
  w.add(1, [&](SimThread& self) {
    self.tokens().acquire(token);
    asleep.set(1);
    SimSleepers::wakeup(self, &asleep);
    SimSleepers::sleep(self, &bell);
    self.tokens().release(token);
  });
  w.add(waker_cpu, [&](SimThread& self) {
    self.tokens().acquire(token);
    while (asleep.get() == 0) SimSleepers::sleep(self, &asleep);
    self.tokens().release(token);
    SimSleepers::wakeup_one(self, &bell);
  });
  w.run(m, [] { return true; });
}

// Nothing but the clock wakes an idle CPU: in the order of the deadlines, and
// not before them.
inline void the_clock_wakes_an_idle_cpu(Engine& m) {
  LwktWorld w(1);
  constexpr std::uint64_t kStepNs = 4 * TimerWheel::kTickNs;
  int awake = 0;
  // The earliest first asks the ground once, the latest first three times.
  const bool earliest_first = m.choose(2) == 1;
  for (unsigned turn = 1; turn <= 3; ++turn) {
    const unsigned i = earliest_first ? turn : 4 - turn;
    w.add(0, [&, i](SimThread& self) {
      const std::uint64_t deadline_ns = i * kStepNs;
      const SleepResult result = SimSleepers::sleep(self, &w, deadline_ns);
      if (result != SleepResult::kTimedOut) {
        Engine::current().fail("woken by nobody");
      }
      if (self.cpu().ground().now_ns() < deadline_ns) {
        Engine::current().fail("too early");
      }
      if (++awake != static_cast<int>(i)) {
        Engine::current().fail("a later deadline came first");
      }
    });
  }
  w.run(m, [&] { return awake == 3 && w.cpu(0).counts().idle_sleeps >= 3; });
}

// The clock and another CPU's call, for a CPU that is falling asleep.
inline void the_clock_and_a_call_wake_an_idle_cpu(Engine& m) {
  LwktWorld w(2);
  SimInt calls(0);
  w.add(0, [&](SimThread& self) {
    const std::uint64_t deadline_ns =
        self.cpu().ground().now_ns() + TimerWheel::kTickNs;
    if (SimSleepers::sleep(self, &w, deadline_ns) != SleepResult::kTimedOut) {
      Engine::current().fail("woken by nobody");
    }
  });
  w.add(1, [&](SimThread& self) {
    self.cpu().call_on(self, w.at(0),
                       {[](void* argument, void*) {
                          add_one(*static_cast<SimInt*>(argument));
                        },
                        &calls});
  });
  w.run(m, [&] { return calls.get() == 1; });
}

// Who sleeps without an address is woken by name, once it certainly sleeps.
inline void woken_by_name(Engine& m, unsigned waker_cpu) {
  LwktWorld w(2);
  SimAtomic<bool> asleep(false);
  SimInt data(0);
  SimThread& sleeper = w.add(0, [&](SimThread& self) {
    self.enter_critical();
    asleep.store(true, std::memory_order_relaxed);
    SimSleepers::wakeup(self, &asleep);
    self.sleep_in_critical();
    self.exit_critical();
    add_one(data);
  });
  w.add(waker_cpu, [&](SimThread& self) {
    sleep_until(self, asleep);
    add_one(data);
    SimCpu::wake_from(self, sleeper);
    inspect(self);
  });
  w.run(m, [&] { return data.get() == 2; });
}

// Woken here, woken there: a thread moves between two sleeps, and who wakes it
// does not know where it is. The other CPU has one that comes the other way.
inline void sleepers_change_places(Engine& m, unsigned sleepers) {
  LwktWorld w(2);
  SimAtomic<bool> first(false);
  SimAtomic<bool> second(false);
  SimInt joined(0);
  std::vector<SimThread*> threads;
  threads.reserve(sleepers);  // nothing of the host's is made inside
  for (unsigned i = 0; i < sleepers; ++i) {
    threads.push_back(&w.add(i % 2, [&, i](SimThread& self) {
      sleep_until(self, first);
      self.set_cpu(w.at((i + 1) % 2));
      inspect(self);
      sleep_until(self, second);
    }));
  }
  w.add(0, [&](SimThread& self) {
    first.store(true, std::memory_order_relaxed);
    SimSleepers::wakeup(self, &first);
    second.store(true, std::memory_order_relaxed);
    SimSleepers::wakeup(self, &second);
    for (SimThread* thread : threads) {
      self.join(*thread);
      add_one(joined);
    }
  });
  w.run(m, [&] { return joined.get() == static_cast<int>(sleepers); });
}

// Two of the interrupt band, woken from afar, and the thread that they borrow
// the CPU from: the higher one is never stopped by the lower. The lower one
// moves away from on top of another's stack, or ends there.
inline void interrupt_threads_preempt_each_other(Engine& m, bool moves) {
  LwktWorld w(2);
  SimAtomic<bool> bell(false);
  SimInt order(0);
  bool high_runs = false;
  w.add(0,
        [&, moves](SimThread& self) {
          sleep_until(self, bell);
          if (high_runs) Engine::current().fail("the lower one came between");
          add_one(order);
          if (moves) self.set_cpu(w.at(1));
          inspect(self);
        },
        {.priority = kInterruptLow, .lifetime = Lifetime::kDetached});
  w.add(0,
        [&](SimThread& self) {
          sleep_until(self, bell);
          high_runs = true;
          add_one(order);
          inspect(self);
          (void)bell.load(std::memory_order_relaxed);
          high_runs = false;
        },
        {.priority = kInterruptHigh, .lifetime = Lifetime::kDetached});
  w.add(0, [&](SimThread& self) {
    for (int i = 0; i < 2; ++i) {
      (void)bell.load(std::memory_order_relaxed);
      self.yield();
    }
    inspect(self);
  });
  w.add(1, [&](SimThread& self) {
    bell.store(true, std::memory_order_relaxed);
    SimSleepers::wakeup(self, &bell);
  });
  w.run(m, [&] { return order.get() == 2; });
}

// A CPU that a search for a sleeper finds none on sends it on. The first one
// is searched because somebody was about to sleep there.
inline void a_search_goes_on(Engine& m) {
  LwktWorld w(3);
  SimAtomic<bool> left(false);
  SimAtomic<bool> asleep(false);
  SimAtomic<bool> bell(false);
  w.add(1, [&](SimThread& self) {
    SimSleepers::interlock(self, &bell);
    SimSleepers::cancel(self);
    left.store(true, std::memory_order_relaxed);
    SimSleepers::wakeup(self, &left);
  });
  w.add(2, [&](SimThread& self) {
    sleep_until(self, left);
    SimSleepers::interlock(self, &bell);
    self.enter_critical();
    asleep.store(true, std::memory_order_relaxed);
    SimSleepers::wakeup(self, &asleep);
    self.exit_critical();
    SimSleepers::sleep(self, &bell);
  });
  w.add(0, [&](SimThread& self) {
    sleep_until(self, asleep);
    SimSleepers::wakeup_one(self, &bell);
  });
  w.run(m, [] { return true; });
}

// Woken after the interlock, while it waits in the run queue: it is in one
// queue once, and its sleep returns at once.
inline void woken_while_queued(Engine& m) {
  LwktWorld w(2);
  SimAtomic<bool> ready(false);
  int turns = 0;
  w.add(0, [&](SimThread& self) {
    SimSleepers::interlock(self, &ready);
    if (!ready.load(std::memory_order_relaxed)) {
      self.yield();
      inspect(self);
      SimSleepers::sleep(self, &ready);
    }
    SimSleepers::cancel(self);
    inspect(self);
    ++turns;
  });
  w.add(0, [&](SimThread& self) {
    inspect(self);
    (void)ready.load(std::memory_order_relaxed);
    inspect(self);
    ++turns;
  });
  w.add(1, [&](SimThread& self) {
    ready.store(true, std::memory_order_relaxed);
    SimSleepers::wakeup(self, &ready);
  });
  w.run(m, [&] { return turns == 2; });
}

// An interrupt thread runs at once: who waits for it without giving its CPU
// away is not waited for.
inline void an_interrupt_thread_runs_at_once(Engine& m) {
  LwktWorld w(2);
  SimAtomic<bool> bell(false);
  SimAtomic<bool> ran(false);
  w.add(0,
        [&](SimThread& self) {
          sleep_until(self, bell);
          ran.store(true, std::memory_order_relaxed);
        },
        {.priority = kInterruptSupport});
  w.add(0, [&](SimThread& self) {
    // Not self.cpu(): what comes between the look and the rest, here on this
    // CPU, the engine would not count as somebody's progress.
    LwktSimGround ground = w.ground();
    while (!ran.load(std::memory_order_relaxed)) ground.relax();
    inspect(self);
  });
  w.add(1, [&](SimThread& self) {
    bell.store(true, std::memory_order_relaxed);
    SimSleepers::wakeup(self, &bell);
  });
  w.run(m, [] { return true; });
}

// Two of one priority in the interrupt band: neither comes between the other's
// start and end, but both come before the thread that they interrupt goes on.
inline void equals_do_not_preempt(Engine& m) {
  LwktWorld w(2);
  SimAtomic<bool> bells[2];
  bool inside = false;
  int ran = 0;
  for (SimAtomic<bool>& bell : bells) {
    w.add(0,
          [&](SimThread& self) {
            sleep_until(self, bell);
            if (inside) Engine::current().fail("an equal came between");
            inside = true;
            inspect(self);
            (void)bell.load(std::memory_order_relaxed);
            inspect(self);
            inside = false;
            ++ran;
          },
          {.priority = kInterruptLow});
  }
  w.add(0, [&](SimThread& self) {
    for (int i = 0; i < 3; ++i) {
      (void)bells[0].load(std::memory_order_relaxed);
      inspect(self);
    }
  });
  w.add(1, [&](SimThread& self) {
    for (SimAtomic<bool>& bell : bells) {
      bell.store(true, std::memory_order_relaxed);
      SimSleepers::wakeup(self, &bell);
    }
  });
  w.run(m, [&] { return ran == 2; });
}

// Calls that come while others are made in the look at a section's end: nobody
// looks again later.
inline void a_call_comes_while_others_are_made(Engine& m) {
  LwktWorld w(2);
  SimAtomic<std::uint32_t> calls(0);
  w.add(0, [&](SimThread&) {
    LwktSimGround ground = w.ground();
    while (calls.load(std::memory_order_relaxed) != 2) ground.relax();
  });
  w.add(1, [&](SimThread& self) {
    for (int i = 0; i < 2; ++i) {
      self.cpu().call_on(
          self, w.at(0),
          {[](void* argument, void*) {
             (void)static_cast<SimAtomic<std::uint32_t>*>(argument)->fetch_add(
                 1, std::memory_order_relaxed);
           },
           &calls});
    }
  });
  w.run(m, [] { return true; });
}

// The same for a timer: its interrupt may come in the section in which a call
// is made, and finds nobody who looks later than the end of that.
inline void a_timer_comes_while_a_call_is_made(Engine& m) {
  LwktWorld w(2);
  SimAtomic<bool> fired(false);
  SimAtomic<std::uint32_t> calls(0);
  w.add(0, [&](SimThread& self) {
    LwktSimGround ground = w.ground();
    Callout<LwktSimGround> callout(
        [](void* argument) {
          static_cast<SimAtomic<bool>*>(argument)->store(
              true, std::memory_order_relaxed);
        },
        &fired);
    callout.arm(self, ground.now_ns());
    while (!fired.load(std::memory_order_relaxed)) ground.relax();
  });
  w.add(1, [&](SimThread& self) {
    self.cpu().call_on(
        self, w.at(0),
        {[](void* argument, void*) {
           (void)static_cast<SimAtomic<std::uint32_t>*>(argument)->fetch_add(
               1, std::memory_order_relaxed);
         },
         &calls});
  });
  w.run(m, [&] { return calls.load(std::memory_order_relaxed) == 1; });
}

// Four priorities below the interrupt band, made in the wrong order by threads
// that yield and sleep: the choice is looked at in each switch (ground.h).
inline void the_highest_runs(Engine& m) {
  LwktWorld w(1);
  SimInt order(0);
  constexpr Priority kSome[] = {kUserNormal, kKernelNormal, kSoftNormal,
                                kSoftTimer};
  w.add(0, [&](SimThread& self) { self.yield(); });
  w.add(0, [&](SimThread& self) {
    for (const Priority priority : kSome) {
      w.start(self.cpu(),
              [&, priority](SimThread& child) {
                add_one(order);
                child.yield();
                (void)SimSleepers::sleep(child, &order, 0);
                child.set_priority(kSoftTimer + kUserNormal - priority);
                child.yield();
              },
              {.priority = priority, .lifetime = Lifetime::kDetached});
    }
    self.yield();  // to three of them, and not to our equal first
    if (order.get() != 3) Engine::current().fail("a higher one did not run");
    inspect(self);
  });
  w.run(m, [&] { return order.get() == 4; });
}

// Told to stop while threads live: each CPU goes on until it has none.
inline void stop_waits_for_threads(Engine& m) {
  LwktWorld w(2);
  SimInt here(0);
  SimInt there(0);
  w.add(0, [&](SimThread& self) {
    w.system().stop();
    SimThread& child = w.start(self.cpu(), [&](SimThread& young) {
      young.yield();
      add_one(here);
    });
    self.yield();
    self.join(child);
    add_one(here);
  });
  w.add(1, [&](SimThread& self) {
    const std::uint64_t soon_ns = self.cpu().ground().now_ns() + 1;
    (void)SimSleepers::sleep(self, &there, soon_ns);
    add_one(there);
  });
  w.run(m, [&] { return here.get() == 2 && there.get() == 1; });
}

// The clock's beat ends a quantum: the neighbour has its turn, and has none
// before.
inline void a_tick_ends_the_quantum(Engine& m) {
  LwktWorld w(2);
  SimAtomic<bool> ticked(false);
  bool neighbour_ran = false;
  w.add(0, [&](SimThread& self) {
    LwktSimGround ground = w.ground();
    while (!ticked.load(std::memory_order_relaxed)) ground.relax();
    if (neighbour_ran) Engine::current().fail("a quantum ended by itself");
    self.yield_if_due();
    if (!neighbour_ran) Engine::current().fail("a quantum did not end");
    inspect(self);
  });
  w.add(0, [&](SimThread& self) {
    neighbour_ran = true;
    inspect(self);
  });
  w.add(1, [&](SimThread& self) {
    w.cpu(0).attention().raise(self.cpu().ground(), w.at(0),
                               Attention<LwktSimGround>::kTick);
    // Whoever makes this call has taken the tick before or with it.
    CpuSync<LwktSimGround>::synchronize(self, w.everybody());
    ticked.store(true, std::memory_order_relaxed);
  });
  w.run(m, [] { return true; });
}

}  // namespace odo::lwkt
