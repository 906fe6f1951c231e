// SPDX-License-Identifier: BSD-3-Clause
// A tree of files as text, one line for each path, in one form wherever it
// comes from: so that two trees can be compared, and the difference be read.
//
// Contexts: tests.
// Invariants: inode numbers don't show, only which paths share one: they differ
// between a model and a volume.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/hammer2/types.h"

namespace odo::hammer2::testing::model {

enum class Times : std::uint8_t { kLeftOut, kShown };

struct DescribedNode {
  ObjectType type = ObjectType::kUnknown;
  std::uint32_t mode = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t rmajor = 0;  // of devices
  std::uint32_t rminor = 0;
  std::uint64_t nlinks = 0;
  std::uint64_t inum = 0;
  std::uint64_t mtime_us = 0;
  std::uint64_t ctime_us = 0;
  std::uint64_t size_bytes = 0;    // of regular files
  std::uint64_t content_hash = 0;  // ContentHash of them
  std::string target = {};         // of symlinks
};

// Printable, and one line.
[[nodiscard]] inline std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c >= ' ' && c <= '~' && c != '\\') {
      out += c;
    } else {
      char hex[8];
      (void)std::snprintf(hex, sizeof hex, "\\x%02x",
                          static_cast<unsigned>(static_cast<unsigned char>(c)));
      out += hex;
    }
  }
  return out;
}

class Description {
 public:
  // Paths begin with '/', which is the root's own.
  void add(std::string path, DescribedNode node) {
    nodes_.insert_or_assign(std::move(path), std::move(node));
  }

  [[nodiscard]] const std::map<std::string, DescribedNode>& nodes() const {
    return nodes_;
  }

  // Sorted by path.
  [[nodiscard]] std::vector<std::string> lines(
      Times times = Times::kLeftOut) const {
    std::map<std::uint64_t, std::string_view> first_paths;
    std::vector<std::string> lines;
    for (const auto& [path, node] : nodes_) {
      std::string text = line(path, node, times);
      const auto [first, is_first] = first_paths.emplace(node.inum, path);
      if (!is_first) text += " same as " + escaped(first->second);
      lines.push_back(std::move(text));
    }
    return lines;
  }

  [[nodiscard]] std::string text(Times times = Times::kLeftOut) const {
    std::string text;
    for (const std::string& line : lines(times)) text += line + '\n';
    return text;
  }

 private:
  static std::string line(const std::string& path, const DescribedNode& node,
                          Times times) {
    char text[160];
    (void)std::snprintf(text, sizeof text, "%03o %u:%u nlink %llu", node.mode,
                        node.uid, node.gid,
                        static_cast<unsigned long long>(node.nlinks));
    std::string out = escaped(path) + ' ' +
                      std::string(hammer2::to_string(node.type)) + ' ' + text;
    if (node.type == ObjectType::kRegular) {
      (void)std::snprintf(text, sizeof text, " size %llu data %016llx",
                          static_cast<unsigned long long>(node.size_bytes),
                          static_cast<unsigned long long>(node.content_hash));
      out += text;
    } else if (node.type == ObjectType::kSymlink) {
      out += " -> " + escaped(node.target);
    } else if (node.type == ObjectType::kCharDevice ||
               node.type == ObjectType::kBlockDevice) {
      out += " device " + std::to_string(node.rmajor) + ',' +
             std::to_string(node.rminor);
    }
    if (times == Times::kShown) {
      out += " mtime " + std::to_string(node.mtime_us) + " ctime " +
             std::to_string(node.ctime_us);
    }
    return out;
  }

  std::map<std::string, DescribedNode> nodes_;
};

// Lines of one and not of the other, '-' before those that should be there and
// '+' before those that shouldn't. Empty where both are the same.
[[nodiscard]] inline std::string differences(const Description& expected,
                                             const Description& found,
                                             Times times = Times::kLeftOut) {
  const std::vector<std::string> a = expected.lines(times);
  const std::vector<std::string> b = found.lines(times);
  std::map<std::string_view, int> count;
  for (const std::string& line : a) ++count[line];
  for (const std::string& line : b) --count[line];
  std::string text;
  for (const auto& [line, n] : count) {
    if (n != 0) text += std::string(n > 0 ? "- " : "+ ").append(line) + '\n';
  }
  return text;
}

}  // namespace odo::hammer2::testing::model
