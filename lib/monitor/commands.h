// SPDX-License-Identifier: BSD-3-Clause
// The table of commands: the only place that knows them all. A new command is
// a function elsewhere and a line here.
//
// Contexts: thread.
// Failure: a Status; 127 for a name that is not in the table.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "lib/base/text.h"
#include "lib/monitor/debug_commands.h"
#include "lib/monitor/files_list.h"
#include "lib/monitor/files_read.h"
#include "lib/monitor/files_write.h"
#include "lib/monitor/machine_commands.h"
#include "lib/monitor/options.h"
#include "lib/monitor/session.h"
#include "lib/monitor/suggest.h"

namespace odo::monitor {

template <class S>
struct Command {
  std::string_view name;
  std::string_view synopsis;  // what follows the name
  std::string_view help;      // one line
  Status (*run)(S&, Words);
};

template <class S>
[[nodiscard]] Status command_help(S& s, Words words);

// In the order in which help shows them.
template <class S>
inline constexpr std::array kCommands = {
    Command<S>{"help", "[COMMAND]", "what can be typed here", command_help<S>},
    Command<S>{"ls", "[-l] [-a] [-R] [PATH...]",
               "list directories; -l in detail, -a dot names too, -R below too",
               command_ls<S>},
    Command<S>{"cat", "PATH...", "print files as they are", command_cat<S>},
    Command<S>{"stat", "PATH...", "everything an inode says", command_stat<S>},
    Command<S>{"sha256", "[-r] PATH...",
               "SHA-256 of files; -r of every file in directories",
               command_sha256<S>},
    Command<S>{"find", "[PATH] [-name GLOB] [-type f|d|l|p|c|b|s]",
               "paths below PATH that pass the tests", command_find<S>},
    Command<S>{"put", "[-a] PATH [WORD...]",
               "write the words and a line end to a file; -a at its end",
               command_put<S>},
    Command<S>{"rm", "[-r] PATH...",
               "remove names; -r directories with all below them",
               command_rm<S>},
    Command<S>{"mv", "PATH... TO", "rename, or move into the directory TO",
               command_mv<S>},
    Command<S>{"ln", "[-s] TARGET PATH",
               "give a file another name; -s make a symlink", command_ln<S>},
    Command<S>{"mkdir", "[-p] PATH...",
               "make directories; -p those on the way, too", command_mkdir<S>},
    Command<S>{"snapshot", "LABEL", "make a PFS of what the mounted one is now",
               command_snapshot<S>},
    Command<S>{"sync", "", "make all changes durable", command_sync<S>},
    Command<S>{"cd", "[PATH]", "go to a directory, or to the root",
               command_cd<S>},
    Command<S>{"pwd", "", "where we are", command_pwd<S>},
    Command<S>{"df", "", "space on the mounted filesystem, and its PFSs",
               command_df<S>},
    Command<S>{"mount", "[DISK[+DISK...][@PFS]]",
               "show a filesystem's tree; alone, what is mounted and all disks",
               command_mount<S>},
    Command<S>{"mem", "", "memory in use", command_mem<S>},
    Command<S>{"pci", "", "devices on the PCI buses", command_pci<S>},
    Command<S>{"cpu", "", "the processor", command_cpu<S>},
    Command<S>{"cpus", "", "each processor, and whether it runs",
               command_cpus<S>},
    Command<S>{"dmesg", "", "what the kernel said, each line with its time",
               command_dmesg<S>},
    Command<S>{"threads", "", "the kernel's threads, and what they wait for",
               command_threads<S>},
    Command<S>{"backtrace", "NAME", "who called whom in a thread",
               command_backtrace<S>},
    Command<S>{"malloc", "", "the kernel's heap in detail", command_malloc<S>},
    Command<S>{"uptime", "", "time since power-on", command_uptime<S>},
    Command<S>{"echo", "[WORD...]", "print words", command_echo<S>},
    Command<S>{"reboot", "", "start the machine anew", command_reboot<S>},
    Command<S>{"poweroff", "[STATUS]",
               "turn the machine off; STATUS goes to whoever started it",
               command_poweroff<S>},
};

namespace detail {

template <class S>
[[nodiscard]] const Command<S>* find_command(std::string_view name) {
  for (const Command<S>& command : kCommands<S>) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

// "unknown command, did you mean `ls`?"
template <class S>
[[nodiscard]] Status tell_unknown(S& s, std::string_view name) {
  const Command<S>* nearest = &kCommands<S>[0];
  std::size_t least = edit_distance(name, nearest->name);
  bool least_begins_alike = name.starts_with(nearest->name[0]);
  for (const Command<S>& command : kCommands<S>) {
    std::size_t distance = edit_distance(name, command.name);
    bool begins_alike = name.starts_with(command.name[0]);
    // Letters are left out more often than put in.
    bool breaks_tie =
        distance == least && (begins_alike == least_begins_alike
                                  ? command.name.size() > nearest->name.size()
                                  : begins_alike);
    if (distance < least || breaks_tie) {
      nearest = &command;
      least = distance;
      least_begins_alike = begins_alike;
    }
  }
  constexpr std::size_t kShown = 64;
  auto& line = s.begin_error("monitor").escaped(slice(name, 0, kShown));
  line.text(name.size() > kShown ? "..." : "").text(": unknown command, ");
  // Nothing is meant by a word of which next to nothing is left.
  if (least <= 2 && least < name.size()) {
    line.text("did you mean `").text(nearest->name).text("`?");
  } else {
    line.text("`help` lists them, the nearest is `").text(nearest->name);
    line.text("`");
  }
  return s.end_error(Status::kUnknown);
}

}  // namespace detail

template <class S>
[[nodiscard]] Status command_help(S& s, Words words) {
  constexpr std::size_t kWidth = 26;
  if (words.size() > 1) {
    const Command<S>* command = detail::find_command<S>(words[1]);
    if (command == nullptr) return detail::tell_unknown(s, words[1]);
    s.out.text(command->name).text(command->synopsis.empty() ? "" : " ");
    s.out.text(command->synopsis).text("\n  ").text(command->help).text("\n");
    return Status::kDone;
  }
  for (const Command<S>& command : kCommands<S>) {
    std::size_t used = command.name.size() + 1 + command.synopsis.size();
    s.out.text(command.name).text(" ").text(command.synopsis);
    if (used + 1 > kWidth) {
      s.out.text("\n").spaces(kWidth);
    } else {
      s.out.spaces(kWidth - used);
    }
    s.out.text(command.help).text("\n");
  }
  s.out.text(
      "Words may be 'quoted' or \"quoted\"; \\xNN is a byte; ; or a new line "
      "ends a command.\n");
  return Status::kDone;
}

// Runs one command; words[0] is its name.
template <class S>
[[nodiscard]] Status run_command(S& s, Words words) {
  const Command<S>* command = detail::find_command<S>(words[0]);
  return command == nullptr ? detail::tell_unknown(s, words[0])
                            : command->run(s, words);
}

}  // namespace odo::monitor
