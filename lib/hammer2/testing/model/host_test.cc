// SPDX-License-Identifier: BSD-3-Clause
// The model against the host's own filesystem, which has to agree on every
// outcome and on what there is afterwards.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "gtest/gtest.h"
#include "lib/base/bytes.h"
#include "lib/hammer2/testing/model/content.h"
#include "lib/hammer2/testing/model/description.h"
#include "lib/hammer2/testing/model/file_tree.h"
#include "lib/hammer2/testing/model/operation.h"
#include "lib/hammer2/testing/model/result.h"
#include "lib/hammer2/testing/model/workload.h"

namespace odo::hammer2::testing::model {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  // Leaves errno to whatever failed before.
  ~Descriptor() {
    const int error = errno;
    if (fd_ >= 0) ::close(fd_);
    errno = error;
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

std::string outcome(int result) {
  if (result >= 0) return "done";
  switch (errno) {
    case ENOENT:
      return "ENOENT";
    case EEXIST:
      return "EEXIST";
    case ENOTDIR:
      return "ENOTDIR";
    case EISDIR:
      return "EISDIR";
    case ENOTEMPTY:
      return "ENOTEMPTY";
    case EINVAL:
    case EBUSY:  // of "." and ".." in rename(), and the root
    case ELOOP:  // a symlink where a file should be
      return "EINVAL";
    case ENAMETOOLONG:
      return "ENAMETOOLONG";
    case EPERM:
      return "EPERM";
    default:
      return std::string("errno ") + std::to_string(errno);
  }
}

// A directory of the host that is used like a whole filesystem. It lies in one
// that is ours, too: whatever a ".." might do stays there.
class HostTree {
 public:
  HostTree() {
    const char* base = std::getenv("TEST_TMPDIR");
    outer_ = std::string(base != nullptr ? base : "/tmp") + "/model.XXXXXX";
    if (::mkdtemp(outer_.data()) == nullptr) return;
    path_ = outer_ + "/root";
    if (::mkdir(path_.c_str(), 0700) != 0) path_.clear();
  }
  ~HostTree() {
    std::error_code ignored;
    std::filesystem::remove_all(outer_, ignored);
  }
  HostTree(const HostTree&) = delete;
  HostTree& operator=(const HostTree&) = delete;

  [[nodiscard]] bool usable() const { return !path_.empty(); }

  // Some of the host's filesystems can't exchange, or not directories.
  [[nodiscard]] bool exchanges() {
    const bool made = perform(Mkdir{"/probe"}) == "done" &&
                      perform(Create{"/probe.f"}) == "done";
    const bool worked =
        perform(Rename{"/probe", "/probe.f", RenameMode::kExchange}) == "done";
    std::error_code ignored;
    std::filesystem::remove_all(path_ + "/probe", ignored);
    std::filesystem::remove_all(path_ + "/probe.f", ignored);
    return made && worked;
  }

  // "done", the error's name, or "" for what can't be tried here.
  std::string perform(const Operation& operation) {
    return std::visit([&](const auto& o) { return run(o); }, operation);
  }

  Description describe() {
    Description description;
    describe("/", path_, description);
    return description;
  }

 private:
  // The last name of a path and the directory that it lies in.
  struct Place {
    Descriptor directory;
    std::string name;
  };

  // For the host, the root's ".." is another directory.
  static bool leads_above_root(std::string_view path) {
    int depth = 0;
    while (!path.empty()) {
      path.remove_prefix(1);
      const std::string_view name = path.substr(0, path.find('/'));
      path.remove_prefix(name.size());
      if (name == "..") {
        if (--depth < 0) return true;
      } else if (name != ".") {
        ++depth;
      }
    }
    return false;
  }

  // Component by component, so that symlinks aren't followed, and that ".." of
  // the root is the root.
  std::optional<Place> place(std::string_view path) {
    std::vector<Descriptor> way;
    way.emplace_back(::open(path_.c_str(), O_RDONLY | O_DIRECTORY));
    path.remove_prefix(1);
    for (std::size_t slash; (slash = path.find('/')) != path.npos;) {
      const std::string name(path.substr(0, slash));
      path.remove_prefix(slash + 1);
      if (name == "..") {
        if (way.size() > 1) way.pop_back();
        continue;
      }
      Descriptor next(::openat(way.back().get(), name.c_str(),
                               O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
      if (next.get() < 0) return std::nullopt;
      way.push_back(std::move(next));
    }
    return Place{std::move(way.back()), path.empty() ? "." : std::string(path)};
  }

  // f(directory, name), or why there is no such place.
  template <class F>
  std::string with(const std::string& path, F&& f) {
    const std::optional<Place> at = place(path);
    return outcome(at ? f(at->directory.get(), at->name.c_str()) : -1);
  }

  // f(descriptor) on a regular file; a handle's is kept open.
  template <class F>
  std::string with_file(const std::string& file, F&& f) {
    if (file.starts_with('%')) {
      const auto it =
          handles_.find(static_cast<unsigned>(std::stoul(file.substr(1))));
      return it == handles_.end() ? "EBADF" : outcome(f(it->second.get()));
    }
    return with(file, [&](int directory, const char* name) {
      const Descriptor fd = open_file(directory, name);
      return fd.get() < 0 ? -1 : f(fd.get());
    });
  }

  static Descriptor open_file(int directory, const char* name) {
    struct stat st = {};
    if (::fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
      return Descriptor(-1);
    }
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
      errno = EINVAL;
      return Descriptor(-1);
    }
    return Descriptor(::openat(directory, name, O_RDWR | O_NOFOLLOW));
  }

  std::string run(const Mkdir& o) {
    return with(o.path, [&](int at, const char* name) {
      return ::mkdirat(at, name, o.mode | 0700);
    });
  }
  std::string run(const Rmdir& o) {
    return with(o.path, [](int at, const char* name) {
      return ::unlinkat(at, name, AT_REMOVEDIR);
    });
  }
  std::string run(const Create& o) {
    return with(o.path, [&](int at, const char* name) {
      const Descriptor fd(
          ::openat(at, name, O_RDWR | O_CREAT | O_EXCL, o.mode | 0600));
      return fd.get();
    });
  }
  // Devices need privileges.
  std::string run(const Mknod& o) {
    if (o.type != ObjectType::kFifo && o.type != ObjectType::kSocket) return "";
    const mode_t type = o.type == ObjectType::kFifo ? S_IFIFO : S_IFSOCK;
    return with(o.path, [&](int at, const char* name) {
      return ::mknodat(at, name, type | o.mode | 0600, 0);
    });
  }
  std::string run(const Symlink& o) {
    return with(o.path, [&](int at, const char* name) {
      return ::symlinkat(o.target.c_str(), at, name);
    });
  }
  std::string run(const Link& o) {
    return with(o.from, [&](int from, const char* from_name) {
      struct stat st = {};
      if (::fstatat(from, from_name, &st, AT_SYMLINK_NOFOLLOW) < 0) return -1;
      const std::optional<Place> to = place(o.to);
      return to ? ::linkat(from, from_name, to->directory.get(),
                           to->name.c_str(), 0)
                : -1;
    });
  }
  std::string run(const Unlink& o) {
    return with(o.path, [](int at, const char* name) {
      return ::unlinkat(at, name, 0);
    });
  }
  std::string run(const Rename& o) {
    const unsigned flags = o.mode == RenameMode::kNoReplace  ? RENAME_NOREPLACE
                           : o.mode == RenameMode::kExchange ? RENAME_EXCHANGE
                                                             : 0U;
    return with(o.from, [&](int from, const char* from_name) {
      const std::optional<Place> to = place(o.to);
      return to ? ::renameat2(from, from_name, to->directory.get(),
                              to->name.c_str(), flags)
                : -1;
    });
  }
  std::string run(const Write& o) {
    return with_file(o.file, [&](int fd) { return write(fd, o.offset, o); });
  }
  std::string run(const Append& o) {
    return with_file(o.file, [&](int fd) {
      struct stat st = {};
      return ::fstat(fd, &st) < 0
                 ? -1
                 : write(fd, static_cast<std::uint64_t>(st.st_size), o);
    });
  }
  template <class O>
  static int write(int fd, std::uint64_t offset, const O& o) {
    const std::vector<std::byte> bytes = pattern(o.seed, o.length);
    const ssize_t wrote =
        ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    return wrote == static_cast<ssize_t>(bytes.size()) ? 0 : -1;
  }
  std::string run(const Truncate& o) {
    return with_file(o.file, [&](int fd) {
      return ::ftruncate(fd, static_cast<off_t>(o.size));
    });
  }
  // Linux has no chmod() of a symlink.
  std::string run(const Chmod& o) {
    if (leads_above_root(o.path)) return "";
    bool is_symlink = false;
    const std::string result = with(o.path, [&](int at, const char* name) {
      struct stat st = {};
      if (::fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0) return -1;
      is_symlink = S_ISLNK(st.st_mode);
      return is_symlink ? 0 : ::fchmodat(at, name, o.mode | 0700, 0);
    });
    return is_symlink ? "" : result;
  }
  std::string run(const Open& o) {
    if (handles_.contains(o.handle)) return "EBADF";
    return with_file(o.path, [&](int fd) {
      handles_.emplace(o.handle, Descriptor(::dup(fd)));
      return 0;
    });
  }
  std::string run(const Close& o) {
    return handles_.erase(o.handle) == 1 ? "done" : "EBADF";
  }
  // Owners need privileges; times aren't compared; the rest does nothing.
  template <class O>
  std::string run(const O&) {
    return "";
  }

  void describe(const std::string& path, const std::string& at,
                Description& description) {
    struct stat st = {};
    ASSERT_EQ(::lstat(at.c_str(), &st), 0) << at;
    DescribedNode node;
    node.mode = st.st_mode & 07777;
    node.nlinks = st.st_nlink;
    node.inum = st.st_ino;
    if (S_ISDIR(st.st_mode)) {
      node.type = ObjectType::kDirectory;
      node.nlinks = 1;  // the host may count otherwise
    } else if (S_ISREG(st.st_mode)) {
      node.type = ObjectType::kRegular;
      node.size_bytes = static_cast<std::uint64_t>(st.st_size);
      std::vector<std::byte> bytes(node.size_bytes);
      const Descriptor fd(::open(at.c_str(), O_RDONLY | O_NOFOLLOW));
      ASSERT_EQ(::pread(fd.get(), bytes.data(), bytes.size(), 0), st.st_size);
      ContentHash hash;
      hash.add(0, bytes);
      node.content_hash = hash.value();
    } else if (S_ISLNK(st.st_mode)) {
      node.type = ObjectType::kSymlink;
      std::array<char, 4096> target;
      const ssize_t n = ::readlink(at.c_str(), target.data(), target.size());
      ASSERT_GE(n, 0);
      node.target.assign(target.data(), static_cast<std::size_t>(n));
    } else {
      node.type =
          S_ISFIFO(st.st_mode) ? ObjectType::kFifo : ObjectType::kSocket;
    }
    const bool is_directory = S_ISDIR(st.st_mode);
    description.add(path, std::move(node));
    if (!is_directory) return;
    for (const auto& entry : std::filesystem::directory_iterator(at)) {
      const std::string name = entry.path().filename();
      describe((path == "/" ? "" : path) + '/' + name, entry.path(),
               description);
    }
  }

  std::string outer_;
  std::string path_;  // of the root
  std::map<unsigned, Descriptor> handles_;
};

// What the host was given in place of modes that would lock the test out.
Operation with_usable_mode(Operation operation) {
  if (auto* o = std::get_if<Mkdir>(&operation)) o->mode |= 0700;
  if (auto* o = std::get_if<Create>(&operation)) o->mode |= 0600;
  if (auto* o = std::get_if<Mknod>(&operation)) o->mode |= 0600;
  if (auto* o = std::get_if<Chmod>(&operation)) o->mode |= 0700;
  return operation;
}

bool is_exchange(const Operation& operation) {
  const auto* rename = std::get_if<Rename>(&operation);
  return rename != nullptr && rename->mode == RenameMode::kExchange;
}

TEST(HostTest, AgreesWithTheModel) {
  ::umask(0);
  std::size_t compared = 0;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    HostTree host;
    ASSERT_TRUE(host.usable());
    const bool exchanges = host.exchanges();
    FileTree tree;
    ASSERT_TRUE(tree.chmod("/", 0700));
    WorkloadGenerator generator(seed, {.odd_paths = 24, .persists = 0});
    Workload done;
    for (int i = 0; i < 150; ++i) {
      const Operation operation = with_usable_mode(generator.next(tree));
      if (is_exchange(operation) && !exchanges) continue;
      const std::string on_host = host.perform(operation);
      if (on_host.empty()) continue;
      done.push_back(operation);
      ASSERT_EQ(to_string(perform(tree, operation)), on_host)
          << "seed " << seed << '\n'
          << to_string(done) << tree.describe().text();
      ++compared;
    }
    ASSERT_EQ(differences(host.describe(), tree.describe()), "")
        << "seed " << seed << '\n'
        << to_string(done);
  }
  EXPECT_GT(compared, 3000U);
}

}  // namespace
}  // namespace odo::hammer2::testing::model
