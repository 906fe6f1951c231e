// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/tests/report_check.h"

#include <atomic>

#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/threads.h"
#include "lib/base/check.h"

namespace odo::kernel {
namespace {

using Thread = x86::KernelThread;

constinit std::atomic<bool> is_spinning{false};

// The report has to show this name.
[[gnu::noinline]] void spin_for_ever() {
  is_spinning.store(true, std::memory_order_release);
  for (;;) x86::pause();
}

[[gnu::noinline]] void break_an_invariant_in_a_thread() {
  ODO_CHECK(sizeof(int) == 3);
}

void start(Thread::Entry entry, const char* name) {
  x86::KernelCpu& cpu = x86::this_thread_cpu();
  const auto made = cpu.create(entry, nullptr, {.name = name});
  ODO_CHECK(made.has_value());
  cpu.start(**made);
}

}  // namespace

void report_from_thread() {
  static_cast<void>(x86::start_threads());
  start(
      [](Thread& self, void*) {
        const unsigned cpus = self.cpu().system().cpus();
        ODO_CHECK(cpus > 1);
        self.set_cpu(cpus - 1);
        spin_for_ever();
      },
      "spinner");
  start(
      [](Thread& self, void*) {
        while (!is_spinning.load(std::memory_order_acquire)) self.yield();
        break_an_invariant_in_a_thread();
      },
      "culprit");
  x86::run_threads();
}

}  // namespace odo::kernel
