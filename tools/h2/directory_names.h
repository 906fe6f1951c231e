// SPDX-License-Identifier: BSD-3-Clause
// The names in a directory, in the order of their bytes.
//
// Contexts: the tool's main thread.
// Failure: what can't be read is told to Problems; what was read is answered.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "lib/hammer2/types.h"
#include "tools/h2/problems.h"
#include "tools/h2/volume.h"

namespace odo::h2 {

[[nodiscard]] inline std::vector<std::string> names_in(
    Volume& volume, const hammer2::Node& directory, const std::string& path,
    Problems& problems) {
  std::vector<std::string> names;
  hammer2::DirCursor cursor;
  hammer2::DirEntry entry;
  for (;;) {
    const auto more = volume.fs().read_directory(directory, cursor, entry);
    if (!more) problems.tell(volume.failure(more.error(), path));
    if (!more || !*more) break;
    names.emplace_back(entry.name());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace odo::h2
