// SPDX-License-Identifier: BSD-3-Clause
// A tree that only one process changes, and what must be in it: every operation
// is one that must succeed, and what is found must be as the model has it.
//
// Contexts: one process.
// Failure: Failure, one line.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tools/fs_exercise/calls.h"
#include "tools/fs_exercise/dice.h"
#include "tools/fs_exercise/history.h"

namespace odo::fs_exercise {

class OwnTree {
 public:
  OwnTree(std::filesystem::path root, Dice& dice, History& history)
      : root_(std::move(root)), dice_(dice), history_(history) {
    good(::mkdir(root_.c_str(), 0755), "mkdir");
    names_[""] = std::make_shared<Inode>(S_IFDIR | 0755);
  }

  void act() {
    // As many names come as go, once there are some.
    if (names_.size() > kMostNames) return remove();
    switch (dice_.below(kKinds)) {
      case kCreate:
        return create();
      case kFolder:
        return make_folder();
      case kNode:
        return make_node();
      case kSymlink:
        return make_symlink();
      case kLink:
        return link();
      case kRename:
      case kRenameToo:
        return rename();
      case kRemove:
      case kRemoveToo:
        return remove();
      case kWrite:
      case kWriteToo:
        return write();
      case kAppend:
        return append();
      case kTruncate:
        return truncate();
      case kChmod:
        return change_mode();
      case kUtime:
        return change_time();
      case kSync:
        return sync();
      case kHeld:
        return write_without_a_name();
      case kList:
        return check_list(any(&is_folder));
      default:
        return check(any(&is_any));
    }
  }

  void check_all() const {
    std::size_t found = 1;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(root_)) {
      const std::string name = entry.path().lexically_relative(root_);
      if (!names_.contains(name)) throw Failure(name + " shouldn't be there");
      ++found;
    }
    if (found != names_.size()) throw Failure("names are missing");
    for (const auto& [name, inode] : names_) check(name);
  }

 private:
  struct Inode {
    explicit Inode(mode_t as) : mode(as) {}
    mode_t mode;          // with the type
    std::string content;  // a symlink's target
    // Once it has been set, and until the file is changed again.
    std::optional<std::int64_t> mtime_us;
  };
  using InodePtr = std::shared_ptr<Inode>;

  enum : std::size_t {
    kCreate,
    kFolder,
    kNode,
    kSymlink,
    kLink,
    kRename,
    kRenameToo,
    kRemove,
    kRemoveToo,
    kWrite,
    kWriteToo,
    kAppend,
    kTruncate,
    kChmod,
    kUtime,
    kSync,
    kHeld,
    kList,
    kCheck,
    kKinds = kCheck + 2
  };
  static constexpr std::size_t kMostNames = 150;
  static constexpr std::size_t kMostBytes = 300'000;

  // --- Choices ---------------------------------------------------------------

  static bool is_any(const Inode&) { return true; }
  static bool is_folder(const Inode& inode) { return S_ISDIR(inode.mode); }
  static bool is_file(const Inode& inode) { return S_ISREG(inode.mode); }
  static bool is_linkable(const Inode& inode) { return !S_ISDIR(inode.mode); }
  static bool has_mode(const Inode& inode) { return !S_ISLNK(inode.mode); }

  // Empty, which is the root, if there is none. Only is_folder and is_any
  // choose the root otherwise.
  [[nodiscard]] std::string any(bool (*wanted)(const Inode&)) {
    std::vector<std::string> choice;
    for (const auto& [name, inode] : names_) {
      if (wanted(*inode)) choice.push_back(name);
    }
    if (choice.empty()) return "";
    return choice[dice_.below(choice.size())];
  }

  // A name that isn't there yet.
  [[nodiscard]] std::string free_name() {
    std::string folder = any(&is_folder);
    if (!folder.empty()) folder += '/';
    for (;;) {
      std::string name = folder;
      name += static_cast<char>('a' + dice_.below(26));
      if (dice_.one_in(2)) {
        // Some names are too long for an entry of their own.
        name.append(dice_.one_in(4) ? 70 + dice_.below(100) : 1,
                    static_cast<char>('a' + dice_.below(26)));
      }
      if (!names_.contains(name)) return name;
    }
  }

  [[nodiscard]] std::string path(const std::string& name) const {
    return name.empty() ? root_.string() : (root_ / name).string();
  }

  void note(std::string line) { history_.add("own: " + std::move(line)); }

  // What changes within a folder changes its time.
  void touch_above(const std::string& name) {
    const std::size_t slash = name.rfind('/');
    names_.at(slash == std::string::npos ? "" : name.substr(0, slash))
        ->mtime_us.reset();
  }

  void add(const std::string& name, InodePtr inode) {
    names_[name] = std::move(inode);
    touch_above(name);
  }

  // --- Names -----------------------------------------------------------------

  void create() {
    const std::string name = free_name();
    const mode_t mode = 0600 | static_cast<mode_t>(dice_.below(0200));
    note("create " + name);
    const Descriptor file(path(name), O_RDWR | O_CREAT | O_EXCL, mode);
    auto inode = std::make_shared<Inode>(S_IFREG | mode);
    inode->content = dice_.content(dice_.up_to(kMostBytes));
    write_all(*file, 0, inode->content);
    add(name, inode);
  }

  void make_folder() {
    const std::string name = free_name();
    const mode_t mode = 0700 | static_cast<mode_t>(dice_.below(0100));
    note("mkdir " + name);
    good(::mkdir(path(name).c_str(), mode), "mkdir");
    add(name, std::make_shared<Inode>(S_IFDIR | mode));
  }

  void make_node() {
    constexpr std::array<mode_t, 3> kTypes = {S_IFREG, S_IFIFO, S_IFSOCK};
    const std::string name = free_name();
    const mode_t mode = dice_.pick<mode_t>(kTypes) | 0640;
    note("mknod " + name);
    good(::mknod(path(name).c_str(), mode, 0), "mknod");
    add(name, std::make_shared<Inode>(mode));
  }

  void make_symlink() {
    const std::string name = free_name();
    auto inode = std::make_shared<Inode>(S_IFLNK | 0777);
    inode->content = std::string(1 + dice_.up_to(1000), 't');
    note("symlink " + name);
    good(::symlink(inode->content.c_str(), path(name).c_str()), "symlink");
    add(name, inode);
  }

  void link() {
    const std::string from = any(&is_linkable);
    if (from.empty()) return;
    const std::string to = free_name();
    note("link " + from + " to " + to);
    good(::link(path(from).c_str(), path(to).c_str()), "link");
    add(to, names_.at(from));
  }

  [[nodiscard]] bool is_empty_folder(const std::string& name) const {
    const auto next = names_.upper_bound(name + "/");
    return is_folder(*names_.at(name)) &&
           (next == names_.end() || !next->first.starts_with(name + "/"));
  }

  // To a new name, or one that it may replace.
  void rename() {
    const std::string from = any(&is_any);
    if (from.empty()) return;
    const bool folder = is_folder(*names_.at(from));
    std::string to = free_name();
    if (dice_.one_in(3)) {
      const std::string there = any(folder ? &is_folder : &is_linkable);
      if (there.empty() || (folder && !is_empty_folder(there))) return;
      to = there;
    }
    if (from == to || to.starts_with(from + "/")) return;
    note("rename " + from + " to " + to);
    good(::rename(path(from).c_str(), path(to).c_str()), "rename");
    // Two names of one file: nothing is done.
    const auto target = names_.find(to);
    if (target != names_.end() && target->second == names_.at(from)) return;
    std::vector<std::pair<std::string, InodePtr>> moved;
    for (auto at = names_.find(from); at != names_.end();) {
      const std::string& name = at->first;
      if (name != from && !name.starts_with(from + "/")) {
        // Others may stand between: "a-" is before "a/".
        if (!name.starts_with(from)) break;
        ++at;
        continue;
      }
      moved.emplace_back(to + name.substr(from.size()), at->second);
      at = names_.erase(at);
    }
    for (auto& [name, inode] : moved) names_[name] = std::move(inode);
    touch_above(from);
    touch_above(to);
  }

  void remove() {
    const std::string name = any(&is_any);
    if (name.empty()) return;
    if (is_folder(*names_.at(name))) {
      if (!is_empty_folder(name)) return;
      note("rmdir " + name);
      good(::rmdir(path(name).c_str()), "rmdir");
    } else {
      note("unlink " + name);
      good(::unlink(path(name).c_str()), "unlink");
    }
    touch_above(name);
    names_.erase(name);
  }

  // --- Content ---------------------------------------------------------------

  void put(Inode& inode, int file, std::size_t offset) {
    const std::string bytes = dice_.content(dice_.up_to(kMostBytes - offset));
    write_all(file, offset, bytes);
    if (bytes.empty()) return;
    std::string& content = inode.content;
    content.resize(std::max(content.size(), offset + bytes.size()));
    content.replace(offset, bytes.size(), bytes);
    inode.mtime_us.reset();
  }

  void write() {
    const std::string name = any(&is_file);
    if (name.empty()) return;
    const bool anew = dice_.one_in(4);
    note((anew ? "write anew " : "write ") + name);
    Inode& inode = *names_.at(name);
    const Descriptor file(path(name), anew ? O_WRONLY | O_TRUNC : O_WRONLY);
    if (anew) {
      inode.content.clear();
      inode.mtime_us.reset();
    }
    put(inode, *file, dice_.up_to(kMostBytes));
  }

  void append() {
    const std::string name = any(&is_file);
    if (name.empty()) return;
    note("append to " + name);
    Inode& inode = *names_.at(name);
    const Descriptor file(path(name), O_RDWR);
    put(inode, *file, inode.content.size());
  }

  void truncate() {
    const std::string name = any(&is_file);
    if (name.empty()) return;
    const std::size_t size = dice_.up_to(kMostBytes);
    note("truncate " + name + " to " + std::to_string(size));
    good(::truncate(path(name).c_str(), static_cast<off_t>(size)), "truncate");
    names_.at(name)->content.resize(size);
    names_.at(name)->mtime_us.reset();
  }

  // A file lives as long as somebody has it open.
  void write_without_a_name() {
    const std::string name = any(&is_file);
    if (name.empty()) return;
    note("unlink and write " + name);
    const Descriptor file(path(name), O_RDWR);
    good(::unlink(path(name).c_str()), "unlink");
    const InodePtr inode = names_.at(name);
    names_.erase(name);
    touch_above(name);
    put(*inode, *file, dice_.up_to(kMostBytes));
    expect_same(0, read_all(*file, 0, inode->content.size() + 1),
                inode->content);
  }

  void sync() {
    const std::string name = any(dice_.one_in(2) ? &is_file : &is_folder);
    note("fsync " + name);
    const Descriptor file(path(name), O_RDONLY);
    good(::fsync(*file), "fsync");
  }

  // --- Attributes ------------------------------------------------------------

  void change_mode() {
    const std::string name = any(&has_mode);
    Inode& inode = *names_.at(name);
    const mode_t mode = 0700 | static_cast<mode_t>(dice_.below(0100));
    note("chmod " + name);
    good(::chmod(path(name).c_str(), mode), "chmod");
    inode.mode = (inode.mode & S_IFMT) | mode;
  }

  void change_time() {
    const std::string name = any(&is_any);
    const auto time = static_cast<std::int64_t>(dice_.below(1UL << 50));
    note("utimensat " + name);
    constexpr std::int64_t kMicro = 1'000'000;
    const std::array<timespec, 2> times = {
        {{0, UTIME_OMIT}, {time / kMicro, time % kMicro * 1000}}};
    good(::utimensat(AT_FDCWD, path(name).c_str(), times.data(),
                     AT_SYMLINK_NOFOLLOW),
         "utimensat");
    names_.at(name)->mtime_us = time;
  }

  // --- Looking ---------------------------------------------------------------

  void check(const std::string& name) const {
    const Inode& inode = *names_.at(name);
    struct stat found = {};
    good(::lstat(path(name).c_str(), &found), "lstat");
    const auto expect = [&](const char* what, auto is, auto wanted) {
      if (is == wanted) return;
      throw Failure(name + ": " + what + " is " + std::to_string(is) +
                    ", not " + std::to_string(wanted));
    };
    expect("mode", found.st_mode, inode.mode);
    if (inode.mtime_us) {
      expect("mtime",
             found.st_mtim.tv_sec * 1'000'000 + found.st_mtim.tv_nsec / 1000,
             *inode.mtime_us);
    }
    if (S_ISDIR(inode.mode)) return;
    expect("link count", static_cast<long>(found.st_nlink),
           names_.at(name).use_count());
    if (S_ISREG(inode.mode)) {
      expect("size", static_cast<std::size_t>(found.st_size),
             inode.content.size());
      const Descriptor file(path(name), O_RDONLY);
      try {
        expect_same(0, read_all(*file, 0, inode.content.size() + 1),
                    inode.content);
      } catch (const Failure& failure) {
        throw Failure(name + ": " + failure.what());
      }
    } else if (S_ISLNK(inode.mode)) {
      if (std::filesystem::read_symlink(path(name)) != inode.content) {
        throw Failure(name + " has another target");
      }
    }
  }

  void check_list(const std::string& folder) {
    note("list " + folder);
    std::set<std::string> wanted;
    const std::string prefix = folder.empty() ? "" : folder + "/";
    for (auto at = names_.upper_bound(prefix);
         at != names_.end() && at->first.starts_with(prefix); ++at) {
      const std::string name = at->first.substr(prefix.size());
      if (!name.contains('/')) wanted.insert(name);
    }
    std::set<std::string> found;
    for (const auto& entry :
         std::filesystem::directory_iterator(path(folder))) {
      if (!found.insert(entry.path().filename()).second) {
        throw Failure(entry.path().string() + " is listed twice");
      }
    }
    if (found != wanted) throw Failure("another listing of " + folder);
  }

  std::filesystem::path root_;
  Dice& dice_;
  History& history_;
  // By path from the root, which is "". Who shares an inode is a hard link.
  std::map<std::string, InodePtr> names_;
};

}  // namespace odo::fs_exercise
