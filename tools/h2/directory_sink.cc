// SPDX-License-Identifier: BSD-3-Clause
#include "tools/h2/directory_sink.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "tools/h2/print.h"

namespace odo::h2 {
namespace {

using block::Descriptor;
using hammer2::ObjectType;

constexpr mode_t kPermissions = 0777;
constexpr mode_t kAllBits = 07777;
constexpr mode_t kMineAlone = 0700;  // until a directory is complete

[[noreturn]] void refuse(std::string_view path, int error) {
  throw Failure(block::system_error(printable(path), error));
}

Descriptor open_directory(int at, const char* name) {
  return Descriptor(
      ::openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

Descriptor start_in(const std::string& folder) {
  if (::mkdir(folder.c_str(), kMineAlone) != 0 && errno != EEXIST) {
    throw SinkClosed(block::system_error(folder, errno));
  }
  // The user's own word: it may be a link.
  Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.get() < 0) throw SinkClosed(block::system_error(folder, errno));
  return opened;
}

std::array<timespec, 2> times_of(const hammer2::Attributes& of) {
  const auto spec = [](std::uint64_t us) {
    timespec time = {};
    time.tv_sec = static_cast<time_t>(us / 1000000);
    time.tv_nsec = static_cast<long>(us % 1000000) * 1000;
    return time;
  };
  return {spec(of.atime_us), spec(of.mtime_us)};
}

mode_t type_bits(ObjectType type) {
  switch (type) {
    case ObjectType::kFifo:
      return S_IFIFO;
    case ObjectType::kSocket:
      return S_IFSOCK;
    case ObjectType::kCharDevice:
      return S_IFCHR;
    case ObjectType::kBlockDevice:
      return S_IFBLK;
    default:
      return 0;
  }
}

}  // namespace

DirectorySink::DirectorySink(const std::string& folder, Owners owners)
    : keep_owners_(owners == Owners::kKeep),
      my_uid_(::geteuid()),
      my_gid_(::getegid()),
      old_umask_(::umask(0)),
      root_(start_in(folder)),
      here_(::fcntl(root_.get(), F_DUPFD_CLOEXEC, 0)) {
  struct stat status = {};
  groups_inherited_ =
      ::fstat(root_.get(), &status) == 0 && (status.st_mode & S_ISGID) != 0;
}

DirectorySink::~DirectorySink() { ::umask(old_umask_); }

DirectorySink::Identity DirectorySink::identity_of(int directory) {
  struct stat status = {};
  if (::fstat(directory, &status) != 0) {
    throw SinkClosed(block::system_error("directory", errno));
  }
  return {status.st_dev, status.st_ino};
}

bool DirectorySink::owner_differs(const Entry& entry) const {
  if (!keep_owners_) return false;
  return groups_inherited_ || entry.attributes.uid != my_uid_ ||
         entry.attributes.gid != my_gid_;
}

void DirectorySink::set_attributes(int descriptor, const Entry& entry) const {
  const hammer2::Attributes& of = entry.attributes;
  // The owner first: changing it takes set-id bits away.
  if (owner_differs(entry) && ::fchown(descriptor, of.uid, of.gid) != 0) {
    refuse(entry.path, errno);
  }
  const bool as_made = of.type == ObjectType::kRegular &&
                       (of.mode & kAllBits) == (of.mode & kPermissions);
  if (!as_made && ::fchmod(descriptor, of.mode & kAllBits) != 0) {
    refuse(entry.path, errno);
  }
  if (::futimens(descriptor, times_of(of).data()) != 0) {
    refuse(entry.path, errno);
  }
}

void DirectorySink::set_attributes_by_name(const Entry& entry) const {
  const hammer2::Attributes& of = entry.attributes;
  const std::string name(entry.name);
  if (owner_differs(entry) && ::fchownat(here_.get(), name.c_str(), of.uid,
                                         of.gid, AT_SYMLINK_NOFOLLOW) != 0) {
    refuse(entry.path, errno);
  }
  if (::utimensat(here_.get(), name.c_str(), times_of(of).data(),
                  AT_SYMLINK_NOFOLLOW) != 0) {
    refuse(entry.path, errno);
  }
}

void DirectorySink::begin_directory(const Entry& entry) {
  if (entry.path.empty()) return;  // the start, which is there
  const std::string name(entry.name);
  if (::mkdirat(here_.get(), name.c_str(), kMineAlone) != 0) {
    refuse(entry.path, errno);
  }
  Descriptor below = open_directory(here_.get(), name.c_str());
  if (below.get() < 0) refuse(entry.path, errno);
  above_.push_back(identity_of(here_.get()));
  here_ = std::move(below);
}

void DirectorySink::end_directory(const Entry& entry) {
  std::string failure;
  try {
    set_attributes(here_.get(), entry);
  } catch (const Failure& error) {
    failure = error.what();
  }
  if (!entry.path.empty()) {
    Descriptor up = open_directory(here_.get(), "..");
    if (up.get() < 0) {
      throw SinkClosed(block::system_error(std::string(entry.path), errno));
    }
    const Identity was = above_.back();
    const Identity is = identity_of(up.get());
    if (was.device != is.device || was.inode != is.inode) {
      throw SinkClosed(printable(entry.path) + ": was moved by somebody");
    }
    above_.pop_back();
    here_ = std::move(up);
  }
  if (!failure.empty()) throw Failure(failure);
}

void DirectorySink::begin_file(const Entry& entry, std::span<const DataRange>) {
  const std::string name(entry.name);
  file_ =
      Descriptor(::openat(here_.get(), name.c_str(),
                          O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                          entry.attributes.mode & kPermissions));
  if (file_.get() < 0) refuse(entry.path, errno);
  written_ = 0;
}

void DirectorySink::data(std::uint64_t offset, Bytes bytes) {
  if (const auto put = block::write_at(file_.get(), offset, bytes); !put) {
    throw Failure(put.error());
  }
  written_ = offset + bytes.size();
}

void DirectorySink::end_file(const Entry& entry) {
  const Descriptor file = std::exchange(file_, Descriptor(-1));
  const std::uint64_t size = entry.attributes.size;
  if (written_ != size &&
      ::ftruncate(file.get(), static_cast<off_t>(size)) != 0) {
    refuse(entry.path, errno);
  }
  set_attributes(file.get(), entry);
}

void DirectorySink::drop_file(const Entry& entry) {
  file_ = Descriptor(-1);
  ::unlinkat(here_.get(), std::string(entry.name).c_str(), 0);
}

void DirectorySink::link(const Entry& entry, std::string_view first) {
  if (::linkat(root_.get(), std::string(first).c_str(), here_.get(),
               std::string(entry.name).c_str(), 0) != 0) {
    refuse(entry.path, errno);
  }
}

void DirectorySink::symlink(const Entry& entry, const std::string& target) {
  if (::symlinkat(target.c_str(), here_.get(),
                  std::string(entry.name).c_str()) != 0) {
    refuse(entry.path, errno);
  }
  set_attributes_by_name(entry);
}

void DirectorySink::special(const Entry& entry) {
  const hammer2::Attributes& of = entry.attributes;
  const mode_t type = type_bits(of.type);
  if (type == 0) throw Failure(printable(entry.path) + ": of an unknown type");
  const std::string name(entry.name);
  if (::mknodat(here_.get(), name.c_str(), type | (of.mode & kPermissions),
                is_device(of) ? ::makedev(of.rmajor, of.rminor) : 0) != 0) {
    refuse(entry.path, errno);
  }
  set_attributes_by_name(entry);
}

}  // namespace odo::h2
