// SPDX-License-Identifier: BSD-3-Clause
// The two schedulers together, on one CPU of the host ground: the user-thread
// scheduler hands LWKT one user thread at a time, so that kernel threads
// compete with one, however many there are.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "lib/lwkt/callout.h"
#include "lib/lwkt/host/system.h"
#include "lib/lwkt/sleep.h"
#include "lib/usched/scheduler.h"

namespace odo::usched {
namespace {

using lwkt::HostGround;
using lwkt::HostThread;
using Sleep = lwkt::Sleepers<HostGround>;

// A user thread as a kernel would have it: what usched knows of it, and the
// LWKT thread that runs it. One CPU, so the queue's lock is a critical section.
struct Process {
  UserThread<HostGround> user;
  HostThread* thread = nullptr;
  bool chosen = false;
  std::uint64_t turns = 0;
};

class Machine {
 public:
  Machine() {
    const std::array<CpuPlace, 1> places{};
    EXPECT_TRUE(topology_.build(places).has_value());
    scheduler_.emplace(queues_, topology_);
    EXPECT_TRUE(scheduler_->set_online(0, 0).has_value());
  }

  // --- what a kernel does at the border of user code -------------------------
  void enter_user(Process& process) {
    HostThread& self = *process.thread;
    self.enter_critical();
    Decision<HostGround> decision =
        scheduler_->acquire(0, process.user, now_ns_);
    if (decision.move == &process.user) {
      decision = *scheduler_->enqueue(0, process.user, now_ns_);
    }
    carry_out(self, decision);
    self.exit_critical();
    wait_for_turn(process);
  }
  // A tick of virtual time in user code.
  void tick(Process& process) {
    HostThread& self = *process.thread;
    self.enter_critical();
    now_ns_ += kTickNs;
    ++process.turns;
    scheduler_->charge(0, kTickNs, now_ns_);
    if (scheduler_->tick(0, now_ns_).resched) {
      process.chosen = false;
      carry_out(self, scheduler_->reschedule(0, Why::kAsked, now_ns_));
    }
    self.exit_critical();
    wait_for_turn(process);
    self.yield();  // the interrupt's end: kernel threads first
  }
  void leave_user(Process& process) {
    HostThread& self = *process.thread;
    self.enter_critical();
    process.chosen = false;
    carry_out(self, scheduler_->release(0, process.user, now_ns_));
    self.exit_critical();
    self.set_priority(lwkt::kKernelUser);
  }
  void exit(Process& process) {
    HostThread& self = *process.thread;
    self.enter_critical();
    scheduler_->exiting(process.user, nullptr, now_ns_);
    self.exit_critical();
  }

  [[nodiscard]] Process& of(UserThread<HostGround>& user) {
    for (const auto& process : processes) {
      if (&process->user == &user) return *process;
    }
    ODO_PANIC("no such process");
  }

  std::vector<std::unique_ptr<Process>> processes;

 private:
  static constexpr std::uint64_t kTickNs = 1'000'000;

  void carry_out(HostThread& self, const Decision<HostGround>& decision) {
    if (decision.run == nullptr) return;
    Process& next = of(*decision.run);
    if (next.chosen) return;
    next.chosen = true;
    Sleep::wakeup(self, &next);
  }
  void wait_for_turn(Process& process) {
    HostThread& self = *process.thread;
    while (true) {
      Sleep::interlock(self, &process);
      if (process.chosen) break;
      Sleep::sleep(self, &process);
    }
    Sleep::cancel(self);
    self.set_priority(lwkt::kUserNormal);
  }

  Topology topology_;
  std::array<CpuQueue<HostGround>, 1> queues_;
  std::optional<Scheduler<HostGround>> scheduler_;
  std::uint64_t now_ns_ = 0;
};

TEST(UschedOnLwktTest, KernelThreadsWaitForOneUserThreadAtMost) {
  lwkt::run(1, [](HostThread& self) {
    constexpr int kProcesses = 100;
    Machine machine;
    bool stop = false;
    std::uint64_t ticks = 0;
    struct Job {
      Machine* machine;
      Process* process;
      bool* stop;
      std::uint64_t* ticks;
    };
    std::vector<std::unique_ptr<Job>> jobs;
    std::vector<HostThread*> threads;
    for (int i = 0; i < kProcesses; ++i) {
      machine.processes.push_back(std::make_unique<Process>());
      jobs.push_back(std::make_unique<Job>(
          Job{&machine, machine.processes.back().get(), &stop, &ticks}));
      auto made = self.cpu().create(
          [](HostThread& thread, void* argument) {
            Job& job = *static_cast<Job*>(argument);
            job.process->thread = &thread;
            job.machine->enter_user(*job.process);
            while (!*job.stop) {
              job.machine->tick(*job.process);
              ++*job.ticks;
            }
            job.machine->leave_user(*job.process);
            job.machine->exit(*job.process);
          },
          jobs.back().get(), {.name = "user", .priority = lwkt::kKernelUser});
      ASSERT_TRUE(made.has_value());
      self.cpu().start(**made);
      threads.push_back(*made);
    }
    // We are the kernel thread. From the moment that something wakes us, the
    // one user thread that LWKT has may end its tick, and no other begins one.
    struct Alarm {
      HostThread* sleeper;
      const std::uint64_t* ticks;
      std::uint64_t ticks_then = 0;
    } alarm{.sleeper = &self, .ticks = &ticks};
    lwkt::Callout<HostGround> callout(
        [](void* argument) {
          auto& the = *static_cast<Alarm*>(argument);
          the.ticks_then = *the.ticks;
          Sleep::wakeup(the.sleeper->cpu().current(), &the);
        },
        &alarm);
    std::uint64_t longest = 0;
    // However slow the machine.
    for (int i = 0; i < 50 || ticks <= 1000; ++i) {
      Sleep::interlock(self, &alarm);
      callout.arm(self, HostGround().now_ns() + 200'000);
      Sleep::sleep(self, &alarm);
      longest = std::max(longest, ticks - alarm.ticks_then);
    }
    EXPECT_LE(longest, 1u);
    stop = true;
    for (HostThread* thread : threads) self.join(*thread);
    std::uint64_t least = ~std::uint64_t{0};
    std::uint64_t most = 0;
    for (const auto& process : machine.processes) {
      least = std::min(least, process->turns);
      most = std::max(most, process->turns);
    }
    // Fair among themselves, up to the turn that some had and others not yet.
    EXPECT_LE(most - least, 30u + least / 4);
  });
}

}  // namespace
}  // namespace odo::usched
