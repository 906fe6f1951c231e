// SPDX-License-Identifier: BSD-3-Clause
// Turns a fault in the guard below a thread's stack into a report that names
// the thread. Other faults end the program as they would have.
//
// Contexts: made on the host thread that is the CPU, around Cpu::run(). The
//   handler runs on a stack of its own.
// Failure: without memory for that stack there is no report, only the fault.
// Origin: sigaltstack(2), sigaction(2).
#pragma once

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "lib/lwkt/host/ground.h"
#include "lib/lwkt/system.h"

namespace odo::lwkt {

class OverflowWatch {
 public:
  explicit OverflowWatch(Cpu<HostGround>& cpu) : memory_(std::malloc(kBytes)) {
    cpu_ = &cpu;
    if (memory_ == nullptr) return;
    const stack_t own = {.ss_sp = memory_, .ss_flags = 0, .ss_size = kBytes};
    sigaltstack(&own, &before_);
    static const bool installed = install();
    (void)installed;
  }
  OverflowWatch(const OverflowWatch&) = delete;
  OverflowWatch& operator=(const OverflowWatch&) = delete;
  ~OverflowWatch() {
    cpu_ = nullptr;
    if (memory_ == nullptr) return;
    sigaltstack(&before_, nullptr);
    std::free(memory_);
  }

 private:
  static constexpr std::size_t kBytes = std::size_t{64} * 1024;

  static bool install() {
    struct sigaction action{};
    action.sa_sigaction = &OverflowWatch::handle;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    return sigaction(SIGSEGV, &action, &previous_) == 0;
  }
  static void handle(int number, siginfo_t* info, void* /*context*/) {
    Cpu<HostGround>* cpu = cpu_;
    if (cpu != nullptr) {
      HostThread& thread = cpu->current();
      const auto at = reinterpret_cast<std::uintptr_t>(info->si_addr);
      const auto low = reinterpret_cast<std::uintptr_t>(thread.stack().data());
      if (!thread.stack().empty() && at < low &&
          low - at <= HostStacks::kPageBytes) {
        HostGround().lwkt_fault({Misuse::kStackOverflow, thread.name(), "",
                                 Where::current(), Where()});
      }
    }
    // Not ours: as if we had not been here.
    sigaction(number, &previous_, nullptr);
    raise(number);
  }

  inline static thread_local Cpu<HostGround>* cpu_ = nullptr;
  inline static struct sigaction previous_{};

  void* memory_;
  stack_t before_{};
};

}  // namespace odo::lwkt
