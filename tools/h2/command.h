// SPDX-License-Identifier: BSD-3-Clause
// What a command of `h2` is. Help, completion and the manual page are made
// from these, so that a command is told of in one place: its own file.
//
// Contexts: the tool's main thread. Commands are constants.
// Failure: run() answers the exit status, or throws Failure (volume.h) or
// UsageError.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "tools/h2/request.h"
#include "tools/h2/volume.h"

namespace odo::h2 {

// A command line that makes no sense.
class UsageError : public Failure {
 public:
  using Failure::Failure;
};

inline constexpr int kStatusGood = 0;
inline constexpr int kStatusBad = 1;    // something is damaged or missing
inline constexpr int kStatusUsage = 2;  // unless the command has its own

// What may follow the images.
enum class PathArgument : std::uint8_t {
  kNone,         // nothing
  kPfs,          // a PFS
  kOptional,     // a PFS and a path
  kRequired,     // a path, after a PFS or not
  kOwn,          // whatever the command makes of it
  kWithoutImage  // the command looks at no image
};

struct Command {
  std::string_view name;
  std::string_view arguments;  // "IMAGE... [@PFS] [PATH]"
  std::string_view summary;    // one line without a full stop
  std::string_view help;       // paragraphs, each line indented by nothing
  std::string_view examples;   // one a line, "h2 …"; may be empty
  PathArgument path = PathArgument::kNone;
  std::span<const std::string_view> flags;  // by name, beside the common ones
  int (*run)(const Request&) = nullptr;
  int usage_status = kStatusUsage;
};

// Those that every command with an image takes.
inline constexpr std::string_view kVolumeFlag = "volume";
inline constexpr std::string_view kPfsFlag = "pfs";

[[nodiscard]] constexpr bool takes_pfs(const Command& command) {
  return command.path == PathArgument::kPfs ||
         command.path == PathArgument::kOptional ||
         command.path == PathArgument::kRequired;
}

}  // namespace odo::h2
