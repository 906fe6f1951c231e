// SPDX-License-Identifier: BSD-3-Clause
// Visits a directory tree of a volume, each directory's names in order.
//
// Contexts: the tool's one thread.
// Bounds: no recursion; each directory is entered once, and one that the tree
// leads to again is told as a problem, so that no volume makes the walk
// endless.
// Failure: what can't be read is told to Problems, and the walk goes on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "lib/hammer2/types.h"
#include "tools/h2/directory_names.h"
#include "tools/h2/problems.h"
#include "tools/h2/volume.h"

namespace odo::h2 {

// What a walk shows of a file: it lives while the visitor looks at it.
struct Visited {
  const std::string& path;
  const hammer2::Node& node;
  std::size_t depth = 0;  // the start has 0
  bool last = false;      // of its directory

  [[nodiscard]] std::string_view name() const {
    return std::string_view(path).substr(path.rfind('/') + 1);
  }
  [[nodiscard]] bool is(hammer2::ObjectType type) const {
    return node.is(type);
  }
};

enum class Descend : std::uint8_t { kYes, kNo };

class Visitor {
 public:
  Visitor() = default;
  Visitor(const Visitor&) = delete;
  Visitor& operator=(const Visitor&) = delete;
  virtual ~Visitor() = default;
  // Before what is below a directory. The answer counts for directories only.
  virtual Descend visit(const Visited& at) = 0;
  // After what is below a directory that was entered.
  virtual void leave(const Visited& at) { (void)at; }
};

class Walk {
 public:
  Walk(Volume& volume, Visitor& visitor, Problems& problems,
       NameOrder order = NameOrder::kBytes)
      : volume_(volume),
        visitor_(visitor),
        problems_(problems),
        order_(order) {}

  // Visits `node` and, where it is a directory, everything below it.
  void run(const hammer2::Node& node, const std::string& path) {
    path_ = path;
    show(node, true);
    while (!stack_.empty()) {
      Level& level = stack_.back();
      path_.resize(level.path_length);
      if (level.next == level.names.size()) {
        const Level done = std::move(level);
        stack_.pop_back();
        visitor_.leave({path_, done.node, stack_.size(), done.last});
        continue;
      }
      step(level);
    }
  }

 private:
  struct Level {
    hammer2::Node node;
    std::size_t path_length = 0;
    bool last = false;
    std::vector<NamedInode> names;
    std::size_t next = 0;
  };

  void step(Level& level) {
    const NamedInode named = std::move(level.names[level.next++]);
    if (!path_.ends_with('/')) path_ += '/';
    path_ += named.name;
    hammer2::Node child;
    if (const auto found = node_of(volume_, level.node, named, child); !found) {
      problems_.tell(volume_.failure(found.error(), path_));
      return;
    }
    show(child, level.next == level.names.size());
  }

  void show(const hammer2::Node& node, bool last) {
    const Descend descend = visitor_.visit({path_, node, stack_.size(), last});
    if (!node.is(hammer2::ObjectType::kDirectory) || descend == Descend::kNo) {
      return;
    }
    if (!entered_.insert(node.ref.data_off).second) {
      problems_.tell(path_ +
                     ": directory is reached twice: damaged filesystem");
      visitor_.leave({path_, node, stack_.size(), last});
      return;
    }
    stack_.push_back({node, path_.size(), last,
                      names_in(volume_, node, path_, problems_, order_), 0});
  }

  Volume& volume_;
  Visitor& visitor_;
  Problems& problems_;
  NameOrder order_;
  std::string path_;
  std::vector<Level> stack_;
  std::unordered_set<std::uint64_t> entered_;
};

}  // namespace odo::h2
