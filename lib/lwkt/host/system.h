// SPDX-License-Identifier: BSD-3-Clause
// A machine of host threads: one line from main() to lwkt threads.
//
//   lwkt::run(2, [](lwkt::HostThread& self) { ... });
//
// Contexts: the host thread that made it, before run() and after.
// Failure: out of memory for the machine itself ends the program, as new does.
#pragma once

#include <pthread.h>
#include <sched.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "lib/base/check.h"
#include "lib/lwkt/host/ground.h"
#include "lib/lwkt/host/overflow.h"
#include "lib/lwkt/system.h"

namespace odo::lwkt {

using HostCpu = Cpu<HostGround>;

// Where Linux runs the machine's CPUs.
enum class Placement : std::uint8_t {
  kFree,   // wherever it likes
  kPinned  // CPU i on the i-th processor that the program may use, round about
};

class HostSystem {
 public:
  explicit HostSystem(unsigned cpus, Placement placement = Placement::kFree)
      : placement_(placement),
        storage_(new(kAlign)
                     std::byte[System<HostGround>::storage_bytes(cpus)]),
        system_({storage_.get(), System<HostGround>::storage_bytes(cpus)},
                cpus) {}

  [[nodiscard]] System<HostGround>& operator*() { return system_; }
  [[nodiscard]] System<HostGround>* operator->() { return &system_; }

  // Runs the machine, CPU 0 on the calling host thread, until stop() was called
  // and every thread has ended. Before this, threads may be made and started on
  // any of the CPUs by the caller.
  void run() {
    std::jthread ticker([this](const std::stop_token& stop) { tick(stop); });
    std::vector<std::jthread> others;
    for (unsigned i = 1; i < system_.cpus(); ++i) {
      others.emplace_back([this, i] { run_cpu(i); });
    }
    // Pinned last: threads inherit what their maker may use.
    run_cpu(0);
  }

 private:
  static constexpr std::align_val_t kAlign{
      System<HostGround>::storage_alignment()};
  struct Free {
    void operator()(std::byte* memory) const {
      ::operator delete[](memory, kAlign);
    }
  };

  void run_cpu(unsigned index) {
    cpu_set_t before;
    CPU_ZERO(&before);
    (void)sched_getaffinity(0, sizeof before, &before);
    if (placement_ == Placement::kPinned) pin(index, before);
    run_here(index);
    (void)sched_setaffinity(0, sizeof before, &before);
  }
  // Best effort: where it is forbidden, Linux decides.
  static void pin(unsigned index, const cpu_set_t& allowed) {
    const int count = CPU_COUNT(&allowed);
    if (count == 0) return;
    int left = static_cast<int>(index % static_cast<unsigned>(count));
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (!CPU_ISSET(cpu, &allowed) || left-- != 0) continue;
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(cpu, &one);
      (void)sched_setaffinity(0, sizeof one, &one);
      return;
    }
  }
  void run_here(unsigned index) {
    const OverflowWatch watch(system_.cpu(index));
    system_.cpu(index).run();
  }
  // What a timer interrupt would do on each CPU.
  void tick(const std::stop_token& stop) {
    HostGround ground;
    while (!stop.stop_requested()) {
      constexpr timespec kMillisecond = {.tv_sec = 0, .tv_nsec = 1'000'000};
      nanosleep(&kMillisecond, nullptr);
      for (unsigned i = 0; i < system_.cpus(); ++i) {
        system_.cpu(i).attention().raise(ground, i,
                                         Attention<HostGround>::kTick);
      }
    }
  }

  Placement placement_;
  std::unique_ptr<std::byte[], Free> storage_;
  System<HostGround> system_;
};

// Runs `body` as the first thread of a machine of `cpus` CPUs, and returns when
// every thread has ended.
template <std::invocable<HostThread&> Body>
void run(unsigned cpus, Body body, Placement placement = Placement::kFree) {
  HostSystem system(cpus, placement);
  struct First {
    Body& body;
    HostSystem& system;
  } first{body, system};
  auto made = system->cpu(0).create(
      [](HostThread& self, void* argument) {
        auto& the = *static_cast<First*>(argument);
        the.body(self);
        the.system->stop();
      },
      &first,
      {.name = "main",
       .lifetime = Lifetime::kDetached,
       .stack_bytes = std::size_t{256} * 1024});
  ODO_CHECK(made.has_value());
  system->cpu(0).start(**made);
  system.run();
}

}  // namespace odo::lwkt
