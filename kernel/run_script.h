// SPDX-License-Identifier: BSD-3-Clause
// The commands that the machine is to run by itself, if somebody gave it any:
// QEMU's file opt/odo/run, or `run=…` on the command line.
//
// Contexts: boot, after RAM is in use. Ownership: the text stays for good.
// Failure: a script that is too long stops the machine with one line.
#pragma once

#include <optional>
#include <string_view>

#include "lib/boot/command_line.h"

namespace odo::kernel {

[[nodiscard]] std::optional<std::string_view> find_run_script(
    const boot::CommandLine& command_line);

}  // namespace odo::kernel
