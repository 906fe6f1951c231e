// SPDX-License-Identifier: BSD-3-Clause
// How an operation on a tree of files may fail, in POSIX's words.
//
// Contexts: tests.
#pragma once

#include <cstdint>
#include <string_view>

#include "lib/base/result.h"

namespace odo::hammer2::testing::model {

enum class Errno : std::uint8_t {
  kNoEntry,
  kExists,
  kNotDirectory,
  kIsDirectory,
  kNotEmpty,
  kInvalid,
  kNameTooLong,
  kNotPermitted,
  kTooLarge,
  kBadHandle,
};

template <class T>
using Result = odo::Result<T, Errno>;

[[nodiscard]] constexpr std::string_view to_string(Errno error) {
  using std::operator""sv;
  switch (error) {
    case Errno::kNoEntry:
      return "ENOENT"sv;
    case Errno::kExists:
      return "EEXIST"sv;
    case Errno::kNotDirectory:
      return "ENOTDIR"sv;
    case Errno::kIsDirectory:
      return "EISDIR"sv;
    case Errno::kNotEmpty:
      return "ENOTEMPTY"sv;
    case Errno::kInvalid:
      return "EINVAL"sv;
    case Errno::kNameTooLong:
      return "ENAMETOOLONG"sv;
    case Errno::kNotPermitted:
      return "EPERM"sv;
    case Errno::kTooLarge:
      return "EFBIG"sv;
    case Errno::kBadHandle:
      break;
  }
  return "EBADF"sv;
}

[[nodiscard]] constexpr std::string_view to_string(const Result<void>& result) {
  using std::operator""sv;
  return result ? "done"sv : to_string(result.error());
}

}  // namespace odo::hammer2::testing::model
