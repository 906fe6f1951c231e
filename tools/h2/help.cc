// SPDX-License-Identifier: BSD-3-Clause
#include "tools/h2/help.h"

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_format.h"
#include "tools/h2/command.h"
#include "tools/h2/commands.h"
#include "tools/h2/flag_text.h"

namespace odo::h2 {

std::string general_help() {
  std::string text =
      "usage: h2 COMMAND [FLAGS] IMAGE... [@PFS] [PATH]\n\n"
      "Looks into HAMMER2 volumes without mounting or changing them.\n\n";
  for (const Command* command : commands()) {
    absl::StrAppendFormat(&text, "  %-11s %s\n", command->name,
                          command->summary);
  }
  absl::StrAppendFormat(
      &text,
      "\n%s\n\nExit status:\n%s\n\n`h2 COMMAND --help` tells about one "
      "command, `h2 man` prints the manual page,\n`h2 completion SHELL` the "
      "shell's completion.\n",
      kAboutImages, kAboutStatus);
  return text;
}

std::string help_of(const Command& command) {
  std::string text =
      absl::StrFormat("usage: h2 %s [FLAGS] %s\n\n%s.\n\n%s\n", command.name,
                      command.arguments, command.summary, command.help);
  const std::vector<std::string_view> flags = flags_of(command);
  if (!flags.empty()) text += "\nFlags:\n";
  for (const std::string_view name : flags) {
    const FlagText flag = text_of_flag(name);
    absl::StrAppendFormat(&text, "  %-18s %s\n", flag.synopsis, flag.meaning);
  }
  if (!command.examples.empty()) text += "\nExamples:\n";
  for (const std::string& line : lines_of(command.examples)) {
    absl::StrAppendFormat(&text, "  %s\n", line);
  }
  return text;
}

}  // namespace odo::h2
