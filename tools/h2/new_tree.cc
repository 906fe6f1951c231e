// SPDX-License-Identifier: BSD-3-Clause
#include "tools/h2/new_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_join.h"
#include "tools/h2/volume.h"

namespace odo::h2 {
namespace {

constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

[[noreturn]] void refuse(const std::string& path) {
  throw Failure(path + ": " + std::strerror(errno));
}

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  [[nodiscard]] int get() const { return value_; }

 private:
  int value_;
};

}  // namespace

std::string component_of(std::string name) {
  for (char& c : name) {
    if (c == '/' || c == '\0') c = '_';
  }
  if (name.empty() || name == "." || name == "..") name += '_';
  return name;
}

NewTree::NewTree(const std::string& folder) : name_(folder) {
  if (::mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST) refuse(folder);
  // The user's own words may lead through a link.
  folder_ = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_ < 0) refuse(folder);
}

NewTree::~NewTree() { ::close(folder_); }

int NewTree::open_parent(const Path& path) {
  int at = ::dup(folder_);
  for (std::size_t i = 0; i + 1 < path.size(); ++i) {
    const Descriptor above(at);
    const std::string name = component_of(path[i]);
    if (at < 0 || (::mkdirat(at, name.c_str(), 0777) != 0 && errno != EEXIST)) {
      refuse(absl::StrJoin(path, "/"));
    }
    at = ::openat(above.get(), name.c_str(), kFolderFlags);
    if (at < 0) refuse(absl::StrJoin(path, "/"));
  }
  if (at < 0) refuse(name_);
  return at;
}

void NewTree::make_folder(const Path& path) {
  const Descriptor parent(open_parent(path));
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
  const Descriptor parent(open_parent(path));
  const std::string name = component_of(path.back());
  const int file =
      ::openat(parent.get(), name.c_str(),
               O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file < 0) refuse(absl::StrJoin(path, "/"));
  return {file, absl::StrJoin(path, "/")};
}

void NewTree::make_link(const Path& path, const std::string& target) {
  const Descriptor parent(open_parent(path));
  const std::string name = component_of(path.back());
  if (::symlinkat(target.c_str(), parent.get(), name.c_str()) != 0) {
    refuse(absl::StrJoin(path, "/"));
  }
}

bool NewTree::exists(const Path& path) {
  const Descriptor parent(open_parent(path));
  struct stat status = {};
  return ::fstatat(parent.get(), component_of(path.back()).c_str(), &status,
                   AT_SYMLINK_NOFOLLOW) == 0;
}

NewTree::File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void NewTree::File::write(std::uint64_t offset, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(descriptor_, bytes.data(), bytes.size(),
                                 static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) refuse(path_);
    offset += static_cast<std::uint64_t>(put);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
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
  if (::ftruncate(descriptor_, static_cast<off_t>(size)) != 0 ||
      ::fchmod(descriptor_, (mode & 0777) | 0400) != 0) {
    refuse(path_);
  }
  ::futimens(descriptor_, times);  // a wish: times may be beyond the host's
  if (::close(std::exchange(descriptor_, -1)) != 0) refuse(path_);
}

}  // namespace odo::h2
