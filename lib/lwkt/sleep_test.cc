// SPDX-License-Identifier: BSD-3-Clause
// Sleep, wake-ups, timeouts, callouts and rendezvous on the host ground.
#include "lib/lwkt/sleep.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "lib/lwkt/callout.h"
#include "lib/lwkt/cpu_sync.h"
#include "lib/lwkt/host/system.h"

namespace odo::lwkt {
namespace {

using Sleep = Sleepers<HostGround>;

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

std::uint64_t now_ns() { return HostGround().now_ns(); }

TEST(SleepTest, AWakeUpAfterTheInterlockIsNotLost) {
  run(1, [](HostThread& self) {
    int address = 0;
    Sleep::interlock(self, &address);
    Sleep::wakeup(self, &address);
    EXPECT_EQ(Sleep::sleep(self, &address), SleepResult::kWoken);
    // The next one needs a wake-up of its own.
    EXPECT_EQ(Sleep::sleep(self, &address, now_ns() + 1000),
              SleepResult::kTimedOut);
    Sleep::interlock(self, &address);
    Sleep::cancel(self);
  });
}

TEST(SleepTest, WakesThoseOfOneAddressOnly) {
  run(1, [](HostThread& self) {
    int one = 0;
    int other = 0;
    int woken = 0;
    auto on_one = [&](HostThread& thread) {
      Sleep::sleep(thread, &one);
      woken += 1;
    };
    auto on_other = [&](HostThread& thread) {
      Sleep::sleep(thread, &other);
      woken += 10;
    };
    std::vector<HostThread*> threads = {
        &start(self, on_one), &start(self, on_one), &start(self, on_other)};
    self.yield();
    EXPECT_EQ(threads[0]->place(), Place::kAsleep);
    Sleep::wakeup(self, &other);
    self.yield();
    EXPECT_EQ(woken, 10);
    Sleep::wakeup_one(self, &one);
    self.yield();
    EXPECT_EQ(woken, 11);
    Sleep::wakeup(self, &one);
    for (HostThread* thread : threads) self.join(*thread);
    EXPECT_EQ(woken, 12);
  });
}

TEST(SleepTest, TimesOutAndNotEarly) {
  run(1, [](HostThread& self) {
    int address = 0;
    const std::uint64_t start_ns = now_ns();
    EXPECT_EQ(Sleep::sleep(self, &address, start_ns + 3'000'000),
              SleepResult::kTimedOut);
    EXPECT_GE(now_ns(), start_ns + 3'000'000);
    EXPECT_EQ(Sleep::sleep(self, &address, 0), SleepResult::kTimedOut);
  });
}

TEST(SleepTest, TimesOutWhileOthersKeepTheCpuBusy) {
  run(1, [](HostThread& self) {
    bool stop = false;
    auto busy = [&](HostThread& thread) {
      while (!stop) thread.yield();
    };
    HostThread& thread = start(self, busy);
    int address = 0;
    EXPECT_EQ(Sleep::sleep(self, &address, now_ns() + 1'000'000),
              SleepResult::kTimedOut);
    stop = true;
    self.join(thread);
  });
}

TEST(SleepTest, WakesAcrossCpus) {
  run(3, [](HostThread& self) {
    std::atomic<int> turn{0};
    constexpr int kTurns = 3000;
    auto player = [&](int me) {
      return [&turn, me](HostThread& thread) {
        thread.set_cpu(static_cast<unsigned>(me));
        for (int i = me; i < kTurns; i += 3) {
          while (true) {
            Sleep::interlock(thread, &turn);
            if (turn == i) break;
            Sleep::sleep(thread, &turn);
          }
          Sleep::cancel(thread);
          turn = i + 1;
          Sleep::wakeup(thread, &turn);
        }
      };
    };
    auto first = player(0);
    auto second = player(1);
    auto third = player(2);
    for (HostThread* thread :
         {&start(self, first), &start(self, second), &start(self, third)}) {
      self.join(*thread);
    }
    EXPECT_EQ(turn, kTurns);
  });
}

TEST(SleepTest, WakeupOneFindsASleeperOnAnotherCpu) {
  run(3, [](HostThread& self) {
    int address = 0;
    std::atomic<int> asleep{0};
    std::atomic<int> woken{0};
    auto sleeper = [&](unsigned cpu) {
      return [&, cpu](HostThread& thread) {
        thread.set_cpu(cpu);
        Sleep::interlock(thread, &address);
        ++asleep;
        Sleep::sleep(thread, &address);
        ++woken;
      };
    };
    auto one = sleeper(1);
    auto two = sleeper(2);
    HostThread& first = start(self, one);
    HostThread& second = start(self, two);
    while (asleep != 2) self.yield();
    Sleep::wakeup_one(self, &address);
    while (woken == 0) self.yield();
    Sleep::wakeup_one(self, &address);
    self.join(first);
    self.join(second);
    EXPECT_EQ(woken, 2);
  });
}

TEST(CalloutTest, FiresOnItsCpuInACriticalSection) {
  run(2, [](HostThread& self) {
    struct Fired {
      HostCpu* cpu;
      std::atomic<int> times{0};
      std::uint64_t when_ns = 0;
    } fired{&self.cpu()};
    Callout<HostGround> callout(
        [](void* argument) {
          auto& note = *static_cast<Fired*>(argument);
          EXPECT_GT(note.cpu->current().critical_depth(), 0u);
          note.when_ns = now_ns();
          ++note.times;
        },
        &fired);
    const std::uint64_t deadline_ns = now_ns() + 2'000'000;
    callout.arm(self, deadline_ns);
    while (fired.times == 0) self.yield();
    EXPECT_GE(fired.when_ns, deadline_ns);
    EXPECT_FALSE(callout.cancel(self));
  });
}

TEST(CalloutTest, IsCancelledFromAnotherCpuAndMoves) {
  run(2, [](HostThread& self) {
    std::atomic<int> fired{0};
    Callout<HostGround> callout(
        [](void* argument) { ++*static_cast<std::atomic<int>*>(argument); },
        &fired);
    EXPECT_FALSE(callout.cancel(self));
    callout.arm(self, now_ns() + 3'600'000'000'000);
    self.set_cpu(1);
    EXPECT_TRUE(callout.cancel(self));
    EXPECT_FALSE(callout.cancel(self));
    callout.arm(self, now_ns() + 3'600'000'000'000);
    self.set_cpu(0);
    callout.arm(self, now_ns());
    while (fired == 0) self.yield();
    EXPECT_EQ(fired, 1);
  });
}

TEST(CalloutTest, CancelledWhileItFiresEitherRanOrDoesNot) {
  run(2, [](HostThread& self) {
    for (int round = 0; round < 200; ++round) {
      std::atomic<int> fired{0};
      {
        Callout<HostGround> callout(
            [](void* argument) { ++*static_cast<std::atomic<int>*>(argument); },
            &fired);
        self.set_cpu(0);
        callout.arm(self, now_ns() + static_cast<std::uint64_t>(round) * 100);
        self.set_cpu(1);
        const bool pending = callout.cancel(self);
        EXPECT_EQ(fired, pending ? 0 : 1);
      }
    }
  });
}

TEST(CpuSyncTest, OthersStandStill) {
  run(3, [](HostThread& self) {
    std::array<std::atomic<std::uint64_t>, 3> loops{};
    std::atomic<bool> stop{false};
    auto body = [&](unsigned cpu) {
      return [&, cpu](HostThread& thread) {
        thread.set_cpu(cpu);
        while (!stop) {
          ++loops[cpu];
          thread.yield();
        }
      };
    };
    auto one = body(1);
    auto two = body(2);
    HostThread& first = start(self, one);
    HostThread& second = start(self, two);
    while (loops[1] == 0 || loops[2] == 0) self.yield();
    for (int i = 0; i < 50; ++i) {
      CpuSync<HostGround>::stand_still(self, CpuMask::below(3), [&] {
        const std::uint64_t before = loops[1] + loops[2];
        const std::uint64_t until_ns = now_ns() + 20'000;
        while (now_ns() < until_ns) HostGround().relax();
        EXPECT_EQ(loops[1] + loops[2], before);
      });
      CpuSync<HostGround>::synchronize(self, CpuMask::below(3));
    }
    stop = true;
    self.join(first);
    self.join(second);
  });
}

TEST(CpuSyncTest, TwoWhoWantEachOther) {
  run(2, [](HostThread& self) {
    int count = 0;
    auto body = [&](unsigned cpu) {
      return [&, cpu](HostThread& thread) {
        thread.set_cpu(cpu);
        for (int i = 0; i < 500; ++i) {
          CpuSync<HostGround>::stand_still(thread, CpuMask::below(2),
                                           [&] { ++count; });
        }
      };
    };
    auto zero = body(0);
    auto one = body(1);
    HostThread& first = start(self, zero);
    HostThread& second = start(self, one);
    self.join(first);
    self.join(second);
    EXPECT_EQ(count, 1000);
  });
}

}  // namespace
}  // namespace odo::lwkt
