// SPDX-License-Identifier: BSD-3-Clause
// `h2 completion`: has a shell complete commands, flags and files.
#include <iostream>
#include <string>
#include <string_view>

#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "tools/h2/command.h"
#include "tools/h2/commands.h"
#include "tools/h2/flag_text.h"

namespace odo::h2 {
namespace completion_command {
namespace {

std::string flag_words(const Command& command) {
  std::string words = "--help";
  for (const std::string_view name : flags_of(command)) {
    const FlagText flag = text_of_flag(name);
    absl::StrAppendFormat(&words, " %s%s", dashed(name),
                          flag.value.empty() ? "" : "=");
  }
  return words;
}

std::string command_words() {
  std::string words = "help";
  for (const Command* command : commands()) {
    absl::StrAppendFormat(&words, " %s", command->name);
  }
  return words;
}

// In single quotes, for any of the shells.
std::string quoted(const std::string& text) {
  return "'" + absl::StrReplaceAll(text, {{"'", "'\\''"}}) + "'";
}

// A line of `case` for each command, made by `format` of its name and flags.
template <class Format>
std::string each_command(const Format& format) {
  std::string text;
  for (const Command* command : commands()) {
    absl::StrAppendFormat(&text, format, command->name, flag_words(*command));
  }
  return text;
}

std::string bash() {
  return absl::StrFormat(
      R"(_h2() {
  local word=${COMP_WORDS[COMP_CWORD]} flags=
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 ]]; then
    COMPREPLY=($(compgen -W '%s' -- "$word"))
    return
  fi
  case ${COMP_WORDS[1]} in
%s  esac
  if [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$word"))
    [[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace
  else
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
  fi
}
complete -F _h2 h2
)",
      command_words(),
      each_command(absl::ParsedFormat<'s', 's'>("    %s) flags='%s' ;;\n")));
}

std::string zsh() {
  std::string described;
  for (const Command* command : commands()) {
    described +=
        "    " +
        quoted(absl::StrFormat("%s:%s", command->name, command->summary)) +
        "\n";
  }
  return absl::StrFormat(
      R"(#compdef h2
_h2() {
  local -a commands flags
  commands=(
%s  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  case $words[2] in
%s  esac
  if [[ $PREFIX == -* ]]; then
    compadd -- $flags
  else
    _files
  fi
}
compdef _h2 h2
)",
      described,
      each_command(absl::ParsedFormat<'s', 's'>("    %s) flags=(%s) ;;\n")));
}

std::string fish() {
  std::string text;
  for (const Command* command : commands()) {
    absl::StrAppendFormat(
        &text, "complete -c h2 -n __fish_use_subcommand -a %s -d %s\n",
        command->name, quoted(std::string(command->summary)));
    for (const std::string_view name : flags_of(*command)) {
      const FlagText flag = text_of_flag(name);
      absl::StrAppendFormat(
          &text,
          "complete -c h2 -n '__fish_seen_subcommand_from %s' %s %s%s -d %s\n",
          command->name, name.size() == 1 ? "-s" : "-l", name,
          flag.value.empty() ? "" : " -r", quoted(flag.meaning));
    }
  }
  return text;
}

int run(const Request& request) {
  if (request.words.size() != 1) throw UsageError("name one shell");
  const std::string& shell = request.words.front();
  if (shell == "bash") {
    std::cout << bash();
  } else if (shell == "zsh") {
    std::cout << zsh();
  } else if (shell == "fish") {
    std::cout << fish();
  } else {
    throw UsageError("no completion for " + shell);
  }
  return kStatusGood;
}

}  // namespace
}  // namespace completion_command

constinit const Command kCompletion = {
    .name = "completion",
    .arguments = "bash|zsh|fish",
    .summary = "A shell's completion of commands and flags",
    .help = "A script for the shell to read.",
    .examples =
        "source <(h2 completion bash)\n"
        "h2 completion fish > ~/.config/fish/completions/h2.fish",
    .path = PathArgument::kWithoutImage,
    .flags = {},
    .run = completion_command::run,
};

}  // namespace odo::h2
