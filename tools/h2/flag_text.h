// SPDX-License-Identifier: BSD-3-Clause
// A command's flags as people read them.
//
// Contexts: the tool's main thread.
// Shapes: a flag's help text begins with "VALUE: " where it takes a value.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/commandlineflag.h"
#include "absl/flags/reflection.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "tools/h2/command.h"

namespace odo::h2 {

// All flags that `command` takes, its own first.
[[nodiscard]] inline std::vector<std::string_view> flags_of(
    const Command& command) {
  std::vector<std::string_view> names(command.flags.begin(),
                                      command.flags.end());
  if (command.path == PathArgument::kWithoutImage) return names;
  if (takes_pfs(command)) names.push_back(kPfsFlag);
  names.push_back(kVolumeFlag);
  return names;
}

// "-l", "--json".
[[nodiscard]] inline std::string dashed(std::string_view name) {
  return absl::StrFormat("%s%s", name.size() == 1 ? "-" : "--", name);
}

// Null where there is no such flag.
[[nodiscard]] inline absl::CommandLineFlag* find_flag(std::string_view name) {
  return absl::FindCommandLineFlag(absl::string_view(name.data(), name.size()));
}

struct FlagText {
  std::string synopsis;  // "-l", "--volume=FILE"
  std::string value;     // "FILE", or empty for a switch
  std::string meaning;
};

[[nodiscard]] inline FlagText text_of_flag(std::string_view name) {
  FlagText text;
  text.synopsis = dashed(name);
  const absl::CommandLineFlag* flag = find_flag(name);
  if (flag == nullptr) return text;
  text.meaning = flag->Help();
  if (flag->IsOfType<bool>()) return text;
  const std::size_t colon = text.meaning.find(": ");
  if (colon != std::string::npos) {
    text.value = text.meaning.substr(0, colon);
    text.meaning.erase(0, colon + 2);
    text.synopsis += "=" + text.value;
  }
  return text;
}

}  // namespace odo::h2
