// SPDX-License-Identifier: BSD-3-Clause
// Programs about the lives of threads: start, end, join, moving, preemption,
// critical sections, tokens. Each states what must hold; a thread that is
// forgotten ends in a deadlock, which the simulator reports.
//
// Contexts: inside an exploration.
#pragma once

#include <string>

#include "lib/lwkt/callout.h"
#include "lib/lwkt/cpu_sync.h"
#include "lib/lwkt/inspector.h"
#include "lib/lwkt/sim/ground.h"

namespace odo::lwkt {

using sim::SimAtomic;

inline constexpr tokens::TokenClass kSimToken{"token"};

// Everything of this CPU's is where it should be.
inline void inspect(SimThread& self) {
  self.enter_critical();
  if (const char* wrong = Inspector<LwktSimGround>::check(self.cpu())) {
    Engine::current().fail(wrong);
  }
  self.exit_critical();
}

inline void add_one(SimInt& data) { data.set(data.get() + 1); }

// What a thread did is there for who joins it, wherever both are, and whether
// it ends before or after it is joined.
inline void join_and_exit(Engine& m, unsigned joiner_cpu) {
  LwktWorld w(2);
  SimInt data(0);
  SimThread& target = w.add(1, [&](SimThread& self) {
    inspect(self);
    add_one(data);
  });
  w.add(joiner_cpu, [&](SimThread& self) {
    self.join(target);
    inspect(self);
    add_one(data);
  });
  w.run(m, [&] { return data.get() == 2; });
}

// The one to be joined moves meanwhile, to the joiner's CPU.
inline void join_one_that_moves(Engine& m) {
  LwktWorld w(2);
  SimInt data(0);
  SimThread& target = w.add(1, [&](SimThread& self) {
    self.set_cpu(w.at(0));
    inspect(self);
    add_one(data);
  });
  w.add(0, [&](SimThread& self) {
    self.join(target);
    add_one(data);
  });
  w.run(m, [&] { return data.get() == 2; });
}

// A CPU that finds itself to be a thread's home, though the thread is still on
// its way, may touch what is the thread's.
inline void a_home_is_found_before_its_thread(Engine& m) {
  LwktWorld w(2);
  SimInt data(0);
  SimThread& moves = w.add(1, [&](SimThread& self) {
    add_one(data);
    self.set_cpu(w.at(0));
    add_one(data);
  });
  w.add(0, [&](SimThread& self) {
    self.enter_critical();
    if (&moves.home() == &self.cpu()) add_one(data);
    self.exit_critical();
  });
  w.run(m, [&] { return data.get() >= 2; });
}

// Two threads change places, and meet there.
inline void threads_change_places(Engine& m) {
  LwktWorld w(2);
  SimInt first(0);
  SimInt second(0);
  w.add(0, [&](SimThread& self) {
    add_one(first);
    self.set_cpu(w.at(1));
    inspect(self);
    add_one(first);
  });
  w.add(1, [&](SimThread& self) {
    add_one(second);
    self.set_cpu(w.at(0));
    inspect(self);
    add_one(second);
  });
  w.run(m, [&] { return first.get() == 2 && second.get() == 2; });
}

// Stacks of ended threads serve new ones, while calls come in.
inline void stacks_are_handed_on(Engine& m) {
  LwktWorld w(2);
  SimInt data(0);
  SimAtomic<std::uint32_t> calls(0);
  w.add(0, [&](SimThread& self) {
    for (int i = 0; i < 2; ++i) {
      w.start(self.cpu(),
              [&](SimThread& child) {
                add_one(data);
                child.yield();
              },
              {.lifetime = Lifetime::kDetached});
      self.yield();
    }
    self.yield();
    inspect(self);
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
  w.run(m, [&] { return data.get() == 2; });
}

// No memory for a stack is an answer, and nothing else happens.
inline void no_memory_for_a_stack(Engine& m) {
  LwktWorld w(1);
  SimInt ran(0);
  int made = 0;
  w.add(0, [&](SimThread& self) {
    w.machine().stacks_may_fail = true;
    for (int i = 0; i < 2; ++i) {
      SimThread* thread =
          w.try_make(self.cpu(), [&](SimThread&) { add_one(ran); });
      if (thread == nullptr) continue;
      ++made;
      self.cpu().start(*thread);
      self.join(*thread);
    }
    inspect(self);
  });
  w.run(m, [&] { return ran.get() == made; });
}

// A call finds what its sender wrote, and is made outside critical sections.
inline void a_call_waits_for_the_critical_section(Engine& m) {
  LwktWorld w(2);
  struct Shared {
    SimInt sent{0};
    SimInt half{0};
    bool torn = false;
  } shared;
  SimAtomic<bool> done(false);
  w.add(0, [&](SimThread& self) {
    self.enter_critical();
    shared.half.set(1);
    (void)done.load(std::memory_order_relaxed);  // a place to be interrupted at
    shared.half.set(2);
    self.exit_critical();
    (void)done.load(std::memory_order_relaxed);
  });
  w.add(1, [&](SimThread& self) {
    shared.sent.set(7);
    self.cpu().call_on(self, w.at(0),
                       {[](void* argument, void*) {
                          auto& the = *static_cast<Shared*>(argument);
                          the.torn = the.half.get() == 1 || the.sent.get() != 7;
                        },
                        &shared});
  });
  w.run(m, [&] { return !shared.torn; });
}

// An interrupt thread is woken from another CPU while the one it interrupts has
// the token that it wants: it has to give the CPU back first.
inline void an_interrupt_thread_wants_a_held_token(Engine& m) {
  LwktWorld w(2);
  tokens::Token<LwktSimGround> token(kSimToken);
  SimInt data(0);
  SimAtomic<bool> ready(false);
  w.add(0,
        [&](SimThread& self) {
          while (true) {
            SimSleepers::interlock(self, &ready);
            if (ready.load(std::memory_order_relaxed)) break;
            SimSleepers::sleep(self, &ready);
          }
          SimSleepers::cancel(self);
          self.tokens().acquire(token);
          inspect(self);
          add_one(data);
          self.tokens().release(token);
        },
        {.priority = kInterruptLow});
  w.add(0, [&](SimThread& self) {
    self.tokens().acquire(token);
    const int before = data.get();
    (void)ready.load(std::memory_order_relaxed);
    data.set(before + 1);
    self.tokens().release(token);
    inspect(self);
  });
  w.add(1, [&](SimThread& self) {
    ready.store(true, std::memory_order_relaxed);
    SimSleepers::wakeup(self, &ready);
  });
  w.run(m, [&] { return data.get() == 2; });
}

// Three threads on two CPUs under one token, two of them neighbours.
inline void a_token_is_wanted_here_and_there(Engine& m, unsigned rounds) {
  LwktWorld w(2);
  tokens::Token<LwktSimGround> token(kSimToken);
  SimInt data(0);
  for (unsigned i = 0; i < 3; ++i) {
    w.add(i % 2, [&, rounds](SimThread& self) {
      for (unsigned round = 0; round < rounds; ++round) {
        self.tokens().acquire(token);
        add_one(data);
        self.yield();  // it lapses, if there is a neighbour
        add_one(data);
        self.tokens().release(token);
      }
      inspect(self);
    });
  }
  w.run(m, [&] { return data.get() == static_cast<int>(6 * rounds); });
}

// Cancelled from another CPU while it may fire: it ran, or it does not.
inline void a_callout_is_cancelled_from_afar(Engine& m) {
  LwktWorld w(2);
  SimInt fired(0);
  bool right = true;
  w.add(0, [&](SimThread& self) {
    Callout<LwktSimGround> callout(
        [](void* argument) { add_one(*static_cast<SimInt*>(argument)); },
        &fired);
    callout.arm(self, 0);
    self.set_cpu(w.at(1));
    const bool pending = callout.cancel(self);
    right = fired.get() == (pending ? 0 : 1);
  });
  w.run(m, [&] { return right; });
}

// Two rendezvous at once: one after the other, each alone, and what the CPUs
// did before is there.
inline void two_rendezvous(Engine& m) {
  LwktWorld w(2);
  SimInt data(0);
  for (unsigned i = 0; i < 2; ++i) {
    w.add(i, [&](SimThread& self) {
      CpuSync<LwktSimGround>::stand_still(self, w.everybody(),
                                          [&] { add_one(data); });
      inspect(self);
    });
  }
  w.run(m, [&] { return data.get() == 2; });
}

// The same where they have nobody in common: the turn alone orders them.
inline void two_lonely_rendezvous(Engine& m) {
  LwktWorld w(2);
  SimInt data(0);
  for (unsigned i = 0; i < 2; ++i) {
    w.add(i, [&](SimThread& self) {
      CpuSync<LwktSimGround>::stand_still(self, CpuMask(),
                                          [&] { add_one(data); });
    });
  }
  w.run(m, [&] { return data.get() == 2; });
}

// What a CPU does in critical sections is never seen half-done, before or
// after.
inline void a_rendezvous_with_one_at_work(Engine& m) {
  LwktWorld w(2);
  SimInt first(0);
  SimInt second(0);
  SimAtomic<std::uint32_t> step(0);
  bool same = true;
  w.add(0, [&](SimThread& self) {
    for (std::uint32_t i = 1; i <= 2; ++i) {
      self.enter_critical();
      add_one(first);
      step.store(i, std::memory_order_relaxed);
      add_one(second);
      self.exit_critical();
    }
  });
  w.add(1, [&](SimThread& self) {
    CpuSync<LwktSimGround>::stand_still(self, w.everybody(), [&] {
      same = first.get() == second.get();
      first.set(first.get());
      second.set(second.get());
    });
  });
  w.run(m, [&] { return same; });
}

// Everybody has been outside critical sections.
inline void synchronize_sees_what_was_done(Engine& m) {
  LwktWorld w(2);
  SimInt data(0);
  SimAtomic<bool> entered(false);
  w.add(0, [&](SimThread& self) {
    self.enter_critical();
    entered.store(true, std::memory_order_relaxed);
    data.set(1);
    self.exit_critical();
  });
  w.add(1, [&](SimThread& self) {
    if (!entered.load(std::memory_order_relaxed)) return;
    CpuSync<LwktSimGround>::synchronize(self, w.everybody());
    if (data.get() != 1) Engine::current().fail("half-done work was seen");
  });
  w.run(m, [] { return true; });
}

}  // namespace odo::lwkt
