// SPDX-License-Identifier: BSD-3-Clause
// Reads a command's line: flags, images, PFS and path.
//
// Flags are Abseil's; each command lists those that it takes, and any other is
// a mistake that is told, with the nearest that it takes.
//
// Contexts: the tool's main thread, once.
// Failure: UsageError.
#pragma once

#include <string>
#include <vector>

#include "tools/h2/command.h"
#include "tools/h2/request.h"

namespace odo::h2 {

// True where `words` ask for help: by --help, or by -h where that isn't a flag
// of the command.
[[nodiscard]] bool asks_for_help(const Command& command,
                                 const std::vector<std::string>& words);

// `words` are those after the command's name. Sets the flags.
[[nodiscard]] Request read_command_line(const Command& command,
                                        const std::vector<std::string>& words);

}  // namespace odo::h2
