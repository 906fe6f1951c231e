// SPDX-License-Identifier: BSD-3-Clause
// Programs for a machine of any number of CPUs, with threads on all of them:
// their lives, their moves, and the tokens that they all want.
//
// Contexts: inside an exploration.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>
#include <vector>

#include "lib/lwkt/sim/wake_programs.h"

namespace odo::lwkt {

// Neighbours of a program on a large machine are far apart: in other words of
// each mask. Every CPU has one, and is one's.
[[nodiscard]] inline unsigned far_from(unsigned cpu, unsigned cpus) {
  return (cpu + cpus / 3 + 1) % cpus;
}

// Room for what the host must not destroy when an execution ends half-way.
template <class T>
class Undestroyed {
 public:
  template <class... Args>
  T& make(Args&&... args) {
    return *new (room_) T(std::forward<Args>(args)...);
  }
  [[nodiscard]] T& operator*() {
    return *std::launder(reinterpret_cast<T*>(room_));
  }
  [[nodiscard]] T* operator->() { return &**this; }

 private:
  alignas(T) std::byte room_[sizeof(T)];
};

// A thread on each CPU: body(thread, number of the CPU).
template <class Body>
void on_each_cpu(LwktWorld& w, unsigned cpus, const Body& body) {
  for (unsigned i = 0; i < cpus; ++i) {
    w.add(i, [body, i](SimThread& self) { body(self, i); });
  }
}

// Threads wander, meet, wake each other and are joined: every second one by its
// neighbour, perhaps on its way.
inline void many_cpus(Engine& m, unsigned cpus) {
  LwktWorld w(cpus);
  SimAtomic<std::uint32_t> arrived(0);
  std::vector<SimThread*> wanderers(cpus);
  for (unsigned i = 0; i < cpus; ++i) {
    wanderers[i] = &w.add(i, [&, i, cpus](SimThread& self) {
      const bool joins = i % 2 == 0 && i + 1 < cpus;
      for (unsigned hop = joins ? 4 : 1; hop <= 4; ++hop) {
        self.set_cpu((i * 37 + hop * 101) % cpus);
      }
      inspect(self);
      (void)arrived.fetch_add(1, std::memory_order_relaxed);
      SimSleepers::wakeup(self, &arrived);
      if (joins) self.join(*wanderers[i + 1]);
    });
  }
  w.add(cpus - 1, [&, cpus](SimThread& self) {
    while (true) {
      SimSleepers::interlock(self, &arrived);
      if (arrived.load(std::memory_order_relaxed) == cpus) break;
      SimSleepers::sleep(self, &arrived);
    }
    SimSleepers::cancel(self);
    for (unsigned i = 0; i < cpus; i += 2) self.join(*wanderers[i]);
  });
  w.run(m, [&] { return arrived.load(std::memory_order_relaxed) == cpus; });
}

// Threads of all CPUs want one token for themselves and one that most of them
// share; some sleep with them. A few at a time, as who waits for a token asks
// for it again at every step of anybody: each waits for an earlier one's end.
inline void tokens_of_all_cpus(Engine& m, unsigned cpus) {
  constexpr unsigned kAtOnce = 8;
  LwktWorld w(cpus);
  SimToken counted(kSimToken);
  SimToken shared(kSimToken);
  SimInt count(0);
  SimInt left(0);
  SimInt right(0);
  std::vector<SimThread*> threads(cpus);
  const auto sleep_a_moment = [&](SimThread& self) {
    (void)SimSleepers::sleep(self, &count, self.cpu().ground().now_ns() + 1);
  };
  const auto write = [&](SimThread& self) {
    self.tokens().acquire(shared);
    add_one(left);
    inspect(self);
    add_one(right);
    self.tokens().release(shared);
  };
  const auto read = [&](SimThread& self, bool sleeps) {
    self.tokens().acquire_shared(shared);
    for (int look = 0; look < 2; ++look) {
      if (left.get() != right.get()) {
        Engine::current().fail("a reader saw half a write");
      }
      if (sleeps) sleep_a_moment(self);
    }
    self.tokens().release(shared);
  };
  for (unsigned i = 0; i < cpus; ++i) {
    threads[i] = &w.add(i, [&, i](SimThread& self) {
      if (i >= kAtOnce) self.join(*threads[i - kAtOnce]);
      self.tokens().acquire(counted);
      add_one(count);
      SimSleepers::wakeup_one(self, &count);
      if (i % 3 == 0) sleep_a_moment(self);
      if (i % 3 == 1) self.yield();
      add_one(count);
      if (i % 5 == 0) {
        write(self);  // two at once
      }
      self.tokens().release(counted);
      if (i % 4 == 0) {
        write(self);
      } else {
        read(self, i % 4 == 1);
      }
      inspect(self);
    });
  }
  w.run(m, [&, cpus] {
    return count.get() == static_cast<int>(2 * cpus) &&
           left.get() == static_cast<int>((cpus + 3) / 4 + (cpus + 4) / 5);
  });
}

// On every CPU threads are made, on stacks that ended ones leave behind, and
// end in every way: joined, joined from afar after a move, detached, and of the
// interrupt band, which run before start() returns.
inline void threads_come_and_go(Engine& m, unsigned cpus) {
  LwktWorld w(cpus);
  std::vector<SimInt> ended(cpus);
  std::vector<SimInt> moved(cpus);
  on_each_cpu(w, cpus, [&, cpus](SimThread& self, unsigned i) {
    const unsigned far = far_from(i, cpus);
    const auto end = [&ended, i](SimThread& child) {
      child.yield();
      add_one(ended[i]);
    };
    for (int round = 0; round < 2; ++round) {
      // Priorities of all bands below ours: none comes before we wait.
      SimThread& first = w.start(self.cpu(), end, {.priority = kUserNormal});
      w.start(self.cpu(), end,
              {.priority = kIdleWork, .lifetime = Lifetime::kDetached});
      SimThread& second =
          w.start(self.cpu(), [&moved, i, far](SimThread& child) {
            child.set_cpu(far);
            add_one(moved[i]);
          });
      const int before = ended[i].get();
      w.start(self.cpu(), [&ended, i](SimThread&) { add_one(ended[i]); },
              {.priority = kInterruptHigh, .lifetime = Lifetime::kDetached});
      if (ended[i].get() != before + 1) {
        Engine::current().fail("an interrupt thread did not run at once");
      }
      self.join(second);
      if (moved[i].get() != round + 1) {
        Engine::current().fail("joined too early");
      }
      self.join(first);
      inspect(self);
    }
    // The last detached one, which has our CPU only when we wait.
    (void)SimSleepers::sleep(self, &ended[i], self.cpu().ground().now_ns() + 1);
    inspect(self);
  });
  w.run(m, [&] {
    for (unsigned i = 0; i < w.system().cpus(); ++i) {
      if (ended[i].get() != 6 || moved[i].get() != 2) return false;
    }
    return true;
  });
}

// On every CPU two threads of the interrupt band, sent for from afar, that
// borrow the CPU from one that has its own to do; some of those wait for them
// and don't give the CPU away.
inline void interrupt_threads_of_all_cpus(Engine& m, unsigned cpus) {
  using P = ThreadPort<LwktSimGround>;
  constexpr Priority kBoth[] = {kInterruptLow, kInterruptHigh};
  LwktWorld w(cpus);
  NullPort<LwktSimGround> nobody;
  std::vector<Undestroyed<P>> ports(std::size_t{2} * cpus);
  std::vector<Undestroyed<SimQuestion>> rings(std::size_t{2} * cpus);
  std::vector<SimAtomic<std::uint32_t>> heard(cpus);
  for (unsigned i = 0; i < cpus; ++i) {
    for (unsigned k = 0; k < 2; ++k) {
      const unsigned n = 2 * i + k;
      SimThread& thread = w.add(
          i,
          [&, i, n](SimThread& self) {
            add_one(static_cast<SimQuestion&>(ports[n]->wait(self)).value);
            inspect(self);
            (void)heard[i].fetch_add(1, std::memory_order_relaxed);
          },
          {.priority = kBoth[k]});
      ports[n].make(thread, "interrupts");
      rings[n].make(nobody);
    }
    w.add(i, [&, i, cpus](SimThread& self) {
      for (unsigned k = 0; k < 2; ++k) {
        const unsigned n = 2 * far_from(i, cpus) + k;
        Port<LwktSimGround>::send(self, *ports[n], *rings[n]);
      }
      for (int look = 0; look < 3; ++look) inspect(self);
      if (i % 8 != 0) return;
      LwktSimGround ground = w.ground();
      while (heard[i].load(std::memory_order_relaxed) != 2) ground.relax();
    });
  }
  w.run(m, [&] {
    std::uint64_t preemptions = 0;
    for (unsigned i = 0; i < w.system().cpus(); ++i) {
      preemptions += w.cpu(i).counts().preemptions;
    }
    for (auto& ring : rings) {
      if (ring->value.get() != 1) return false;
    }
    // On a few CPUs each may have been sent for before anybody ran.
    return preemptions != 0 || w.system().cpus() < 16;
  });
}

}  // namespace odo::lwkt
