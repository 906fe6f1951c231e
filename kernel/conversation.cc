// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/conversation.h"

#include <cstdint>

#include "kernel/x86_64/interrupts.h"
#include "kernel/x86_64/keyboard.h"
#include "kernel/x86_64/serial16550.h"
#include "kernel/x86_64/stacks.h"
#include "kernel/x86_64/traps.h"
#include "lib/base/check.h"
#include "lib/lwkt/sleep.h"

namespace odo::kernel {
namespace {

using Sleepers = lwkt::Sleepers<x86::LwktGround>;

constexpr unsigned kConsoleLine = 4;  // COM1's
// How often a console without an interrupt is asked.
constexpr std::uint64_t kPollNs = 20'000'000;

}  // namespace

Conversation::Conversation(KernelMonitor& monitor, std::uint64_t sync_seconds)
    : monitor_(monitor),
      sync_ns_(sync_seconds * 1'000'000'000),
      system_(x86::start_threads()) {}

void Conversation::run() {
  if (serve_line(kConsoleLine, "console", on_line)) {
    x86::console_port.enable_receive_interrupt();
  } else {
    is_asked_ = true;
  }
  if (x86::has_keyboard() &&
      !serve_line(x86::kKeyboardLine, "keyboard", on_keyboard)) {
    is_asked_ = true;
  }
  SerialConsole::wait_with(wait_for_key, this);
  start(x86::StackOf::kMonitor, "monitor", converse);
  if (sync_ns_ != 0) start(x86::StackOf::kSync, "sync", keep_synced);
  x86::run_threads();
}

bool Conversation::serve_line(unsigned line, const char* name,
                              void (*serve)(void* unused)) {
  const auto vector = x86::route_isa_line(line);
  if (vector) x86::start_interrupt_thread(*vector, name, serve, nullptr);
  return vector.has_value();
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
  the.filesystem_.leave(self);
  // A key that comes between the look and the sleep ends the sleep at once.
  Sleepers::interlock(self, &x86::console_port);
  if (SerialConsole::has_input()) {
    Sleepers::cancel(self);
  } else {
    Sleepers::sleep(self, &x86::console_port,
                    the.is_asked_ ? the.cpu().ground().now_ns() + kPollNs
                                  : Sleepers::kNoTimeout);
  }
  the.filesystem_.enter(self);
}

void Conversation::on_line(void* /*unused*/) {
  x86::console_port.pull_received();
  wake_reader();
}

void Conversation::on_keyboard(void* /*unused*/) {
  x86::pull_keys();
  wake_reader();
}

void Conversation::wake_reader() {
  Sleepers::wakeup(x86::this_thread_cpu().current(), &x86::console_port);
}

}  // namespace odo::kernel
