// SPDX-License-Identifier: BSD-3-Clause
// A mounted volume's tree in the form that a model's has, so that the two can
// be compared.
//
// Contexts: tests.
// Failure: the reader's first error, with its block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/base/result.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/filesystem.h"
#include "lib/hammer2/testing/model/content.h"
#include "lib/hammer2/testing/model/description.h"
#include "lib/hammer2/types.h"

namespace odo::hammer2::testing::model {

// `Fs` is a FileSystem.
template <class Fs>
class VolumeDescriber {
 public:
  explicit VolumeDescriber(Fs& fs) : fs_(fs), buffer_(kBufferBytes) {}

  // Everything below `root`, which becomes "/".
  hammer2::Result<Description> describe(const Node& root) {
    Description description;
    std::vector<std::pair<std::string, Node>> pending = {{"/", root}};
    while (!pending.empty()) {
      const auto [path, node] = std::move(pending.back());
      pending.pop_back();
      DescribedNode described;
      ODO_TRY_VOID(fill(node, described));
      description.add(path, std::move(described));
      if (node.is(ObjectType::kDirectory)) {
        ODO_TRY_VOID(collect(path, node, pending));
      }
    }
    return description;
  }

 private:
  static constexpr std::size_t kBufferBytes = 256 * std::size_t{1024};
  static_assert(kBufferBytes % kPageBytes == 0);

  hammer2::Result<void> collect(
      const std::string& path, const Node& directory,
      std::vector<std::pair<std::string, Node>>& pending) {
    DirCursor cursor;
    for (;;) {
      ODO_TRY(const bool more, fs_.read_directory(directory, cursor, entry_));
      if (!more) return {};
      const std::string name(entry_.name());
      Node child;
      ODO_TRY_VOID(fs_.lookup(directory, name, child));
      pending.emplace_back((path == "/" ? "" : path) + '/' + name, child);
    }
  }

  hammer2::Result<void> fill(const Node& node, DescribedNode& out) {
    const Attributes& of = node.attributes;
    out.type = of.type;
    out.mode = of.mode;
    out.uid = of.uid;
    out.gid = of.gid;
    out.rmajor = of.rmajor;
    out.rminor = of.rminor;
    out.nlinks = of.nlinks;
    out.inum = of.inum;
    out.mtime_us = of.mtime_us;
    out.ctime_us = of.ctime_us;
    if (node.is(ObjectType::kRegular)) {
      out.size_bytes = of.size;
      ContentHash hash;
      for (std::uint64_t at = 0; at < of.size; at += kBufferBytes) {
        ODO_TRY(const std::size_t got, fs_.read(node, at, buffer_));
        hash.add(at, Bytes(buffer_).first(got));
      }
      out.content_hash = hash.value();
    } else if (node.is(ObjectType::kSymlink)) {
      ODO_TRY(const std::size_t got, fs_.read_link(node, buffer_));
      out.target.assign(reinterpret_cast<const char*>(buffer_.data()), got);
    }
    return {};
  }

  Fs& fs_;
  DirEntry entry_;
  std::vector<std::byte> buffer_;
};

template <class Fs>
[[nodiscard]] hammer2::Result<Description> describe_volume(Fs& fs,
                                                           const Node& root) {
  return VolumeDescriber<Fs>(fs).describe(root);
}

}  // namespace odo::hammer2::testing::model
