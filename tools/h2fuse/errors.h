// SPDX-License-Identifier: BSD-3-Clause
// What programs on a mount are told of the reader's errors, and what whoever
// mounted it is told besides.
//
// Contexts: any thread; DamageLog has a lock of its own.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_set>
#include <utility>

#include "lib/hammer2/error.h"
#include "tools/h2/volume.h"

namespace odo::h2fuse {

// Media that are damaged or can't be read are EIO, whatever is wrong with them.
[[nodiscard]] constexpr int errno_of(hammer2::Code code) {
  using hammer2::Code;
  switch (code) {
    case Code::kNotFound:
    case Code::kNoSuchPfs:
    case Code::kNoDefaultPfs:
      return ENOENT;
    case Code::kNotDirectory:
      return ENOTDIR;
    case Code::kIsDirectory:
      return EISDIR;
    case Code::kNotSymlink:
    case Code::kNotRegular:
      return EINVAL;
    case Code::kNameTooLong:
      return ENAMETOOLONG;
    case Code::kSymlinkLoop:
      return ELOOP;
    case Code::kExists:
      return EEXIST;
    case Code::kNotEmpty:
      return ENOTEMPTY;
    case Code::kInvalid:
      return EINVAL;
    case Code::kFileTooLarge:
      return EFBIG;
    case Code::kTooManyLinks:
      return EMLINK;
    case Code::kBusy:
      return EBUSY;
    case Code::kNoSpace:
      return ENOSPC;
    case Code::kReadOnly:
      return EROFS;
    case Code::kOutOfMemory:
    case Code::kNoMemory:
      return ENOMEM;
    default:
      return EIO;
  }
}

// One line for each damaged block, however often the kernel asks for it again.
class DamageLog {
 public:
  using Sink = std::function<void(const std::string& line)>;

  // Lines in all; so much damage needs no list but another disk.
  static constexpr std::size_t kMaxLines = 1000;

  explicit DamageLog(Sink sink) : sink_(std::move(sink)) {}

  // Errors that are about a request and not about media are no damage.
  void report(const hammer2::Error& error) {
    if (hammer2::kind_of(error.code) == hammer2::ErrorKind::kRequest) return;
    const std::lock_guard lock(mutex_);
    if (reported_.size() > kMaxLines) return;
    // Where no block is to blame, the inode is.
    const bool has_block = error.offset != hammer2::Error::kUnknown;
    const std::uint64_t what = has_block ? error.offset : ~error.inum;
    if (!reported_.insert(what).second) return;
    sink_(reported_.size() > kMaxLines
              ? std::string("more damaged blocks, not listed")
              : h2::text_of(error));
  }

 private:
  Sink sink_;
  std::mutex mutex_;
  std::unordered_set<std::uint64_t> reported_;
};

}  // namespace odo::h2fuse
