// SPDX-License-Identifier: BSD-3-Clause
// h2: looks into HAMMER2 volumes without mounting them. Read-only.
#include <iostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_format.h"
#include "tools/h2/command.h"
#include "tools/h2/command_line.h"
#include "tools/h2/commands.h"
#include "tools/h2/help.h"
#include "tools/h2/nearest.h"

namespace odo::h2 {
namespace {

const Command& command_called(const std::string& name) {
  if (const Command* command = command_named(name)) return *command;
  std::vector<std::string_view> names;
  for (const Command* command : commands()) names.push_back(command->name);
  const std::string_view near = nearest(name, names);
  std::string text = "unknown command: " + name;
  if (!near.empty()) {
    absl::StrAppendFormat(&text, "; did you mean %s", near);
  }
  throw UsageError(text);
}

// A wrong command line, told in one line.
int complain(const UsageError& error, std::string_view command, int status) {
  std::cerr << "h2: " << error.what() << "; `h2 " << command
            << (command.empty() ? "" : " ") << "--help` shows how\n";
  return status;
}

int finish(int status) {
  std::cout.flush();
  if (!std::cout) throw Failure("cannot write to standard output");
  return status;
}

int run(const Command& command, const std::vector<std::string>& words) {
  try {
    if (asks_for_help(command, words)) {
      std::cout << help_of(command);
      return finish(kStatusGood);
    }
    return finish(command.run(read_command_line(command, words)));
  } catch (const UsageError& error) {
    std::cout.flush();
    return complain(error, command.name, command.usage_status);
  } catch (const Failure& error) {
    std::cout.flush();
    std::cerr << "h2: " << error.what() << "\n";
    return kStatusBad;
  }
}

int main(std::span<char*> arguments) {
  std::ios::sync_with_stdio(false);
  std::vector<std::string> words(arguments.begin() + 1, arguments.end());
  try {
    if (words.empty()) throw UsageError("no command given");
    const std::string first = words.front();
    words.erase(words.begin());
    if (first == "--help" || first == "-h" || first == "help") {
      std::cout << (words.empty() ? general_help()
                                  : help_of(command_called(words.front())));
      return finish(kStatusGood);
    }
    return run(command_called(first), words);
  } catch (const UsageError& error) {
    return complain(error, {}, kStatusUsage);
  }
}

}  // namespace
}  // namespace odo::h2

int main(int argc, char** argv) {
  return odo::h2::main({argv, static_cast<std::size_t>(argc)});
}
