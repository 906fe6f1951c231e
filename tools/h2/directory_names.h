// SPDX-License-Identifier: BSD-3-Clause
// The names in a directory, in an order of the caller's choice.
//
// Contexts: the tool's main thread.
// Failure: what can't be read is told to Problems; what was read is answered.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "lib/hammer2/types.h"
#include "tools/h2/problems.h"
#include "tools/h2/volume.h"

namespace odo::h2 {

// A name, and the inode that its entry is for.
struct NamedInode {
  std::string name;
  std::uint64_t inum = 0;
};

enum class NameOrder : std::uint8_t {
  kBytes,  // of the names: what people expect to see
  // Of their inodes, which lie on the medium as they were made: who looks into
  // every file reads it in one direction.
  kInodes,
};

[[nodiscard]] inline std::vector<NamedInode> names_in(
    Volume& volume, const hammer2::Node& directory, const std::string& path,
    Problems& problems, NameOrder order = NameOrder::kBytes) {
  std::vector<NamedInode> names;
  hammer2::DirCursor cursor;
  hammer2::DirEntry entry;
  for (;;) {
    const auto more = volume.fs().read_directory(directory, cursor, entry);
    if (!more) problems.tell(volume.failure(more.error(), path));
    if (!more || !*more) break;
    names.push_back({std::string(entry.name()), entry.inum});
  }
  if (order == NameOrder::kBytes) {
    std::ranges::sort(names, {}, &NamedInode::name);
  } else {
    std::ranges::sort(names, {}, [](const NamedInode& named) {
      return std::tie(named.inum, named.name);
    });
  }
  return names;
}

// The node of a name. By the inode's number, which spares a look-up of the name
// that was just read; where that fails, by the name, for an error that tells
// where the entry is.
[[nodiscard]] inline hammer2::Result<void> node_of(
    Volume& volume, const hammer2::Node& directory, const NamedInode& named,
    hammer2::Node& out) {
  if (volume.fs().node_by_inum(directory, named.inum, out)) return {};
  return volume.fs().lookup(directory, named.name, out);
}

}  // namespace odo::h2
