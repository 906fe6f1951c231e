// SPDX-License-Identifier: BSD-3-Clause
// What differs between two directory trees, of one filesystem or two.
//
// Contexts: the tool's main thread.
// Bounds: no recursion; a directory pair is entered once for each way that
// leads there, and a directory that its own tree leads to again is told.
// Complexity: two trees of one filesystem are compared by their blocks: content
// that both refer to isn't read.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "lib/hammer2/extents.h"
#include "lib/hammer2/types.h"
#include "tools/h2/content.h"
#include "tools/h2/directory_names.h"
#include "tools/h2/problems.h"
#include "tools/h2/volume.h"

namespace odo::h2 {

enum class Change : std::uint8_t { kRemoved, kAdded, kChanged };

struct Difference {
  Change change;
  const std::string& path;
  // Which attributes differ, by name; with kChanged.
  std::vector<std::string_view> what;
};

// One of the two trees.
struct Side {
  Volume& volume;
  hammer2::Node root;
};

// Which attributes beside content and type make a difference.
struct Compared {
  bool times = true;
};

class Comparison {
 public:
  Comparison(const Side& left, const Side& right, Compared compared,
             Problems& problems)
      : left_(left), right_(right), compared_(compared), problems_(problems) {}

  // Calls `tell(Difference)` for each, in the order of paths.
  template <class Tell>
  void run(const std::string& path, Tell& tell) {
    path_ = path;
    pair(left_.root, right_.root, tell);
    while (!stack_.empty()) {
      Level& level = stack_.back();
      path_.resize(level.path_bytes);
      if (level.next == level.names.size()) {
        entered_.erase(level.left.ref.data_off);
        stack_.pop_back();
        continue;
      }
      const Named named = std::move(level.names[level.next++]);
      if (!path_.ends_with('/')) path_ += '/';
      path_ += named.name;
      step(level.left, level.right, named, tell);
    }
  }

 private:
  struct Named {
    std::string name;
    bool left = false;
    bool right = false;
  };
  struct Level {
    hammer2::Node left;
    hammer2::Node right;
    std::size_t path_bytes = 0;
    std::vector<Named> names;
    std::size_t next = 0;
  };

  template <class Tell>
  void step(const hammer2::Node& left, const hammer2::Node& right,
            const Named& named, Tell& tell) {
    if (!named.right) return tell(Difference{Change::kRemoved, path_, {}});
    if (!named.left) return tell(Difference{Change::kAdded, path_, {}});
    hammer2::Node a;
    hammer2::Node b;
    if (!find(left_, left, named.name, a)) return;
    if (!find(right_, right, named.name, b)) return;
    pair(a, b, tell);
  }

  template <class Tell>
  void pair(const hammer2::Node& a, const hammer2::Node& b, Tell& tell) {
    std::vector<std::string_view> what;
    try {
      what = differing(a, b);
    } catch (const Failure& failure) {
      problems_.tell(failure);
      return;
    }
    if (!what.empty()) tell(Difference{Change::kChanged, path_, what});
    if (a.is(hammer2::ObjectType::kDirectory) &&
        b.is(hammer2::ObjectType::kDirectory)) {
      enter(a, b);
    }
  }

  void enter(const hammer2::Node& a, const hammer2::Node& b) {
    // No path has a directory twice; every loop goes through some twice.
    if (!entered_.insert(a.ref.data_off).second) {
      problems_.tell(path_ +
                     ": directory is reached twice: damaged filesystem");
      return;
    }
    stack_.push_back({a, b, path_.size(), merged_names(a, b), 0});
  }

  bool find(const Side& side, const hammer2::Node& in, const std::string& name,
            hammer2::Node& out) {
    const auto found = side.volume.fs().lookup(in, name, out);
    if (!found) problems_.tell(side.volume.failure(found.error(), path_));
    return found.has_value();
  }

  std::vector<Named> merged_names(const hammer2::Node& a,
                                  const hammer2::Node& b) {
    const auto left = names_in(left_.volume, a, path_, problems_);
    const auto right = names_in(right_.volume, b, path_, problems_);
    std::vector<Named> merged;
    std::size_t i = 0;
    std::size_t j = 0;
    while (i < left.size() || j < right.size()) {
      const bool in_left = i < left.size() &&
                           (j == right.size() || left[i].name <= right[j].name);
      const bool in_right = j < right.size() &&
                            (i == left.size() || right[j].name <= left[i].name);
      merged.push_back(
          {in_left ? left[i].name : right[j].name, in_left, in_right});
      i += in_left ? 1 : 0;
      j += in_right ? 1 : 0;
    }
    return merged;
  }

  std::vector<std::string_view> differing(const hammer2::Node& a,
                                          const hammer2::Node& b) {
    const hammer2::Attributes& of = a.attributes;
    const hammer2::Attributes& to = b.attributes;
    if (of.type != to.type) return {"type"};
    std::vector<std::string_view> what;
    const auto note = [&](bool differs, std::string_view name) {
      if (differs) what.push_back(name);
    };
    note(of.mode != to.mode, "mode");
    note(of.uid != to.uid || of.gid != to.gid, "owner");
    note(of.uflags != to.uflags, "flags");
    if (compared_.times) note(of.mtime_us != to.mtime_us, "mtime");
    switch (of.type) {
      case hammer2::ObjectType::kRegular:
        note(of.nlinks != to.nlinks, "links");
        note(of.size != to.size, "size");
        note(of.size == to.size && !same_content(a, b), "content");
        break;
      case hammer2::ObjectType::kSymlink:
        note(target_of(left_.volume, a, path_) !=
                 target_of(right_.volume, b, path_),
             "target");
        break;
      case hammer2::ObjectType::kCharDevice:
      case hammer2::ObjectType::kBlockDevice:
        note(of.rmajor != to.rmajor || of.rminor != to.rminor, "device");
        break;
      default:
        break;
    }
    return what;
  }

  // One volume's block is what it was for as long as anything refers to it.
  [[nodiscard]] bool one_filesystem() const {
    return &left_.volume == &right_.volume;
  }

  bool same_content(const hammer2::Node& a, const hammer2::Node& b) {
    if (one_filesystem() && a.ref.data_off == b.ref.data_off) return true;
    const std::uint64_t size = a.attributes.size;
    bool same = true;
    for (std::uint64_t at = 0; same && at < size;) {
      const std::uint64_t end = std::min<std::uint64_t>(at + kPieceBytes, size);
      at = skip_holes(a, b, at);
      if (at >= end) continue;
      read_range(left_.volume, a, path_, at, end, left_buffer_, [](Bytes) {});
      read_range(right_.volume, b, path_, at, end, right_buffer_, [](Bytes) {});
      const auto count = static_cast<std::ptrdiff_t>(end - at);
      same = std::equal(left_buffer_.begin(), left_buffer_.begin() + count,
                        right_buffer_.begin());
      at = end;
    }
    return same;
  }

  // The first offset from `at` on at which either file has data.
  std::uint64_t skip_holes(const hammer2::Node& a, const hammer2::Node& b,
                           std::uint64_t at) {
    return std::min(next_data_in(left_, a, at), next_data_in(right_, b, at));
  }
  std::uint64_t next_data_in(const Side& side, const hammer2::Node& node,
                             std::uint64_t at) {
    const auto next = hammer2::next_data(side.volume.fs(), node, at);
    if (!next) throw side.volume.failure(next.error(), path_);
    return next->value_or(node.attributes.size);
  }

  Side left_;
  Side right_;
  Compared compared_;
  Problems& problems_;
  std::string path_;
  std::vector<Level> stack_;
  std::unordered_set<std::uint64_t> entered_;  // those on the stack
  std::vector<std::byte> left_buffer_;
  std::vector<std::byte> right_buffer_;
};

}  // namespace odo::h2
