// SPDX-License-Identifier: BSD-3-Clause
// A tree that several processes change at once without agreement. Nobody knows
// what is in it; but calls may fail only for what another process can have
// done, and afterwards everything in it can be looked at, and nothing is half
// there.
//
// Contexts: one SharedTree a process, any number of processes.
// Failure: Failure, one line.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>

#include "tools/fs_exercise/calls.h"
#include "tools/fs_exercise/dice.h"
#include "tools/fs_exercise/history.h"

namespace odo::fs_exercise {

class SharedTree {
 public:
  SharedTree(std::filesystem::path root, Dice& dice, History& history)
      : root_(std::move(root)), dice_(dice), history_(history) {}

  void act() {
    const std::string one = name();
    const std::string other = name();
    switch (dice_.below(kKinds)) {
      case kFile:
        return file(one);
      case kTruncate:
        return expect(
            "truncate", one,
            ::truncate(one.c_str(), static_cast<off_t>(dice_.up_to(200'000))));
      case kFolder:
        return expect("mkdir", one, ::mkdir(one.c_str(), 0755));
      case kNode:
        return expect("mknod", one, ::mknod(one.c_str(), S_IFREG | 0644, 0));
      case kSymlink:
        return expect("symlink", one, ::symlink("a", one.c_str()));
      case kLink:
        return expect("link", one, other, ::link(one.c_str(), other.c_str()));
      case kUnlink:
        return expect("unlink", one, ::unlink(one.c_str()));
      case kRmdir:
        return expect("rmdir", one, ::rmdir(one.c_str()));
      case kChmod:
        return expect("chmod", one, ::chmod(one.c_str(), 0755));
      case kList:
        return list(one);
      default:
        return expect("rename", one, other,
                      ::rename(one.c_str(), other.c_str()));
    }
  }

  // Once nobody changes it: each name that is listed is there, and can be read.
  static void check_all(const std::filesystem::path& root) {
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(root)) {
      struct stat status = {};
      good(::lstat(entry.path().c_str(), &status), "lstat");
      if (!S_ISDIR(status.st_mode) && status.st_nlink == 0) {
        throw Failure(entry.path().string() + " has no links");
      }
      if (!S_ISREG(status.st_mode)) continue;
      const Descriptor file(entry.path(), O_RDONLY);
      const auto size = static_cast<std::size_t>(status.st_size);
      if (read_all(*file, 0, size + 1).size() != size) {
        throw Failure(entry.path().string() + " isn't as long as it says");
      }
    }
  }

 private:
  enum : std::size_t {
    kFile,
    kTruncate,
    kFolder,
    kNode,
    kSymlink,
    kLink,
    kUnlink,
    kRmdir,
    kChmod,
    kList,
    kRename,
    kKinds = kRename + 3
  };

  // Few names, so that processes meet; some in folders that come and go.
  [[nodiscard]] std::string name() {
    std::string path = root_;
    for (std::size_t depth = dice_.below(3) + 1; depth != 0; --depth) {
      path += '/';
      path += static_cast<char>('a' + dice_.below(4));
    }
    return path;
  }

  static bool can_be_for_others(int error) {
    constexpr std::array kErrors = {ENOENT, EEXIST, ENOTDIR, EISDIR, ENOTEMPTY,
                                    EINVAL, ELOOP,  EPERM,   ESTALE, ENOSPC};
    return std::ranges::find(kErrors, error) != kErrors.end();
  }

  void expect(const char* call, const std::string& one, int result) {
    expect(call, one, "", result);
  }
  void expect(const char* call, const std::string& one,
              const std::string& other, int result) {
    const int error = result < 0 ? errno : 0;
    history_.add(std::string(call) + " " + one + " " + other);
    errno = error;
    if (error != 0 && !can_be_for_others(error)) good(result, call);
  }

  void file(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    expect("open", path, file);
    if (file < 0) return;
    const std::string bytes = dice_.content(dice_.up_to(100'000));
    write_all(file, dice_.up_to(100'000), bytes);
    if (dice_.one_in(20)) good(::fsync(file), "fsync");
    good(::close(file), "close");
  }

  void list(const std::string& path) {
    std::error_code error;
    std::filesystem::directory_iterator at(path, error);
    const std::filesystem::directory_iterator end;
    while (!error && at != end) at.increment(error);
    history_.add("list " + path);
    if (error && !can_be_for_others(error.value())) {
      throw Failure("list: " + error.message());
    }
  }

  std::filesystem::path root_;
  Dice& dice_;
  History& history_;
};

}  // namespace odo::fs_exercise
