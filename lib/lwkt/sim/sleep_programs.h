// SPDX-License-Identifier: BSD-3-Clause
// Programs about sleep and wake-up, serializers and messages: no wake-up is
// lost (a deadlock, if one is), nothing has two owners (a race, if it has).
//
// Contexts: inside an exploration.
#pragma once

#include "lib/lwkt/locked_port.h"
#include "lib/lwkt/serializer.h"
#include "lib/lwkt/sim/thread_programs.h"
#include "lib/lwkt/thread_port.h"

namespace odo::lwkt {

// Sleeps until `ready`, as everybody should.
inline void sleep_until(SimThread& self, const SimAtomic<bool>& ready) {
  while (true) {
    SimSleepers::interlock(self, &ready);
    if (ready.load(std::memory_order_relaxed)) break;
    SimSleepers::sleep(self, &ready);
  }
  SimSleepers::cancel(self);
}

// An interlock that no sleep followed is over when its thread waits for
// something else, moves or ends: the wake-up that it was for wakes nobody.
inline void a_stale_interlock(Engine& m, bool moves) {
  LwktWorld w(2);
  SimAtomic<bool> ready(false);
  SimInt data(0);
  SimThread& target = w.add(1, [&](SimThread& self) {
    ready.store(true, std::memory_order_relaxed);
    SimSleepers::wakeup(self, &ready);
    SimSleepers::interlock(self, &data);  // and ends
    add_one(data);
  });
  w.add(0, [&](SimThread& self) {
    SimSleepers::interlock(self, &ready);
    if (moves) self.set_cpu(w.at(1));
    self.join(target);
    add_one(data);
    inspect(self);
  });
  w.run(m, [&] { return data.get() == 2; });
}

// Two sleepers on two CPUs, the waker beside one of them or on a third.
inline void wake_all_of(Engine& m, unsigned cpus, unsigned waker_cpu) {
  LwktWorld w(cpus);
  SimAtomic<bool> ready(false);
  for (unsigned i = 0; i < 2; ++i) {
    w.add(i % cpus, [&](SimThread& self) {
      sleep_until(self, ready);
      inspect(self);
    });
  }
  w.add(waker_cpu, [&](SimThread& self) {
    ready.store(true, std::memory_order_relaxed);
    SimSleepers::wakeup(self, &ready);
  });
  w.run(m, [] { return true; });
}

// One wake-up for each of two sleepers, who take what they were woken for.
inline void wake_one_by_one(Engine& m, unsigned waker_cpu) {
  LwktWorld w(2);
  SimAtomic<std::uint32_t> left(0);
  for (unsigned i = 0; i < 2; ++i) {
    w.add(i, [&](SimThread& self) {
      while (true) {
        SimSleepers::interlock(self, &left);
        std::uint32_t seen = left.load(std::memory_order_relaxed);
        if (seen != 0 && left.compare_exchange_strong(
                             seen, seen - 1, std::memory_order_relaxed,
                             std::memory_order_relaxed)) {
          break;
        }
        if (seen == 0) SimSleepers::sleep(self, &left);
      }
      SimSleepers::cancel(self);
    });
  }
  w.add(waker_cpu, [&](SimThread& self) {
    for (int i = 0; i < 2; ++i) {
      (void)left.fetch_add(1, std::memory_order_relaxed);
      SimSleepers::wakeup_one(self, &left);
    }
  });
  w.run(m, [&] { return left.load(std::memory_order_relaxed) == 0; });
}

// A timeout that may come before, while or after somebody wakes the sleeper.
inline void a_timeout_meets_a_wakeup(Engine& m) {
  LwktWorld w(2);
  SimAtomic<bool> ready(false);
  w.add(0, [&](SimThread& self) {
    const SleepResult result = SimSleepers::sleep(self, &ready, 0);
    inspect(self);
    if (result == SleepResult::kWoken &&
        !ready.load(std::memory_order_relaxed)) {
      Engine::current().fail("woken by nobody");
    }
  });
  w.add(1, [&](SimThread& self) {
    ready.store(true, std::memory_order_relaxed);
    SimSleepers::wakeup(self, &ready);
  });
  w.run(m, [] { return true; });
}

// A token lapses while its holder sleeps, and is back when it wakes: without an
// interlock of its own, as the token makes one.
inline void a_token_lapses_in_sleep(Engine& m, unsigned waker_cpu) {
  LwktWorld w(2);
  tokens::Token<LwktSimGround> token(kSimToken);
  SimInt ready(0);
  w.add(0, [&](SimThread& self) {
    self.tokens().acquire(token);
    while (ready.get() == 0) SimSleepers::sleep(self, &ready);
    ready.set(2);
    self.tokens().release(token);
  });
  w.add(waker_cpu, [&](SimThread& self) {
    self.tokens().acquire(token);
    ready.set(1);
    SimSleepers::wakeup(self, &ready);
    self.tokens().release(token);
    inspect(self);
  });
  w.run(m, [&] { return ready.get() == 2; });
}

// One at a time, and nobody sleeps for ever.
inline void a_serializer(Engine& m, unsigned threads, unsigned cpus) {
  LwktWorld w(cpus);
  Serializer<LwktSimGround> serializer("sim");
  SimInt data(0);
  for (unsigned i = 0; i < threads; ++i) {
    w.add(i % cpus, [&](SimThread& self) ODO_NO_THREAD_SAFETY_ANALYSIS {
      serializer.enter(self);
      add_one(data);
      if (threads > cpus) self.yield();
      add_one(data);
      serializer.leave(self);
    });
  }
  w.run(m, [&] { return data.get() == static_cast<int>(2 * threads); });
}

struct SimQuestion : Message<LwktSimGround> {
  using Message::Message;
  SimInt value{0};
};

// How a server answers: and then waits, or both in one.
enum class Serves : std::uint8_t { kOneByOne, kAtOnce };

// A question and its answer, each readable by who has the message alone.
template <class P>
void a_call(Engine& m, unsigned server_cpu, int questions,
            Serves serves = Serves::kOneByOne) {
  LwktWorld w(2);
  alignas(P) std::byte room[sizeof(P)];
  P* port = nullptr;
  SimAtomic<bool> up(false);
  w.add(server_cpu, [&](SimThread& self) {
    port = new (room) P(self, "server");
    // Release: the port is made. The one that asks looks with acquire.
    up.store(true, std::memory_order_release);
    SimSleepers::wakeup(self, &up);
    Message<LwktSimGround>* next = nullptr;
    for (int i = 0; i < questions; ++i) {
      if (next == nullptr) next = &port->wait(self);
      auto& question = static_cast<SimQuestion&>(*next);
      add_one(question.value);
      if (serves == Serves::kAtOnce && i + 1 != questions) {
        next = &Port<LwktSimGround>::reply_and_wait(self, question, 5, *port);
      } else {
        Port<LwktSimGround>::reply(self, question, 5);
        next = nullptr;
      }
    }
    inspect(self);
  });
  w.add(0, [&](SimThread& self) {
    while (!up.load(std::memory_order_acquire)) sleep_until(self, up);
    alignas(P) std::byte reply_room[sizeof(P)];
    P& replies = *new (reply_room) P(self, "replies");
    SimQuestion question(replies);
    for (int i = 0; i < questions; ++i) {
      question.value.set(i);
      if (Port<LwktSimGround>::call(self, *port, question) != 5 ||
          question.value.get() != i + 1) {
        Engine::current().fail("a wrong answer");
      }
    }
  });
  w.run(m, [] { return true; });
}

// The one that answers moves between two questions, and the second may come to
// its new CPU before it does: what it did on the old one is there by then.
inline void a_message_follows_a_move(Engine& m) {
  using P = ThreadPort<LwktSimGround>;
  LwktWorld w(2);
  alignas(P) std::byte room[sizeof(P)];
  P* port = nullptr;
  SimAtomic<bool> up(false);
  w.add(1, [&](SimThread& self) {
    port = new (room) P(self, "server");
    // Release: as in a_call().
    up.store(true, std::memory_order_release);
    SimSleepers::wakeup(self, &up);
    for (int i = 0; i < 2; ++i) {
      auto& question = static_cast<SimQuestion&>(port->wait(self));
      add_one(question.value);
      Port<LwktSimGround>::reply(self, question, 5);
      if (i == 0) self.set_cpu(w.at(0));
      inspect(self);
    }
  });
  for (unsigned i = 0; i < 2; ++i) {
    w.add(i, [&](SimThread& self) {
      while (!up.load(std::memory_order_acquire)) sleep_until(self, up);
      alignas(P) std::byte reply_room[sizeof(P)];
      P& replies = *new (reply_room) P(self, "replies");
      SimQuestion question(replies);
      if (Port<LwktSimGround>::call(self, *port, question) != 5 ||
          question.value.get() != 1) {
        Engine::current().fail("a wrong answer");
      }
    });
  }
  w.run(m, [] { return true; });
}

// Asked back while a receiver on another CPU may take it.
template <class P>
void an_abort_meets_a_receiver(Engine& m) {
  LwktWorld w(2);
  alignas(P) std::byte room[sizeof(P)];
  P* port = nullptr;
  SimAtomic<bool> up(false);
  w.add(1, [&](SimThread& self) {
    port = new (room) P(self, "server");
    up.store(true, std::memory_order_release);
    SimSleepers::wakeup(self, &up);
    // The one that is aborted, or the other: one comes in any case.
    while (true) {
      auto& question = static_cast<SimQuestion&>(port->wait(self));
      const bool last = question.value.get() != 0;
      Port<LwktSimGround>::reply(self, question, 5);
      if (last) break;
    }
  });
  w.add(0, [&](SimThread& self) {
    while (!up.load(std::memory_order_acquire)) sleep_until(self, up);
    alignas(P) std::byte reply_room[sizeof(P)];
    P& replies = *new (reply_room) P(self, "replies");
    SimQuestion question(replies);
    Port<LwktSimGround>::send(self, *port, question);
    Port<LwktSimGround>::abort(self, question);
    const Answer answer = replies.wait_for(self, question);
    if (answer != 5 && answer != kAborted) {
      Engine::current().fail("neither answered nor aborted");
    }
    question.value.set(1);
    Port<LwktSimGround>::call(self, *port, question);
  });
  w.run(m, [] { return true; });
}

}  // namespace odo::lwkt
