// SPDX-License-Identifier: BSD-3-Clause
// `h2 check`: the complete check of a filesystem, for people and for programs.
//
// Contexts: the tool's main thread; blocks are proven on several.
// Failure: exit codes as fsck(8) has them.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace odo::h2 {

inline constexpr int kCheckClean = 0;
inline constexpr int kCheckErrors = 4;       // errors, left as they are
inline constexpr int kCheckOperational = 8;  // something wasn't checked
inline constexpr int kCheckUsage = 16;

struct CheckOptions {
  bool json = false;
  bool notes = false;   // show what is legal and worth knowing
  bool decode = false;  // decompress all data too
  std::size_t threads = 1;
  std::size_t memory_bytes = 0;  // 0: as the volumes' size suggests
};

[[nodiscard]] int check(const std::vector<std::string>& images,
                        const CheckOptions& options);

}  // namespace odo::h2
