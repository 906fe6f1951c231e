// SPDX-License-Identifier: BSD-3-Clause
// Names of compression methods and check codes on the command line.
//
// Contexts: any.
// Failure: UsageError.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lib/hammer2/format/constants.h"
#include "tools/h2/command.h"
#include "tools/h2/numbers.h"

namespace odo::h2 {

struct Compression {
  hammer2::format::CompMethod method = hammer2::format::CompMethod::kLz4;
  std::uint8_t level = 0;  // 0: the usual one
};

// none, autozero, lz4, zlib or zlib:LEVEL.
[[nodiscard]] inline Compression compression_of(const std::string& word) {
  using enum hammer2::format::CompMethod;
  const std::size_t colon = word.find(':');
  const std::string name = word.substr(0, colon);
  if (colon != std::string::npos) {
    const std::uint64_t level = number_of_word(word.substr(colon + 1));
    if (name == "zlib" && level >= 1 && level <= 9) {
      return {kZlib, static_cast<std::uint8_t>(level)};
    }
  } else if (name == "none") {
    return {kNone};
  } else if (name == "autozero") {
    return {kAutozero};
  } else if (name == "lz4") {
    return {kLz4};
  } else if (name == "zlib") {
    return {kZlib};
  }
  throw UsageError("not a compression: '" + word +
                   "' (none, autozero, lz4, zlib, zlib:1 to zlib:9)");
}

[[nodiscard]] inline hammer2::format::CheckMethod check_method_of(
    const std::string& word) {
  using enum hammer2::format::CheckMethod;
  if (word == "none") return kNone;
  if (word == "disabled") return kDisabled;
  if (word == "iscsi32" || word == "crc32") return kIscsi32;
  if (word == "xxhash64") return kXxhash64;
  if (word == "sha192") return kSha192;
  if (word == "freemap") return kFreemap;
  throw UsageError("not a check code: '" + word +
                   "' (none, disabled, iscsi32, xxhash64, sha192, freemap)");
}

}  // namespace odo::h2
