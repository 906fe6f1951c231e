// SPDX-License-Identifier: BSD-3-Clause
// A folder of the host into which files are put that come from who knows where:
// nothing that is there is changed, and nothing lands outside.
//
// Contexts: the tool's main thread.
// Invariants: every component is opened by itself and no link is followed; a
//   name is one component, neither "." nor ".."; files are made anew or not at
//   all.
// Failure: an errno as a Failure that names the path.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/block/host/descriptor.h"

namespace odo::h2 {

// A name that is one component whatever bytes were given.
[[nodiscard]] std::string component_of(std::string name);

class NewTree {
 public:
  using Path = std::vector<std::string>;  // components

  // Made where there is none.
  explicit NewTree(const std::string& folder);

  // A new file, for writing anywhere in it.
  class File {
   public:
    void write(std::uint64_t offset, Bytes bytes);
    // Sets length, permission bits and time, and closes it.
    void finish(std::uint64_t size, std::uint32_t mode, std::uint64_t mtime_us);

   private:
    friend class NewTree;
    File(block::Descriptor descriptor, std::string path)
        : descriptor_(std::move(descriptor)), path_(std::move(path)) {}

    block::Descriptor descriptor_;
    std::string path_;
  };

  void make_folder(const Path& path);
  [[nodiscard]] File make_file(const Path& path);
  void make_link(const Path& path, const std::string& target);
  [[nodiscard]] bool exists(const Path& path);

 private:
  // The folder that `path` lies in, made as needed.
  [[nodiscard]] block::Descriptor open_parent(const Path& path);

  block::Descriptor folder_;
};

}  // namespace odo::h2
