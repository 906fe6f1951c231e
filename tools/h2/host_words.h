// SPDX-License-Identifier: BSD-3-Clause
// The host's file types and times in HAMMER2's words.
//
// Contexts: any; no state.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <ctime>

#include "lib/hammer2/types.h"

namespace odo::h2 {

// By the type bits of st_mode; kUnknown for others.
[[nodiscard]] inline hammer2::ObjectType type_of_mode(mode_t mode) {
  using hammer2::ObjectType;
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return ObjectType::kDirectory;
    case S_IFREG:
      return ObjectType::kRegular;
    case S_IFLNK:
      return ObjectType::kSymlink;
    case S_IFIFO:
      return ObjectType::kFifo;
    case S_IFCHR:
      return ObjectType::kCharDevice;
    case S_IFBLK:
      return ObjectType::kBlockDevice;
    case S_IFSOCK:
      return ObjectType::kSocket;
    default:
      return ObjectType::kUnknown;
  }
}

// Times before 1970 become 1970.
[[nodiscard]] inline std::uint64_t microseconds_of(const timespec& time) {
  if (time.tv_sec < 0) return 0;
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 +
         static_cast<std::uint64_t>(time.tv_nsec / 1000);
}

}  // namespace odo::h2
