// SPDX-License-Identifier: BSD-3-Clause
#include "tools/h2/source_tree.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"
#include "lib/block/host/descriptor.h"
#include "tools/h2/host_words.h"
#include "tools/h2/volume.h"

namespace odo::h2 {
namespace {

using hammer2::ObjectType;

std::vector<std::string> names_in(const std::string& folder) {
  struct Close {
    void operator()(DIR* dir) const { ::closedir(dir); }
  };
  const std::unique_ptr<DIR, Close> dir(::opendir(folder.c_str()));
  if (dir == nullptr) throw Failure(block::system_error(folder, errno));
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(dir.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) throw Failure(block::system_error(folder, errno));
  std::ranges::sort(names);
  return names;
}

std::string target_of(const std::string& path, std::uint64_t size) {
  std::string target(std::max<std::uint64_t>(size, 4096), '\0');
  const ssize_t got = ::readlink(path.c_str(), target.data(), target.size());
  if (got < 0) throw Failure(block::system_error(path, errno));
  target.resize(static_cast<std::size_t>(got));
  return target;
}

class DirectoryWalk {
 public:
  explicit DirectoryWalk(std::string root) : root_(std::move(root)) {}

  std::vector<SourceEntry> run() {
    add("");
    // Folders that are yet to be read, the next one last.
    std::vector<std::string> open = {""};
    while (!open.empty()) {
      const std::string folder = std::move(open.back());
      open.pop_back();
      std::vector<std::string> folders;
      for (const std::string& name : names_in(host_path(folder))) {
        const std::string path = folder.empty() ? name : folder + "/" + name;
        if (add(path)) folders.push_back(path);
      }
      open.insert(open.end(), folders.rbegin(), folders.rend());
    }
    return std::move(entries_);
  }

 private:
  [[nodiscard]] std::string host_path(const std::string& path) const {
    return path.empty() ? root_ : root_ + "/" + path;
  }

  // Whether it is a directory.
  bool add(const std::string& path) {
    SourceEntry entry;
    entry.path = path;
    entry.host_path = host_path(path);
    struct stat status = {};
    // The root may be given by a symlink.
    const int failed = path.empty() ? ::stat(root_.c_str(), &status)
                                    : ::lstat(entry.host_path.c_str(), &status);
    if (failed != 0) throw Failure(block::system_error(entry.host_path, errno));
    entry.type = type_of_mode(status.st_mode);
    if (entry.type == ObjectType::kUnknown) return false;
    entry.mode = status.st_mode & 07777;
    entry.uid = status.st_uid;
    entry.gid = status.st_gid;
    entry.rmajor = major(status.st_rdev);
    entry.rminor = minor(status.st_rdev);
    entry.mtime_us = microseconds_of(status.st_mtim);
    const auto size = static_cast<std::uint64_t>(status.st_size);
    const bool folder = entry.type == ObjectType::kDirectory;
    if (entry.type == ObjectType::kRegular) entry.size = size;
    if (entry.type == ObjectType::kSymlink) {
      entry.target = target_of(entry.host_path, size);
    }
    if (!folder && status.st_nlink > 1) {
      const auto [first, is_new] =
          inodes_.try_emplace(std::pair(status.st_dev, status.st_ino), path);
      if (!is_new) entry.same_as = first->second;
    }
    entries_.push_back(std::move(entry));
    return folder;
  }

  std::string root_;
  std::vector<SourceEntry> entries_;
  std::map<std::pair<dev_t, ino_t>, std::string> inodes_;
};

// A path of a tar without "./", "/" before it and "/" behind it.
std::string tidy_path(std::string_view path) {
  for (;;) {
    if (path.starts_with("/")) {
      path.remove_prefix(1);
    } else if (path.starts_with("./")) {
      path.remove_prefix(2);
    } else {
      break;
    }
  }
  while (path.ends_with("/")) path.remove_suffix(1);
  return path == "." ? std::string() : std::string(path);
}

[[noreturn]] void throw_archive(const std::string& path, archive* from) {
  const char* text = ::archive_error_string(from);
  throw Failure(path + ": " + (text != nullptr ? text : "not a tar"));
}

}  // namespace

std::vector<SourceEntry> entries_of_directory(const std::string& path) {
  std::string root = path;
  while (root.size() > 1 && root.ends_with('/')) root.pop_back();
  return DirectoryWalk(root).run();
}

void each_entry_of_tar(const std::string& path,
                       const std::function<void(SourceEntry)>& take) {
  constexpr std::size_t kBufferBytes = std::size_t{1} << 20;
  struct Free {
    void operator()(archive* from) const { ::archive_read_free(from); }
  };
  const std::unique_ptr<archive, Free> from(::archive_read_new());
  ::archive_read_support_filter_all(from.get());
  ::archive_read_support_format_tar(from.get());
  const char* file = path == "-" ? nullptr : path.c_str();
  if (::archive_read_open_filename(from.get(), file, kBufferBytes) !=
      ARCHIVE_OK) {
    throw_archive(path, from.get());
  }
  for (;;) {
    archive_entry* header = nullptr;
    const int status = ::archive_read_next_header(from.get(), &header);
    if (status == ARCHIVE_EOF) return;
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) {
      throw_archive(path, from.get());
    }
    SourceEntry entry;
    const char* name = ::archive_entry_pathname(header);
    if (name == nullptr) continue;
    entry.path = tidy_path(name);
    entry.type = type_of_mode(::archive_entry_filetype(header));
    entry.mode = ::archive_entry_perm(header) & 07777;
    entry.uid = static_cast<std::uint32_t>(::archive_entry_uid(header));
    entry.gid = static_cast<std::uint32_t>(::archive_entry_gid(header));
    entry.rmajor =
        static_cast<std::uint32_t>(::archive_entry_rdevmajor(header));
    entry.rminor =
        static_cast<std::uint32_t>(::archive_entry_rdevminor(header));
    entry.mtime_us =
        microseconds_of({.tv_sec = ::archive_entry_mtime(header),
                         .tv_nsec = ::archive_entry_mtime_nsec(header)});
    if (const char* same = ::archive_entry_hardlink(header)) {
      entry.same_as = tidy_path(same);
    }
    if (const char* target = ::archive_entry_symlink(header)) {
      entry.target = target;
    }
    if (entry.type == ObjectType::kUnknown && entry.same_as.empty()) continue;
    if (entry.type == ObjectType::kRegular && entry.same_as.empty()) {
      entry.size = static_cast<std::uint64_t>(::archive_entry_size(header));
      entry.content.resize(entry.size);
      std::size_t have = 0;
      while (have < entry.content.size()) {
        const la_ssize_t got =
            ::archive_read_data(from.get(), entry.content.data() + have,
                                entry.content.size() - have);
        if (got < 0) throw_archive(path, from.get());
        if (got == 0) break;  // a hole at the end
        have += static_cast<std::size_t>(got);
      }
    }
    take(std::move(entry));
  }
}

void read_piece(const std::string& host_path, std::uint64_t offset,
                MutableBytes to) {
  const block::Descriptor file(
      ::open(host_path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (file.get() < 0) throw Failure(block::system_error(host_path, errno));
  while (!to.empty()) {
    const ssize_t got =
        ::pread(file.get(), to.data(), to.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Failure(block::system_error(host_path, errno));
    if (got == 0) throw Failure(host_path + ": became shorter meanwhile");
    offset += static_cast<std::uint64_t>(got);
    to = to.subspan(static_cast<std::size_t>(got));
  }
}

}  // namespace odo::h2
