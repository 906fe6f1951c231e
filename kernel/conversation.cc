// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/conversation.h"

#include <new>

#include "kernel/x86_64/alarm.h"
#include "kernel/x86_64/heap.h"
#include "kernel/x86_64/keyboard.h"
#include "kernel/x86_64/pic.h"
#include "kernel/x86_64/serial16550.h"
#include "kernel/x86_64/stacks.h"
#include "kernel/x86_64/traps.h"
#include "lib/base/check.h"
#include "lib/lwkt/sleep.h"

namespace odo::kernel {
namespace {

using System = lwkt::System<x86::LwktGround>;
using Sleepers = lwkt::Sleepers<x86::LwktGround>;

[[nodiscard]] System* make_system() {
  const auto storage = x86::kernel_heap().allocate_bytes(
      System::storage_bytes(1), System::storage_alignment());
  auto* const made = static_cast<System*>(
      x86::kernel_heap().allocate(sizeof(System), alignof(System)));
  if (storage.empty() || made == nullptr) {
    x86::stop_with("no memory for threads: give the machine more");
  }
  return ::new (made) System(storage, 1);
}

}  // namespace

Conversation::Conversation(KernelMonitor& monitor, std::uint64_t sync_seconds)
    : monitor_(monitor),
      sync_ns_(sync_seconds * 1'000'000'000),
      system_(make_system()) {}

void Conversation::run() {
  x86::init_pic();
  x86::init_alarm();
  x86::set_interrupt_handler(x86::kPicFirstVector + x86::kConsoleLine, on_key,
                             this);
  x86::unmask_pic_line(x86::kConsoleLine);
  x86::console_port.enable_receive_interrupt();
  if (x86::has_keyboard()) {
    x86::set_interrupt_handler(x86::kPicFirstVector + x86::kKeyboardLine,
                               on_keyboard, this);
    x86::unmask_pic_line(x86::kKeyboardLine);
  }
  SerialConsole::wait_with(wait_for_key, this);
  start(x86::StackOf::kMonitor, "monitor", converse);
  if (sync_ns_ != 0) start(x86::StackOf::kSync, "sync", keep_synced);
  cpu().run();
  x86::stop_with("the kernel's threads have ended");
}

void Conversation::start(x86::StackOf stack, const char* name,
                         Thread::Entry entry) {
  const auto made =
      cpu().create_on(x86::stack(stack).memory(), entry, this, {.name = name});
  ODO_CHECK(made.has_value());
  cpu().start(**made);
}

void Conversation::converse(Thread& self, void* conversation) {
  auto& the = *static_cast<Conversation*>(conversation);
  the.filesystem_.enter(self);
  static_cast<void>(the.monitor_.converse());
  x86::stop_with(
      "there is no console to talk over: no COM1, no screen "
      "with a keyboard");
}

void Conversation::keep_synced(Thread& self, void* conversation) {
  auto& the = *static_cast<Conversation*>(conversation);
  for (;;) {
    Sleepers::sleep(self, &the.sync_ns_,
                    the.cpu().ground().now_ns() + the.sync_ns_);
    the.filesystem_.enter(self);
    // What could not be made durable was told; to say it again and again helps
    // nobody, and no later sync can mend it.
    const monitor::Status status = the.monitor_.sync();
    the.filesystem_.leave(self);
    if (status != monitor::Status::kDone) return;
  }
}

void Conversation::wait_for_key(void* conversation) {
  auto& the = *static_cast<Conversation*>(conversation);
  Thread& self = the.cpu().current();
  // Interrupts are off until all threads wait: no key comes in between.
  the.filesystem_.leave(self);
  Sleepers::sleep(self, &x86::console_port);
  the.filesystem_.enter(self);
}

void Conversation::on_key(void* conversation) {
  auto& the = *static_cast<Conversation*>(conversation);
  x86::console_port.on_interrupt();
  x86::acknowledge_pic();
  Sleepers::wakeup(the.cpu().current(), &x86::console_port);
}

void Conversation::on_keyboard(void* conversation) {
  auto& the = *static_cast<Conversation*>(conversation);
  x86::on_keyboard_interrupt();
  x86::acknowledge_pic();
  Sleepers::wakeup(the.cpu().current(), &x86::console_port);
}

}  // namespace odo::kernel
