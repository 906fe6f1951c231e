// SPDX-License-Identifier: BSD-3-Clause
// What `h2 create` makes an image of: a directory of the host, or a tar.
//
// Contexts: the tool's main thread, but for read_piece().
// Failure: Failure, in one line.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/hammer2/types.h"

namespace odo::h2 {

struct SourceEntry {
  std::string path;  // below the root, "" for the root itself
  hammer2::ObjectType type = hammer2::ObjectType::kUnknown;
  std::uint32_t mode = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t rmajor = 0;
  std::uint32_t rminor = 0;
  std::uint64_t size = 0;
  std::uint64_t mtime_us = 0;
  std::string target;     // of a symlink
  std::string same_as;    // path of an entry before, whose inode it shares
  std::string host_path;  // where read_piece() finds the content
  std::vector<std::byte> content;  // or the content, from a tar
};

// All below a directory, parents before their entries, in the order of names.
[[nodiscard]] std::vector<SourceEntry> entries_of_directory(
    const std::string& path);

// Calls `take` with each entry of a tar, compressed or not; "-" is standard
// input. A file's content is in memory.
void each_entry_of_tar(const std::string& path,
                       const std::function<void(SourceEntry)>& take);

// Bytes of a file of the host, from any thread; all of them, or a Failure.
void read_piece(const std::string& host_path, std::uint64_t offset,
                MutableBytes to);

}  // namespace odo::h2
