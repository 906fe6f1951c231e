// SPDX-License-Identifier: BSD-3-Clause
// Threads on the host ground: their lives, the order in which they run, and
// what may not happen.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "lib/lwkt/host/system.h"
#include "lib/lwkt/sleep.h"

namespace odo::lwkt {
namespace {

using Sleep = Sleepers<HostGround>;

// A thread made of a lambda that outlives it.
template <class Body>
HostThread& start(HostThread& self, Body& body, const ThreadOptions& options) {
  auto made = self.cpu().create(
      [](HostThread& thread, void* argument) {
        (*static_cast<Body*>(argument))(thread);
      },
      &body, options);
  EXPECT_TRUE(made.has_value());
  self.cpu().start(**made);
  return **made;
}

TEST(ThreadTest, RunsToItsEndAndIsJoined) {
  run(1, [](HostThread& self) {
    int ran = 0;
    auto body = [&](HostThread& thread) {
      EXPECT_STREQ(thread.name(), "one");
      EXPECT_EQ(&thread.cpu().current(), &thread);
      EXPECT_EQ(thread.place(), Place::kRunning);
      ++ran;
    };
    HostThread& thread = start(self, body, {.name = "one"});
    EXPECT_EQ(ran, 0);  // no higher priority, so it waits for us to stop
    self.join(thread);
    EXPECT_EQ(ran, 1);
    // Ended before it is joined.
    HostThread& second = start(self, body, {.name = "one"});
    self.yield();
    EXPECT_EQ(ran, 2);
    self.join(second);
  });
}

TEST(ThreadTest, TakesTurnsWithinAPriorityAndNotBelow) {
  run(1, [](HostThread& self) {
    std::string order;
    auto body = [&](char name) {
      return [&order, name](HostThread& thread) {
        for (int i = 0; i < 3; ++i) {
          order += name;
          thread.yield();
        }
      };
    };
    auto a = body('a');
    auto b = body('b');
    auto high = body('H');
    auto low = body('l');
    HostThread& last = start(self, low, {.priority = kKernelNormal - 2});
    HostThread& first = start(self, a, {});
    HostThread& second = start(self, b, {});
    HostThread& other = start(self, high, {.priority = kKernelNormal + 1});
    EXPECT_EQ(order, "");
    self.join(other);
    EXPECT_EQ(order, "HHHab");  // we came last
    self.join(first);
    self.join(second);
    EXPECT_EQ(order, "HHHababab");
    self.join(last);
    EXPECT_EQ(order,
              "HHHabababl"
              "ll");
  });
}

TEST(ThreadTest, AQuantumEndsWithItsTicks) {
  run(1, [](HostThread& self) {
    bool other_ran = false;
    auto other = [&](HostThread&) { other_ran = true; };
    HostThread& thread = start(self, other, {});
    HostCpu& cpu = self.cpu();
    std::uint32_t ticks = 0;
    for (; !other_ran && ticks < 100; ++ticks) {
      cpu.attention().raise(cpu.ground(), 0, Attention<HostGround>::kTick);
      self.yield_if_due();
    }
    EXPECT_TRUE(other_ran);
    EXPECT_LE(ticks, HostGround::kLwktTuning.quantum_ticks);
    self.join(thread);
  });
}

TEST(ThreadTest, ABusyLoopThatLooksGivesItsNeighbourATurn) {
  run(1, [](HostThread& self) {
    bool other_ran = false;
    auto other = [&](HostThread&) { other_ran = true; };
    HostThread& thread = start(self, other, {});
    // The host's ticker ends the quantum, some milliseconds from now.
    while (!other_ran) self.yield_if_due();
    self.join(thread);
  });
}

TEST(ThreadTest, AnInterruptThreadBorrowsTheCpuAtOnce) {
  run(1, [](HostThread& self) {
    std::string order;
    auto other = [&](HostThread&) { order += 'o'; };
    auto interrupt = [&](HostThread& thread) {
      order += 'i';
      thread.yield();  // to nobody: none is as urgent
      order += 'I';
    };
    HostThread& waiting = start(self, other, {});
    order += '1';
    HostThread& borrower = start(self, interrupt, {.priority = kInterruptLow});
    order += '2';
    EXPECT_EQ(order, "1iI2");  // and back without passing through the queue
    self.join(waiting);
    EXPECT_EQ(order, "1iI2o");
    self.join(borrower);
    EXPECT_EQ(self.cpu().counts().preemptions, 1u);
  });
}

TEST(ThreadTest, InterruptThreadsNestByPriority) {
  run(1, [](HostThread& self) {
    std::string order;
    auto high = [&](HostThread&) { order += 'h'; };
    auto low = [&](HostThread& thread) {
      order += '(';
      start(thread, high,
            {.priority = kInterruptHigh, .lifetime = Lifetime::kDetached});
      order += ')';
    };
    HostThread& thread = start(self, low, {.priority = kInterruptLow});
    EXPECT_EQ(order, "(h)");
    self.join(thread);
  });
}

TEST(ThreadTest, ACriticalSectionHoldsInterruptThreadsBack) {
  run(1, [](HostThread& self) {
    std::string order;
    auto interrupt = [&](HostThread&) { order += 'i'; };
    self.enter_critical();
    self.enter_critical();
    HostThread& thread = start(self, interrupt, {.priority = kInterruptLow});
    order += '1';
    self.exit_critical();
    order += '2';
    self.exit_critical();
    order += '3';
    EXPECT_EQ(order, "12i3");
    self.join(thread);
  });
}

// A ground whose interrupts wake a thread. Its handler may not do that itself:
// it raises a bit.
class InterruptedGround : public HostGround {
 public:
  void do_interrupts(unsigned cpu) const { due(cpu); }
  static inline std::function<void(unsigned)> due;
};

TEST(ThreadTest, WhatInterruptsHaveToDoWaitsForTheEndOfACriticalSection) {
  using OneSystem = System<InterruptedGround>;
  using OneThread = Thread<InterruptedGround>;
  struct Storage {
    alignas(OneSystem::storage_alignment())
        std::array<std::byte, OneSystem::storage_bytes(1)> bytes;
  };
  const auto storage = std::make_unique<Storage>();
  OneSystem system(storage->bytes, 1);
  std::string order;
  InterruptedGround::due = [&](unsigned cpu) {
    EXPECT_EQ(cpu, 0u);
    order += 'd';
    Sleepers<InterruptedGround>::wakeup(system.cpu(cpu).current(), &order);
  };
  const auto start_one = [&](auto& body, Priority priority) {
    using Body = std::remove_reference_t<decltype(body)>;
    auto made = system.cpu(0).create(
        [](OneThread& thread, void* argument) {
          (*static_cast<Body*>(argument))(thread);
        },
        &body, {.priority = priority, .lifetime = Lifetime::kDetached});
    ASSERT_TRUE(made.has_value());
    system.cpu(0).start(**made);
  };
  auto server = [&](OneThread& self) {
    order += 's';
    Sleepers<InterruptedGround>::sleep(self, &order);
    order += 'S';
  };
  auto interrupted = [&](OneThread& self) {
    auto& cpu = self.cpu();
    self.enter_critical();
    cpu.attention().raise(cpu.ground(), 0,
                          Attention<InterruptedGround>::kInterrupt);
    cpu.interrupted();
    order += '(';
    self.exit_critical();
    order += ')';
    // Nothing is due any more.
    cpu.interrupted();
    system.stop();
  };
  start_one(server, kInterruptLow);
  start_one(interrupted, kKernelNormal);
  system.cpu(0).run();
  EXPECT_EQ(order, "s(dS)");
  InterruptedGround::due = nullptr;
}

TEST(ThreadTest, LoweringOnesPriorityLetsAnInterruptThreadIn) {
  run(1, [](HostThread& self) {
    std::string order;
    auto interrupt = [&](HostThread&) { order += 'i'; };
    self.set_priority(kInterruptHigh);
    HostThread& thread = start(self, interrupt, {.priority = kInterruptLow});
    EXPECT_EQ(order, "");
    self.set_priority(kKernelNormal);
    EXPECT_EQ(order, "i");
    self.join(thread);
  });
}

TEST(ThreadTest, GoesToTheCpuItAsksFor) {
  run(2, [](HostThread& self) {
    EXPECT_EQ(self.cpu().index(), 0u);
    for (unsigned i = 1; i <= 20; ++i) {
      self.set_cpu(i % 2);
      EXPECT_EQ(self.cpu().index(), i % 2);
      EXPECT_EQ(&self.cpu().current(), &self);
    }
    auto body = [](HostThread& thread) { thread.set_cpu(1); };
    HostThread& thread = start(self, body, {});
    self.yield();
    self.join(thread);  // wherever it is by now
  });
}

TEST(ThreadTest, StacksAreUsedAgain) {
  run(1, [](HostThread& self) {
    auto body = [](HostThread&) {};
    HostThread* first = &start(self, body, {});
    const void* stack = first->stack().data();
    self.join(*first);
    HostThread* second = &start(self, body, {});
    EXPECT_EQ(stack, second->stack().data());
    self.join(*second);
  });
}

TEST(ThreadTest, RunsOnTheCallersStack) {
  run(2, [](HostThread& self) {
    std::vector<std::byte> memory(64 * 1024);
    for (unsigned cpu = 0; cpu < 2; ++cpu) {
      auto body = [&](HostThread& thread) {
        const void* here = __builtin_frame_address(0);
        EXPECT_GE(here, memory.data());
        EXPECT_LT(here, memory.data() + memory.size());
        thread.set_cpu(cpu);
      };
      auto made = self.cpu().create_on(
          memory,
          [](HostThread& thread, void* argument) {
            (*static_cast<decltype(body)*>(argument))(thread);
          },
          &body);
      ASSERT_TRUE(made.has_value());
      self.cpu().start(**made);
      self.join(**made);
    }
    const auto none = self.cpu().create_on(
        std::span(memory).first(100), [](HostThread&, void*) {}, nullptr);
    ASSERT_FALSE(none.has_value());
    EXPECT_EQ(none.error(), Error::kStackTooSmall);
  });
}

TEST(ThreadTest, NoMemoryIsAResult) {
  run(1, [](HostThread& self) {
    const auto none = self.cpu().create([](HostThread&, void*) {}, nullptr,
                                        {.stack_bytes = std::size_t{1} << 40});
    ASSERT_FALSE(none.has_value());
    EXPECT_EQ(none.error(), Error::kNoMemory);
  });
}

TEST(ThreadTest, TokensLapseWhileAThreadWaitsAndComeBack) {
  static constexpr tokens::TokenClass kClass{"shared"};
  run(1, [](HostThread& self) {
    tokens::Token<HostGround> token(kClass);
    std::string order;
    auto other = [&](HostThread& thread) {
      thread.tokens().acquire(token);
      order += 'o';
      thread.yield();  // lets the other ask, in vain for all it knows
      order += 'O';
      thread.tokens().release(token);
    };
    self.tokens().acquire(token);
    HostThread& thread = start(self, other, {});
    order += '1';
    self.yield();
    // It has to have given the token back before we could go on.
    order += '2';
    EXPECT_TRUE(self.tokens().holds_exclusive(token));
    self.tokens().release(token);
    self.join(thread);
    EXPECT_TRUE(order == "1oO2" || order == "1o2O") << order;
  });
}

TEST(ThreadTest, AThreadThatLacksATokenIsSkipped) {
  static constexpr tokens::TokenClass kClass{"held elsewhere"};
  run(2, [](HostThread& self) {
    tokens::Token<HostGround> token(kClass);
    std::atomic<bool> held{false};
    std::atomic<bool> let_go{false};
    auto holder = [&](HostThread& thread) {
      thread.set_cpu(1);
      thread.tokens().acquire(token);
      held = true;
      while (!let_go) platform::HostPlatform().relax();
      thread.tokens().release(token);
    };
    bool got = false;
    auto waiter = [&](HostThread& thread) {
      thread.tokens().acquire(token);
      got = true;
      thread.tokens().release(token);
    };
    HostThread& first = start(self, holder, {});
    while (!held) self.yield();
    HostThread& second = start(self, waiter, {.priority = kKernelNormal + 1});
    for (int i = 0; i < 100; ++i) self.yield();
    EXPECT_FALSE(got);  // and yet we ran, though it outranks us
    let_go = true;
    self.join(first);
    self.join(second);
    EXPECT_TRUE(got);
  });
}

TEST(ThreadTest, AnInterruptThreadThatLacksATokenHoldsNoOtherBack) {
  static constexpr tokens::TokenClass kClass{"wanted"};
  run(1, [](HostThread& self) {
    tokens::Token<HostGround> token(kClass);
    std::string order;
    auto wants = [&](HostThread& thread) {
      thread.tokens().acquire(token);
      order += 'a';
      thread.tokens().release(token);
    };
    auto free = [&](HostThread&) { order += 'b'; };
    self.tokens().acquire(token);
    HostThread& first = start(self, wants, {.priority = kInterruptHigh});
    EXPECT_EQ(order, "");
    HostThread& second = start(self, free, {.priority = kInterruptMedium});
    EXPECT_EQ(order, "b");
    self.tokens().release(token);
    self.join(first);
    self.join(second);
    EXPECT_EQ(order, "ba");
  });
}

TEST(ThreadTest, CallsOnOtherCpusAreMadeThere) {
  run(3, [](HostThread& self) {
    std::array<std::atomic<int>, 3> made{};
    struct Note {
      std::array<std::atomic<int>, 3>* made;
    } note{&made};
    const IpiCall call{[](void* argument, void* receiver) {
                         auto& cpu = *static_cast<HostCpu*>(receiver);
                         ++(*static_cast<Note*>(argument)->made)[cpu.index()];
                       },
                       &note};
    for (unsigned cpu = 0; cpu < 3; ++cpu) self.cpu().call_on(self, cpu, call);
    self.enter_critical();
    for (unsigned cpu = 0; cpu < 3; ++cpu) {
      auto& fabric = self.cpu().system().fabric();
      fabric.wait(0, cpu, fabric.last_sequence(0, cpu));
    }
    self.exit_critical();
    for (const auto& count : made) EXPECT_EQ(count, 1);
  });
}

TEST(ThreadTest, ManyThreadsOnTwoCpus) {
  run(2, [](HostThread& self) {
    constexpr int kThreads = 64;
    std::atomic<int> sum{0};
    auto body = [&](HostThread& thread) {
      for (unsigned i = 0; i < 50; ++i) {
        thread.yield();
        if (i % 10 == 0) thread.set_cpu((thread.cpu().index() + 1) % 2);
      }
      ++sum;
    };
    std::vector<HostThread*> threads;
    for (int i = 0; i < kThreads; ++i)
      threads.push_back(&start(self, body, {}));
    for (HostThread* thread : threads) self.join(*thread);
    EXPECT_EQ(sum, kThreads);
  });
}

// --- misuse: a line that names the thread, and the end

class ThreadDeathTest : public ::testing::Test {
 protected:
  ThreadDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  template <class Body>
  static void die(Body body, const char* text) {
    EXPECT_DEATH(run(1, body), text);
  }
};

TEST_F(ThreadDeathTest, SleepInACriticalSection) {
  die(
      [](HostThread& self) {
        int address = 0;
        self.enter_critical();
        Sleep::sleep(self, &address);
      },
      "\"main\" would sleep in a critical section");
}

TEST_F(ThreadDeathTest, YieldInACriticalSection) {
  die(
      [](HostThread& self) {
        self.enter_critical();
        self.yield();
      },
      "\"main\" would sleep in a critical section");
}

TEST_F(ThreadDeathTest, TokenWaitInACriticalSection) {
  static constexpr tokens::TokenClass kClass{"inode"};
  die(
      [](HostThread& self) {
        tokens::Token<HostGround> token(kClass);
        auto holder = [&](HostThread& thread) {
          thread.tokens().acquire(token);
          self.enter_critical();
          self.tokens().acquire(token);
        };
        start(self, holder, {});
        self.yield();
      },
      "inode.*blocking is forbidden");
}

TEST_F(ThreadDeathTest, JoinItself) {
  die([](HostThread& self) { self.join(self); }, "waits for its own end");
}

TEST_F(ThreadDeathTest, StartTwice) {
  die(
      [](HostThread& self) {
        auto body = [](HostThread&) {};
        self.cpu().start(start(self, body, {.name = "again"}));
      },
      "was started twice: \"again\"");
}

TEST_F(ThreadDeathTest, LeaveACriticalSectionTwice) {
  die([](HostThread& self) { self.exit_critical(); },
      "left a critical section that it was not in");
}

TEST_F(ThreadDeathTest, EndInACriticalSection) {
  die([](HostThread& self) { self.enter_critical(); },
      "ended in a critical section");
}

TEST_F(ThreadDeathTest, EndWithATokenHeld) {
  static constexpr tokens::TokenClass kClass{"kept"};
  static tokens::Token<HostGround> token(kClass);
  die([](HostThread& self) { self.tokens().acquire(token); },
      "ended with tokens held: \"kept\"");
}

[[gnu::noinline, maybe_unused]] int dig(int depth) {
  std::array<volatile char, 512> room{};
  room[0] = static_cast<char>(depth);
  return depth == 0 ? room[0] : dig(depth - 1) + room[0];
}

// Sanitizers have handlers of their own, which see the fault first.
#if !defined(ODO_LWKT_ASAN) && !defined(ODO_LWKT_TSAN)
TEST_F(ThreadDeathTest, StackOverflowIsCaughtByTheGuard) {
  die(
      [](HostThread& self) {
        auto body = [](HostThread&) { EXPECT_NE(dig(1'000'000), 0); };
        self.join(start(self, body, {.name = "deep"}));
      },
      "\"deep\" overflowed its stack");
}
#endif

}  // namespace
}  // namespace odo::lwkt
