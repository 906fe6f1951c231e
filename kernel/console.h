// SPDX-License-Identifier: BSD-3-Clause
// The monitor's console: a conversation on COM1 and, where there are any, on
// screen and keyboard; or a script, whose output alone goes to the run output.
// Satisfies monitor::Console.
//
// Contexts: one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/keyboard.h"
#include "kernel/x86_64/log.h"
#include "kernel/x86_64/run_output.h"
#include "kernel/x86_64/screen.h"
#include "kernel/x86_64/serial16550.h"
#include "lib/base/bytes.h"
#include "lib/monitor/machine.h"

namespace odo::kernel {

enum class Purpose : std::uint8_t { kConversation, kScript };

class SerialConsole {
 public:
  // Called once, when the first prompt is out and input is first waited for.
  using AtPrompt = void (*)();

  explicit SerialConsole(Purpose purpose, AtPrompt at_prompt)
      : purpose_(purpose), at_prompt_(at_prompt) {}

  // How the thread that reads waits for a key; comes back when there may be
  // one.
  using Wait = void (*)(void* context);
  static void wait_with(Wait wait, void* context) {
    wait_ = wait;
    wait_context_ = context;
  }

  void write(monitor::Channel channel, Bytes bytes) {
    const bool is_output = channel == monitor::Channel::kOutput;
    if (purpose_ == Purpose::kScript && is_output) {
      x86::write_run_output(bytes);
    } else {
      x86::write_console(bytes);
    }
  }

  [[nodiscard]] std::optional<std::byte> read() {
    if (purpose_ == Purpose::kScript || !is_somebody_there()) {
      return std::nullopt;
    }
    if (at_prompt_ != nullptr) {
      at_prompt_();
      at_prompt_ = nullptr;
    }
    for (;;) {
      if (const auto byte = take()) return byte;
      wait_(wait_context_);
    }
  }

  // Whether read() would give something at once.
  [[nodiscard]] static bool has_input() {
    return x86::console_port.has_input() || x86::has_key();
  }

  [[nodiscard]] std::optional<std::byte> poll() {
    if (purpose_ == Purpose::kScript) return std::nullopt;
    return take();
  }

 private:
  [[nodiscard]] static bool is_somebody_there() {
    return x86::console_port.is_present() ||
           (x86::has_screen() && x86::has_keyboard());
  }
  [[nodiscard]] static std::optional<std::byte> take() {
    if (const auto byte = x86::console_port.take()) return byte;
    return x86::take_key();
  }

  static inline constinit Wait wait_ = [](void*) { x86::wait_for_interrupt(); };
  static inline constinit void* wait_context_ = nullptr;

  Purpose purpose_;
  AtPrompt at_prompt_;
};

static_assert(monitor::Console<SerialConsole>);

}  // namespace odo::kernel
