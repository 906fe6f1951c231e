// SPDX-License-Identifier: BSD-3-Clause
// The kernel's threads while somebody talks to the monitor: the monitor's own,
// and one that makes changes durable from time to time.
//
// The filesystem is the monitor thread's, but while that waits for a key: then
// the sync thread may have it. A serializer says whose turn it is.
//
// Contexts: made and run on the boot stack, which becomes the idle thread's.
// Failure: without memory for the CPU's books the machine stops, and says so.
#pragma once

#include <cstdint>

#include "kernel/console.h"
#include "kernel/machine.h"
#include "kernel/x86_64/lwkt_ground.h"
#include "kernel/x86_64/stacks.h"
#include "lib/base/annotations.h"
#include "lib/lwkt/serializer.h"
#include "lib/lwkt/system.h"
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
  using Thread = lwkt::Thread<Ground>;

  static void converse(Thread& self,
                       void* conversation) ODO_NO_THREAD_SAFETY_ANALYSIS;
  static void keep_synced(Thread& self, void* conversation);
  // In the monitor's thread: sleeps until there may be a key.
  static void wait_for_key(void* conversation) ODO_NO_THREAD_SAFETY_ANALYSIS;
  // In the interrupts of the line and of the keyboard.
  static void on_key(void* conversation);
  static void on_keyboard(void* conversation);

  [[nodiscard]] lwkt::Cpu<Ground>& cpu() { return system_->cpu(0); }
  void start(x86::StackOf stack, const char* name, Thread::Entry entry);

  KernelMonitor& monitor_;
  std::uint64_t sync_ns_;
  lwkt::System<Ground>* system_;
  lwkt::Serializer<Ground> filesystem_{"filesystem"};
};

}  // namespace odo::kernel
