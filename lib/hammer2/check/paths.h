// SPDX-License-Identifier: BSD-3-Clause
// Names for findings: the path of an inode, as the entries that the check has
// counted lead to it.
//
// Contexts: thread, one at a time, while the table is filled: in an observer's
//   pfs_done(). Reads directories, and so blocks where the device does.
// Bounds: kMaxComponents, and the caller's buffer.
// Failure: a directory that can't be read leaves "?" in place of what lies
//   above or of the name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/hammer2/check/inodes.h"
#include "lib/hammer2/filesystem.h"

namespace odo::hammer2::audit {

template <class FileSystem>
class PathFinder {
 public:
  static constexpr unsigned kMaxComponents = 512;

  // Of inodes in the PFS whose root is `root`.
  PathFinder(FileSystem& fs, const Node& root, InodeTable& table)
      : fs_(fs), root_(root), table_(table) {}

  // The path of inode `inum` at the end of `to`; empty where nothing leads to
  // it.
  [[nodiscard]] std::string_view path_of(std::uint64_t inum,
                                         std::span<char> to) {
    return build(inum, to, to.size());
  }
  // The path of the entry at `key` in directory `inum`.
  [[nodiscard]] std::string_view path_of_entry(std::uint64_t inum,
                                               std::uint64_t key,
                                               std::span<char> to) {
    std::size_t begin = to.size();
    if (!prepend(name_of(inum, key), to, begin)) return {};
    return build(inum, to, begin);
  }

 private:
  static constexpr char kUnknown = '?';

  [[nodiscard]] std::string_view build(std::uint64_t inum, std::span<char> to,
                                       std::size_t begin) {
    for (unsigned i = 0; inum != format::kRootInum; ++i) {
      const InodeRecord* record = table_.find(inum);
      if (record == nullptr || record->entries == 0 || i == kMaxComponents) {
        if (begin == to.size()) return {};
        (void)prepend({&kUnknown, 1}, to, begin);
        break;
      }
      if (!prepend(name_of(record->parent, record->key), to, begin)) break;
      inum = record->parent;
    }
    if (begin == to.size() && begin > 0) to[--begin] = '/';
    return {to.data() + begin, to.size() - begin};
  }

  [[nodiscard]] std::string_view name_of(std::uint64_t directory,
                                         std::uint64_t key) {
    DirCursor cursor{.next_key = key, .at_end = false};
    if (fs_.node_by_inum(root_, directory, node_)) {
      const auto more = fs_.read_directory(node_, cursor, entry_);
      if (more && *more && entry_.key == key) return entry_.name();
    }
    return {&kUnknown, 1};
  }

  // "/name" before what is there already.
  [[nodiscard]] static bool prepend(std::string_view name, std::span<char> to,
                                    std::size_t& begin) {
    if (name.size() + 1 > begin) return false;
    begin -= name.size();
    for (std::size_t i = 0; i < name.size(); ++i) to[begin + i] = name[i];
    to[--begin] = '/';
    return true;
  }

  FileSystem& fs_;
  const Node& root_;
  InodeTable& table_;
  Node node_;
  DirEntry entry_;
};

}  // namespace odo::hammer2::audit
