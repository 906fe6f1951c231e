// SPDX-License-Identifier: BSD-3-Clause
// Programs for a machine of any number of CPUs, all of which ask each other for
// something: by messages, by calls, by a rendezvous.
//
// Contexts: inside an exploration.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "lib/lwkt/sim/machine_wake_programs.h"

namespace odo::lwkt {

// Each thread has a port of its own and asks the one far away; a question goes
// on through a few of them, and the last answers. Some move meanwhile, some ask
// for their questions back, and so they may be answered earlier. When all have
// their answers, the last to have one tells everybody to end.
class RingOfAllCpus {
 public:
  explicit RingOfAllCpus(unsigned cpus)
      : cpus_(cpus),
        world_(cpus),
        ports_(cpus),
        questions_(cpus),
        ends_(cpus),
        answers_(cpus) {}

  void run(Engine& m) {
    for (unsigned i = 0; i < cpus_; ++i) {
      SimThread& thread =
          world_.add(i, [this, i](SimThread& self) { take_part(self, i); });
      auto& port = ports_[i].make(thread, "ring");
      questions_[i].make(port, i % 5 == 0 ? Urgency::kHigh : Urgency::kNormal);
      ends_[i].make(nobody_);
    }
    world_.run(m, [this] {
      for (const unsigned answers : answers_) {
        if (answers != 1) return false;
      }
      return asked_in_full_ != 0;
    });
  }

 private:
  using P = Port<LwktSimGround>;
  static constexpr int kHops = 5;

  void take_part(SimThread& self, unsigned me) {
    SimQuestion& mine = *questions_[me];
    P& next = *ports_[far_from(me, cpus_)];
    mine.value.set(0);
    P::send(self, next, mine);
    if (me % 8 == 0) P::abort(self, mine);
    if (me % 16 == 3) self.set_cpu((me + cpus_ / 2) % cpus_);
    while (true) {
      auto& message = static_cast<SimQuestion&>(ports_[me]->wait(self));
      if (&message == &*ends_[me]) {
        P::reply(self, message, 0);
        break;
      }
      if (&message == &mine && mine.state() == MessageState::kIdle) {
        answered(self, me);
      } else {
        answer(self, message, next);
      }
      if (me % 16 == 5) self.set_cpu(far_from(self.cpu().index(), cpus_));
    }
    inspect(self);
  }
  void answer(SimThread& self, SimQuestion& question, P& next) {
    add_one(question.value);
    if (question.value.get() == kHops) {
      P::reply(self, question, 5);
    } else if (question.abort_wanted()) {
      P::reply(self, question, 6);
    } else {
      P::forward(self, next, question);
    }
  }
  void answered(SimThread& self, unsigned me) {
    SimQuestion& mine = *questions_[me];
    const int hops = mine.value.get();
    const bool full = mine.answer() == 5 && hops == kHops;
    const bool early = me % 8 == 0 && hops < kHops &&
                       (mine.answer() == 6 || mine.answer() == kAborted);
    if (!full && !early) Engine::current().fail("a wrong answer");
    if (full) ++asked_in_full_;
    ++answers_[me];
    if (all_.fetch_add(1, std::memory_order_relaxed) + 1 != cpus_) return;
    for (unsigned i = 0; i < cpus_; ++i) P::send(self, *ports_[i], *ends_[i]);
  }

  unsigned cpus_;
  LwktWorld world_;
  NullPort<LwktSimGround> nobody_;
  std::vector<Undestroyed<ThreadPort<LwktSimGround>>> ports_;
  std::vector<Undestroyed<SimQuestion>> questions_;
  std::vector<Undestroyed<SimQuestion>> ends_;
  SimAtomic<std::uint32_t> all_{0};
  // The host's counts.
  std::vector<unsigned> answers_;
  unsigned asked_in_full_ = 0;
};

inline void a_ring_of_all_cpus(Engine& m, unsigned cpus) {
  RingOfAllCpus(cpus).run(m);
}

// One port that workers of many CPUs receive from and all others ask: some one
// question, some two at once, some ask for the second one back; answers come to
// a port of the same kind, or to the thread's own. A few ask at a time: each
// waits for an earlier one's end.
template <class Shared>
class WorkersOfAllCpus {
 public:
  explicit WorkersOfAllCpus(unsigned cpus)
      : cpus_(cpus),
        world_(cpus),
        threads_(cpus),
        owned_(cpus),
        locked_(cpus) {}

  void run(Engine& m) {
    for (unsigned i = 0; i < cpus_; ++i) {
      SimThread& thread = world_.add(i, [this, i](SimThread& self) {
        if (works(i)) {
          work(self);
        } else {
          const unsigned back = works(i - kAtOnce) ? 2 * kAtOnce : kAtOnce;
          if (i >= back) self.join(*threads_[i - back]);
          ask(self, i);
        }
        inspect(self);
      });
      threads_[i] = &thread;
      if (i == 0) port_.make(thread, "shared");
      owned_[i].make(thread, "replies");
      locked_[i].make(thread, "replies");
    }
    world_.run(m, [this] { return given_ == got_ && given_ >= cpus_ / 2; });
  }

 private:
  using P = Port<LwktSimGround>;
  static constexpr int kEnd = -1;
  static constexpr unsigned kAtOnce = 8;
  [[nodiscard]] static bool works(unsigned cpu) { return cpu % 16 == 1; }
  [[nodiscard]] unsigned workers() const { return (cpus_ + 14) / 16; }

  void work(SimThread& self) {
    while (true) {
      auto& question = static_cast<SimQuestion&>(port_->wait(self));
      if (question.value.get() == kEnd) {
        P::reply(self, question, 0);
        return;
      }
      ++given_;
      add_one(question.value);
      P::reply(self, question, 5);
    }
  }
  void ask(SimThread& self, unsigned me) {
    P& replies = me % 16 < 8 ? static_cast<P&>(*owned_[me]) : *locked_[me];
    SimQuestion first(replies);
    SimQuestion second(replies, Urgency::kHigh);
    // Seen by who takes them, or that is a race.
    first.value.set(0);
    second.value.set(0);
    if (me % 4 != 0) {
      count(P::call(self, *port_, first), first, false);
    } else {
      P::send(self, *port_, first);
      P::send(self, *port_, second);
      if (me % 8 == 0) P::abort(self, second);
      count(replies.wait_for(self, first), first, false);
      count(replies.wait_for(self, second), second, me % 8 == 0);
    }
    if (done_.fetch_add(1, std::memory_order_relaxed) + 1 !=
        cpus_ - workers()) {
      return;
    }
    // The last one sends the workers home.
    for (unsigned i = 0; i < workers(); ++i) {
      first.value.set(kEnd);
      (void)P::call(self, *port_, first);
    }
  }
  void count(Answer answer, const SimQuestion& question, bool aborted) {
    const int value = question.value.get();
    if (answer == 5 && value == 1) {
      ++got_;
    } else if (!aborted || answer != kAborted || value != 0) {
      Engine::current().fail("a wrong answer");
    }
  }

  unsigned cpus_;
  LwktWorld world_;
  std::vector<SimThread*> threads_;
  Undestroyed<Shared> port_;
  std::vector<Undestroyed<ThreadPort<LwktSimGround>>> owned_;
  std::vector<Undestroyed<Shared>> locked_;
  SimAtomic<std::uint32_t> done_{0};
  // The host's counts.
  unsigned given_ = 0;
  unsigned got_ = 0;
};

template <class Shared>
void workers_of_all_cpus(Engine& m, unsigned cpus) {
  WorkersOfAllCpus<Shared>(cpus).run(m);
}

// Every CPU calls many others, one of them more often than its queue has room,
// starts a call that calls on, and waits until all it sent is done. Who is
// called differs with the seed, so that in some executions each pair's queue is
// used; all at once would take minutes. One CPU calls all.
class CallsOfAllCpus {
 public:
  explicit CallsOfAllCpus(unsigned cpus)
      : cpus_(cpus), world_(cpus), made_(cpus), chains_(cpus) {}

  void run(Engine& m) {
    first_ = m.choose(cpus_);
    on_each_cpu(world_, cpus_, [this](SimThread& self, unsigned i) {
      auto& fabric = world_.system().fabric();
      const unsigned far = far_from(i, cpus_);
      chains_[i].all = this;
      const IpiCall one = {&CallsOfAllCpus::count, this};
      self.enter_critical();
      for (int k = 0; k < kMore; ++k) fabric.send(i, far, one);
      fabric.send(i, far, {&Chain::go, &chains_[i]});
      fabric.send(i, called_by(i), one);
      fabric.wait(i, called_by(i) | CpuMask::of(far));
      self.exit_critical();
      // Its first step at least is made.
      if (chains_[i].steps == 0) Engine::current().fail("done too early");
      inspect(self);
    });
    world_.run(m, [this] {
      std::uint32_t full = 0;
      std::vector<int> wanted(cpus_, kMore);
      for (unsigned i = 0; i < cpus_; ++i) {
        called_by(i).for_each([&](unsigned called) { ++wanted[called]; });
      }
      for (unsigned i = 0; i < cpus_; ++i) {
        if (made_[i].get() != wanted[i]) return false;
        if (chains_[i].steps != kSteps) return false;
        full += world_.system().fabric().counts(i).full;
      }
      return full != 0;
    });
  }

 private:
  static constexpr int kMore = 4;
  static constexpr int kSteps = 3;
  static constexpr unsigned kCalled = 16;

  struct Chain {
    CallsOfAllCpus* all = nullptr;
    int steps = 0;
    SimInt seen{0};

    static void go(void* argument, void* receiver) {
      auto& chain = *static_cast<Chain*>(argument);
      const unsigned here = static_cast<SimCpu*>(receiver)->index();
      add_one(chain.seen);  // by one CPU after the other
      if (++chain.steps == kSteps) return;
      chain.all->world_.system().fabric().send(
          here, far_from(here, chain.all->cpus_), {&Chain::go, &chain});
    }
  };
  [[nodiscard]] CpuMask called_by(unsigned cpu) const {
    if (cpu == first_) return CpuMask::below(cpus_);
    CpuMask called;
    for (unsigned i = 0; i < std::min(cpus_, kCalled); ++i) {
      called.set((first_ + cpu + i) % cpus_);
    }
    return called;
  }
  // Plain: only that CPU does, one call after the other.
  static void count(void* argument, void* receiver) {
    add_one(static_cast<CallsOfAllCpus*>(argument)
                ->made_[static_cast<SimCpu*>(receiver)->index()]);
  }

  unsigned cpus_;
  LwktWorld world_;
  unsigned first_ = 0;
  std::vector<SimInt> made_;
  std::vector<Chain> chains_;
};

inline void calls_of_all_cpus(Engine& m, unsigned cpus) {
  CallsOfAllCpus(cpus).run(m);
}

// Some want all CPUs to stand still, the same ones at once, while each of those
// has work that must not be seen half-done.
inline void a_rendezvous_of_all_cpus(Engine& m, unsigned cpus) {
  LwktWorld w(cpus);
  std::vector<SimInt> first(cpus);
  std::vector<SimInt> second(cpus);
  SimInt met(0);
  const unsigned every = (cpus + 2) / 3;
  on_each_cpu(w, cpus, [&, cpus, every](SimThread& self, unsigned i) {
    for (int round = 0; round < 2; ++round) {
      self.enter_critical();
      add_one(first[i]);
      inspect(self);
      add_one(second[i]);
      self.exit_critical();
      if (i % every != 0 || round != 0) continue;
      CpuSync<LwktSimGround>::stand_still(self, CpuMask::below(cpus), [&] {
        add_one(met);
        for (unsigned k = 0; k < cpus; ++k) {
          if (first[k].get() != second[k].get()) {
            Engine::current().fail("half-done work was seen");
          }
          second[k].set(first[k].get());
        }
      });
    }
    if (i % every == 1) {
      CpuSync<LwktSimGround>::synchronize(self, CpuMask::below(cpus));
    }
    inspect(self);
  });
  w.run(m, [&, every] {
    return met.get() ==
           static_cast<int>((w.system().cpus() + every - 1) / every);
  });
}

}  // namespace odo::lwkt
