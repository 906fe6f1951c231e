// SPDX-License-Identifier: BSD-3-Clause
// Takes a name away, and first all that is below it.
//
// Contexts: as Volume. No recursion.
// Bounds: kMaxRemoveDepth directories deep; no memory but the caller's room.
// Failure: the error of the entry that could not be removed: what came before
//   it is gone, the rest stays. kTooDeep beyond the bound, or where a damaged
//   directory contains itself.
// Complexity: O(depth) a removed entry.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <string_view>

#include "lib/hammer2/error.h"
#include "lib/hammer2/types.h"
#include "lib/hammer2/write/volume.h"

namespace odo::hammer2::write {

inline constexpr std::size_t kMaxRemoveDepth = 512;

// Too large for a stack.
struct RemoveRoom {
  std::array<OpenInode*, kMaxRemoveDepth> folders;  // held, the topmost first
  DirEntry entry;
};

enum class Removal : std::uint8_t { kDone, kStopped };

// Removes `name` of `top`. `stop()` is asked before each entry.
template <Ground G, std::predicate Stop>
[[nodiscard]] Result<Removal> remove_tree(Volume<G>& volume, OpenInode& top,
                                          std::string_view name,
                                          RemoveRoom& room, Stop stop) {
  std::size_t depth = 1;
  volume.hold(top);
  room.folders[0] = &top;
  const auto enter = [&](OpenInode& folder) -> Result<void> {
    bool deep = depth == kMaxRemoveDepth;
    for (std::size_t i = 0; i < depth; ++i) deep |= room.folders[i] == &folder;
    if (deep) return fail(error_at(Code::kTooDeep, folder.chain->ref));
    volume.hold(folder);
    room.folders[depth++] = &folder;
    return {};
  };
  // One entry of the folder that is deepest: true where `name` itself is gone.
  const auto step = [&]() -> Result<bool> {
    OpenInode& folder = *room.folders[depth - 1];
    std::string_view entry = name;
    if (depth > 1) {
      DirCursor cursor;
      ODO_TRY(const bool more,
              volume.read_directory(folder, cursor, room.entry));
      if (!more) {
        volume.release(folder);
        --depth;
        return false;
      }
      entry = room.entry.name();
    }
    ODO_TRY(OpenInode * inode, volume.lookup(folder, entry));
    const bool is_folder =
        volume.attributes(*inode).type == ObjectType::kDirectory;
    Result<void> removed = is_folder ? volume.remove_directory(folder, entry)
                                     : volume.unlink(folder, entry);
    const bool gone = removed.has_value();
    if (!gone && is_folder && removed.error().code == Code::kNotEmpty) {
      removed = enter(*inode);
    }
    volume.release(*inode);
    if (!removed) return fail(removed.error());
    return gone && depth == 1;
  };
  Result<Removal> result = Removal::kStopped;
  while (!stop()) {
    const Result<bool> done = step();
    if (!done) {
      result = fail(done.error());
      break;
    }
    if (*done) {
      result = Removal::kDone;
      break;
    }
  }
  while (depth != 0) volume.release(*room.folders[--depth]);
  return result;
}

}  // namespace odo::hammer2::write
