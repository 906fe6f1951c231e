// SPDX-License-Identifier: BSD-3-Clause
// The programs that prove cross-CPU queues in the simulator, as a list, so that
// the ordinary test and the mutation test run the same ones.
//
// Each program states what must hold by plain data that only the right order
// makes safe to touch (the simulator reports a race, in the slots of a queue
// too), by checks inside, and by its end: a lost interrupt is a call that was
// not made, a lost entry somebody who waits for ever, which the simulator
// reports.
//
// Contexts: one host thread.
// Ownership: an IpiWorld belongs to one execution.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lib/lwkt/cpu_mask.h"
#include "lib/lwkt/ipi_fabric.h"
#include "lib/lwkt/ipi_queue.h"
#include "lib/lwkt/sim/large_machine.h"
#include "lib/platform/sim/explore.h"
#include "lib/platform/sim/programs.h"
#include "lib/platform/sim/sim_platform.h"

namespace odo::lwkt {

using sim::Engine;
using IpiInt = sim::Plain<int>;

// --- the ground

// What happens on a CPU that an IPI has reached.
using IpiHandler = std::function<void(unsigned cpu)>;

class IpiSimGround : public sim::SimPlatform {
 public:
  template <class T>
  using Plain = sim::Plain<T>;

  // Nothing depends on a statistic, so to count is no step of the machine.
  class Counter {
   public:
    void add_one() { ++count_; }
    [[nodiscard]] std::uint32_t read() const { return count_; }

   private:
    std::uint32_t count_ = 0;
  };

  explicit IpiSimGround(const IpiHandler& handler) : handler_(&handler) {}

  void raise_ipi(unsigned cpu) {
    Engine::current().send_ipi(cpu,
                               [handler = handler_, cpu] { (*handler)(cpu); });
  }

 private:
  const IpiHandler* handler_;
};

// Keeps interrupts away from this CPU.
class IpiCritical {
 public:
  IpiCritical() { Engine::current().disable_interrupts(); }
  IpiCritical(const IpiCritical&) = delete;
  IpiCritical& operator=(const IpiCritical&) = delete;
  ~IpiCritical() { Engine::current().enable_interrupts(); }
};

// A call of `body`, which the program keeps.
[[nodiscard]] inline IpiCall ipi_call(std::function<void()>& body) {
  return {[](void* argument, void* /*receiver*/) {
            (*static_cast<std::function<void()>*>(argument))();
          },
          &body};
}

// A machine of a few CPUs, whose interrupt handlers drain.
template <std::size_t Entries>
class IpiWorld {
 public:
  using Fabric = IpiFabric<IpiSimGround, Entries>;

  // Of those at least (large_machine.h).
  explicit IpiWorld(unsigned wanted)
      : cpus_(OnLargeMachine::cpus(wanted)),
        storage_(static_cast<std::byte*>(std::aligned_alloc(
            Fabric::storage_alignment(), Fabric::storage_bytes(cpus_)))),
        fabric({storage_.get(), Fabric::storage_bytes(cpus_)}, cpus_,
               ground()) {}

  [[nodiscard]] IpiSimGround ground() const { return IpiSimGround(handler_); }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  IpiHandler handler_ = [this](unsigned cpu) {
    const IpiCritical critical;
    (void)fabric.drain(cpu);
  };
  unsigned cpus_;
  std::unique_ptr<std::byte, Free> storage_;

 public:
  Fabric fabric;
};

inline void ipi_add_one(IpiInt& data) { data.set(data.get() + 1); }

// `check` at the end, if the execution came to it.
template <class Check>
void ipi_finish(Engine& m, Check&& check) {
  if (m.run() == Engine::Outcome::kFinished && !check()) {
    m.fail("not every call was made");
  }
}

// --- one queue

// What the producer wrote before a push, the consumer reads after the pop, in
// the order of the pushes; with a small ring the slots are used again.
template <std::size_t Entries>
void queue_keeps_order(Engine& m, int calls) {
  IpiQueue<IpiSimGround, Entries> queue;
  std::vector<IpiInt> data(static_cast<std::size_t>(calls));
  m.spawn(0, "producer", [&] {
    for (IpiInt& datum : data) {
      datum.set(1);
      while (!queue.try_push({nullptr, &datum})) Engine::current().relax();
    }
  });
  m.spawn(1, "consumer", [&] {
    for (IpiInt& datum : data) {
      std::optional<IpiCall> call;
      while (!(call = queue.pop()).has_value()) Engine::current().relax();
      if (call->argument != &datum) Engine::current().fail("out of order");
      datum.set(datum.get() + 1);
      queue.finish();
    }
  });
  ipi_finish(m, [&] { return data.back().get() == 2; });
}

// What a call wrote, the producer reads once it sees it done.
inline void done_means_visible(Engine& m) {
  IpiQueue<IpiSimGround, 2> queue;
  IpiInt data(0);
  m.spawn(0, "producer", [&] {
    std::optional<IpiSequence> last;
    for (int i = 0; i < 2; ++i) last = queue.try_push({nullptr, &data});
    while (!queue.is_done(*last)) Engine::current().relax();
    if (data.get() != 2) Engine::current().fail("done too early");
  });
  m.spawn(1, "consumer", [&] {
    std::size_t made = 0;
    while (made < 2) {
      const std::size_t now = queue.drain(2, [](const IpiCall& c) {
        ipi_add_one(*static_cast<IpiInt*>(c.argument));
      });
      if (now == 0) Engine::current().relax();
      made += now;
    }
  });
  m.run();
}

// The first call drains the queue around itself. The second is then made first,
// and is done only when the first is.
inline void nested_drain(Engine& m) {
  IpiQueue<IpiSimGround, 2> queue;
  IpiInt inner(0);
  IpiInt outer(0);
  std::vector<int> order;
  std::function<void()> second = [&] {
    order.push_back(2);
    inner.set(1);
  };
  const auto make = [](const IpiCall& call) {
    call.function(call.argument, nullptr);
  };
  std::function<void()> first = [&] {
    while (queue.drain(2, make) == 0) Engine::current().relax();
    order.push_back(1);
    outer.set(1);
  };
  m.spawn(0, "producer", [&] {
    std::optional<IpiSequence> a = queue.try_push(ipi_call(first));
    std::optional<IpiSequence> b = queue.try_push(ipi_call(second));
    if (Engine::current().choose(2) == 0) {
      while (!queue.is_done(*a)) Engine::current().relax();
    } else {
      while (!queue.is_done(*b)) Engine::current().relax();
    }
    // Whichever was waited for.
    if (outer.get() != 1 || inner.get() != 1) {
      Engine::current().fail("done too early");
    }
  });
  m.spawn(1, "consumer", [&] {
    while (queue.drain(1, make) == 0) Engine::current().relax();
  });
  ipi_finish(m, [&] { return order == std::vector<int>{2, 1}; });
}

// --- a machine

// Two CPUs send each other more than there is room for, with interrupts off.
template <std::size_t Entries>
void both_full(Engine& m, int calls) {
  IpiWorld<Entries> w(2);
  IpiInt made[2];
  std::function<void()> body[2];
  for (unsigned cpu = 0; cpu < 2; ++cpu) {
    body[cpu] = [&made, cpu] { ipi_add_one(made[cpu]); };
    m.spawn(cpu, "sender", [&w, &body, cpu, calls] {
      const IpiCritical critical;
      for (int i = 0; i < calls; ++i) {
        w.fabric.send(cpu, 1 - cpu, ipi_call(body[1 - cpu]));
      }
    });
  }
  ipi_finish(m,
             [&] { return made[0].get() == calls && made[1].get() == calls; });
}

// Two CPUs send to a third that has nothing else to do. A sender that thinks
// that no interrupt is needed is right.
inline void no_lost_interrupt(Engine& m, int calls) {
  IpiWorld<4> w(3);
  IpiInt made(0);
  std::function<void()> body = [&] { ipi_add_one(made); };
  for (const unsigned cpu : {0u, 2u}) {
    m.spawn(cpu, "sender", [&w, &body, cpu, calls] {
      const IpiCritical critical;
      for (int i = 0; i < calls; ++i) w.fabric.send(cpu, 1, ipi_call(body));
    });
  }
  ipi_finish(m, [&] { return made.get() == 2 * calls; });
}

// A sender that posts and raises the interrupts itself, and one that relies on
// them.
inline void posted_to_both(Engine& m) {
  IpiWorld<4> w(3);
  IpiInt made[3];
  std::function<void()> body[3];
  for (unsigned cpu = 1; cpu < 3; ++cpu) {
    body[cpu] = [&made, cpu] { ipi_add_one(made[cpu]); };
  }
  m.spawn(0, "poster", [&] {
    const IpiCritical critical;
    for (unsigned cpu = 1; cpu < 3; ++cpu) {
      const IpiPosted posted = w.fabric.post(0, cpu, ipi_call(body[cpu]));
      if (posted.need == IpiNeed::kRaise) w.ground().raise_ipi(cpu);
    }
  });
  m.spawn(1, "sender", [&] {
    const IpiCritical critical;
    w.fabric.send(1, 2, ipi_call(body[2]));
  });
  ipi_finish(m, [&] { return made[1].get() == 1 && made[2].get() == 2; });
}

// Nobody interrupts for passive calls; who looks for them finds them all.
inline void passive_calls_are_found(Engine& m) {
  IpiWorld<4> w(2);
  IpiInt made(0);
  std::function<void()> body = [&] { ipi_add_one(made); };
  m.spawn(0, "sender", [&] {
    const IpiCritical critical;
    for (int i = 0; i < 2; ++i) w.fabric.send_passive(0, 1, ipi_call(body));
  });
  m.spawn(1, "poller", [&] {
    const IpiCritical critical;
    std::size_t found = 0;
    while (found < 2) {
      const std::size_t now = w.fabric.drain(1);
      if (now == 0) Engine::current().relax();
      found += now;
    }
  });
  ipi_finish(m, [&] { return made.get() == 2; });
}

// The first call takes the flag's news with it; the wait for the passive one
// after it has to interrupt anew.
inline void wait_for_a_passive_call(Engine& m) {
  IpiWorld<4> w(2);
  IpiInt made(0);
  std::function<void()> body = [&] { ipi_add_one(made); };
  m.spawn(0, "sender", [&] {
    const IpiCritical critical;
    w.fabric.send(0, 1, ipi_call(body));
    const IpiSequence last = w.fabric.send_passive(0, 1, ipi_call(body));
    w.fabric.wait(0, 1, last);
    if (made.get() != 2) Engine::current().fail("done too early");
  });
  m.run();
}

// A queue full of passive calls, whose target nobody has interrupted.
inline void full_of_passive_calls(Engine& m) {
  IpiWorld<1> w(2);
  IpiInt made(0);
  std::function<void()> body = [&] { ipi_add_one(made); };
  m.spawn(0, "sender", [&] {
    const IpiCritical critical;
    for (int i = 0; i < 2; ++i) w.fabric.send_passive(0, 1, ipi_call(body));
    w.fabric.wait(0, CpuMask::of(0) | CpuMask::of(1));
    if (made.get() != 2) Engine::current().fail("done too early");
  });
  m.run();
}

// Two CPUs wait for each other's calls, with interrupts off.
inline void waiting_for_each_other(Engine& m) {
  IpiWorld<2> w(2);
  IpiInt made[2];
  std::function<void()> body[2];
  for (unsigned cpu = 0; cpu < 2; ++cpu) {
    body[cpu] = [&made, cpu] { ipi_add_one(made[cpu]); };
    m.spawn(cpu, "waiter", [&w, &body, &made, cpu] {
      const unsigned other = 1 - cpu;
      const IpiCritical critical;
      w.fabric.wait(cpu, other,
                    w.fabric.send(cpu, other, ipi_call(body[other])));
      if (made[other].get() != 1) Engine::current().fail("done too early");
    });
  }
  m.run();
}

// Each call sends on to the next CPU, until it has gone round; all queues hold
// one entry, and every CPU starts `rounds` of them.
inline void a_ring_of_three(Engine& m, int rounds) {
  constexpr unsigned kCpus = 3;
  IpiWorld<1> w(kCpus);
  IpiInt made[kCpus];
  std::function<void()> on[kCpus];
  std::function<void()> last[kCpus];
  for (unsigned cpu = 0; cpu < kCpus; ++cpu) {
    last[cpu] = [&made, cpu] { ipi_add_one(made[cpu]); };
    on[cpu] = [&w, &made, &last, cpu] {
      ipi_add_one(made[cpu]);
      const unsigned next = (cpu + 1) % kCpus;
      w.fabric.send(cpu, next, ipi_call(last[next]));
    };
    m.spawn(cpu, "sender", [&w, &on, cpu, rounds] {
      const IpiCritical critical;
      const unsigned next = (cpu + 1) % kCpus;
      for (int i = 0; i < rounds; ++i) {
        w.fabric.send(cpu, next, ipi_call(on[next]));
      }
    });
  }
  ipi_finish(m, [&] {
    int sum = 0;
    for (const IpiInt& n : made) sum += n.get();
    return sum == static_cast<int>(kCpus) * rounds * 2;
  });
}

// CPU 1 has taken from its pending set that 0 and 2 have something, and makes
// 0's call, which waits for a call to 2, which waits for room towards 1: the
// nested drain has to find 2's queue though its bit is gone.
inline void a_drain_inside_a_drain(Engine& m) {
  IpiWorld<1> w(3);
  IpiInt made[3];
  std::function<void()> leaf = [&] { ipi_add_one(made[1]); };
  std::function<void()> back = [&] {
    ipi_add_one(made[2]);
    w.fabric.send(2, 1, ipi_call(leaf));
  };
  std::function<void()> there = [&] {
    w.fabric.wait(1, 2, w.fabric.send(1, 2, ipi_call(back)));
    if (made[2].get() != 1) Engine::current().fail("done too early");
    ipi_add_one(made[1]);
  };
  // Both are pending when CPU 1 first looks.
  w.fabric.send_passive(0, 1, ipi_call(there));
  w.fabric.send_passive(2, 1, ipi_call(leaf));
  m.spawn(1, "drainer", [&] {
    const IpiCritical critical;
    (void)w.fabric.drain(1);
  });
  ipi_finish(m, [&] { return made[1].get() == 3 && made[2].get() == 1; });
}

// The first call drains until the second, from the same queue, was made: the
// nested drain has to find the rest of the queue though its bit is gone.
inline void the_rest_of_a_queue(Engine& m) {
  IpiWorld<2> w(2);
  IpiInt made(0);
  std::function<void()> second = [&] { ipi_add_one(made); };
  std::function<void()> first = [&] {
    while (made.get() == 0) {
      if (w.fabric.drain(1) == 0) Engine::current().relax();
    }
    ipi_add_one(made);
  };
  m.spawn(0, "sender", [&] {
    const IpiCritical critical;
    w.fabric.send(0, 1, ipi_call(first));
    w.fabric.wait(0, 1, w.fabric.send(0, 1, ipi_call(second)));
    if (made.get() != 2) Engine::current().fail("done too early");
  });
  m.run();
}

// To everybody, oneself too, and the wait for all of them.
inline void to_a_set(Engine& m) {
  IpiWorld<2> w(3);
  IpiInt made[3];
  std::function<void()> body = [&] {
    ipi_add_one(made[Engine::current().cpu()]);
  };
  m.spawn(0, "sender", [&] {
    const IpiCritical critical;
    w.fabric.send(0, CpuMask::below(3), ipi_call(body));
    w.fabric.wait(0, CpuMask::below(3));
    for (const IpiInt& n : made) {
      if (n.get() != 1) Engine::current().fail("done too early");
    }
  });
  m.run();
}

// Everything at once, for seeds.
template <std::size_t Entries>
void ipi_mixture(Engine& m) {
  constexpr unsigned kCpus = 3;
  IpiWorld<Entries> w(kCpus);
  IpiInt made[kCpus];
  int sent[kCpus] = {};
  std::function<void()> leaf[kCpus];
  std::function<void()> on[kCpus];
  for (unsigned cpu = 0; cpu < kCpus; ++cpu) {
    leaf[cpu] = [&made, cpu] { ipi_add_one(made[cpu]); };
    on[cpu] = [&w, &made, &leaf, &sent, cpu] {
      ipi_add_one(made[cpu]);
      const unsigned to = Engine::current().choose(kCpus);
      ++sent[cpu];
      w.fabric.send(cpu, to, ipi_call(leaf[to]));
    };
    m.spawn(cpu, "mixer", [&w, &on, &leaf, &sent, cpu] {
      Engine& engine = Engine::current();
      for (int i = 0; i < 4; ++i) {
        const IpiCritical critical;
        const unsigned to = (cpu + 1 + engine.choose(2)) % kCpus;
        const unsigned how = engine.choose(5);
        ++sent[cpu];
        if (how == 0) {
          w.fabric.send(cpu, to, ipi_call(on[to]));
        } else if (how == 1) {
          w.fabric.send(cpu, to, ipi_call(leaf[to]));
        } else if (how == 2) {
          w.fabric.send_passive(cpu, to, ipi_call(leaf[to]));
        } else if (how == 3) {
          w.fabric.wait(cpu, to, w.fabric.send(cpu, to, ipi_call(leaf[to])));
        } else {
          w.fabric.wait(cpu, to,
                        w.fabric.send_passive(cpu, to, ipi_call(on[to])));
        }
      }
      // Nothing passive is left behind.
      const IpiCritical critical;
      w.fabric.wait(cpu, CpuMask::below(kCpus));
    });
  }
  ipi_finish(m, [&] {
    int difference = 0;
    for (unsigned cpu = 0; cpu < kCpus; ++cpu) {
      difference += sent[cpu] - made[cpu].get();
    }
    return difference == 0;
  });
}

// --- the list

inline std::vector<sim::NamedProgram> ipi_sim_programs() {
  constexpr unsigned kAll = ~0U;
  return {
      {"order, 2 calls", sim::exhaustive(kAll),
       [](Engine& m) { queue_keeps_order<4>(m, 2); }},
      {"order, 3 calls, ring of 2", sim::exhaustive(2),
       [](Engine& m) { queue_keeps_order<2>(m, 3); }},
      {"order, 3 calls, ring of 1", sim::exhaustive(2),
       [](Engine& m) { queue_keeps_order<1>(m, 3); }},
      {"done means visible", sim::exhaustive(kAll), done_means_visible},
      {"nested drain", sim::exhaustive(kAll), nested_drain},
      {"both full, ring of 2", sim::exhaustive(0),
       [](Engine& m) { both_full<2>(m, 3); }},
      {"no lost interrupt", sim::exhaustive(kAll),
       [](Engine& m) { no_lost_interrupt(m, 1); }},
      {"no lost interrupt, twice", sim::exhaustive(2),
       [](Engine& m) { no_lost_interrupt(m, 2); }},
      {"posted to both", sim::exhaustive(1), posted_to_both},
      {"passive calls are found", sim::exhaustive(2), passive_calls_are_found},
      {"wait for a passive call", sim::exhaustive(2), wait_for_a_passive_call},
      {"full of passive calls", sim::exhaustive(2), full_of_passive_calls},
      {"waiting for each other", sim::exhaustive(1), waiting_for_each_other},
      {"a drain inside a drain", sim::exhaustive(2), a_drain_inside_a_drain},
      {"the rest of a queue", sim::exhaustive(2), the_rest_of_a_queue},
      {"to a set", sim::exhaustive(1), to_a_set},
      {"both full, ring of 2, PCT", sim::seeds(sim::Mode::kPct, 5000),
       [](Engine& m) { both_full<2>(m, 4); }},
      {"a ring of three, PCT", sim::seeds(sim::Mode::kPct, 5000),
       [](Engine& m) { a_ring_of_three(m, 2); }},
      {"a ring of three, random", sim::seeds(sim::Mode::kRandom, 5000),
       [](Engine& m) { a_ring_of_three(m, 2); }},
      {"mixture, ring of 1, random", sim::seeds(sim::Mode::kRandom, 5000),
       ipi_mixture<1>},
      {"mixture, ring of 2, PCT", sim::seeds(sim::Mode::kPct, 5000),
       ipi_mixture<2>},
      // The longest one comes last: a weakened order is mostly caught before.
      {"both full, ring of 1", sim::exhaustive(1),
       [](Engine& m) { both_full<1>(m, 2); }},
  };
}

// Every program; the report of the first that fails, or the last.
inline sim::Report run_ipi_sim_programs(sim::Mutator* mutator) {
  return sim::explore_all(ipi_sim_programs(), mutator);
}

}  // namespace odo::lwkt
