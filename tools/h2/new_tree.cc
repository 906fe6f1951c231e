// SPDX-License-Identifier: BSD-3-Clause
#include "tools/h2/new_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_join.h"
#include "tools/h2/volume.h"

namespace odo::h2 {
namespace {

constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

[[noreturn]] void refuse(const std::string& path) {
  throw Failure(block::system_error(path, errno));
}

block::Descriptor open_folder(const std::string& folder) {
  if (::mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST) refuse(folder);
  // The user's own words may lead through a link.
  block::Descriptor opened(
      ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.get() < 0) refuse(folder);
  return opened;
}

}  // namespace

std::string component_of(std::string name) {
  for (char& c : name) {
    if (c == '/' || c == '\0') c = '_';
  }
  if (name.empty() || name == "." || name == "..") name += '_';
  return name;
}

NewTree::NewTree(const std::string& folder) : folder_(open_folder(folder)) {}

block::Descriptor NewTree::open_parent(const Path& path) {
  block::Descriptor at(::fcntl(folder_.get(), F_DUPFD_CLOEXEC, 0));
  for (std::size_t i = 0; i + 1 < path.size() && at.get() >= 0; ++i) {
    const std::string name = component_of(path[i]);
    if (::mkdirat(at.get(), name.c_str(), 0777) != 0 && errno != EEXIST) {
      refuse(absl::StrJoin(path, "/"));
    }
    at = block::Descriptor(::openat(at.get(), name.c_str(), kFolderFlags));
  }
  if (at.get() < 0) refuse(absl::StrJoin(path, "/"));
  return at;
}

void NewTree::make_folder(const Path& path) {
  const block::Descriptor parent = open_parent(path);
  const std::string name = component_of(path.back());
  if (::mkdirat(parent.get(), name.c_str(), 0777) == 0) return;
  struct stat status = {};
  if (errno != EEXIST ||
      ::fstatat(parent.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) !=
          0 ||
      !S_ISDIR(status.st_mode)) {
    refuse(absl::StrJoin(path, "/"));
  }
}

NewTree::File NewTree::make_file(const Path& path) {
  const block::Descriptor parent = open_parent(path);
  const std::string name = component_of(path.back());
  block::Descriptor file(
      ::openat(parent.get(), name.c_str(),
               O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (file.get() < 0) refuse(absl::StrJoin(path, "/"));
  return {std::move(file), absl::StrJoin(path, "/")};
}

void NewTree::make_link(const Path& path, const std::string& target) {
  const block::Descriptor parent = open_parent(path);
  const std::string name = component_of(path.back());
  if (::symlinkat(target.c_str(), parent.get(), name.c_str()) != 0) {
    refuse(absl::StrJoin(path, "/"));
  }
}

bool NewTree::exists(const Path& path) {
  const block::Descriptor parent = open_parent(path);
  struct stat status = {};
  return ::fstatat(parent.get(), component_of(path.back()).c_str(), &status,
                   AT_SYMLINK_NOFOLLOW) == 0;
}

void NewTree::File::write(std::uint64_t offset, Bytes bytes) {
  if (const auto put = block::write_at(descriptor_.get(), offset, bytes);
      !put) {
    throw Failure(path_ + ": " + put.error());
  }
}

void NewTree::File::finish(std::uint64_t size, std::uint32_t mode,
                           std::uint64_t mtime_us) {
  constexpr std::uint64_t kMicros = 1'000'000;
  const timespec time = {
      .tv_sec = static_cast<time_t>(mtime_us / kMicros),
      .tv_nsec = static_cast<long>(mtime_us % kMicros * 1000)};
  const timespec times[2] = {time, time};
  // Neither set-id bits nor what the user couldn't read again.
  if (::ftruncate(descriptor_.get(), static_cast<off_t>(size)) != 0 ||
      ::fchmod(descriptor_.get(), (mode & 0777) | 0400) != 0) {
    refuse(path_);
  }
  ::futimens(descriptor_.get(),
             times);  // a wish: times may be beyond the host's
  if (::close(descriptor_.release()) != 0) refuse(path_);
}

}  // namespace odo::h2
