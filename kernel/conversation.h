// SPDX-License-Identifier: BSD-3-Clause
// The kernel's threads while somebody talks to the monitor: the monitor's own,
// and one that makes changes durable from time to time.
//
// The filesystem is the monitor thread's, but while that waits for a key: then
// the sync thread may have it. A serializer says whose turn it is.
//
// Contexts: made and run on the boot stack, which becomes the idle thread's.
// Its
//   threads stay on CPU 0.
// Failure: without memory for the CPUs' books the machine stops, and says so.
#pragma once

#include <cstdint>

#include "kernel/console.h"
#include "kernel/machine.h"
#include "kernel/x86_64/lwkt_ground.h"
#include "kernel/x86_64/stacks.h"
#include "kernel/x86_64/threads.h"
#include "lib/base/annotations.h"
#include "lib/lwkt/serializer.h"
#include "lib/monitor/monitor.h"

namespace odo::kernel {

using KernelMonitor = monitor::Monitor<SerialConsole, Pc>;

class Conversation {
 public:
  // Syncs each so many seconds; 0 for never.
  Conversation(KernelMonitor& monitor, std::uint64_t sync_seconds);
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  [[noreturn]] void run();

 private:
  using Ground = x86::LwktGround;
  using Thread = x86::KernelThread;

  static void converse(Thread& self,
                       void* conversation) ODO_NO_THREAD_SAFETY_ANALYSIS;
  static void keep_synced(Thread& self, void* conversation);
  // In the monitor's thread: sleeps until there may be a key.
  static void wait_for_key(void* conversation) ODO_NO_THREAD_SAFETY_ANALYSIS;
  // In the threads of the console's and the keyboard's interrupts.
  static void on_line(void* unused);
  static void on_keyboard(void* unused);
  static void wake_reader();

  [[nodiscard]] x86::KernelCpu& cpu() { return system_.cpu(0); }
  void start(x86::StackOf stack, const char* name, Thread::Entry entry);
  // A thread for a line's interrupt; false where that leads nowhere.
  [[nodiscard]] static bool serve_line(unsigned line, const char* name,
                                       void (*serve)(void* unused));

  KernelMonitor& monitor_;
  std::uint64_t sync_ns_;
  x86::KernelSystem& system_;
  // Some input has no interrupt that leads here: all is asked from time to
  // time.
  bool is_asked_ = false;
  lwkt::Serializer<Ground> filesystem_{"filesystem"};
};

}  // namespace odo::kernel
