// SPDX-License-Identifier: BSD-3-Clause
// HAMMER2's attributes in the words of Linux.
//
// Contexts: any; no state.
#pragma once

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <limits>

#include "lib/hammer2/format/constants.h"
#include "lib/hammer2/types.h"

namespace odo::h2fuse {

// The type's bits in st_mode; 0 for what Linux doesn't know, which the kernel
// answers with EIO.
[[nodiscard]] constexpr mode_t type_bits(hammer2::ObjectType type) {
  using hammer2::ObjectType;
  switch (type) {
    case ObjectType::kDirectory:
      return S_IFDIR;
    case ObjectType::kRegular:
      return S_IFREG;
    case ObjectType::kFifo:
      return S_IFIFO;
    case ObjectType::kCharDevice:
      return S_IFCHR;
    case ObjectType::kBlockDevice:
      return S_IFBLK;
    case ObjectType::kSymlink:
      return S_IFLNK;
    case ObjectType::kSocket:
      return S_IFSOCK;
    default:
      return 0;
  }
}

// Device numbers on media have 32 bits each, Linux's 12 and 20. What doesn't
// fit becomes 0:0, rather than some other device.
[[nodiscard]] constexpr dev_t device_number(std::uint32_t major_number,
                                            std::uint32_t minor_number) {
  if (major_number >= 1U << 12 || minor_number >= 1U << 20) return 0;
  return makedev(major_number, minor_number);
}

[[nodiscard]] constexpr timespec time_of(std::uint64_t us) {
  constexpr std::uint64_t kMicro = 1'000'000;
  return {.tv_sec = static_cast<std::time_t>(us / kMicro),
          .tv_nsec = static_cast<long>(us % kMicro * 1000)};
}

[[nodiscard]] inline struct stat stat_of(const hammer2::Attributes& of) {
  using hammer2::ObjectType;
  constexpr unsigned kSectorBytes = 512;  // st_blocks' unit
  struct stat to = {};
  to.st_ino = of.inum;
  to.st_mode = type_bits(of.type) | of.mode;
  to.st_nlink = std::min<std::uint64_t>(
      of.nlinks, std::numeric_limits<std::uint32_t>::max());
  to.st_uid = of.uid;
  to.st_gid = of.gid;
  if (of.type == ObjectType::kCharDevice ||
      of.type == ObjectType::kBlockDevice) {
    to.st_rdev = device_number(of.rmajor, of.rminor);
  }
  // A file that claims more than Linux can address is shown as far as that.
  to.st_size = static_cast<off_t>(
      std::min<std::uint64_t>(of.size, std::numeric_limits<off_t>::max()));
  to.st_blksize = hammer2::format::kMaxAllocBytes;
  to.st_blocks = static_cast<blkcnt_t>(of.data_bytes / kSectorBytes);
  to.st_atim = time_of(of.atime_us);
  to.st_mtim = time_of(of.mtime_us);
  to.st_ctim = time_of(of.ctime_us);
  return to;
}

// Space is the whole filesystem's, which all its PFSs share; inodes are the
// PFS's. None is free for use: nothing can be written.
[[nodiscard]] inline struct statvfs statvfs_of(const hammer2::VolumeInfo& info,
                                               const hammer2::Pfs& pfs) {
  struct statvfs to = {};
  to.f_bsize = hammer2::format::kMaxAllocBytes;
  to.f_frsize = hammer2::format::kMinAllocBytes;
  to.f_blocks = info.allocator_bytes / hammer2::format::kMinAllocBytes;
  to.f_bfree = info.free_bytes / hammer2::format::kMinAllocBytes;
  to.f_bavail = to.f_bfree;
  to.f_files = pfs.inode_count;
  to.f_namemax = hammer2::format::kInodeNameBytes - 1;
  return to;
}

}  // namespace odo::h2fuse
