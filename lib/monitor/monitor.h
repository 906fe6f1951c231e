// SPDX-License-Identifier: BSD-3-Clause
// The built-in monitor: a prompt on a serial line, or a script, over the
// filesystem on the machine's disks and the machine itself.
//
//   auto* monitor = new (pages) Monitor<Serial, Pc>(serial, pc, memory,
//   checks); (void)monitor->mount_any();
//   pc.poweroff(static_cast<std::uint8_t>(monitor->run("ls -R /")));
//   // or
//   monitor->converse();
//
// Contexts: thread, one at a time; blocks where console and disks do. No
// recursion; no function takes more than 2 KiB of stack.
// Ownership: refers to console, machine and memory, which outlive it. The
// object takes about 130 KiB: pages or static memory, not a stack.
// Shapes: `memory` is at least kMinMemoryBytes; what is more becomes cache. A
// command takes at most kMaxCommandBytes and Tokenizer::kMaxWords words.
// Failure: a Status per command; troubles are one line each on the console's
// error channel.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/check/checks.h"
#include "lib/monitor/commands.h"
#include "lib/monitor/completion.h"
#include "lib/monitor/line_editor.h"
#include "lib/monitor/machine.h"
#include "lib/monitor/mount.h"
#include "lib/monitor/session.h"
#include "lib/monitor/tokenizer.h"

namespace odo::monitor {

template <Console C, Machine M>
class Monitor {
 public:
  using MonitorSession = Session<C, M>;
  static constexpr std::size_t kMinMemoryBytes =
      MonitorSession::kMinMemoryBytes;
  static constexpr std::size_t kMaxCommandBytes = 16384;
  static constexpr std::string_view kPrompt = "odo> ";

  Monitor(C& console, M& machine, MutableBytes memory, check::Checks checks)
      : session_(console, machine, memory, checks),
        completion_(session_, editor_) {}
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

  // Mounts what the disks offer; silent on success and without disks.
  Status mount_any() { return odo::monitor::mount_any(session_); }
  // Mounts what `spec` names, as the command does: "vd0", "vd0+vd1@LABEL".
  Status mount(std::string_view spec) { return mount_spec(session_, spec); }

  // Makes what was changed durable and mounts nothing any more: before the
  // machine ends.
  Status finish() { return save_changes(session_, "monitor"); }

  // Makes what was changed so far durable; for who does so from time to time,
  // in the thread that the monitor runs in.
  Status sync() { return sync_changes(session_, "sync"); }

  // Runs every command of `script` and returns the status of the last one, or
  // of the first that ^C ended, which ends the script.
  Status run(std::string_view script) {
    Status status = Status::kDone;
    Tokenizer tokenizer(script, command_, words_);
    while (true) {
      auto words = tokenizer.next();
      if (!words) {
        session_.begin_error("monitor").text(to_string(words.error()));
        status = session_.end_error(Status::kUsage);
        continue;
      }
      if (words->empty()) break;
      status = run_command(session_, *words);
      session_.out.flush();
      if (status == Status::kInterrupted) break;
    }
    return status;
  }

  // Talks to a terminal until no more input can come; returns the status of
  // the last command.
  Status converse() {
    auto& out = session_.out;
    session_.set_newline(Newline::kTerminal);
    out.text("Odonata monitor: `help` lists the commands");
    if (session_.is_mounted) {
      out.text(", ");
      detail::print_mounted(session_);
      out.text(" is mounted");
    }
    out.text(".\n");
    Status status = Status::kDone;
    editor_.begin(kPrompt, out);
    while (true) {
      out.flush();
      auto byte = session_.console.read();
      if (!byte) break;
      switch (editor_.feed(*byte, out)) {
        case EditEvent::kNone:
          continue;
        case EditEvent::kComplete:
          completion_.run();
          continue;
        case EditEvent::kEnd:
          out.text("\n`poweroff` turns the machine off\n");
          break;
        case EditEvent::kInterrupt:
          break;
        case EditEvent::kLine:
          out.flush();
          editor_.remember(editor_.line());
          status = run(editor_.line());
          if (status == Status::kInterrupted) out.text("^C");
          session_.finish_row();
          break;
      }
      editor_.begin(kPrompt, out);
    }
    out.text("\n").flush();
    session_.set_newline(Newline::kPlain);
    return status;
  }

 private:
  MonitorSession session_;
  LineEditor editor_;
  Completion<MonitorSession> completion_;
  Tokenizer::Words words_;
  std::array<char, kMaxCommandBytes> command_;
};

}  // namespace odo::monitor
