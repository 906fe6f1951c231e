// SPDX-License-Identifier: BSD-3-Clause
// What commands that change an image have in common: their arguments, and going
// through a tree.
//
// Contexts: the tool's main thread.
// Failure: UsageError, Failure.
#pragma once

#include <cstddef>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/declare.h"
#include "absl/flags/flag.h"
#include "tools/h2/changed_volume.h"
#include "tools/h2/command.h"
#include "tools/h2/common_flags.h"

ABSL_DECLARE_FLAG(bool, recursive);

namespace odo::h2 {

// As the flags have it.
[[nodiscard]] inline Damage damage_by_flag() {
  return absl::GetFlag(FLAGS_damaged) ? Damage::kNotLookedFor
                                      : Damage::kRefused;
}

struct Arguments {
  std::vector<std::string> images;
  std::string pfs;
  std::vector<std::string> rest;
};

inline constexpr std::size_t kAnyNumber =
    std::numeric_limits<std::size_t>::max();

// IMAGE [@PFS] and from `least` to `most` more words.
[[nodiscard]] inline Arguments take_arguments(const Request& request,
                                              std::size_t least,
                                              std::size_t most) {
  Arguments arguments;
  arguments.pfs = request.pfs;
  arguments.rest = request.words;
  if (arguments.rest.empty()) throw UsageError("no image given");
  arguments.images = {arguments.rest.front()};
  arguments.images.insert(arguments.images.end(), request.images.begin(),
                          request.images.end());
  arguments.rest.erase(arguments.rest.begin());
  if (!arguments.rest.empty() && arguments.rest.front().starts_with('@')) {
    if (!arguments.pfs.empty()) throw UsageError("two PFSs are named");
    arguments.pfs = arguments.rest.front().substr(1);
    arguments.rest.erase(arguments.rest.begin());
  }
  if (arguments.rest.size() < least) throw UsageError("something is missing");
  if (arguments.rest.size() > most) {
    throw UsageError("unexpected argument: " + arguments.rest[most]);
  }
  return arguments;
}

// Calls `visit` with the inode at `path` and, if `all`, with those below it.
inline void each_inode(
    ChangedVolume& volume, const std::string& pfs, const std::string& path,
    bool all,
    const std::function<void(OpenInode&, const std::string&)>& visit) {
  struct Level {
    Held folder;
    std::string path;
    hammer2::DirCursor cursor = {};
  };
  const auto is_folder = [&](const Held& inode) {
    return volume->attributes(*inode).type == hammer2::ObjectType::kDirectory;
  };
  std::vector<Level> levels;
  Held first = volume.find(pfs, path);
  visit(*first, path);
  if (all && is_folder(first)) levels.push_back({std::move(first), path});
  while (!levels.empty()) {
    Level& top = levels.back();
    hammer2::DirEntry entry;
    if (!volume.check(volume->read_directory(*top.folder, top.cursor, entry),
                      top.path)) {
      levels.pop_back();
      continue;
    }
    std::string below = top.path + "/" + std::string(entry.name());
    Held inode = volume.hold(volume->lookup(*top.folder, entry.name()), below);
    visit(*inode, below);
    if (is_folder(inode))
      levels.push_back({std::move(inode), std::move(below)});
  }
}

// VALUE PATH...: `changes`, which the caller has made of the value, to the
// paths, with --recursive to all below them.
inline int change_attributes(const Request& request,
                             const hammer2::write::Changes& changes) {
  const Arguments words = take_arguments(request, 2, kAnyNumber);
  ChangedVolume volume(words.images, damage_by_flag());
  for (std::size_t i = 1; i < words.rest.size(); ++i) {
    each_inode(volume, words.pfs, words.rest[i], absl::GetFlag(FLAGS_recursive),
               [&](OpenInode& inode, const std::string& path) {
                 volume.check(volume->set_attributes(inode, changes), path);
               });
  }
  volume.finish();
  return kStatusGood;
}

}  // namespace odo::h2
