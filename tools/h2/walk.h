// SPDX-License-Identifier: BSD-3-Clause
// Visits a directory tree of a volume, in the order of names.
//
// Contexts: the tool's one thread. Recursive, as deep as the tree.
// Bounds: each directory is entered once; one that its own tree leads back to
// is an error, so that no volume makes the walk endless.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_set>
#include <vector>

#include "lib/hammer2/types.h"
#include "tools/h2/volume.h"

namespace odo::h2 {

enum class Depth : std::uint8_t { kOneLevel, kWhole };

class Walk {
 public:
  // Called with the path and the node of everything below the start.
  using Visitor =
      std::function<void(const std::string& path, const hammer2::Node& node)>;

  Walk(Volume& volume, Depth depth, Visitor visitor)
      : volume_(volume), depth_(depth), visitor_(std::move(visitor)) {}

  void directory(const hammer2::Node& node, const std::string& path) {
    if (!entered_.insert(node.ref.data_off).second) {
      throw Failure(path + ": directory is reached twice: damaged filesystem");
    }
    for (const std::string& name : names(node, path)) {
      std::string child_path = path;
      if (!path.ends_with('/')) child_path += '/';
      child_path += name;
      hammer2::Node child;
      if (const auto found = volume_.fs().lookup(node, name, child); !found) {
        throw volume_.failure(found.error(), child_path);
      }
      visitor_(child_path, child);
      if (depth_ == Depth::kWhole &&
          child.is(hammer2::ObjectType::kDirectory)) {
        directory(child, child_path);
      }
    }
  }

 private:
  std::vector<std::string> names(const hammer2::Node& node,
                                 const std::string& path) {
    std::vector<std::string> names;
    hammer2::DirCursor cursor;
    hammer2::DirEntry entry;
    for (;;) {
      const auto more = volume_.fs().read_directory(node, cursor, entry);
      if (!more) throw volume_.failure(more.error(), path);
      if (!*more) break;
      names.emplace_back(entry.name());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  Volume& volume_;
  Depth depth_;
  Visitor visitor_;
  std::unordered_set<std::uint64_t> entered_;
};

}  // namespace odo::h2
