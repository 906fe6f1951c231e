// SPDX-License-Identifier: BSD-3-Clause
// `h2 man`: the manual page, in the macros of man(7).
#include <iostream>
#include <string>
#include <string_view>

#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "tools/h2/command.h"
#include "tools/h2/commands.h"
#include "tools/h2/flag_text.h"
#include "tools/h2/help.h"

namespace odo::h2 {
namespace man_command {
namespace {

// Text as roff takes it: no escapes, no requests, ASCII dashes.
std::string plain(std::string_view text) {
  std::string escaped = absl::StrReplaceAll(
      std::string(text),
      {{"\\", "\\e"}, {"-", "\\-"}, {"…", "..."}, {"`", "\\(ga"}});
  if (escaped.starts_with('.') || escaped.starts_with('\'')) {
    escaped.insert(0, "\\&");
  }
  return escaped;
}

// A paragraph, its lines one by one, so that none can be taken for a request.
std::string paragraph(std::string_view text) {
  std::string result;
  for (const std::string& line : lines_of(text)) result += plain(line) + "\n";
  return result;
}

std::string section_of(const Command& command) {
  std::string text =
      absl::StrFormat(".SS \"h2 %s %s\"\n%s.\n.PP\n%s", plain(command.name),
                      plain(command.arguments), plain(command.summary),
                      paragraph(command.help));
  for (const std::string_view name : flags_of(command)) {
    const FlagText flag = text_of_flag(name);
    absl::StrAppendFormat(&text, ".TP\n.B %s\n%s", plain(flag.synopsis),
                          paragraph(flag.meaning));
  }
  if (!command.examples.empty()) {
    absl::StrAppendFormat(&text, ".PP\n.nf\n%s.fi\n",
                          paragraph(command.examples));
  }
  return text;
}

int run(const Request& request) {
  if (!request.words.empty()) throw UsageError("unexpected argument");
  std::cout << ".TH H2 1\n.SH NAME\nh2 \\- looks into HAMMER2 volumes\n"
               ".SH SYNOPSIS\n.B h2\nCOMMAND [FLAGS] IMAGE... [@PFS] [PATH]\n"
               ".SH DESCRIPTION\nReads HAMMER2 volumes without mounting or "
               "changing them.\n.PP\n"
            << paragraph(kAboutImages) << ".SH COMMANDS\n";
  for (const Command* command : commands()) std::cout << section_of(*command);
  std::cout << ".SH \"EXIT STATUS\"\n" << paragraph(kAboutStatus);
  return kStatusGood;
}

}  // namespace
}  // namespace man_command

constinit const Command kMan = {
    .name = "man",
    .arguments = "",
    .summary = "The manual page",
    .help = "In roff, for man(1).",
    .examples = "h2 man | man -l -\nh2 man > ~/.local/share/man/man1/h2.1",
    .path = PathArgument::kWithoutImage,
    .flags = {},
    .run = man_command::run,
};

}  // namespace odo::h2
