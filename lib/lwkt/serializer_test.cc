// SPDX-License-Identifier: BSD-3-Clause
// Serializers: one thread at a time, also asleep, and nobody waits for ever.
#include "lib/lwkt/serializer.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <vector>

#include "lib/lwkt/host/system.h"

namespace odo::lwkt {
namespace {

using HostSerializer = Serializer<HostGround>;
using HostSleepers = Sleepers<HostGround>;

template <class Body>
HostThread& start(HostThread& self, Body& body,
                  const ThreadOptions& options = {}) {
  auto made = self.cpu().create(
      [](HostThread& thread, void* argument) {
        (*static_cast<Body*>(argument))(thread);
      },
      &body, options);
  EXPECT_TRUE(made.has_value());
  self.cpu().start(**made);
  return **made;
}

void sleep_a_little(HostThread& self) {
  int nobody = 0;
  HostSleepers::sleep(self, &nobody, HostGround().now_ns() + 100'000);
}

// The tests take the word of is_held_by() for what the compiler would check.
class SerializerTest : public ::testing::Test {
 protected:
  HostSerializer serializer_{"device"};
};

TEST_F(SerializerTest, IsNotGivenUpInSleep) {
  run(1, [&](HostThread& self) ODO_NO_THREAD_SAFETY_ANALYSIS {
    bool asleep = false;
    bool inside = false;
    auto driver = [&](HostThread& thread) ODO_NO_THREAD_SAFETY_ANALYSIS {
      serializer_.enter(thread);
      inside = true;
      asleep = true;
      sleep_a_little(thread);
      asleep = false;
      EXPECT_TRUE(serializer_.is_held_by(thread));
      inside = false;
      serializer_.leave(thread);
    };
    HostThread& thread = start(self, driver);
    while (!asleep) self.yield();
    EXPECT_FALSE(serializer_.try_enter(self));
    EXPECT_FALSE(serializer_.is_held_by(self));
    serializer_.enter(self);
    EXPECT_FALSE(inside);
    EXPECT_TRUE(serializer_.is_held_by(self));
    serializer_.leave(self);
    self.join(thread);
  });
}

TEST_F(SerializerTest, WhoWaitsOnOneCpuIsServedInOrder) {
  run(1, [&](HostThread& self) ODO_NO_THREAD_SAFETY_ANALYSIS {
    std::vector<int> order;
    auto waiter = [&](int number) {
      return [&, number](HostThread& thread) ODO_NO_THREAD_SAFETY_ANALYSIS {
        serializer_.enter(thread);
        order.push_back(number);
        thread.yield();
        serializer_.leave(thread);
      };
    };
    auto first = waiter(1);
    auto second = waiter(2);
    auto third = waiter(3);
    serializer_.enter(self);
    const std::array threads = {&start(self, first), &start(self, second),
                                &start(self, third)};
    for (int i = 0; i < 10; ++i) self.yield();
    EXPECT_TRUE(order.empty());
    serializer_.leave(self);
    for (HostThread* thread : threads) self.join(*thread);
    EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
  });
}

// A thread of the interrupt band that finds it held gives the CPU back to who
// holds it.
TEST_F(SerializerTest, AnInterruptThreadWaitsForWhoItInterrupted) {
  run(1, [&](HostThread& self) ODO_NO_THREAD_SAFETY_ANALYSIS {
    int step = 0;
    auto handler = [&](HostThread& thread) ODO_NO_THREAD_SAFETY_ANALYSIS {
      EXPECT_EQ(step, 1);
      step = 2;
      serializer_.enter(thread);
      EXPECT_EQ(step, 3);
      step = 4;
      serializer_.leave(thread);
    };
    serializer_.enter(self);
    step = 1;
    HostThread& thread = start(
        self, handler, {.name = "interrupt", .priority = kInterruptSupport});
    EXPECT_EQ(step, 2);  // it ran at once, and waits
    step = 3;
    serializer_.leave(self);
    EXPECT_EQ(step, 4);  // and went on at once
    self.join(thread);
  });
}

TEST_F(SerializerTest, ManyThreadsOnTwoCpusLoseNothing) {
  run(2, [&](HostThread& self) {
    constexpr int kThreads = 8;
    constexpr int kRounds = 2000;
    long count = 0;
    int inside = 0;
    std::atomic<int> tried{0};
    auto body = [&](unsigned cpu) {
      return [&, cpu](HostThread& thread) ODO_NO_THREAD_SAFETY_ANALYSIS {
        thread.set_cpu(cpu);
        for (int i = 0; i < kRounds; ++i) {
          if (i % 5 != 0) {
            serializer_.enter(thread);
          } else if (!serializer_.try_enter(thread)) {
            ++tried;
            thread.yield();
            continue;
          }
          EXPECT_EQ(++inside, 1);
          if (i % 16 == 0) thread.yield();
          if (i % 500 == 0) sleep_a_little(thread);
          EXPECT_EQ(--inside, 0);
          ++count;
          serializer_.leave(thread);
        }
      };
    };
    auto zero = body(0);
    auto one = body(1);
    std::vector<HostThread*> threads;
    for (int i = 0; i < kThreads; i += 2) {
      threads.push_back(&start(self, zero));
      threads.push_back(&start(self, one));
    }
    for (HostThread* thread : threads) self.join(*thread);
    EXPECT_EQ(count, long{kThreads} * kRounds - tried);
  });
}

// --- misuse

class SerializerDeathTest : public SerializerTest {
 protected:
  SerializerDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(SerializerDeathTest, EnteredTwiceNamesBothPlaces) {
  EXPECT_DEATH(run(1,
                   [&](HostThread& self) ODO_NO_THREAD_SAFETY_ANALYSIS {
                     serializer_.enter(self);
                     serializer_.enter(self);
                   }),
               "\"main\" entered a serializer that it is in: \"device\""
               "[^$]*serializer_test.cc[^$]*since [^$]*serializer_test.cc");
}

TEST_F(SerializerDeathTest, LeftByWhoIsNotInIt) {
  EXPECT_DEATH(
      run(1, [&](HostThread& self)
                 ODO_NO_THREAD_SAFETY_ANALYSIS { serializer_.leave(self); }),
      "\"main\" left a serializer that it is not in: \"device\""
      "[^$]*serializer_test.cc");
  EXPECT_DEATH(run(1,
                   [&](HostThread& self) ODO_NO_THREAD_SAFETY_ANALYSIS {
                     auto thief = [&](HostThread& thread)
                                      ODO_NO_THREAD_SAFETY_ANALYSIS {
                                        serializer_.leave(thread);
                                      };
                     serializer_.enter(self);
                     self.join(start(self, thief, {.name = "thief"}));
                   }),
               "\"thief\" left a serializer that it is not in: \"device\"");
}

TEST_F(SerializerDeathTest, WaitedForInACriticalSection) {
  EXPECT_DEATH(
      run(1,
          [&](HostThread& self) ODO_NO_THREAD_SAFETY_ANALYSIS {
            auto other = [&](HostThread& thread) ODO_NO_THREAD_SAFETY_ANALYSIS {
              thread.enter_critical();
              serializer_.enter(thread);
            };
            serializer_.enter(self);
            self.join(start(self, other, {.name = "other"}));
          }),
      "\"other\" would sleep in a critical section[^$]*serializer_test.cc");
}

}  // namespace
}  // namespace odo::lwkt
