// SPDX-License-Identifier: BSD-3-Clause
// A tree of files as POSIX describes it, in ordinary containers: what a
// filesystem must show, whatever it does to its medium.
//
//   FileTree tree;
//   tree.set_now(1000);
//   ODO_TRY_VOID(tree.mkdir("/a", 0755));
//   ODO_TRY_VOID(tree.create("/a/f", 0644));
//   const FileTree synced = tree;  // remembers it
//
// Contexts: tests; one thread.
// Paths: from the root. Symlinks aren't followed, on the way neither: that is
//   the business of whoever sits above a filesystem. "%3" in place of a file's
//   path is the file that handle 3 holds open, with or without a name.
// Choices that POSIX leaves open: of several errors, Linux's order (but EINVAL
//   where it has EBUSY for "." and ".."); unlink() of a directory is EISDIR;
//   directories have one link, as on HAMMER2; permissions don't matter.
// Times: what changes content or entries sets mtime and ctime, what changes an
//   inode its ctime; renamed inodes are changed. There is no atime.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/base/result.h"
#include "lib/hammer2/testing/model/content.h"
#include "lib/hammer2/testing/model/description.h"
#include "lib/hammer2/testing/model/result.h"
#include "lib/hammer2/types.h"

namespace odo::hammer2::testing::model {

enum class RenameMode : std::uint8_t { kReplace, kNoReplace, kExchange };

struct Device {
  std::uint32_t major = 0;
  std::uint32_t minor = 0;
};

class FileTree {
 public:
  using Inum = std::uint64_t;

  static constexpr Inum kRoot = 1;
  static constexpr std::size_t kMaxNameBytes = 255;
  static constexpr std::uint32_t kModeBits = 07777;

  struct Inode {
    ObjectType type = ObjectType::kRegular;
    std::uint32_t mode = 0;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    Device device = {};
    std::uint64_t mtime_us = 0;
    std::uint64_t ctime_us = 0;
    std::uint64_t nlinks = 1;
    std::uint64_t handles = 0;
    Inum parent = kRoot;                       // of directories
    std::map<std::string, Inum> entries = {};  // of directories
    Content content = {};                      // of regular files
    std::string target = {};                   // of symlinks

    [[nodiscard]] bool is(ObjectType t) const { return type == t; }
  };

  FileTree() {
    inodes_[kRoot].type = ObjectType::kDirectory;
    inodes_[kRoot].mode = 0755;
  }

  // --- The world around -----------------------------------------------------

  // When the following operations take place.
  void set_now(std::uint64_t us) { now_us_ = us; }
  // Who owns what they make.
  void set_owner(std::uint32_t uid, std::uint32_t gid) {
    uid_ = uid;
    gid_ = gid;
  }
  // The largest file.
  void set_max_file_bytes(std::uint64_t bytes) { max_file_bytes_ = bytes; }

  // --- Names ----------------------------------------------------------------

  Result<void> mkdir(std::string_view path, std::uint32_t mode) {
    ODO_TRY(const Place place, vacant(path));
    Inode& inode = inodes_[add(place, ObjectType::kDirectory, mode)];
    inode.parent = place.directory;
    return {};
  }

  // Fails where there is something already, as with O_EXCL.
  Result<void> create(std::string_view path, std::uint32_t mode) {
    ODO_TRY(const Place place, vacant(path));
    add(place, ObjectType::kRegular, mode);
    return {};
  }

  // A fifo, socket or device.
  Result<void> mknod(std::string_view path, ObjectType type, std::uint32_t mode,
                     Device device) {
    ODO_TRY(const Place place, vacant(path));
    if (type != ObjectType::kFifo && type != ObjectType::kSocket &&
        type != ObjectType::kCharDevice && type != ObjectType::kBlockDevice) {
      return fail(Errno::kInvalid);
    }
    inodes_[add(place, type, mode)].device = device;
    return {};
  }

  Result<void> symlink(std::string_view path, std::string_view target) {
    if (target.empty()) return fail(Errno::kNoEntry);
    ODO_TRY(const Place place, vacant(path));
    inodes_[add(place, ObjectType::kSymlink, 0777)].target = target;
    return {};
  }

  Result<void> link(std::string_view from, std::string_view to) {
    ODO_TRY(const Inum inum, resolve(from));
    ODO_TRY(const Place place, vacant(to));
    Inode& inode = inodes_[inum];
    if (inode.is(ObjectType::kDirectory)) return fail(Errno::kNotPermitted);
    enter(place, inum);
    ++inode.nlinks;
    inode.ctime_us = now_us_;
    return {};
  }

  Result<void> unlink(std::string_view path) {
    ODO_TRY(const Place place, parent_of(path));
    if (is_dots(place.name)) return fail(Errno::kIsDirectory);
    ODO_TRY(const Inum inum, lookup(place.directory, place.name));
    if (inodes_[inum].is(ObjectType::kDirectory)) {
      return fail(Errno::kIsDirectory);
    }
    leave(place);
    drop_link(inum);
    return {};
  }

  Result<void> rmdir(std::string_view path) {
    ODO_TRY(const Place place, parent_of(path));
    if (place.name == ".") return fail(Errno::kInvalid);
    if (place.name == "..") return fail(Errno::kNotEmpty);
    ODO_TRY(const Inum inum, lookup(place.directory, place.name));
    if (!inodes_[inum].is(ObjectType::kDirectory)) {
      return fail(Errno::kNotDirectory);
    }
    if (!inodes_[inum].entries.empty()) return fail(Errno::kNotEmpty);
    leave(place);
    drop_link(inum);
    return {};
  }

  Result<void> rename(std::string_view from, std::string_view to,
                      RenameMode mode = RenameMode::kReplace);

  // --- Inodes ---------------------------------------------------------------

  Result<void> chmod(std::string_view path, std::uint32_t mode) {
    ODO_TRY(const Inum inum, resolve(path));
    inodes_[inum].mode = mode & kModeBits;
    inodes_[inum].ctime_us = now_us_;
    return {};
  }

  Result<void> chown(std::string_view path, std::uint32_t uid,
                     std::uint32_t gid) {
    ODO_TRY(const Inum inum, resolve(path));
    inodes_[inum].uid = uid;
    inodes_[inum].gid = gid;
    inodes_[inum].ctime_us = now_us_;
    return {};
  }

  Result<void> utimes(std::string_view path, std::uint64_t mtime_us) {
    ODO_TRY(const Inum inum, resolve(path));
    inodes_[inum].mtime_us = mtime_us;
    inodes_[inum].ctime_us = now_us_;
    return {};
  }

  // --- Content --------------------------------------------------------------

  Result<void> write(std::string_view file, std::uint64_t offset_bytes,
                     Bytes from) {
    ODO_TRY(const Inum inum, resolve_file(file));
    if (from.empty()) return {};
    if (offset_bytes > max_file_bytes_ ||
        from.size() > max_file_bytes_ - offset_bytes) {
      return fail(Errno::kTooLarge);
    }
    inodes_[inum].content.write(offset_bytes, from);
    touch(inum);
    return {};
  }

  Result<void> append(std::string_view file, Bytes from) {
    ODO_TRY(const Inum inum, resolve_file(file));
    return write(file, inodes_[inum].content.size_bytes(), from);
  }

  // Sets the time where the size changes, and only there.
  Result<void> truncate(std::string_view file, std::uint64_t size_bytes) {
    ODO_TRY(const Inum inum, resolve_file(file));
    if (size_bytes > max_file_bytes_) return fail(Errno::kTooLarge);
    if (size_bytes == inodes_[inum].content.size_bytes()) return {};
    inodes_[inum].content.truncate(size_bytes);
    touch(inum);
    return {};
  }

  // How many bytes were there to read.
  Result<std::size_t> read(std::string_view file, std::uint64_t offset_bytes,
                           MutableBytes to) const {
    ODO_TRY(const Inum inum, resolve_file(file));
    return at(inum).content.read(offset_bytes, to);
  }

  // --- Handles --------------------------------------------------------------

  // Makes "%handle" another name of the file. A handle is used once at a time.
  Result<void> open(std::string_view path, unsigned handle) {
    if (handles_.contains(handle)) return fail(Errno::kBadHandle);
    ODO_TRY(const Inum inum, resolve_file(path));
    handles_[handle] = inum;
    ++inodes_[inum].handles;
    return {};
  }

  // The last close of a file without names is its end.
  Result<void> close(unsigned handle) {
    const auto it = handles_.find(handle);
    if (it == handles_.end()) return fail(Errno::kBadHandle);
    const Inum inum = it->second;
    handles_.erase(it);
    --inodes_[inum].handles;
    forget_if_gone(inum);
    return {};
  }

  // As when the power fails, or everybody who had files open is gone.
  void close_all() {
    for (const auto& [handle, inum] : std::exchange(handles_, {})) {
      --inodes_[inum].handles;
      forget_if_gone(inum);
    }
  }

  // --- To look at -----------------------------------------------------------

  // Never follows symlinks. "." and ".." as usual; the root's parent is itself.
  [[nodiscard]] Result<Inum> lookup(Inum directory,
                                    std::string_view name) const {
    const Inode& inode = at(directory);
    if (!inode.is(ObjectType::kDirectory)) return fail(Errno::kNotDirectory);
    if (name.empty()) return fail(Errno::kNoEntry);
    if (name.size() > kMaxNameBytes) return fail(Errno::kNameTooLong);
    if (name == ".") return directory;
    if (name == "..") return inode.parent;
    const auto it = inode.entries.find(std::string(name));
    if (it == inode.entries.end()) return fail(Errno::kNoEntry);
    return it->second;
  }

  [[nodiscard]] Result<Inum> resolve(std::string_view path) const {
    ODO_TRY(const Place place, parent_of(path));
    return lookup(place.directory, place.name);
  }

  [[nodiscard]] const Inode& at(Inum inum) const {
    const auto it = inodes_.find(inum);
    ODO_CHECK(it != inodes_.end());
    return it->second;
  }

  // Names in order.
  [[nodiscard]] Result<std::vector<std::string>> read_directory(
      std::string_view path) const {
    ODO_TRY(const Inum inum, resolve(path));
    if (!at(inum).is(ObjectType::kDirectory)) {
      return fail(Errno::kNotDirectory);
    }
    std::vector<std::string> names;
    for (const auto& [name, child] : at(inum).entries) names.push_back(name);
    return names;
  }

  // Everything that has a name.
  [[nodiscard]] Description describe() const {
    Description description;
    for_each_path(kRoot, "/", [&](const std::string& path, Inum inum) {
      description.add(path, describe(inum));
    });
    return description;
  }

  // Every path, the root's first.
  [[nodiscard]] std::vector<std::string> paths() const {
    std::vector<std::string> paths;
    for_each_path(kRoot, "/", [&](const std::string& path, Inum) {
      paths.push_back(path);
    });
    return paths;
  }

  [[nodiscard]] std::vector<unsigned> open_handles() const {
    std::vector<unsigned> handles;
    handles.reserve(handles_.size());
    for (const auto& [handle, inum] : handles_) handles.push_back(handle);
    return handles;
  }

  // With those that only handles hold.
  [[nodiscard]] std::size_t inodes() const { return inodes_.size(); }

 private:
  struct Place {
    Inum directory;
    std::string_view name;
  };

  static bool is_dots(std::string_view name) {
    return name == "." || name == "..";
  }

  // The directory that `path` lies in, and its last name; "." for the root.
  [[nodiscard]] Result<Place> parent_of(std::string_view path) const {
    if (!path.starts_with('/')) return fail(Errno::kNoEntry);
    path.remove_prefix(1);
    if (path.empty()) return Place{kRoot, "."};
    Inum directory = kRoot;
    for (std::size_t slash; (slash = path.find('/')) != path.npos;) {
      ODO_TRY(directory, lookup(directory, path.substr(0, slash)));
      path.remove_prefix(slash + 1);
    }
    if (!at(directory).is(ObjectType::kDirectory)) {
      return fail(Errno::kNotDirectory);
    }
    return Place{directory, path};
  }

  // Where `path` may come to be.
  [[nodiscard]] Result<Place> vacant(std::string_view path) const {
    ODO_TRY(const Place place, parent_of(path));
    const auto found = lookup(place.directory, place.name);
    if (found) return fail(Errno::kExists);
    if (found.error() != Errno::kNoEntry || place.name.empty()) {
      return fail(found.error());
    }
    return place;
  }

  // A regular file, by its path or its handle.
  [[nodiscard]] Result<Inum> resolve_file(std::string_view file) const {
    if (file.starts_with('%')) {
      unsigned handle = 0;
      const char* end = file.data() + file.size();
      const auto [stop, error] = std::from_chars(file.data() + 1, end, handle);
      const auto it = handles_.find(handle);
      if (error != std::errc() || stop != end || it == handles_.end()) {
        return fail(Errno::kBadHandle);
      }
      return it->second;
    }
    ODO_TRY(const Inum inum, resolve(file));
    if (at(inum).is(ObjectType::kDirectory)) return fail(Errno::kIsDirectory);
    if (!at(inum).is(ObjectType::kRegular)) return fail(Errno::kInvalid);
    return inum;
  }

  Inum add(const Place& place, ObjectType type, std::uint32_t mode) {
    const Inum inum = next_inum_++;
    Inode& inode = inodes_[inum];
    inode.type = type;
    inode.mode = mode & kModeBits;
    inode.uid = uid_;
    inode.gid = gid_;
    inode.mtime_us = inode.ctime_us = now_us_;
    enter(place, inum);
    return inum;
  }

  void enter(const Place& place, Inum inum) {
    inodes_[place.directory].entries[std::string(place.name)] = inum;
    touch(place.directory);
  }

  void leave(const Place& place) {
    inodes_[place.directory].entries.erase(std::string(place.name));
    touch(place.directory);
  }

  void touch(Inum inum) {
    inodes_[inum].mtime_us = inodes_[inum].ctime_us = now_us_;
  }

  void drop_link(Inum inum) {
    --inodes_[inum].nlinks;
    inodes_[inum].ctime_us = now_us_;
    forget_if_gone(inum);
  }

  void forget_if_gone(Inum inum) {
    const Inode& inode = inodes_[inum];
    if (inode.nlinks == 0 && inode.handles == 0) inodes_.erase(inum);
  }

  // Whether `inum` is `directory` or a directory above it.
  [[nodiscard]] bool holds(Inum inum, Inum directory) const {
    for (;;) {
      if (directory == inum) return true;
      if (directory == kRoot) return false;
      directory = at(directory).parent;
    }
  }

  // Names `inum`, which has another place already, at `place`.
  void move_to(const Place& place, Inum inum) {
    enter(place, inum);
    inodes_[inum].ctime_us = now_us_;
    if (inodes_[inum].is(ObjectType::kDirectory)) {
      inodes_[inum].parent = place.directory;
    }
  }

  // f(path, inum) for everything with a name, directories before their entries.
  template <class F>
  void for_each_path(Inum inum, const std::string& path, F&& f) const {
    f(path, inum);
    for (const auto& [name, child] : at(inum).entries) {
      for_each_path(child, (path == "/" ? "" : path) + '/' + name, f);
    }
  }

  [[nodiscard]] DescribedNode describe(Inum inum) const {
    const Inode& inode = at(inum);
    DescribedNode node;
    node.type = inode.type;
    node.mode = inode.mode;
    node.uid = inode.uid;
    node.gid = inode.gid;
    node.rmajor = inode.device.major;
    node.rminor = inode.device.minor;
    node.nlinks = inode.nlinks;
    node.inum = inum;
    node.mtime_us = inode.mtime_us;
    node.ctime_us = inode.ctime_us;
    node.size_bytes = inode.content.size_bytes();
    node.content_hash = inode.content.hash();
    node.target = inode.target;
    return node;
  }

  std::map<Inum, Inode> inodes_;
  std::map<unsigned, Inum> handles_;
  Inum next_inum_ = kRoot + 1;
  std::uint64_t now_us_ = 0;
  std::uint32_t uid_ = 0;
  std::uint32_t gid_ = 0;
  std::uint64_t max_file_bytes_ = std::uint64_t{1} << 40;
};

inline Result<void> FileTree::rename(std::string_view from, std::string_view to,
                                     RenameMode mode) {
  ODO_TRY(const Place source, parent_of(from));
  ODO_TRY(const Place target, parent_of(to));
  if (is_dots(source.name)) return fail(Errno::kInvalid);
  if (is_dots(target.name)) {
    return fail(mode == RenameMode::kNoReplace ? Errno::kExists
                                               : Errno::kInvalid);
  }
  ODO_TRY(const Inum moved, lookup(source.directory, source.name));
  const auto there = lookup(target.directory, target.name);
  if (!there && there.error() != Errno::kNoEntry) return fail(there.error());
  if (there && mode == RenameMode::kNoReplace) return fail(Errno::kExists);
  if (!there && (mode == RenameMode::kExchange || target.name.empty())) {
    return fail(Errno::kNoEntry);
  }
  // Nothing moves into itself, and nothing takes the place of what it lies in.
  if (holds(moved, target.directory)) return fail(Errno::kInvalid);
  if (there && holds(*there, source.directory)) {
    return fail(mode == RenameMode::kExchange ? Errno::kInvalid
                                              : Errno::kNotEmpty);
  }
  if (there && *there == moved) return {};

  if (mode == RenameMode::kExchange) {
    move_to(source, *there);
    move_to(target, moved);
    return {};
  }
  if (there) {
    const Inode& replaced = at(*there);
    const bool moves_directory = at(moved).is(ObjectType::kDirectory);
    if (moves_directory && !replaced.is(ObjectType::kDirectory)) {
      return fail(Errno::kNotDirectory);
    }
    if (!moves_directory && replaced.is(ObjectType::kDirectory)) {
      return fail(Errno::kIsDirectory);
    }
    if (!replaced.entries.empty()) return fail(Errno::kNotEmpty);
    drop_link(*there);
  }
  leave(source);
  move_to(target, moved);
  return {};
}

}  // namespace odo::hammer2::testing::model
