// SPDX-License-Identifier: BSD-3-Clause
// Compares what the reader shows with what a manifest says, for tests.
//
// Contexts: tests; hosted.
// Shapes: every difference is one line of text; no line means equal.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "lib/check/vector/host_cpu.h"
#include "lib/check/vector/vector_checks.h"
#include "lib/hammer2/filesystem.h"
#include "lib/hammer2/format/dirhash.h"
#include "lib/hammer2/testing/corpus.h"

namespace odo::hammer2::testing {

inline check::Checks host_checks() {
  return check::Checks(check::vector_engines(check::host_features()));
}

inline std::string text_of(const Error& error) {
  std::string buffer(kErrorTextBytes, '\0');
  return std::string(error_text(error, buffer));
}

inline std::string to_hex(Bytes bytes) {
  std::string text;
  for (const std::byte b : bytes) {
    text += "0123456789abcdef"[std::to_integer<unsigned>(b) >> 4];
    text += "0123456789abcdef"[std::to_integer<unsigned>(b) & 15];
  }
  return text;
}

template <class Device>
class TreeCheck {
 public:
  explicit TreeCheck(FileSystem<Device>& fs) : fs_(fs), buffer_(1 << 20) {}

  // Everything below `root`: each entry of `tree` and nothing else.
  std::vector<std::string> compare(const Node& root, const Json& tree) {
    differences_.clear();
    errors_.clear();
    found_.clear();
    collect(root, "/");
    for (const Error& error : errors_) differences_.push_back(text_of(error));
    std::set<std::string> expected;
    for (const Json& entry : tree) {
      const std::string path = entry.contains("path_hex")
                                   ? from_hex(entry.at("path_hex"))
                                   : entry.at("path").get<std::string>();
      expected.insert(path);
      const auto it = found_.find(path);
      if (it == found_.end()) {
        differences_.push_back(path + ": missing");
      } else {
        compare_entry(path, it->second, entry);
      }
    }
    for (const auto& [path, node] : found_) {
      if (!expected.contains(path)) differences_.push_back(path + ": surplus");
    }
    return differences_;
  }

  // Reads everything below `root`, going on after errors, which it answers.
  std::vector<Error> read_all(const Node& root) {
    errors_.clear();
    found_.clear();
    collect(root, "/");
    for (const auto& [path, node] : found_) {
      if (node.is(ObjectType::kRegular)) (void)digest(node, 0, kAll);
      if (node.is(ObjectType::kSymlink)) {
        note(fs_.read_link(node, buffer_));
      }
    }
    return errors_;
  }

 private:
  static constexpr std::uint64_t kAll = ~std::uint64_t{0};

  template <class T>
  bool note(const Result<T>& result) {
    if (!result) errors_.push_back(result.error());
    return result.has_value();
  }

  void collect(const Node& node, const std::string& path) {
    found_[path] = node;
    if (!node.is(ObjectType::kDirectory)) return;
    DirCursor cursor;
    DirEntry entry;
    for (;;) {
      const auto more = fs_.read_directory(node, cursor, entry);
      if (!note(more) || !*more) return;
      const std::string name(entry.name());
      std::string child_path = path;
      if (path != "/") child_path += '/';
      child_path += name;
      if (((format::dirhash(name) ^ entry.key) &
           ~format::kDirhashCollisionMask) != 0) {
        differences_.push_back(child_path + ": key isn't the name's hash");
      }
      Node child;
      if (!note(fs_.lookup(node, name, child))) continue;
      if (child.attributes.inum != entry.inum ||
          child.attributes.type != entry.type) {
        differences_.push_back(child_path + ": entry and inode disagree");
      }
      if (child.is(ObjectType::kDirectory)) {
        Node parent;
        if (note(fs_.lookup(child, "..", parent)) &&
            parent.inum() != node.inum()) {
          differences_.push_back(child_path + ": '..' leads elsewhere");
        }
      }
      collect(child, child_path);
    }
  }

  template <class T>
  void expect(const std::string& path, const Json& entry, const char* field,
              const T& found) {
    if (!entry.contains(field) || entry.at(field).is_null()) return;
    const T wanted = entry.at(field).get<T>();
    if (wanted == found) return;
    differences_.push_back(path + ": " + field + " is " + Json(found).dump() +
                           ", should be " + entry.at(field).dump());
  }

  void compare_entry(const std::string& path, const Node& node,
                     const Json& entry) {
    const Attributes& of = node.attributes;
    expect(path, entry, "type", std::string(to_string(of.type)));
    const auto mode =
        std::stoul(entry.at("mode").get<std::string>(), nullptr, 8);
    if (mode != of.mode) differences_.push_back(path + ": mode");
    expect(path, entry, "uid", of.uid);
    expect(path, entry, "gid", of.gid);
    expect(path, entry, "mtime_us", of.mtime_us);
    expect(path, entry, "nlink", of.nlinks);
    expect(path, entry, "rmajor", of.rmajor);
    expect(path, entry, "rminor", of.rminor);
    if (entry.contains("size")) expect(path, entry, "size", of.size);
    if (entry.contains("sha256") && !entry.at("sha256").is_null()) {
      expect(path, entry, "sha256", digest(node, 0, kAll));
    }
    if (entry.contains("data_ranges")) compare_ranges(path, node, entry);
    if (node.is(ObjectType::kSymlink)) {
      const auto got = fs_.read_link(node, buffer_);
      if (!note(got)) return;
      const std::string target(reinterpret_cast<const char*>(buffer_.data()),
                               *got);
      if (entry.contains("target_hex")) {
        if (from_hex(entry.at("target_hex")) != target) {
          differences_.push_back(path + ": target");
        }
      } else {
        expect(path, entry, "target", target);
      }
    }
  }

  // A file too large to read whole: its ranges, and zeros around them.
  void compare_ranges(const std::string& path, const Node& node,
                      const Json& entry) {
    std::uint64_t end = 0;
    for (const Json& range : entry.at("data_ranges")) {
      const std::uint64_t offset = range.at("offset");
      const std::uint64_t length = range.at("length");
      expect(path, range, "sha256", digest(node, offset, length));
      expect_zero(path, node, end, offset);
      end = offset + length;
    }
    expect_zero(path, node, end, node.attributes.size);
  }

  // Looks at the head, the tail and the middle of a hole.
  void expect_zero(const std::string& path, const Node& node,
                   std::uint64_t begin, std::uint64_t end) {
    for (const std::uint64_t at :
         {begin, begin + (end - begin) / 2,
          end - std::min<std::uint64_t>(end - begin, buffer_.size())}) {
      if (at >= end) continue;
      const MutableBytes to = MutableBytes(buffer_).first(
          std::min<std::uint64_t>(end - at, buffer_.size()));
      std::fill(to.begin(), to.end(), std::byte{0xff});
      if (!note(fs_.read(node, at, to))) return;
      if (std::any_of(to.begin(), to.end(),
                      [](std::byte b) { return b != std::byte{0}; })) {
        differences_.push_back(path + ": a hole isn't zero");
      }
    }
  }

  std::string digest(const Node& node, std::uint64_t offset,
                     std::uint64_t length) {
    auto stream = checks_.sha256_stream();
    while (length > 0) {
      const auto got =
          fs_.read(node, offset,
                   MutableBytes(buffer_).first(
                       std::min<std::uint64_t>(length, buffer_.size())));
      if (!note(got)) return "unreadable";
      if (*got == 0) break;
      stream.update(Bytes(buffer_).first(*got));
      offset += *got;
      length -= *got;
    }
    return to_hex(stream.value());
  }

  FileSystem<Device>& fs_;
  check::Checks checks_ = host_checks();
  std::vector<std::byte> buffer_;
  std::map<std::string, Node> found_;
  std::vector<Error> errors_;
  std::vector<std::string> differences_;
};

}  // namespace odo::hammer2::testing
