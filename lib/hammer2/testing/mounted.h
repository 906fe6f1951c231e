// SPDX-License-Identifier: BSD-3-Clause
// A built image, opened, with short words for what tests ask of it.
//
// Contexts: tests; hosted.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "lib/block/faulty_device.h"
#include "lib/block/memory_device.h"
#include "lib/hammer2/filesystem.h"
#include "lib/hammer2/testing/image_builder.h"
#include "lib/hammer2/testing/run_check.h"

namespace odo::hammer2::testing {

using TestDevice = block::FaultyDevice<block::MemoryDevice>;
using TestFileSystem = FileSystem<TestDevice>;

inline std::string line_of(const Error& error) {
  std::string buffer(kErrorTextBytes, '\0');
  return std::string(error_text(error, buffer));
}

class Mounted {
 public:
  explicit Mounted(ImageBuilder& image, std::uint32_t block_bytes = 512,
                   std::size_t memory = TestFileSystem::kMinMemoryBytes)
      : memory_device_(image.bytes(), block_bytes),
        device_(memory_device_),
        memory_(memory),
        opened_(open()) {}

  [[nodiscard]] const Result<void>& opened() const { return opened_; }
  [[nodiscard]] TestFileSystem& fs() { return fs_; }
  [[nodiscard]] TestDevice& device() { return device_; }

  Result<void> open() {
    TestDevice* devices[] = {&device_};
    return fs_.open(devices, memory_);
  }

  Result<void> find(std::string_view path, Node& node,
                    FollowLast follow = FollowLast::kYes) {
    Pfs pfs;
    ODO_TRY_VOID(fs_.default_pfs(pfs));
    Node root;
    ODO_TRY_VOID(fs_.root(pfs, root));
    return fs_.resolve(root, path, follow, node);
  }

  // What `path` holds, or the text of the error.
  std::string content(std::string_view path) {
    Node node;
    if (const auto found = find(path, node); !found) {
      return line_of(found.error());
    }
    std::string text(node.attributes.size, '?');
    const auto got = fs_.read(node, 0, std::as_writable_bytes(std::span(text)));
    if (!got) return line_of(got.error());
    text.resize(*got);
    return text;
  }

  // Names in key order, or the text of the error last.
  std::vector<std::string> names(std::string_view path) {
    std::vector<std::string> names;
    Node node;
    if (const auto found = find(path, node); !found) {
      return {line_of(found.error())};
    }
    DirCursor cursor;
    DirEntry entry;
    for (;;) {
      const auto more = fs_.read_directory(node, cursor, entry);
      if (!more) {
        names.push_back(line_of(more.error()));
        return names;
      }
      if (!*more) return names;
      names.emplace_back(entry.name());
    }
  }

  // The code that opening, finding or reading `path` fails with.
  Code code(std::string_view path) {
    if (!opened_) return opened_.error().code;
    Node node;
    const auto found = find(path, node);
    if (!found) return found.error().code;
    DirCursor cursor;
    DirEntry entry;
    if (node.is(ObjectType::kDirectory)) {
      for (;;) {
        const auto more = fs_.read_directory(node, cursor, entry);
        if (!more) return more.error().code;
        if (!*more) break;
      }
    } else {
      std::vector<std::byte> all(std::min<std::uint64_t>(
          node.attributes.size, std::uint64_t{1} << 20));
      const auto got = fs_.read(node, 0, all);
      if (!got) return got.error().code;
    }
    ADD_FAILURE() << path << " should fail";
    return Code::kNotFound;
  }

  // What a complete check finds, but for notes.
  std::vector<Found> check(audit::Limits limits = {.decode = true}) {
    TestDevice* devices[] = {&device_};
    return run_check(std::span<TestDevice* const>(devices), limits).findings;
  }

  bool finds(audit::Rule rule) {
    const std::vector<Found> found = check();
    return std::any_of(found.begin(), found.end(), [rule](const Found& f) {
      return f.finding.rule == rule;
    });
  }

  // The codes of all bad blocks below the super-root.
  std::vector<Code> verify() {
    std::vector<Code> codes;
    for (const Found& found : check()) {
      if (found.finding.rule == audit::Rule::kBlock) {
        codes.push_back(found.finding.at.code);
      }
    }
    return codes;
  }

 private:
  block::MemoryDevice memory_device_;
  TestDevice device_;
  std::vector<std::byte> memory_;
  TestFileSystem fs_;
  Result<void> opened_;
};

}  // namespace odo::hammer2::testing
